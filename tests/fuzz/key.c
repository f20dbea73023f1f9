/*
 * key.c - private keys from files and from the inventory: after a 'p' PEM, after a 'd'
 * DER. What is taken can be used, and comes back when it is written and read.
 */
#include "key.h"

#include "fuzz.h"

static void
write_again(const struct acme_key *key)
{
	char thumbprint[ACME_THUMBPRINT_SIZE], again[ACME_THUMBPRINT_SIZE];
	struct acme_key *copy;
	unsigned char *der;
	size_t len;
	char *pem;

	MUST(acme_key_get_type(key) != ACME_KEY_NONE);
	MUST(acme_key_thumbprint(key, thumbprint) == 0);
	MUST(acme_key_to_der(key, &der, &len) == 0);
	MUST(acme_key_from_der(der, len, &copy) == 0);
	MUST(acme_key_thumbprint(copy, again) == 0);
	MUST(strcmp(thumbprint, again) == 0);
	acme_key_free(copy);
	acme_wipe_free(der, len);
	MUST(acme_key_to_pem(key, &pem) == 0);
	MUST(acme_key_from_pem(pem, strlen(pem), &copy) == 0);
	MUST(acme_key_get_type(copy) == acme_key_get_type(key));
	acme_key_free(copy);
	acme_wipe_free(pem, strlen(pem));
}

static void
use(const struct acme_key *key)
{
	unsigned char *signature;
	char *jwk;
	size_t len;

	MUST(key_jwk(key, &jwk) == 0);
	free(jwk);
	if (key_sign(key, "x", 1, &signature, &len) == 0)
		free(signature);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct acme_key *key = NULL;
	char *text;
	int r = -1;

	if (size == 0)
		return 0;
	text = fuzz_text(data + 1, size - 1);
	if (data[0] == 'p')
		r = acme_key_from_pem(text, size - 1, &key);
	else if (data[0] == 'd')
		r = acme_key_from_der(text, size - 1, &key);
	MUST((r == 0) == (key != NULL));
	if (r == 0) {
		write_again(key);
		use(key);
	}
	acme_key_free(key);
	free(text);
	return 0;
}
