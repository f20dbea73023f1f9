/*
 * repair.h - inside renew/: the walk over all certificates that writes what is missing
 * or damaged among their files, and finds what the configuration wants otherwise.
 *
 * Used by renewal.c at start, and where a reload concerns many. Its length is that of a
 * slice, however many certificates there are.
 */
#ifndef REPAIR_H
#define REPAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scope.h"

struct renewals;
struct repair;

/* How long a slice may be, in microseconds: one certificate is always looked at. */
struct repair_slice {
	uint64_t all;
	uint64_t looking; /* at what turns out to be whole */
};

int repair_new(struct renewals *r, struct repair **ret);
struct repair *repair_free(struct repair *p);
/* From the beginning, in whatever it is: this slice now, the others when nothing else
 * wants the loop. */
void repair_begin(struct repair *p, const struct repair_slice *first);
/* One certificate, now; one at work is left to its job. */
void repair_one(struct repair *p, int64_t certificate);
/* Is it under way? How many were looked at, of how many? */
bool repair_progress(const struct repair *p, size_t *ret_done, size_t *ret_all);

DEFINE_CLEANUP(struct repair, repair_free)

#endif
