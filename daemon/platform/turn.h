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

/* Until event_base_loopbreak(). longest_cb is called after each turn that took longer
 * than all before it; it may not touch the loop. */
int turn_loop(
    struct event_base *base, void (*longest_cb)(uint64_t us, void *arg), void *arg);

#endif
