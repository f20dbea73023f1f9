/*
 * cert.h - inside libacme: what placeholders and chains have in common, and what
 * renewd asks of a chain beside acme.h.
 */
#ifndef CERT_H
#define CERT_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/types.h>

#include "acme.h"
#include "scope.h"

DEFINE_CLEANUP(struct acme_chain, acme_chain_free)

/* Certificates as normal PEM, one after the other. The caller frees *ret_pem. */
int cert_pem(X509 *const *certs, size_t count, char **ret_pem);
/* The leaf in DER; to be freed with free(). */
int cert_leaf_der(
    const struct acme_chain *chain, unsigned char **ret_der, size_t *ret_len);
/* Its first certificate, lent. */
X509 *cert_leaf(const struct acme_chain *chain);
/* Has the leaf this key? Nothing else is looked at. */
bool cert_is_for(const struct acme_chain *chain, const struct acme_key *key);

#endif
