/*
 * wakeup.h - the arithmetic of when: pure functions, no state, no clock.
 *
 * The only place that computes renewal points and delays; schedule.c and renew/ call
 * it.
 */
#ifndef WAKEUP_H
#define WAKEUP_H

#include <stdint.h>

#include "acme.h"

struct duration;

/* When to renew a certificate with this life: at 1/3 of it left, 1/2 where it is under
 * 10 days, or as renew_before says (both 0: auto), but never with more than half of the
 * life left. jitter is a random number: the point is spread over the 1/8 of the life
 * before that, or the 1/20 after half of a short one, so that what was issued together
 * isn't renewed together. */
int64_t wakeup_renewal(int64_t not_before, int64_t not_after,
    const struct duration *renew_before, uint64_t jitter);
/* The jitter that makes it the earliest; 0 is the latest. */
uint64_t wakeup_spread(int64_t life, const struct duration *renew_before);

/* ---- renewal information (ARI, RFC 9773) ---- */

/* A point in the window that the CA suggests, uniformly by jitter: from a second after
 * its start to a guard before its end, a twentieth of it and 5 minutes at most, so that
 * the order arrives inside. Always start <= point < end. */
int64_t wakeup_window(int64_t start, int64_t end, uint64_t jitter);
/* The same as wakeup_renewal(), with the point picked in the CA's window; 0: none is
 * known. The CA's word counts instead of auto; what renew_before says otherwise stays
 * the latest; and with a twentieth of the life left it is renewed whatever the CA says.
 */
int64_t wakeup_suggested(int64_t not_before, int64_t not_after,
    const struct duration *renew_before, uint64_t jitter, int64_t suggested);
/* Before this a certificate isn't renewed because of its window alone: a CA whose
 * windows are always over must not have it renewed again and again. issued_at of it,
 * and of the one before it (0: there was none). 0: it may be at any time. */
int64_t wakeup_calm(int64_t issued_at, int64_t issued_before, int64_t life);

/* When to ask again after a good answer: at retry_at, but within a minute to a day;
 * after 6 hours where the CA didn't say (0). */
int64_t wakeup_ask(int64_t now, int64_t retry_at);
/* After the failures-th temporary error in a row (1: the first): 1, 2, 5 seconds, not
 * before retry_at within a day. 0: no more such tries. */
int64_t wakeup_ask_retry(int64_t now, unsigned failures, int64_t retry_at);
/* After an error that lasts: 6 hours, and up to 10 minutes by jitter. */
int64_t wakeup_ask_later(int64_t now, uint64_t jitter);

/* ---- how many at a time ---- */

/* With less than this share of the life left a renewal is urgent, and isn't held back
 * for the sake of an even load. */
#define WAKEUP_URGENT 0.25
/* The pace of the others: one in *ret_interval_ms after *ret_burst at once, two
 * thirds more than come on average. short_lives and long_lives are the sums of 1/life
 * in 1/s over all certificates under 10 days, and over the others. */
void wakeup_pace(double short_lives, double long_lives, int64_t *ret_interval_ms,
    unsigned *ret_burst);

/* ---- after failures ---- */

/* When to try again after the failures-th failure in a row (1: the first): 1, 10, 100
 * minutes, 6 hours, then 24 hours, +-20 % by jitter; never over a twentieth of the life
 * (a fortieth under 10 days; life 0: unknown, no cap). never before result->not_before.
 */
int64_t wakeup_retry(int64_t now, unsigned failures, const struct acme_result *result,
    int64_t life, uint64_t jitter);

/* The same for a deployment: 10 s, 1, 10 minutes, then hourly. */
int64_t wakeup_redeploy(int64_t now, unsigned failures, uint64_t jitter);

#endif
