/*
 * haproxy_loaded.h - which certificates a running HAProxy has loaded, by its runtime
 * API.
 *
 * Used by control/, which shows them. It must never change anything there.
 */
#ifndef HAPROXY_LOADED_H
#define HAPROXY_LOADED_H

struct event_base;
struct haproxy_loaded;

/* As HAProxy says it; "" where it doesn't. Lent for the call. */
struct haproxy_row {
	const char *file;   /* its name for it */
	const char *serial; /* lower-case hex */
	const char *not_after;
	const char *status; /* "Used", "Unused" */
};

typedef void haproxy_row_cb(const struct haproxy_row *row, void *arg);
/* why NULL: those were all. Called once, from the loop; to be freed then. */
typedef void haproxy_loaded_cb(const char *why, void *arg);

/* socket: a runtime API or a master's, which is asked for its worker's. */
int haproxy_loaded_start(struct event_base *base, const char *socket,
    haproxy_row_cb *row_cb, haproxy_loaded_cb *done_cb, void *arg,
    struct haproxy_loaded **ret);
struct haproxy_loaded *haproxy_loaded_free(struct haproxy_loaded *l);

#endif
