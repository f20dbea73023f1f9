/*
 * base64url.c - both ways: bytes come back, and a text that is taken is the only one
 * for its bytes.
 */
#include "base64url.h"

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	unsigned char *bytes;
	char *again;
	size_t len;

	if (base64url_decode(text, size, &bytes, &len) == 0) {
		MUST(base64url_encode(bytes, len, &again) == 0);
		MUST(strlen(again) == size && memcmp(again, text, size) == 0);
		free(again);
		free(bytes);
	}
	MUST(base64url_encode(data, size, &again) == 0);
	MUST(base64url_decode(again, strlen(again), &bytes, &len) == 0);
	MUST(len == size && (size == 0 || memcmp(bytes, data, size) == 0));
	free(again);
	free(bytes);
	free(text);
	return 0;
}
