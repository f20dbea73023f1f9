/*
 * key_check.c - the table of reasons why a key may not be in a certificate. A new one
 * is a row.
 */
#include "renew/key_check.h"

#include <errno.h>
#include <string.h>

#include "inventory/inventory.h"
#include "scope.h"

/* RFC 8555 section 11.1: whoever has the server's key must not have the account. */
static const char *
is_account(struct store *store, const struct acme_key *key)
{
	_cleanup_(account_freep) struct account *account = NULL;
	char thumbprint[ACME_THUMBPRINT_SIZE];

	if (acme_key_thumbprint(key, thumbprint) < 0)
		return "it can't be read";
	if (account_of_key(store, thumbprint, &account) < 0)
		return NULL;
	return strcmp(account->thumbprint, thumbprint) == 0
	    ? "it is the key of an account at a CA"
	    : "it is, or was, the key of an account at a CA";
}

static const char *
is_weak(struct store *store, const struct acme_key *key)
{
	(void)store;
	return acme_key_weakness(key);
}

typedef const char *check_fn(struct store *store, const struct acme_key *key);

static check_fn *const checks[] = {
	is_weak,
	is_account,
};

const char *
key_check(struct store *store, const struct acme_key *key)
{
	const char *why = NULL;

	for (size_t i = 0; why == NULL && i < ELEMENTS(checks); i++)
		why = checks[i](store, key);
	return why;
}
