/*
 * log_event.h - the kinds of events that are logged, each with its MESSAGE_ID.
 *
 * Part of log.h. IDs never change: people search for them, and systemd/renewd.catalog
 * explains them.
 */
#ifndef LOG_EVENT_H
#define LOG_EVENT_H

enum log_event {
	LOG_EVENT_NONE, /* details that need no explanation */
	LOG_EVENT_READY,
	LOG_EVENT_STOPPED,
	LOG_EVENT_START_FAILED,
	LOG_EVENT_RELOADED,
	LOG_EVENT_RELOAD_REFUSED,
	LOG_EVENT_ISSUED,
	LOG_EVENT_RENEWAL_FAILED,
	LOG_EVENT_PARKED,
	LOG_EVENT_OTHER_CA,
	LOG_EVENT_CA_FAILED,
	LOG_EVENT_ACCOUNT,
	LOG_EVENT_DEPLOYED,
	LOG_EVENT_DEPLOY_FAILED,
	LOG_EVENT_OTHER_WAY,
	LOG_EVENT_FILES_FAILED,
	LOG_EVENT_FILES_REPAIRED,
	LOG_EVENT_PLACEHOLDER,
	LOG_EVENT_LISTEN_FAILED,
	LOG_EVENT_LISTENING,
	LOG_EVENT_STORE_FAILED,
	LOG_EVENT_GROUP_MISSING,
	LOG_EVENT_DEFINED_TWICE,
	LOG_EVENT_NAME_MISSING,
	LOG_EVENTS,
};

/* 32 hexadecimal digits; NULL for LOG_EVENT_NONE. */
const char *log_event_id(enum log_event event);

#endif
