/*
 * session.c - a session from its directory to a certificate, through exchanges: nonces,
 * signatures, repetitions. The first byte is the account (its lowest bits: known, with
 * external binding, terms accepted); after its line the replies follow, see script.h.
 */
#include "acme.h"

#include "../unit/rfc_keys.h"
#include "script.h"

static struct acme_key *key;

static struct acme_session *
begin(uint8_t variant)
{
	struct acme_session *s;
	const struct acme_account account = {
		.url = (variant & 1) != 0 ? "https://ca.test/account/1" : NULL,
		.contacts = "mailto:a@example.test",
		.eab_kid = (variant & 2) != 0 ? "kid" : NULL,
		.eab_key = "secret",
		.eab_key_len = 6,
		.accept_terms = (variant & 4) != 0,
	};

	MUST(acme_session_new("https://ca.test/directory", key, &account, &s) == 0);
	return s;
}

/* False: the script ended before there was an answer. The exchange is then over. */
static struct acme_exchange *
ask(struct acme_session *s, const struct acme_request *request, struct script *script,
    struct acme_reply *reply)
{
	struct acme_exchange *x;
	struct acme_message message;

	if (acme_exchange_new(s, request, &x) < 0)
		return NULL;
	while (acme_exchange_next(x, &message) == ACME_SEND) {
		MUST(strncmp(message.url, "https://", 8) == 0);
		MUST((message.body != NULL) == (message.content_type != NULL));
		if (!script_next(script, reply))
			return acme_exchange_free(x);
		acme_exchange_reply(x, reply);
	}
	MUST(acme_exchange_answer(x) != NULL);
	MUST(acme_exchange_bad_nonces(x) <= 11);
	return x;
}

static bool
prepare(struct acme_session *s, struct script *script)
{
	struct acme_request request;
	struct acme_exchange *x;
	struct acme_reply reply;

	while (acme_session_next(s, &request) == ACME_SEND) {
		x = ask(s, &request, script, &reply);
		if (x == NULL)
			return false;
		acme_session_reply(s, acme_exchange_answer(x));
		acme_exchange_free(x);
	}
	(void)acme_session_terms_url(s);
	(void)acme_session_has_profile(s, "shortlived");
	MUST(acme_session_ready(s) == (acme_session_result(s) == NULL));
	if (acme_session_ready(s))
		MUST(acme_session_account_url(s) != NULL);
	return acme_session_ready(s);
}

static void
order(struct acme_session *s, struct script *script)
{
	struct acme_identifier name;
	struct acme_request request;
	struct acme_exchange *x;
	struct acme_reply reply;
	struct acme_flow *f;
	enum acme_next next;
	int64_t now = 1;
	const struct acme_plan plan = { .identifiers = &name,
		.identifier_count = 1,
		.account_key = key,
		.key = key,
		.challenges = "http-01 dns-01",
		.profile = "shortlived" };

	MUST(acme_identifier_parse("a.example.test", &name, NULL) == 0);
	MUST(acme_flow_new(&plan, &f) == 0);
	while ((next = acme_flow_next(f, now, &request)) != ACME_FINISHED) {
		if (next == ACME_WAIT) {
			now = acme_flow_wait_until(f);
			continue;
		}
		x = ask(s, &request, script, &reply);
		if (x == NULL)
			break;
		acme_flow_reply(f, now, acme_exchange_answer(x));
		acme_exchange_free(x);
	}
	acme_flow_free(f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script script = { .now = SCRIPT_NOW };
	struct acme_session *s;
	char *text;

	if (size < 2)
		return 0;
	if (key == NULL)
		MUST(acme_key_from_pem(ec_example, strlen(ec_example), &key) == 0);
	text = fuzz_text(data + 2, size - 2);
	script.pos = text;
	s = begin(data[0]);
	if (prepare(s, &script))
		order(s, &script);
	else if (acme_session_result(s) != NULL) {
		acme_session_again(s);
		(void)prepare(s, &script);
	}
	acme_session_free(s);
	free(text);
	return 0;
}
