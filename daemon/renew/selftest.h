/*
 * selftest.h - could renewd keep what a CA gives it, and answer what the CA asks?
 *
 * Asked by gate.c and queue.c before an order is begun or gone on with, so that no CA
 * is asked for what would be lost. Looks again by itself while something is wrong.
 */
#ifndef RENEW_SELFTEST_H
#define RENEW_SELFTEST_H

#include <stdbool.h>
#include <stdint.h>

#include "scope.h"

struct renewals;
struct selftest;

int selftest_new(struct renewals *r, struct selftest **ret);
struct selftest *selftest_free(struct selftest *t);
/* Has the inventory been read through? Until then nothing is begun. */
bool selftest_ready(struct selftest *t);
/* May orders go to CAs? */
bool selftest_passes(struct selftest *t);
/* What stands against it, as a sentence, and since when; NULL: nothing. */
const char *selftest_why(struct selftest *t, int64_t *ret_since);
/* Has it said that the inventory's disk is full? */
bool selftest_said_full(const struct selftest *t);

DEFINE_CLEANUP(struct selftest, selftest_free)

#endif
