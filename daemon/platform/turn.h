/*
 * turn.h - runs the loop and measures its turns: from the end of one wait for events to
 * the beginning of the next, which is how long whoever comes meanwhile is not heard.
 *
 * Used by daemon.c, in place of event_base_dispatch().
 */
#ifndef TURN_H
#define TURN_H

#include <stdint.h>

struct event_base;

/* What a turn took, and of what: the rest of its time it waited, for the disk or for a
 * processor that others had. */
struct turn_cost {
	uint64_t us;
	uint64_t cpu_us;
	uint64_t waits;       /* it went to sleep, as for the disk or a lock */
	uint64_t preemptions; /* others got the processor */
	uint64_t reads;       /* pages that had to come from the disk */
};

/* Until event_base_loopbreak(). longest_cb is called after each turn that took longer
 * than all before it; it may not touch the loop. */
int turn_loop(struct event_base *base,
    void (*longest_cb)(const struct turn_cost *cost, void *arg), void *arg);

#endif
