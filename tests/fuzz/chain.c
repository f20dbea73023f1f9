/*
 * chain.c - certificates as a CA may send them: what is taken has a leaf that can be
 * shown, and reads the same when it is written again. Where its responder is asked
 * stays one address.
 */
#include "acme.h"

#include <errno.h>

#include "../unit/rfc_keys.h"
#include "fuzz.h"
#include "renew/ocsp_response.h"

static struct acme_key *key;

static void
look_at(const struct acme_chain *chain)
{
	const struct acme_leaf *leaf = acme_chain_leaf(chain);
	struct acme_identifier name;
	const char *why = NULL;

	MUST(leaf->serial != NULL && leaf->issuer != NULL && leaf->top != NULL);
	MUST(strlen(leaf->fingerprint_sha256) == 64);
	MUST(acme_chain_count(chain) > 0 && acme_chain_count(chain) <= 16);
	MUST(acme_identifier_parse("a.example.test", &name, NULL) == 0);
	if (acme_chain_check(chain, key, &name, 1, &why) < 0)
		MUST(why != NULL);
}

static void
write_again(const struct acme_chain *chain)
{
	struct acme_chain *copy;
	const char *why;
	char *pem, *again;

	MUST(acme_chain_pem_from(chain, 0, &pem) == 0);
	MUST(acme_chain_parse(pem, strlen(pem), &copy, &why) == 0);
	MUST(acme_chain_count(copy) == acme_chain_count(chain));
	MUST(acme_chain_pem_from(copy, 0, &again) == 0);
	MUST(strcmp(pem, again) == 0);
	free(pem);
	free(again);
	for (size_t i = 0; i < acme_chain_count(chain); i++) {
		MUST(acme_chain_pem(chain, i, &pem) == 0);
		free(pem);
	}
	acme_chain_free(copy);
}

static void
ask_responder(const char *pem)
{
	char *url;
	int r = ocsp_url(pem, &url);

	MUST(r == 0 || r == -ENOENT);
	if (r < 0)
		return;
	MUST(strncmp(url, "http://", 7) == 0);
	for (const char *c = url; *c != '\0'; c++)
		MUST(*c > ' ' && *c < 0x7f);
	free(url);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	struct acme_chain *chain;
	const char *why = NULL;

	if (key == NULL)
		MUST(acme_key_from_pem(ec_example, strlen(ec_example), &key) == 0);
	if (acme_chain_parse(text, size, &chain, &why) < 0) {
		MUST(why != NULL);
	} else {
		look_at(chain);
		write_again(chain);
		ask_responder(text);
		acme_chain_free(chain);
	}
	free(text);
	return 0;
}
