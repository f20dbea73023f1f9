/*
 * haproxy_staple.h - gives a running HAProxy the OCSP response of a certificate that it
 * knows.
 *
 * Used by haproxy_hot.c, between two certificates: HAProxy has one transaction for all.
 */
#ifndef HAPROXY_STAPLE_H
#define HAPROXY_STAPLE_H

#include <stdbool.h>

struct haproxy_cli;
struct haproxy_staple;

struct haproxy_staple_wish {
	const char *socket; /* of the connection, for what is said of it */
	bool master;        /* it is the master's: its worker is asked through it */
	const char *name;   /* of the certificate, as HAProxy knows it */
	const char *file;   /* with the response */
};

/* why NULL: it was taken. Called once, from the loop; to be freed then. */
typedef void haproxy_staple_cb(const char *why, void *arg);

/* Asks on this connection, where nothing else is asked meanwhile. The wish is copied.
 * -ENOENT: there is no such file. */
int haproxy_staple_start(struct haproxy_cli *cli,
    const struct haproxy_staple_wish *wish, haproxy_staple_cb *done_cb, void *arg,
    struct haproxy_staple **ret);
struct haproxy_staple *haproxy_staple_free(struct haproxy_staple *s);

#endif
