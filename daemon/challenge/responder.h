/*
 * responder.h - HTTP-01 (RFC 8555 section 8.3): the tokens that are due, and the
 * listeners that hand out their key authorizations.
 *
 * Used by renew/order.c (publish, withdraw) and daemon.c (listeners). It faces the
 * Internet: GET and HEAD only, small requests, one deadline for each connection, a cap
 * on connections, no file is ever opened for a request.
 */
#ifndef RESPONDER_H
#define RESPONDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct responder;
struct words;

/* The CA (or anybody) has fetched a published token. */
typedef void responder_fetched_cb(const char *token, void *arg);

int responder_new(struct event_base *base, struct responder **ret);
struct responder *responder_free(struct responder *r);

/* Opens these listeners ("127.0.0.1:8402" "[::]:80"), keeps those already open, and
 * closes others after. An address that can't be bound now is logged once, critical, and
 * tried again each minute; *ret_failed says how many are in that state. Sockets passed
 * by systemd (fds, count) are used instead of the addresses where count > 0; they are
 * duplicated, so they stay the caller's. -EINVAL for an address that can't be read:
 * nothing is changed then. */
int responder_listen(struct responder *r, const struct words *addresses, const int *fds,
    size_t count, size_t *ret_failed);
/* Is at least one listener open? http-01 orders wait while none is. */
bool responder_listening(const struct responder *r);
/* Tries those that can't be opened now; the same answer. */
bool responder_retry(struct responder *r);
/* 308 to https:// for everything that isn't a challenge, instead of 404. */
void responder_set_redirect(struct responder *r, bool https);

/* From now on the token is answered with this body. token must match [A-Za-z0-9_-]+
 * (-EINVAL). arg is also the owner: the same owner may publish again, and a token that
 * several own (orders that share an authorization) is answered until the last of them
 * has withdrawn it. Owner NULL: until somebody else owns it. fetched_cb may be NULL.
 * Copies all. */
int responder_publish(struct responder *r, const char *token, const char *body,
    responder_fetched_cb *fetched_cb, void *arg);
/* This owner doesn't need it any more; its fetched_cb is not called after. Unknown
 * tokens are fine. */
void responder_withdraw(struct responder *r, const char *token, const void *owner);

/* Counters since start, for status and metrics. */
struct responder_counts {
	uint64_t served;  /* a published token */
	uint64_t unknown; /* a token that nobody published */
	uint64_t other;   /* any other request */
	uint64_t refused; /* broken, too large, too slow, too many */
};
const struct responder_counts *responder_counts(const struct responder *r);

#endif
