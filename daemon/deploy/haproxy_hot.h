/*
 * haproxy_hot.h - a run's certificates given to running HAProxy processes, without any
 * reload.
 *
 * Used by haproxy.c for targets that have a runtime API.
 */
#ifndef HAPROXY_HOT_H
#define HAPROXY_HOT_H

#include <stdbool.h>

struct haproxy_hot;
struct run;

/* why NULL: each process has the certificates now, but for those that it refused: they
 * have failed. Otherwise only a reload can help: why, lent for the call. */
typedef void haproxy_hot_cb(const char *why, void *arg);

/* done_cb is called once, from the loop. can_reload: one that HAProxy doesn't know is a
 * reason for a reload; else it has failed. */
int haproxy_hot_start(struct run *r, bool can_reload, haproxy_hot_cb *done_cb,
    void *arg, struct haproxy_hot **ret);
/* done_cb isn't called. */
struct haproxy_hot *haproxy_hot_free(struct haproxy_hot *h);

#endif
