/*
 * csr.c - requests that were made elsewhere: what is taken has names that can be
 * ordered and a key that a certificate may be for, and reads the same as DER again.
 */
#include "acme.h"

#include "fuzz.h"

static void
look_at(const struct acme_csr *csr)
{
	size_t count, len;
	const struct acme_identifier *names = acme_csr_identifiers(csr, &count);
	const unsigned char *der = acme_csr_der(csr, &len);
	struct acme_identifier again;
	struct acme_csr *copy;

	MUST(count > 0 && der != NULL && len > 0);
	for (size_t i = 0; i < count; i++) {
		MUST(acme_identifier_parse(names[i].value, &again, NULL) == 0);
		MUST(acme_identifier_equal(&names[i], &again));
	}
	MUST(acme_key_get_type(acme_csr_key(csr)) != ACME_KEY_NONE);
	MUST(acme_key_weakness(acme_csr_key(csr)) == NULL);
	MUST(acme_csr_read(der, len, &copy, NULL) == 0);
	MUST(acme_key_equal(acme_csr_key(csr), acme_csr_key(copy)));
	acme_csr_free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	struct acme_csr *csr = NULL;
	const char *why = NULL;

	if (acme_csr_read(text, size, &csr, &why) < 0)
		MUST(csr == NULL && why != NULL);
	else
		look_at(csr);
	acme_csr_free(csr);
	free(text);
	return 0;
}
