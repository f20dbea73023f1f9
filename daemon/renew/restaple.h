/*
 * restaple.h - OCSP responses on their way: beside the files, and to servers that have
 * older ones.
 *
 * Used by ocsp.c, which has fetched them, and by who has written files.
 */
#ifndef RESTAPLE_H
#define RESTAPLE_H

#include <stdbool.h>
#include <stdint.h>

struct job;
struct ocsp_row;
struct renewals;

/* Before the row takes another response: when its servers are reloaded for it at the
 * latest. What they have is good until then. */
void restaple_plan(struct ocsp_row *row, int64_t now);
/* It has taken one: beside the files with it, in a thread, and then those of its
 * targets are told that take responses without a reload. first: it had none before. */
void restaple_publish(struct renewals *r, const struct ocsp_row *row, bool first);
/* All others, where that time has come and they have not read it anyway since. */
void restaple_due(struct renewals *r, int64_t now);

/* Its files were written, or are to be looked at: the responses stand beside them,
 * where they are for what the files hold. */
void restaple_place(const struct job *j);

#endif
