/*
 * ca_repeat.c - which requests are sent once more when nothing came of them, and when.
 *
 * Pure functions for ca_request.c. A CA's front end that stumbles, or a connection that
 * breaks, is no reason to give an attempt up; but nothing is asked twice that would be
 * done twice, nothing against a Retry-After, and nothing for long.
 */
#include "renew/ca_request.h"

#include "scope.h"

#define SPENT_MAX_MS 15000
#define STALE_MS     100

static const int64_t delays_ms[] = { 1000, 2000, 5000 };

enum again {
	AGAIN_NEVER,  /* who asks has an own way to come back to it */
	AGAIN_UNDONE, /* where the CA can't have done it */
	AGAIN_ALWAYS, /* it is read only, or comes to the same when done twice */
};

static const enum again rules[] = {
	[ACME_ACTION_DIRECTORY] = AGAIN_ALWAYS,
	[ACME_ACTION_NONCE] = AGAIN_ALWAYS,
	[ACME_ACTION_ACCOUNT] = AGAIN_ALWAYS, /* RFC 8555 section 7.3: one for a key */
	[ACME_ACTION_NEW_ORDER] = AGAIN_UNDONE, /* each makes an order */
	[ACME_ACTION_ORDER] = AGAIN_ALWAYS,
	[ACME_ACTION_AUTHORIZATION] = AGAIN_ALWAYS,
	[ACME_ACTION_CHALLENGE] = AGAIN_ALWAYS, /* section 8.2 */
	[ACME_ACTION_FINALIZE] = AGAIN_ALWAYS, /* else orderNotReady: the order tells */
	[ACME_ACTION_CERTIFICATE] = AGAIN_ALWAYS,
	[ACME_ACTION_UPDATE_ACCOUNT] = AGAIN_UNDONE,
	[ACME_ACTION_KEY_CHANGE] = AGAIN_NEVER,
	[ACME_ACTION_REVOKE] = AGAIN_ALWAYS, /* else alreadyRevoked */
	[ACME_ACTION_DEACTIVATE] = AGAIN_ALWAYS,
	[ACME_ACTION_RENEWAL_INFO] = AGAIN_NEVER,
};

/* It says of itself that it hasn't done it, or a proxy before it that it couldn't. */
static bool
is_undone(const struct ca_attempt *a)
{
	return a->reply->status == 0
	    ? a->fate == HTTPS_NOT_SENT || a->fate == HTTPS_STALE
	    : a->reply->status == 503;
}

bool
ca_repeat_wanted(const struct ca_attempt *a)
{
	int status = a->reply->status;

	return status == 0 || status == 500 || (status >= 502 && status <= 504);
}

/* Whoever asks for the directory finds out whether the CA is there at all: what can't
 * be reached is left to the next CA, or to the next attempt. */
static bool
is_unreachable(const struct ca_attempt *a)
{
	return a->sending == ACME_ACTION_DIRECTORY && a->reply->status == 0 &&
	    a->fate == HTTPS_NOT_SENT;
}

/* What servers do with connections that were idle. */
static bool
is_first_stale(const struct ca_attempt *a)
{
	return a->reply->status == 0 && a->fate == HTTPS_STALE && a->tries == 0;
}

int64_t
ca_repeat_delay(const struct ca_attempt *a)
{
	enum again again =
	    (size_t)a->sending < ELEMENTS(rules) ? rules[a->sending] : AGAIN_NEVER;

	if (is_first_stale(a))
		return STALE_MS;
	if (!ca_repeat_wanted(a) || acme_retry_at(a->reply) != 0 || a->stumbles ||
	    a->tries >= ELEMENTS(delays_ms) ||
	    (a->reply->status == 0 && a->fate == HTTPS_HOPELESS) || is_unreachable(a))
		return -1;
	if (again == AGAIN_NEVER || rules[a->action] == AGAIN_NEVER ||
	    (again == AGAIN_UNDONE && !is_undone(a)) ||
	    a->spent + delays_ms[a->tries] > SPENT_MAX_MS)
		return -1;
	return delays_ms[a->tries];
}
