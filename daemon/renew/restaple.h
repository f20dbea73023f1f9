/*
 * restaple.h - refreshed OCSP responses on their way to servers that have older ones.
 *
 * Used by ocsp.c, which has put them beside the files.
 */
#ifndef RESTAPLE_H
#define RESTAPLE_H

#include <stdbool.h>
#include <stdint.h>

struct certificate;
struct certificate_spec;
struct ocsp_row;
struct renewals;

/* Before the row takes another response: when its servers are reloaded for it at the
 * latest. What they have is good until then. */
void restaple_plan(struct ocsp_row *row, int64_t now);
/* Those of its targets that take a response without a reload are told again. */
int restaple_tell(
    struct renewals *r, struct certificate *c, const struct certificate_spec *spec);
/* The others, where that time has come and they have not read it anyway since. */
void restaple_due(struct renewals *r, int64_t now);

#endif
