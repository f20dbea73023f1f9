/*
 * https.h - requests to CAs: libcurl's multi interface on the libevent loop.
 *
 * Used by renew/ca.c. HTTP/1.1, a few kept connections a host, the trust store loaded
 * once, HTTPS unless plain HTTP is allowed, no redirects, a deadline and a size cap on
 * everything.
 */
#ifndef HTTPS_H
#define HTTPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acme.h"

struct event_base;
struct https;
struct https_request;

struct https_options {
	const char *trust_file; /* PEM roots instead of the system's, or NULL */
	const char *proxy;      /* URL, or NULL: what the environment says */
	bool fresh;             /* by a connection that nobody has used before */
	bool plain;             /* http:// will do, too: what comes is signed */
	size_t max_body;        /* bytes; 0: 1 MiB */
};

/* What became of a request. */
enum https_fate {
	HTTPS_ANSWERED,
	HTTPS_NOT_SENT, /* not all of it: no connection, or one that broke before */
	HTTPS_STALE,    /* a kept connection has ended without a byte of an answer */
	HTTPS_LOST,     /* it was sent; the answer is missing, or not whole */
	HTTPS_HOPELESS, /* what no repetition mends: no trust, too large, no time left
			 */
};

/* So many of a host's are on their way at once; more wait within, with their time
 * running. */
#define HTTPS_HOST_CONNECTIONS 8

typedef void https_done_cb(const struct acme_reply *reply, void *arg);

int https_new(struct event_base *base, struct https **ret);
struct https *https_free(struct https *h); /* all requests must be gone */
/* Sends the message; it and the options may be gone when this returns. done_cb is
 * called once, from the loop, with what came, or status 0 and why. */
int https_send(struct https *h, const struct https_options *options,
    const struct acme_message *message, https_done_cb *done_cb, void *arg,
    struct https_request **ret);
/* For done_cb. */
enum https_fate https_fate(const struct https_request *r);
/* Stops waiting for it: done_cb isn't called. NULL is fine. */
struct https_request *https_cancel(struct https_request *r);
/* TLS connections made since start. */
uint64_t https_connections(const struct https *h);

#endif
