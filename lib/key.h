/*
 * key.h - inside libacme: a private key as OpenSSL has it, and what JWS needs of it.
 */
#ifndef KEY_H
#define KEY_H

#include <stdatomic.h>
#include <stddef.h>

#include <openssl/types.h>

#include "acme.h"
#include "scope.h"

DEFINE_CLEANUP(struct acme_key, acme_key_free)

/* Of ECDSA: OpenSSL's number and name of the curve, bytes of a coordinate, r or s. */
struct key_curve {
	int nid;
	const char *group;
	size_t field;
};

#define KEY_POINT_MAX (1 + 2 * 48)

EVP_PKEY *acme_key_evp(const struct acme_key *key); /* lent */
/* One more owner of the same key; cannot fail. NULL stays NULL. */
struct acme_key *acme_key_ref(const struct acme_key *key);
/* The type of any OpenSSL key, ACME_KEY_NONE where it isn't one of ours. RSA of other
 * sizes from 2048 to 4096 counts as the next smaller type. */
enum acme_key_type key_type_of(EVP_PKEY *evp);
const struct key_curve *key_curve_of(enum acme_key_type type); /* NULL: none */
enum acme_key_type key_type_of_curve(int nid);
/* Of a public key that isn't decoded: ACME_KEY_NONE is no answer, ask OpenSSL. */
enum acme_key_type key_type_of_public(
    const X509_ALGOR *algorithm, const unsigned char *data, size_t len);
/* The public half of an ECDSA key as SEC 1 section 2.3.3 writes it, uncompressed; lent.
 * Length 0: there is none so. */
const unsigned char *key_point(const struct acme_key *key, size_t *ret_len);
bool key_is_point(const struct key_curve *curve, const unsigned char *data, size_t len);
/* Takes *evp over where it succeeds; -EPROTONOSUPPORT where it is none of ours. */
int key_wrap(EVP_PKEY **evp, struct acme_key **ret);
/* The public half, as of i2d_PUBKEY(): the length, or not above 0; to be freed with
 * OPENSSL_free(). */
int key_public_der(const struct acme_key *key, unsigned char **ret);
/* One of the public half alone; evp is shared. -EPROTONOSUPPORT as for private ones. */
int key_from_public(EVP_PKEY *evp, struct acme_key **ret);
/* acme_key_generate() that gives up soon after *stop has become true, with -ECANCELED:
 * only what takes long looks at it. */
int key_generate(
    enum acme_key_type type, const atomic_bool *stop, struct acme_key **ret);
/* The public JWK, members in the order of RFC 7638, no blanks. */
int key_jwk(const struct acme_key *key, char **ret_json);
/* "ES256", "ES384", "RS256" (RFC 7518 section 3.1). */
const char *key_alg(const struct acme_key *key);
/* PKCS#8 in DER as PEM, unread: what acme_key_to_pem() says of the same key, without
 * what it costs OpenSSL to load one. Wipe it. */
int key_pem_of_der(const unsigned char *der, size_t len, char **ret_pem);
/* The reverse, unread too, of the first block in a text. To be freed with
 * OPENSSL_clear_free(). -EBADMSG: it isn't plain PKCS#8. */
int key_der_of_pem(
    const char *pem, size_t len, unsigned char **ret_der, size_t *ret_len);
/* A JWS signature: ECDSA as fixed-length r and s, each padded (RFC 7518 section 3.4).
 */
int key_sign(const struct acme_key *key, const void *data, size_t len,
    unsigned char **ret, size_t *ret_len);

#endif
