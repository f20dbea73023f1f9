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
 * life left. jitter is a random number: the point is spread over the 1/50 of the life
 * before it, so that what was issued together isn't renewed together. */
int64_t wakeup_renewal(int64_t not_before, int64_t not_after,
    const struct duration *renew_before, uint64_t jitter);

/* When to try again after the failures-th failure in a row (1: the first): 1, 10, 100
 * minutes, 6 hours, then 24 hours, +-20 % by jitter; never over a twentieth of the life
 * (a fortieth under 10 days; life 0: unknown, no cap). never before result->not_before.
 */
int64_t wakeup_retry(int64_t now, unsigned failures, const struct acme_result *result,
    int64_t life, uint64_t jitter);

/* The same for a deployment: 10 s, 1, 10 minutes, then hourly. */
int64_t wakeup_redeploy(int64_t now, unsigned failures, uint64_t jitter);

#endif
