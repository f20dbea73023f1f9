/*
 * virtual_time.h - a clock that jumps to the next timer instead of waiting for it.
 *
 * Linked into the simulation, it stands before the C library's clocks and before
 * epoll_wait(), so that everything in the process, libevent too, lives in it unchanged.
 */
#ifndef VIRTUAL_TIME_H
#define VIRTUAL_TIME_H

#include <stdint.h>

/* The time lives in *us (microseconds since 1970): in shared memory it goes on when the
 * process doesn't. */
void virtual_time_use(int64_t *us);
/* CLOCK_REALTIME differs from that by *seconds, and from the time *at on (0: never) by
 * *then. */
void virtual_time_wrong(int64_t *seconds, int64_t *at, const int64_t *then);
/* The process ends at once, as by SIGKILL, when the time comes; 0: never. */
void virtual_time_die_at(int64_t us);
/* Seconds since 1970. */
int64_t virtual_time_now(void);
/* Called each time before the loop looks for what is ready. */
void virtual_time_each(void (*cb)(void));

/* Random numbers of the process from now on, repeatable. */
void virtual_chance_seed(uint64_t seed);

#endif
