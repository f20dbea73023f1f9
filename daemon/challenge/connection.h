/*
 * connection.h - the accepted connections of the HTTP-01 responder: bytes in, answers
 * out, and the limits that keep strangers from using renewd up.
 *
 * Used by responder.c; tests use it with smaller limits.
 */
#ifndef CONNECTION_H
#define CONNECTION_H

#include <stdbool.h>
#include <stddef.h>

#include "challenge/request.h"
#include "scope.h"

struct event_base;
struct connections;

struct connection_limits {
	size_t connections;   /* at the same time */
	unsigned requests;    /* on one connection */
	unsigned deadline_ms; /* for a connection, from accept to close */
};

struct connection_handler {
	/* Answers one request; `last`: the connection must end after it. */
	void (*answer)(const struct request *request, bool last,
	    struct request_answer *ret, void *arg);
	/* A connection was ended that had not asked anything yet, or not finished to.
	 */
	void (*dropped)(void *arg);
	void *arg;
};

int connections_new(struct event_base *base, const struct connection_limits *limits,
    const struct connection_handler *handler, struct connections **ret);
/* Takes a connected, non-blocking socket. Where there are too many, the oldest that
 * waits for its client has to go, else the new one. */
void connections_add(struct connections *all, int fd);
size_t connections_count(const struct connections *all);
/* Ends all of them. */
struct connections *connections_free(struct connections *all);

DEFINE_CLEANUP(struct connections, connections_free)

#endif
