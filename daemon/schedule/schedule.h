/*
 * schedule.h - when: one timer for the earliest thing that is due.
 *
 * Reads the inventory's index of next_at; holds no list of its own. Whoever changed a
 * certificate's next_at, or has room again, pokes it.
 */
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct schedule;
struct store;

/* A certificate is due; false: no room, wait for a poke. */
typedef bool schedule_due_cb(int64_t certificate, void *arg);

int schedule_new(struct event_base *base, struct store *store, struct schedule **ret);
struct schedule *schedule_free(struct schedule *s);
void schedule_start(struct schedule *s, schedule_due_cb *due_cb, void *arg);
/* Called at a tick after the wall's clock was set by over a minute: by how much, in
 * seconds. A machine that was suspended has not had it set. */
void schedule_on_jump(struct schedule *s, void (*cb)(int64_t by, void *arg), void *arg);
/* Called after each tick, when what is due was handed over: for what isn't due yet. */
void schedule_on_tick(struct schedule *s, void (*cb)(void *arg), void *arg);
/* Something has changed: look again, in a millisecond. */
void schedule_poke(struct schedule *s);
/* When it last looked, seconds since 1970: the daemon is well while this is under two
 * minutes ago. */
int64_t schedule_last_tick(const struct schedule *s);

#endif
