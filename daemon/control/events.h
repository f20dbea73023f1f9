/*
 * events.h - what happened, as a stream of events: the history so far, and what comes.
 *
 * Owned by control.c. Followers read from the inventory at the pace of their clients,
 * so nothing is queued for anybody; a commit wakes those that wait.
 */
#ifndef EVENTS_H
#define EVENTS_H

struct event_base;
struct events;
struct store;

int events_new(struct event_base *base, struct store *store, struct events **ret);
/* All streams must have ended. */
struct events *events_free(struct events *e);

#endif
