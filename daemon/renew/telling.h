/*
 * telling.h - inside renew/: what is noted of a job's present target, and when it may
 * be told.
 *
 * Used by job_deploy.c and job_served.c; and by those who want a target told again,
 * request.c and restaple.c. Rows that are handed in are what was noted
 * before, or NULL.
 */
#ifndef TELLING_H
#define TELLING_H

#include "renew/job.h"

const char *telling_target(const struct job *j);
/* NULL: a reload has taken it away. */
const struct target_config *telling_config(const struct job *j);
/* Is this one looked at, from outside or at files of its own? */
bool telling_verifies(const struct target_config *t);
/* *ret NULL: it was told of nothing. *ret_rows own it. */
int telling_read(const struct job *j, const char *target, struct deployment **ret_rows,
    size_t *ret_count, const struct deployment **ret);
/* The row as it is to be, from the one before it; its texts are lent. */
struct deployment telling_row(const struct job *j, const struct deployment *before);

/* When this target may be told by its hours: now, or later. */
int64_t telling_at(const struct target_config *t, const struct deployment *d);
/* Then. It isn't a failure. */
void telling_postpone(struct job *j, const struct deployment *before, int64_t at);

/* Forgets what this target was told; whether it is told again is the job's to see. */
int telling_forget(struct renewals *r, struct deployment *d);
void telling_pending(struct job *j, const struct deployment *before);
void telling_failed(struct job *j, const struct deployment *before, const char *detail);
void telling_deployed(struct job *j, const struct deployment *before);
void telling_served(struct job *j, const struct deployment *before);
/* Of one that is looked at by its files alone. */
void telling_in_place(struct job *j, const struct deployment *before);
/* Another certificate is there, or none. */
void telling_not_served(struct job *j, const char *why);

#endif
