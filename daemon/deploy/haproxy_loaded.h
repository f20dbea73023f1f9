/*
 * haproxy_loaded.h - which certificates a running HAProxy has loaded, by its runtime
 * API.
 *
 * Used by control/, which shows them, and by haproxy_store.c. It must never change
 * anything there.
 */
#ifndef HAPROXY_LOADED_H
#define HAPROXY_LOADED_H

struct haproxy_cli;
struct haproxy_loaded;

/* As HAProxy says it; "" where it doesn't. Lent for the call. */
struct haproxy_row {
	const char *file;   /* its name for it */
	const char *crt;    /* the path in its configuration, which may be another */
	const char *serial; /* lower-case hex */
	const char *not_after;
	const char *status; /* "Used", "Unused" */
};

typedef void haproxy_row_cb(const struct haproxy_row *row, void *arg);
/* r 0: those were all; else a negative errno. Called once, from the loop; to be freed
 * then. */
typedef void haproxy_loaded_cb(int r, void *arg);

enum haproxy_which {
	HAPROXY_ALL,
	HAPROXY_ITEMS, /* those whose names aren't absolute paths, as a crt-store's */
};

/* cli leads to a runtime API, or to a master's, which is asked for its worker's; it is
 * lent until the end, or until after haproxy_loaded_free(). */
int haproxy_loaded_start(struct haproxy_cli *cli, enum haproxy_which which,
    haproxy_row_cb *row_cb, haproxy_loaded_cb *done_cb, void *arg,
    struct haproxy_loaded **ret);
/* In words. */
const char *haproxy_loaded_problem(int r);
struct haproxy_loaded *haproxy_loaded_free(struct haproxy_loaded *l);

#endif
