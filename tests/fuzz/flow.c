/*
 * flow.c - an order's whole life with a CA that answers whatever it likes. The first
 * byte is the plan (its lowest bits: two names, an order begun before, all types of
 * challenges, a wish for a chain); after its line the replies follow, see script.h.
 */
#include "acme.h"

#include "../unit/rfc_keys.h"
#include "script.h"

static struct acme_key *key;

static struct acme_flow *
begin(uint8_t variant)
{
	struct acme_identifier names[2];
	struct acme_flow *f;
	const struct acme_plan plan = {
		.identifiers = names,
		.identifier_count = (variant & 1) != 0 ? 2 : 1,
		.account_key = key,
		.key = key,
		.challenges = (variant & 4) != 0
		    ? "dns-persist-01 dns-account-01 dns-01 tls-alpn-01 http-01"
		    : "http-01",
		.preferred_chain = (variant & 8) != 0 ? "fuzz root" : NULL,
		.order_url = (variant & 2) != 0 ? "https://ca.test/order" : NULL,
	};

	MUST(acme_identifier_parse("a.example.test", &names[0], NULL) == 0);
	MUST(acme_identifier_parse("*.b.example.test", &names[1], NULL) == 0);
	MUST(acme_flow_new(&plan, &f) == 0);
	return f;
}

static void
look_at_challenges(const struct acme_flow *f)
{
	const struct acme_challenge *list;
	size_t count = acme_flow_challenges(f, &list);

	for (size_t i = 0; i < count; i++) {
		MUST(list[i].type != NULL && list[i].identifier != NULL);
		MUST((list[i].token == NULL) == (list[i].issuer_count > 0));
		if (list[i].token == NULL)
			continue;
		MUST(strpbrk(list[i].token, "/. %\\\n") == NULL);
		MUST(strncmp(list[i].token, list[i].key_authorization,
			 strlen(list[i].token)) == 0);
	}
}

static void
look_at_end(const struct acme_flow *f)
{
	const struct acme_result *result = acme_flow_result(f);

	MUST((acme_flow_chain(f) != NULL) != (result != NULL));
	MUST(result == NULL || result->detail != NULL);
	MUST(result == NULL || strchr(result->detail, '\n') == NULL);
}

static void
run(struct acme_flow *f, struct script *script)
{
	struct acme_request request;
	struct acme_reply reply;
	int64_t now = 1;

	for (unsigned step = 0;; step++) {
		enum acme_next next = acme_flow_next(f, now, &request);

		MUST(step < 10000);
		look_at_challenges(f);
		if (next == ACME_FINISHED) {
			look_at_end(f);
			return;
		}
		if (next == ACME_WAIT) {
			MUST(acme_flow_wait_until(f) > now);
			now = acme_flow_wait_until(f);
			continue;
		}
		MUST(request.action != 0);
		if (!script_next(script, &reply))
			return;
		acme_flow_reply(f, now, &reply);
		if (step % 3 == 2)
			acme_flow_fetched(f, now, "token");
		now += 7;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script script = { .now = SCRIPT_NOW };
	struct acme_flow *f;
	char *text;

	if (size < 2)
		return 0;
	if (key == NULL)
		MUST(acme_key_from_pem(ec_example, strlen(ec_example), &key) == 0);
	text = fuzz_text(data + 2, size - 2);
	script.pos = text;
	f = begin(data[0]);
	run(f, &script);
	acme_flow_free(f);
	free(text);
	return 0;
}
