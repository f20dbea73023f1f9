/*
 * revoke_send.h - inside renew/: one certificate is revoked at its CA, once.
 *
 * Used by revoker.c, which decides when, and what follows.
 */
#ifndef REVOKE_SEND_H
#define REVOKE_SEND_H

#include "acme.h"
#include "renew/job.h"

struct revoke_send;

/* failure NULL: it is revoked now. final: asking again would change nothing. All is
 * lent for the call, after which the request is gone. */
struct revoke_sent {
	const struct acme_result *failure;
	bool final;
	const char *ca; /* section that issued it */
};
typedef void revoke_sent_cb(const struct revoke_sent *sent, void *arg);

/* Begins when what was written so far is on disk. cb is called once, from the loop,
 * never from here. */
int revoke_send_start(struct renewals *r, int64_t issued, enum acme_reason reason,
    revoke_sent_cb *cb, void *arg, struct revoke_send **ret);
/* Stops waiting for it. NULL is fine. */
struct revoke_send *revoke_send_free(struct revoke_send *s);

#endif
