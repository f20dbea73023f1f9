/*
 * csr.h - inside libacme: a request as the flow wants it.
 */
#ifndef CSR_H
#define CSR_H

#include "acme.h"

/* As acme_csr_new(), and with the first DNS name as common name of the subject, for
 * those who still look there. -EINVAL where there is none of 64 bytes at most. */
int csr_new_named(const struct acme_key *key, const struct acme_identifier *identifiers,
    size_t count, bool must_staple, unsigned char **ret_der, size_t *ret_len);

#endif
