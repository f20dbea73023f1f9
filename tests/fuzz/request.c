/*
 * request.c - the reader of HTTP-01 requests: bytes come in pieces (the first byte says
 * how large), and what is made of them doesn't depend on the pieces.
 */
#include "challenge/request.h"

#include "fuzz.h"

static void
look_at(const struct request *r, const char *data, size_t len)
{
	static struct request_answer answer;
	const struct request_site site = { .body = "token.key", .redirect = true };

	MUST(r->kind != REQUEST_REFUSED || r->status >= 400);
	if (r->kind == REQUEST_CHALLENGE)
		MUST(request_token_valid(r->token.data, r->token.len));
	if (r->target.len > 0)
		MUST(r->target.data >= data &&
		    r->target.data + r->target.len <= data + len);
	request_answer(r, &site, &answer);
	MUST(answer.head_len > 0 && answer.head_len <= sizeof(answer.head));
	MUST(!r->head || answer.body == NULL || answer.body_len == 0);
}

/* How much of it the first request takes, in pieces. */
static size_t
read_in_pieces(const char *data, size_t size, size_t piece, struct request *ret)
{
	size_t scanned = 0;

	for (size_t len = piece;; len += piece) {
		size_t part = len < size ? len : size;
		char *copy = fuzz_text((const uint8_t *)data, part);
		size_t taken = request_parse(copy, part, &scanned, ret);

		if (taken > 0) {
			MUST(taken <= part);
			look_at(ret, copy, part);
		}
		free(copy);
		if (taken > 0 || part == size)
			return taken;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct request whole, pieces;
	size_t piece, taken, again;
	const char *text;

	if (size < 2)
		return 0;
	piece = data[0] > 0 ? data[0] : 1;
	text = (const char *)data + 1;
	for (size_t left = size - 1; left > 0; left -= taken, text += taken) {
		taken = read_in_pieces(text, left, left, &whole);
		again = read_in_pieces(text, left, piece, &pieces);
		if (taken == 0)
			MUST(again == 0);
		if (taken == 0 || whole.kind == REQUEST_REFUSED)
			break;
		MUST(again == taken && pieces.kind == whole.kind);
		if (whole.close)
			break;
	}
	return 0;
}
