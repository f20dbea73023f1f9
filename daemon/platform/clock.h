/*
 * clock.h - the only source of time and chance, so that tests can jump and repeat.
 *
 * Used by everything in daemon/. Nothing else calls time(), clock_gettime() or a random
 * number generator.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Seconds since 1970. */
int64_t clock_now(void);
/* Milliseconds of a clock that never jumps back, and goes on while suspended. */
int64_t clock_monotonic_ms(void);
/* Microseconds of CLOCK_MONOTONIC, for sd_notify(3), and for how long something has
 * taken: tests don't move it. */
uint64_t clock_monotonic_us(void);
/* A uniformly distributed number from 0 to below limit (1 or more). */
uint64_t clock_random(uint64_t limit);

/* For tests: the wall clock is set to `seconds`, and both clocks are moved on by hand.
 */
void clock_freeze(int64_t seconds);
void clock_advance(int64_t seconds);
void clock_thaw(void);

/* RFC 3339 in UTC with seconds: "2026-11-23T05:00:00Z" and a NUL. */
#define CLOCK_TEXT_SIZE 32
const char *clock_format(int64_t seconds, char ret[CLOCK_TEXT_SIZE]);
/* The other way; -EINVAL. */
int clock_parse(const char *text, int64_t *ret);

#endif
