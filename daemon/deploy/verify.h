/*
 * verify.h - does a server show a certificate's current leaves, at all its addresses?
 *
 * Used by renew/job_deploy.c after a deployment, and now and then.
 */
#ifndef VERIFY_H
#define VERIFY_H

#include <stdbool.h>
#include <stddef.h>

struct event_base;
struct target_config;
struct verify;

struct verify_leaf {
	bool rsa;     /* else ECDSA */
	bool chained; /* there is more than the leaf to be sent */
	const char *fingerprint;
};

/* Lent for the call. */
struct verify_subject {
	const struct target_config *target; /* its `verify` isn't empty */
	const char *const *names;           /* to ask for; none: without a name */
	size_t name_count;
	bool must_staple;
	const struct verify_leaf *leaves;
	size_t count; /* 2 at most */
};

/* why NULL: all is served. Otherwise the first that isn't. broken: visitors get no
 * handshake there, or a certificate that is out of date or of another name. Lent for
 * the call. */
typedef void verify_cb(const char *why, bool broken, void *arg);

/* patient: up to five looks, 1, 2, 4, 8 and 15 seconds from now, as a server takes its
 * time; else one look, now. done_cb is called once, from the loop. */
int verify_start(struct event_base *base, const struct verify_subject *subject,
    bool patient, verify_cb *done_cb, void *arg, struct verify **ret);
/* done_cb isn't called. NULL is fine, and so is calling it from done_cb. */
struct verify *verify_free(struct verify *v);

#endif
