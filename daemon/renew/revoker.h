/*
 * revoker.h - inside renew/: carries out what is to be revoked, a few at a time, until
 * the CAs have done it.
 *
 * Made and poked by renewal.c; revoke.c stores the wishes that it finds.
 */
#ifndef REVOKER_H
#define REVOKER_H

#include "renew/revoke.h"

struct acme_result;
struct revocation;
struct revoker;

#define REVOKE_STAGE "revoke" /* in last_error, and in results */

int revoker_new(struct renewals *r, struct revoker **ret);
struct revoker *revoker_free(struct revoker *v);
/* Something may be due now: looked at soon. NULL is fine. */
void revoker_poke(struct revoker *v);
/* cb hears when all of these issued rows are revoked, or the first that couldn't be. */
int revoker_wait(struct revoker *v, const int64_t *ids, size_t count,
    revoke_done_cb *cb, void *arg, struct revoke_wait **ret);

/* In revoke.c: nothing is ordered for it, and this is why. */
int revoke_park(struct renewals *r, int64_t certificate, const char *text);

/* In replaced.c. Is what shall replace it issued, written and deployed? Where not, and
 * nothing is being done about it just now: *ret_failure says why (to be freed) and
 * *ret_next when it goes on; else *ret_failure is NULL. */
bool replaced_everywhere(struct renewals *r, const struct revocation *wish,
    struct acme_result **ret_failure, int64_t *ret_next);

#endif
