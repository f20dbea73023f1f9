/*
 * key_ec.h - inside libacme: ECDSA keys as PKCS#8 and SubjectPublicKeyInfo, the short
 * way. Whatever isn't usual is refused, and is for OpenSSL's own functions then.
 */
#ifndef KEY_EC_H
#define KEY_EC_H

#include <openssl/types.h>
#include <openssl/x509.h>

#include "acme.h"

/* NULL: another kind, or without its public half. */
EVP_PKEY *key_ec_from_info(const PKCS8_PRIV_KEY_INFO *info);
/* The same bytes as of EVP_PKEY2PKCS8(). */
PKCS8_PRIV_KEY_INFO *key_ec_to_info(const struct acme_key *key);
/* Its public half, as X509_PUBKEY_set() has it. -ENOTSUP: another kind. */
int key_ec_fill(const struct acme_key *key, X509_PUBKEY *public);

#endif
