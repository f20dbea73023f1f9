/*
 * key_check.c - the table of reasons why a key may not be in a certificate. A new one
 * is a row.
 */
#include "renew/key_check.h"

#include <errno.h>
#include <string.h>

#include "inventory/inventory.h"
#include "scope.h"

static int
compare_cb(const struct account *a, void *arg)
{
	return strcmp(a->thumbprint, arg) == 0 ? -EEXIST : 0;
}

/* RFC 8555 section 11.1: whoever has the server's key must not have the account. */
static const char *
is_account(struct store *store, const struct acme_key *key)
{
	char thumbprint[ACME_THUMBPRINT_SIZE];

	if (acme_key_thumbprint(key, thumbprint) < 0)
		return "it can't be read";
	return account_walk(store, compare_cb, thumbprint) == -EEXIST
	    ? "it is the key of an account at a CA"
	    : NULL;
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
