/*
 * jws.h - inside libacme: flattened JSON Web Signatures as ACME wants them (RFC 7515,
 * RFC 8555 section 6.2).
 */
#ifndef JWS_H
#define JWS_H

#include <stddef.h>

#include "acme.h"

/* kid NULL: the public key itself is sent (jwk). nonce NULL: left out (inner
 * signatures). payload NULL: empty, POST-as-GET. The caller frees *ret. */
int jws_sign(const struct acme_key *key, const char *kid, const char *nonce,
    const char *url, const char *payload, char **ret);

/* External account binding (RFC 8555 section 7.3.4): key's public JWK, signed by an
 * HMAC.
 */
int jws_bind(const struct acme_key *key, const char *eab_kid, enum acme_hmac alg,
    const void *hmac_key, size_t hmac_key_len, const char *url, char **ret);

#endif
