/*
 * hours.h - how many renewals are planned for each hour to come, so that new ones are
 * put where there is the least to do.
 *
 * In memory, as all hours of a span are compared for each plan; read from the inventory
 * when it is asked for the first time, and now and then again. That it may be a little
 * wrong does no harm.
 */
#ifndef HOURS_H
#define HOURS_H

#include <stdint.h>

#include "inventory/store.h"
#include "scope.h"

struct hours;

int hours_new(struct store *store, struct hours **ret);
struct hours *hours_free(struct hours *h);
/* A time from `from` to `to`, but not before now unless `to` is: in the hour for which
 * the fewest are planned, and of equal ones, and in it, where chance says, a random
 * number of 64 bits. */
int64_t hours_pick(struct hours *h, int64_t from, int64_t to, uint64_t chance);
/* One was planned for `before`, and is for `after` now; 0: never. */
void hours_move(struct hours *h, int64_t before, int64_t after);

DEFINE_CLEANUP(struct hours, hours_free)

#endif
