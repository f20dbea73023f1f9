/*
 * bucket.h - a token bucket as one number: so many at once, then one an interval.
 *
 * Used for everything that a CA limits. Pure arithmetic: time is passed in, and the
 * number can be stored, so that a restart doesn't fill the bucket anew.
 */
#ifndef BUCKET_H
#define BUCKET_H

#include <stdint.h>

struct bucket {
	int64_t interval; /* ms from one to the next; 0: no limit */
	unsigned burst;   /* at once after a rest, 1 or more */
	int64_t full_at;  /* ms: when all tokens will be back; kept over restarts */
};

/* The earliest time, in ms, at which the next may be taken: now, or later. */
int64_t bucket_at(const struct bucket *b, int64_t now);
/* Takes one, whether it was time or not: what was begun counts. */
void bucket_take(struct bucket *b, int64_t now);
/* How many could be taken now. */
unsigned bucket_left(const struct bucket *b, int64_t now);
/* After full_at was read from the disk: no clock that was wrong then keeps anybody
 * waiting for longer than an empty bucket takes to fill. */
void bucket_restore(struct bucket *b, int64_t full_at, int64_t now);

#endif
