/*
 * certder.h - inside libacme: one certificate in DER, read without decoding its key.
 */
#ifndef CERTDER_H
#define CERTDER_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/asn1.h>
#include <openssl/x509.h>

#include "acme.h"
#include "scope.h"

struct certder_fields;

/* All but `fields` may be looked at. */
struct certder {
	unsigned char *der;
	size_t len;
	const ASN1_INTEGER *serial;
	const X509_NAME *issuer;
	const X509_NAME *subject;
	const ASN1_TIME *not_before;
	const ASN1_TIME *not_after;
	struct certder_fields *fields; /* owns what the others point to */
};

/* A copy of the bytes is kept. -EBADMSG where they aren't one certificate and no more.
 */
int certder_read(const unsigned char *der, size_t len, struct certder **ret);
/* As X509_get_ext_d2i(): to be freed with the type's own function. */
void *certder_extension(const struct certder *c, int nid, int *ret_critical);
/* The first URL of http or https where its CA tells whether it is revoked, by OCSP (RFC
 * 5280 section 4.2.2.1); to be freed, NULL where there is none. -ENOMEM. */
int certder_responder(const struct certder *c, char **ret);
/* ACME_KEY_NONE where it is none of ours. An ECDSA key may still be no point of its
 * curve: who has to know compares it with one, or verifies with it. */
enum acme_key_type certder_key_type(const struct certder *c);
bool certder_has_key(const struct certder *c, const struct acme_key *key);
/* The same of a key in PKCS#8, by its public half alone; false also where it isn't of
 * the usual form, or RSA. */
bool certder_has_pkcs8(const struct certder *c, const unsigned char *der, size_t len);
/* Is its signature from the issuer's key? Names aren't compared. */
bool certder_signed_by(const struct certder *c, const struct certder *issuer);
struct certder *certder_free(struct certder *c);

DEFINE_CLEANUP(struct certder, certder_free)

#endif
