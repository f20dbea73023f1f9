/*
 * revoke_wait.h - inside renew/: who wants to hear when certificates are revoked.
 *
 * revoker.c keeps the list and tells; revoke.h has what the callers see.
 */
#ifndef REVOKE_WAIT_H
#define REVOKE_WAIT_H

#include <stddef.h>
#include <sys/queue.h>

#include "renew/revoke.h"

struct revoke_waits {
	TAILQ_HEAD(revoke_waits_head, revoke_wait) head;
};

void revoke_waits_init(struct revoke_waits *waits);
void revoke_waits_clear(struct revoke_waits *waits);
int revoke_waits_add(struct revoke_waits *waits, const int64_t *ids, size_t count,
    revoke_done_cb *cb, void *arg, struct revoke_wait **ret);
/* What came of this issued row. Who waits hears of the first failure, or of the last
 * one that is done. */
void revoke_waits_tell(
    struct revoke_waits *waits, int64_t issued, const struct revoke_outcome *outcome);

#endif
