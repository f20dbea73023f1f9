/*
 * staple.h - OCSP responses beside a certificate's bundles, where HAProxy looks for
 * them: haproxy.pem.ocsp, haproxy.pem.ecdsa.ocsp, haproxy.pem.rsa.ocsp.
 *
 * They change more often than certificates, so each is replaced in the live generation
 * by a rename of its own, and a new generation begins without.
 */
#ifndef STAPLE_H
#define STAPLE_H

#include <stdbool.h>
#include <stddef.h>

struct bundles;

#define STAPLE_SUFFIX ".ocsp"

struct staple {
	bool rsa;
	const char *data; /* DER */
	size_t len;
};

/* Writes these beside what is live, with its mode and group, and their names in the
 * flat directory; those that are there and not among them go. dual as in struct bundle.
 * Where a bundle isn't there, neither is its response. */
int staple_write(struct bundles *b, const char *name, bool dual,
    const struct staple *staples, size_t count);
/* Their names in the flat directory go, before the bundle does. */
int staple_forget(struct bundles *b, const char *name);

#endif
