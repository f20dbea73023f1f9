/*
 * cert.h - inside libacme: what is asked of a chain beside acme.h, also by renewd.
 */
#ifndef CERT_H
#define CERT_H

#include <stdbool.h>
#include <stddef.h>

#include "acme.h"
#include "scope.h"

struct certder;

DEFINE_CLEANUP(struct acme_chain, acme_chain_free)

/* The leaf in DER, lent. */
const unsigned char *cert_leaf_der(const struct acme_chain *chain, size_t *ret_len);
/* Its first certificate, lent. */
const struct certder *cert_leaf(const struct acme_chain *chain);
/* Has the leaf this key? Nothing else is looked at. */
bool cert_is_for(const struct acme_chain *chain, const struct acme_key *key);
/* The same of an ECDSA key in PKCS#8, without reading more of it than its public half.
 * False: it isn't, or that can't be told so. */
bool cert_is_for_pkcs8(
    const struct acme_chain *chain, const unsigned char *der, size_t len);

#endif
