/*
 * identifier.c - names and addresses as users and CAs write them: what is taken is
 * canonical, so it reads as itself.
 */
#include "acme.h"

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	struct acme_identifier once, twice;
	const char *why = NULL;

	if (acme_identifier_parse(text, &once, &why) < 0) {
		MUST(why != NULL);
	} else {
		MUST(acme_identifier_parse(once.value, &twice, NULL) == 0);
		MUST(once.type == twice.type && strcmp(once.value, twice.value) == 0);
		MUST(acme_identifier_equal(&once, &twice));
	}
	free(text);
	return 0;
}
