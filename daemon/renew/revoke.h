/*
 * revoke.h - certificates that shall not be trusted any more: asked for, and done.
 *
 * control/ asks; what is asked is in the inventory before the CA hears of it, and goes
 * on after a crash. revoke.c says what follows for the certificates, revoker.c talks to
 * the CAs, in its own time.
 */
#ifndef REVOKE_H
#define REVOKE_H

#include <stdbool.h>
#include <stdint.h>

#include "acme.h"

struct certificate;
struct renewals;
struct revoke_wait;

/* Which of a certificate's current ones. */
enum revoke_keys {
	REVOKE_ALL_KEYS,
	REVOKE_ECDSA,
	REVOKE_RSA,
};

struct revoke_wish {
	enum acme_reason reason;
	enum revoke_keys keys;
	bool removal; /* the certificate is removed when that is done */
};

/* failure NULL: all of it is done. Else what stood in the way first, and when that is
 * tried again; final: it isn't. */
struct revoke_outcome {
	const struct acme_result *failure;
	int64_t next_attempt;
	bool final;
};
/* Called once, from the loop; then there is nothing to be forgotten any more. */
typedef void revoke_done_cb(const struct revoke_outcome *outcome, void *arg);

/* Stores the wish, with what it means for this and other certificates:
 * - keyCompromise: the key is never used again, all certificates with it are revoked,
 *   those who have it get another at once;
 * - superseded: it is replaced first, everywhere;
 * - else: nothing is ordered for it until somebody asks for that.
 * cb NULL: nobody waits. *ret NULL: there was nothing left to revoke, cb isn't called.
 * -ENODATA: nothing was issued with such a key; -EPERM: it can't be replaced, as it is
 * paused; -ESRCH: it can't, as it was removed. */
int renewals_revoke(struct renewals *r, const struct certificate *c,
    const struct revoke_wish *wish, revoke_done_cb *cb, void *arg,
    struct revoke_wait **ret);
/* Its CA says that this issued row was revoked: another is ordered at once, and where
 * the key is compromised, that follows what follows above. */
int renewals_found_revoked(
    struct renewals *r, int64_t certificate, int64_t issued, bool key_compromise);
/* Nobody waits any more; the work goes on. */
struct revoke_wait *revoke_forget(struct revoke_wait *w);

#endif
