/*
 * reply.c - fields of a CA's reply, as they come from the network: each line through
 * https_answer.c's own reader, then Retry-After and Date through libacme's.
 */
#include "../../daemon/platform/https_answer.c"

#include "fuzz.h"

static void
feed(struct https_answer *a, char *text, size_t size)
{
	while (size > 0) {
		char *end = memchr(text, '\n', size);
		size_t len = end != NULL ? (size_t)(end + 1 - text) : size;
		char *line = fuzz_text((const uint8_t *)text, len);

		MUST(https_answer_header_cb(line, 1, len, a) == len);
		free(line);
		text += len;
		size -= len;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct https_answer answer = { 0 };
	struct acme_reply reply = { .received_at = 1800000000 };
	char *text = fuzz_text(data, size);
	int64_t at;

	feed(&answer, text, size);
	reply.retry_after = answer.fields[FIELD_RETRY_AFTER];
	reply.date = answer.fields[FIELD_DATE];
	at = acme_retry_at(&reply);
	MUST(at == 0 || at >= reply.received_at);
	MUST(at <= reply.received_at + INT64_C(366) * 86400);
	clear_fields(&answer);
	free(text);
	return 0;
}
