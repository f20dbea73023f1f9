/*
 * key_ec.h - inside libacme: ECDSA keys as PKCS#8 and SubjectPublicKeyInfo, the short
 * way. Whatever isn't usual is refused, and is for OpenSSL's own functions then.
 */
#ifndef KEY_EC_H
#define KEY_EC_H

#include <openssl/types.h>
#include <openssl/x509.h>

#include "key.h"

/* NULL: another kind, or without its public half. */
EVP_PKEY *key_ec_from_info(const PKCS8_PRIV_KEY_INFO *info);
/* The type and public point that PKCS#8 in DER says, or ACME_KEY_NONE as above. Whether
 * the private half is of them isn't looked at. */
enum acme_key_type key_ec_public_of(const unsigned char *der, size_t len,
    unsigned char ret[KEY_POINT_MAX], size_t *ret_len);
/* The same bytes as of EVP_PKEY2PKCS8(). */
PKCS8_PRIV_KEY_INFO *key_ec_to_info(const struct acme_key *key);
/* Its public half, as X509_PUBKEY_set() has it. -ENOTSUP: another kind. */
int key_ec_fill(const struct acme_key *key, X509_PUBKEY *public);

#endif
