/*
 * altname.h - inside libacme: subject alternative names as OpenSSL has them.
 */
#ifndef ALTNAME_H
#define ALTNAME_H

#include <stddef.h>

#include <openssl/x509v3.h>

#include "acme.h"
#include "scope.h"

DEFINE_CLEANUP(GENERAL_NAMES, GENERAL_NAMES_free)

/* The value of the extension; -EINVAL where an address isn't one, -ENOMEM. */
int altnames_new(
    const struct acme_identifier *identifiers, size_t count, GENERAL_NAMES **ret);
/* One of them, as an identifier; -EINVAL where it is of a kind that ACME doesn't know,
 * or can't be a name. */
int altname_read(const GENERAL_NAME *name, struct acme_identifier *ret);

#endif
