/*
 * ca_settings.h - inside renew/: what a [ca] section says, as its CA keeps it.
 *
 * A CA outlives the configuration that it was made by, so it has a copy.
 */
#ifndef CA_SETTINGS_H
#define CA_SETTINGS_H

#include <stdbool.h>

#include "acme.h"
#include "scope.h"

struct ca_config;

struct ca_settings {
	char *name;
	char *directory;
	char *contacts; /* separated by blanks; "" where there are none */
	bool accept_terms;
	bool built_in;
	enum acme_key_type key_type; /* of a new account's key */
	char *key_file;              /* or NULL; as are those below */
	char *trust_file;
	char *proxy;
	char *eab_kid;
	char *eab_key_file;
	enum acme_hmac eab_alg;
};

/* -ENOMEM; to be cleared also then. */
int ca_settings_copy(struct ca_settings *ret, const struct ca_config *config);
bool ca_settings_same(const struct ca_settings *a, const struct ca_settings *b);
void ca_settings_clear(struct ca_settings *s);

#endif
