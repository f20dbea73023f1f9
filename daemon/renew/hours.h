/*
 * hours.h - how many renewals are planned for each hour to come, so that new ones are
 * put where there is the least to do.
 *
 * In memory, as it is asked sixteen times for each plan; read from the inventory when
 * it is asked for the first time, and now and then again. That it may be a little wrong
 * does no harm.
 */
#ifndef HOURS_H
#define HOURS_H

#include <stdint.h>

#include "inventory/store.h"
#include "scope.h"

struct hours;

int hours_new(struct store *store, struct hours **ret);
struct hours *hours_free(struct hours *h);
/* How many are planned for the hour of this time; 0 where it is past or years away. */
uint32_t hours_count(struct hours *h, int64_t at);
/* One was planned for `before`, and is for `after` now; 0: never. */
void hours_move(struct hours *h, int64_t before, int64_t after);

DEFINE_CLEANUP(struct hours, hours_free)

#endif
