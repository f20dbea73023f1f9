/*
 * outage.h - a CA that doesn't answer: since when, and when it is tried again.
 *
 * Pure arithmetic over one struct, kept by limits.c for each CA. While it lasts one
 * attempt at a time goes there, ever less often but often enough that all who wait can
 * be served within an hour of its return.
 */
#ifndef OUTAGE_H
#define OUTAGE_H

#include <stdbool.h>
#include <stdint.h>

/* The longest time between two probes. */
#define OUTAGE_PROBE_SECONDS 600

struct outage {
	int64_t since;    /* seconds since 1970; 0: it answers, as far as is known */
	int64_t said_at;  /* likewise, when people were told last; 0: not yet */
	int64_t probe_at; /* monotonic, ms: it is asked for nothing before */
	int64_t shown_at; /* the same on the wall's clock, for people */
	unsigned probes;  /* that came to nothing */
};

/* It was asked for something, and didn't answer. not_before: what it said about that,
 * seconds since 1970, or 0. jitter is a random number. Those who had asked before the
 * last probe tell nothing new. True: people should hear of it, at first and then once a
 * day. */
bool outage_note(
    struct outage *o, int64_t now_ms, int64_t now, int64_t not_before, uint64_t jitter);
/* It answers. True: it didn't. */
bool outage_end(struct outage *o);

#endif
