/*
 * selfsigned.h - inside libacme: certificates that say themselves who they are.
 */
#ifndef SELFSIGNED_H
#define SELFSIGNED_H

#include <stddef.h>
#include <stdint.h>

#include "acme.h"

struct selfsigned {
	const struct acme_key *key;
	const struct acme_identifier *identifiers;
	size_t count;
	const char *subject;                  /* common name, for people */
	int64_t not_before;                   /* seconds since 1970 */
	int64_t lifetime;                     /* seconds */
	const unsigned char *acme_identifier; /* a SHA-256 (RFC 8737 section 3); NULL: a
						 server's certificate */
};

/* -EINVAL for times or addresses that can't be, -ENOMEM, -EIO. */
int selfsigned_new(const struct selfsigned *s, char **ret_pem);

#endif
