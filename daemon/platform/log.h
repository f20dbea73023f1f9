/*
 * log.h - what renewd tells the administrator: to the journal with fields, or as text
 * on standard error.
 *
 * A line has a subject and a constant sentence; what varies goes into fields. It is
 * written once, by the code that decides what happens next. No key, token, HMAC or
 * nonce is ever passed here.
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

#include "platform/log_event.h"

/* What a line is about. Unused ones stay NULL or 0. */
struct log_fields {
	enum log_event event;    /* MESSAGE_ID */
	const char *certificate; /* RENEWD_CERTIFICATE */
	const char *domain;      /* RENEWD_DOMAIN */
	const char *ca;          /* RENEWD_CA */
	const char *order;       /* RENEWD_ORDER: URL */
	const char *problem;     /* RENEWD_PROBLEM: ACME error type */
	const char *target;      /* RENEWD_TARGET */
	int64_t retry_at;        /* RENEWD_RETRY_AT: seconds since 1970 */
};

/* Fields of a line that is about nothing else. */
#define LOG_ABOUT(kind) (&(const struct log_fields){ .event = LOG_EVENT_##kind })

/* Lines less urgent than this aren't written. LOG_INFO at start. */
void log_set_level(int level);
bool log_wanted(int level);

/* log_line(LOG_NOTICE, (&(struct log_fields){ .certificate = name }), "issued by %s",
 * ca); fields may be NULL. The text is one line; control characters in it are escaped.
 */
void log_line(int level, const struct log_fields *fields, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
