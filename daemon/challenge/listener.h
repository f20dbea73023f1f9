/*
 * listener.h - the listening sockets of the HTTP-01 responder: opened, kept over a
 * reload, tried again where they can't be had now.
 *
 * Used by responder.c; tests use it with shorter times.
 */
#ifndef LISTENER_H
#define LISTENER_H

#include <stdbool.h>
#include <stddef.h>

#include "scope.h"

struct event_base;
struct listeners;
struct words;

/* fd: connected, non-blocking, close-on-exec; the callee closes it. */
typedef void listener_accepted_cb(int fd, void *arg);

struct listener_times {
	unsigned retry_ms; /* after an address could not be bound */
	unsigned
	    pause_ms; /* after accept() failed: EMFILE doesn't go away by polling */
};

int listeners_new(struct event_base *base, const struct listener_times *times,
    listener_accepted_cb *accepted_cb, void *arg, struct listeners **ret);
/* As responder_listen(). Passed sockets are duplicated, so they stay the caller's, and
 * mean the same socket when the same number is passed again. -EINVAL for an address
 * that can't be read (nothing is changed then), -ENOMEM. */
int listeners_set(struct listeners *all, const struct words *addresses, const int *fds,
    size_t count, size_t *ret_failed);
/* Is at least one open? */
/* Tries those that can't be opened now, not waiting for their time. */
void listeners_retry(struct listeners *all);
bool listeners_open(const struct listeners *all);
struct listeners *listeners_free(struct listeners *all);

DEFINE_CLEANUP(struct listeners, listeners_free)

#endif
