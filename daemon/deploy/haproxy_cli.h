/*
 * haproxy_cli.h - commands to HAProxy's command line on a socket, and their whole
 * answers.
 *
 * Used by haproxy.c for one now and then, by the haproxy_*.c for many.
 */
#ifndef HAPROXY_CLI_H
#define HAPROXY_CLI_H

#include <stddef.h>

struct event_base;
struct haproxy_cli;

struct haproxy_question {
	const char *socket;  /* path of a UNIX socket, or ADDRESS:PORT; for one alone */
	const char *command; /* without its newline */
	const char *payload; /* NULL: none. Ends with a newline, has no empty lines */
	size_t answer_max;   /* 0: 64 KiB */
};

/* r 0: the answer, lent for the call. Otherwise a negative errno: -ETIMEDOUT,
 * -ECONNRESET, -EFBIG for an answer over answer_max, -EBADMSG for one with NUL in it.
 */
typedef void haproxy_cli_cb(int r, const char *answer, void *arg);

/* Connects; a UNIX socket that can't be connected to is said at once. answer_cb is
 * called once, from the loop. The question is copied. */
int haproxy_cli_ask(struct event_base *base, const struct haproxy_question *q,
    int timeout_ms, haproxy_cli_cb *answer_cb, void *arg, struct haproxy_cli **ret);

/* One connection for many commands: made by the first, made anew where HAProxy has
 * closed it in between. It stays with its process, also when that is being replaced. */
int haproxy_cli_open(
    struct event_base *base, const char *socket, struct haproxy_cli **ret);
/* When what was asked before has been answered, also from its answer_cb. After a
 * failure the next call connects anew. The question is copied. */
int haproxy_cli_go_on(struct haproxy_cli *c, const struct haproxy_question *q,
    int timeout_ms, haproxy_cli_cb *answer_cb, void *arg);

/* Closes; answer_cb isn't called. Up to whoever asked, also in and after answer_cb. */
struct haproxy_cli *haproxy_cli_free(struct haproxy_cli *c);

#endif
