/*
 * probe.h - one TLS handshake with a server, and what certificate it showed.
 *
 * Used by verify.c.
 */
#ifndef PROBE_H
#define PROBE_H

#include <stdbool.h>
#include <stddef.h>

#include "scope.h"

#define PROBE_FINGERPRINT_SIZE 65 /* SHA-256 in hex, and a NUL */

struct event_base;
struct probe;

struct probe_wish {
	const char *address;     /* 192.0.2.1:443, smtp://[2001:db8::1]:25 */
	const char *server_name; /* NULL: none is sent */
	bool rsa;                /* only this kind is offered; else only ECDSA */
	bool staple;             /* an OCSP answer is asked for */
};

struct probe_found {
	char fingerprint[PROBE_FINGERPRINT_SIZE]; /* of the leaf */
	char serial[80];                          /* hex, lower case, at most so much */
	size_t count;                             /* of certificates that it sent */
	bool ordered;            /* each certificate was issued by the next one */
	bool fits;               /* the leaf has the name that was asked for */
	bool current;            /* the leaf is in date */
	bool chain_current;      /* and so are the others */
	const char *staple_lack; /* what is wrong with its OCSP answer; NULL: nothing */
};

/* found NULL: there was no handshake; why says what happened. Lent for the call. */
typedef void probe_cb(const struct probe_found *found, const char *why, void *arg);

/* done_cb is called once, from the loop, within timeout_ms. Nothing is trusted or
 * checked here. */
int probe_start(struct event_base *base, const struct probe_wish *wish, int timeout_ms,
    probe_cb *done_cb, void *arg, struct probe **ret);
/* done_cb isn't called. Up to whoever started it, also in and after done_cb. */
struct probe *probe_free(struct probe *p);
DEFINE_CLEANUP(struct probe, probe_free)

#endif
