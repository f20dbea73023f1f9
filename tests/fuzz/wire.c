/*
 * wire.c - the objects of RFC 8555 as a CA may send them: directory, order,
 * authorization, challenge, problem, account; renewal information. The first byte says
 * which.
 */
#include "wire.h"

#include "fuzz.h"

static void
read_directory(const char *text, size_t len)
{
	struct wire_directory *d;

	if (wire_directory_read(text, len, &d) < 0)
		return;
	MUST(wire_url_ok(d->new_nonce) && wire_url_ok(d->new_account) &&
	    wire_url_ok(d->new_order));
	MUST(d->terms == NULL || strchr(d->terms, '\n') == NULL);
	for (size_t i = 0; i < d->profile_count; i++)
		MUST(d->profiles[i] != NULL);
	wire_directory_free(d);
}

static void
read_order(const char *text, size_t len)
{
	struct wire_order *o;

	if (wire_order_read(text, len, &o) < 0)
		return;
	MUST(o->authorization_count <= WIRE_NAMES_MAX);
	for (size_t i = 0; i < o->authorization_count; i++)
		MUST(wire_url_ok(o->authorizations[i]));
	MUST(o->finalize == NULL || wire_url_ok(o->finalize));
	MUST(o->certificate == NULL || wire_url_ok(o->certificate));
	wire_order_free(o);
}

static void
read_authz(const char *text, size_t len)
{
	struct wire_authz *a;

	if (wire_authz_read(text, len, &a) < 0)
		return;
	for (size_t i = 0; i < a->challenge_count; i++) {
		const struct wire_challenge *c = &a->challenges[i];

		MUST(c->type != NULL && wire_url_ok(c->url));
	}
	wire_authz_free(a);
}

static void
read_challenge(const char *text, size_t len)
{
	struct acme_result *error = NULL;
	enum wire_status status;

	if (wire_challenge_read(text, len, &status, &error) == 0)
		acme_result_free(error);
}

static void
read_problem(const char *text, size_t len)
{
	const struct acme_reply reply = {
		.status = 400, .body = text, .body_len = len
	};
	struct acme_result *result = acme_reply_result(&reply, "order");
	struct acme_result *copy = acme_result_copy(result);

	MUST(result != NULL && copy != NULL && strchr(result->detail, '\n') == NULL);
	MUST(strcmp(result->detail, copy->detail) == 0);
	MUST(result->subproblem_count == copy->subproblem_count);
	acme_result_free(copy);
	acme_result_free(result);
}

static void
read_account(const char *text, size_t len)
{
	const struct acme_reply reply = {
		.status = 200, .body = text, .body_len = len
	};
	struct acme_account_info info = { 0 };

	if (acme_account_read(&reply, &info) == 0)
		MUST(info.contacts == NULL || strchr(info.contacts, '\n') == NULL);
	acme_account_info_clear(&info);
}

static void
read_renewal_info(const char *text, size_t len)
{
	struct acme_renewal_info *info;

	if (acme_renewal_info_parse(text, len, &info) < 0)
		return;
	MUST(info->start < info->end && info->start >= 0);
	MUST(info->explanation_url == NULL ||
	    strncmp(info->explanation_url, "http", 4) == 0);
	acme_renewal_info_free(info);
}

static const struct {
	char letter;
	void (*read)(const char *text, size_t len);
} objects[] = {
	{ 'd', read_directory },
	{ 'o', read_order },
	{ 'a', read_authz },
	{ 'c', read_challenge },
	{ 'p', read_problem },
	{ 'r', read_renewal_info },
	{ 'k', read_account },
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size == 0)
		return 0;
	text = fuzz_text(data + 1, size - 1);
	for (size_t i = 0; i < ELEMENTS(objects); i++)
		if (data[0] == objects[i].letter)
			objects[i].read(text, size - 1);
	free(text);
	return 0;
}
