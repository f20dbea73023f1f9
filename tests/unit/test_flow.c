/*
 * test_flow.c - the life of an order against a scripted CA: the ways through it, what
 * it refuses, what it costs, and a crash before and after every reply.
 */
#include "acme.h"

#include <stdio.h>
#include <string.h>

#include "scripted_ca.h"
#include "suite.h"

static struct acme_key *account_key;
static struct acme_key *key;
static int64_t now;

/* The facts that survive a crash. */
struct facts {
	char order_url[256];
	unsigned requests; /* signed, polls included */
	unsigned polls;
	unsigned waits;
	bool published_before_ack;
};

static void
setup_keys(void)
{
	ck_assert_int_eq(acme_key_generate(ACME_KEY_ECDSA_P256, &account_key), 0);
	ck_assert_int_eq(acme_key_generate(ACME_KEY_ECDSA_P256, &key), 0);
	now = 1;
}

static void
free_keys(void)
{
	account_key = acme_key_free(account_key);
	key = acme_key_free(key);
}

static void
add_name(struct scripted_ca *ca, const char *name)
{
	ck_assert_int_eq(
	    acme_identifier_parse(name, &ca->names[ca->name_count++], NULL), 0);
}

static struct acme_flow *
begin(struct scripted_ca *ca, const struct facts *facts)
{
	struct acme_flow *f;
	struct acme_plan plan = {
		.identifiers = ca->names,
		.identifier_count = ca->name_count,
		.account_key = account_key,
		.key = key,
		.challenges = "http-01",
		.order_url = facts->order_url[0] != '\0' ? facts->order_url : NULL,
	};

	ck_assert_int_eq(acme_flow_new(&plan, &f), 0);
	return f;
}

static void
save(struct acme_flow *f, struct facts *facts)
{
	const char *url = acme_flow_order_url(f);

	facts->order_url[0] = '\0';
	if (url != NULL)
		strncat(facts->order_url, url, sizeof(facts->order_url) - 1);
}

/* Runs until the end, or until the crash-th request: 0 never; odd: before it is sent,
 * even: after its reply came but before anything was made of it. True: crashed. */
static bool
run(struct acme_flow *f, struct scripted_ca *ca, struct facts *facts, unsigned crash)
{
	unsigned step = 0;

	for (;;) {
		struct acme_request request;
		const struct acme_challenge *challenges;

		save(f, facts);
		switch (acme_flow_next(f, now, &request)) {
		case ACME_WAIT:
			facts->waits++;
			ck_assert_int_gt(acme_flow_wait_until(f), now);
			now = acme_flow_wait_until(f);
			continue;
		case ACME_FINISHED:
			return false;
		case ACME_SEND:
			break;
		}
		if (request.action == ACME_ACTION_CHALLENGE)
			ck_assert_uint_gt(acme_flow_challenges(f, &challenges), 0);
		facts->requests++;
		if (++step == crash)
			return true;
		const struct acme_reply *reply = scripted_ca_answer(ca, &request);

		if (++step == crash)
			return true;
		now += 5;
		acme_flow_reply(f, now, reply);
		ck_assert_uint_lt(step, 10000);
	}
}

START_TEST(issues)
{
	struct scripted_ca ca = { .authz_polls = 2, .order_polls = 2 };
	struct facts facts = { 0 };
	struct acme_flow *f;

	setup_keys();
	add_name(&ca, "b.example.test");
	add_name(&ca, "a.example.test");
	add_name(&ca, "192.0.2.1");
	f = begin(&ca, &facts);
	ck_assert(!run(f, &ca, &facts, 0));
	ck_assert_ptr_null(acme_flow_result(f));
	ck_assert_ptr_nonnull(acme_flow_chain(f));
	ck_assert_int_eq(ca.orders, 1);
	ck_assert_int_eq(ca.finalizes, 1);
	acme_flow_free(f);
	scripted_ca_clear(&ca);
	free_keys();
}
END_TEST

/* Valid ones only, and none of an order that came to nothing. */
START_TEST(tells_its_authorizations)
{
	struct scripted_ca ca = { .authz_polls = 2 };
	struct facts facts = { 0 };
	const struct acme_authorization *told = NULL;
	struct acme_flow *f;

	setup_keys();
	ca.fail_authz = _i == 1;
	add_name(&ca, "b.example.test");
	add_name(&ca, "192.0.2.1");
	f = begin(&ca, &facts);
	ck_assert_uint_eq(acme_flow_authorizations(f, &told), 0);
	run(f, &ca, &facts, 0);
	if (_i == 1) {
		ck_assert_uint_eq(acme_flow_authorizations(f, &told), 0);
	} else {
		ck_assert_uint_eq(acme_flow_authorizations(f, &told), 2);
		ck_assert_str_eq(told[0].identifier, "192.0.2.1");
		ck_assert_str_eq(told[1].identifier, "b.example.test");
		ck_assert_ptr_nonnull(strstr(told[1].url, "/authz/0"));
		ck_assert_str_eq(told[1].expires, "2027-01-02T03:04:05Z");
	}
	acme_flow_free(f);
	scripted_ca_clear(&ca);
	free_keys();
}
END_TEST

/* newOrder, authorization, challenge, its poll, finalize, order, certificate */
START_TEST(takes_seven_requests)
{
	struct scripted_ca ca = { .order_polls = 1 };
	struct facts facts = { 0 };
	struct acme_flow *f;

	setup_keys();
	add_name(&ca, "a.example.test");
	f = begin(&ca, &facts);
	run(f, &ca, &facts, 0);
	ck_assert_ptr_nonnull(acme_flow_chain(f));
	ck_assert_uint_eq(facts.requests, 7);
	acme_flow_free(f);
	scripted_ca_clear(&ca);
	free_keys();
}
END_TEST

/* A CA that does all within the request, as smallstep does: no poll at all. */
START_TEST(takes_five_requests_where_all_is_at_once)
{
	struct scripted_ca ca = { .sync = true };
	struct facts facts = { 0 };
	struct acme_flow *f;

	setup_keys();
	add_name(&ca, "a.example.test");
	f = begin(&ca, &facts);
	run(f, &ca, &facts, 0);
	ck_assert_ptr_nonnull(acme_flow_chain(f));
	ck_assert_uint_eq(facts.requests, 5);
	ck_assert_uint_eq(facts.waits, 0);
	acme_flow_free(f);
	scripted_ca_clear(&ca);
	free_keys();
}
END_TEST

START_TEST(skips_what_is_valid)
{
	struct scripted_ca ca = { .order_polls = 1 };
	struct facts facts = { 0 };
	struct acme_flow *f;

	setup_keys();
	add_name(&ca, "a.example.test");
	scripted_ca_reuse(&ca);
	f = begin(&ca, &facts);
	run(f, &ca, &facts, 0);
	ck_assert_ptr_nonnull(acme_flow_chain(f));
	ck_assert_uint_eq(
	    facts.requests, 4); /* newOrder, finalize, order, certificate */
	acme_flow_free(f);
	scripted_ca_clear(&ca);
	free_keys();
}
END_TEST

START_TEST(one_valid_of_two)
{
	struct scripted_ca ca = { .authz_polls = 1 };
	struct facts facts = { 0 };
	struct acme_flow *f;

	setup_keys();
	add_name(&ca, "a.example.test");
	add_name(&ca, "*.example.test");
	ca.authz[0] = CA_VALID;
	f = begin(&ca, &facts);
	run(f, &ca, &facts, 0);
	ck_assert_ptr_nonnull(acme_flow_chain(f));
	acme_flow_free(f);
	scripted_ca_clear(&ca);
	free_keys();
}
END_TEST

static struct acme_result *
fails_with(struct scripted_ca *ca, struct facts *facts)
{
	struct acme_flow *f = begin(ca, facts);
	struct acme_result *result;

	run(f, ca, facts, 0);
	ck_assert_ptr_null(acme_flow_chain(f));
	ck_assert_ptr_nonnull(acme_flow_result(f));
	result = acme_result_copy(acme_flow_result(f));
	save(f, facts);
	acme_flow_free(f);
	return result;
}

START_TEST(validation_fails)
{
	struct scripted_ca ca = { .fail_authz = true };
	struct facts facts = { 0 };
	struct acme_result *result;

	setup_keys();
	ca.stay_pending = _i == 1;
	add_name(&ca, "a.example.test");
	result = fails_with(&ca, &facts);
	ck_assert_str_eq(result->stage, "authorize");
	ck_assert_str_eq(result->detail, "a.example.test: no token there");
	ck_assert(acme_result_is(result, "unauthorized"));
	ck_assert_str_eq(facts.order_url, ""); /* of no use any more */
	acme_result_free(result);
	scripted_ca_clear(&ca);
	free_keys();
}
END_TEST

START_TEST(order_not_ready_is_waited_for)
{
	struct scripted_ca ca = { .not_ready_once = true };
	struct facts facts = { 0 };
	struct acme_flow *f;

	setup_keys();
	add_name(&ca, "a.example.test");
	f = begin(&ca, &facts);
	run(f, &ca, &facts, 0);
	ck_assert_ptr_nonnull(acme_flow_chain(f));
	ck_assert_int_eq(ca.finalizes, 2);
	ck_assert_int_eq(ca.orders, 1);
	acme_flow_free(f);
	scripted_ca_clear(&ca);
	free_keys();
}
END_TEST

START_TEST(refuses_what_was_not_ordered)
{
	struct acme_key *stranger;
	struct scripted_ca ca = { 0 };
	struct facts facts = { 0 };
	struct acme_result *result;
	static const char key_block[] = "-----BEGIN PRIVATE KEY-----\nAAAA\n"
					"-----END PRIVATE KEY-----\n";

	setup_keys();
	ck_assert_int_eq(acme_key_generate(ACME_KEY_ECDSA_P256, &stranger), 0);
	add_name(&ca, "a.example.test");
	if (_i == 0)
		ca.extra_name = "evil.example.test";
	else if (_i == 1)
		ca.wrong_key = stranger;
	else
		ca.append = key_block;
	result = fails_with(&ca, &facts);
	ck_assert_str_eq(result->stage, "download");
	ck_assert_str_eq(facts.order_url, "");
	acme_result_free(result);
	acme_key_free(stranger);
	scripted_ca_clear(&ca);
	free_keys();
}
END_TEST

/* A token becomes part of a path: nothing but base64url is ever published. */
START_TEST(refuses_bad_tokens)
{
	static const char *const tokens[] = { "../../etc/passwd", "a/b", "a b", "",
		"a%41", "a\\u0000b" };
	struct scripted_ca ca = { .token = tokens[_i] };
	struct facts facts = { 0 };
	struct acme_result *result;

	setup_keys();
	add_name(&ca, "a.example.test");
	result = fails_with(&ca, &facts);
	ck_assert_str_eq(result->stage, "authorize");
	acme_result_free(result);
	scripted_ca_clear(&ca);
	free_keys();
}
END_TEST

START_TEST(seen_fetch_is_polled_soon)
{
	struct scripted_ca ca = { 0 };
	struct facts facts = { 0 };
	struct acme_request request;
	struct acme_flow *f;
	int64_t before;

	setup_keys();
	add_name(&ca, "a.example.test");
	f = begin(&ca, &facts);
	while (acme_flow_next(f, now, &request) == ACME_SEND)
		acme_flow_reply(f, now, scripted_ca_answer(&ca, &request));
	before = acme_flow_wait_until(f);
	acme_flow_fetched(f, now, "someone-elses");
	ck_assert_int_eq(acme_flow_wait_until(f), before);
	acme_flow_fetched(f, now, "token-0_A");
	ck_assert_int_lt(acme_flow_wait_until(f), before);
	ck_assert_int_le(acme_flow_wait_until(f), now + 1000);
	before = acme_flow_wait_until(f);
	acme_flow_fetched(f, now + 100, "token-0_A"); /* other vantage points, later */
	ck_assert_int_eq(acme_flow_wait_until(f), before);
	acme_flow_free(f);
	scripted_ca_clear(&ca);
	free_keys();
}
END_TEST

/* Retry-After on a poll is kept to, whoever is seen fetching. */
START_TEST(retry_after_is_obeyed)
{
	struct scripted_ca ca = { .authz_polls = 1 };
	struct facts facts = { 0 };
	struct acme_request request;
	struct acme_reply reply;
	struct acme_flow *f;

	setup_keys();
	add_name(&ca, "a.example.test");
	f = begin(&ca, &facts);
	while (acme_flow_next(f, now, &request) == ACME_SEND)
		acme_flow_reply(f, now, scripted_ca_answer(&ca, &request));
	now = acme_flow_wait_until(f);
	ck_assert_int_eq(acme_flow_next(f, now, &request), ACME_SEND);
	reply = *scripted_ca_answer(&ca, &request);
	reply.retry_after = "20";
	acme_flow_reply(f, now, &reply);
	ck_assert_int_eq(acme_flow_wait_until(f), now + 20000);
	acme_flow_fetched(f, now, "token-0_A");
	ck_assert_int_eq(acme_flow_wait_until(f), now + 20000);
	acme_flow_free(f);
	scripted_ca_clear(&ca);
	free_keys();
}
END_TEST

/* Whatever happens to the answers, the order is gone on with as long as it may. */
START_TEST(broken_answers_keep_the_order)
{
	static const struct acme_reply broken[] = {
		{ .status = 0, .error = "connection reset" },
		{ .status = 500, .body = "oops", .body_len = 4 },
		{ .status = 503, .retry_after = "30" },
		{ .status = 200, .body = "{", .body_len = 1 },
		{ .status = 200, .body = "[]", .body_len = 2 },
		{ .status = 200 },
	};
	struct scripted_ca ca = { .authz_polls = 1, .order_polls = 1 };
	struct facts facts = { 0 };
	struct acme_flow *f;
	int64_t last = 0;

	setup_keys();
	add_name(&ca, "a.example.test");
	/* each time one step further until it breaks; the next flow resumes */
	for (unsigned step = 1; step < 30; step++) {
		struct acme_request request;
		unsigned sent = 0;

		f = begin(&ca, &facts);
		for (;;) {
			enum acme_next next = acme_flow_next(f, now, &request);

			save(f, &facts);
			if (next == ACME_FINISHED)
				break;
			if (next == ACME_WAIT) {
				now = acme_flow_wait_until(f);
				continue;
			}
			if (++sent == step && facts.order_url[0] != '\0')
				acme_flow_reply(f, now, &broken[_i]);
			else
				acme_flow_reply(
				    f, now, scripted_ca_answer(&ca, &request));
			save(f, &facts);
		}
		if (acme_flow_chain(f) != NULL) {
			last = step;
			acme_flow_free(f);
			break;
		}
		ck_assert_ptr_nonnull(acme_flow_result(f));
		ck_assert_int_ne(acme_flow_result(f)->class, ACME_GIVE_UP);
		acme_flow_free(f);
	}
	ck_assert_int_gt(last, 0);
	ck_assert_int_eq(ca.orders, 1);
	scripted_ca_clear(&ca);
	free_keys();
}
END_TEST

/* Orders of all kinds, to be broken off anywhere. */
static const struct order_kind {
	const char *names[4];
	size_t valid; /* of the names, from the first, already */
	struct scripted_ca ca;
} order_kinds[] = {
	{ { "a.example.test", "b.example.test" }, 0,
	    { .authz_polls = 1, .order_polls = 1 } },
	{ { "a.example.test" }, 0, { .order_polls = 1 } },
	{ { "*.example.test", "example.test", "192.0.2.1", "2001:db8::1" }, 0,
	    { .authz_polls = 2, .order_polls = 3 } },
	{ { "a.example.test", "b.example.test", "c.example.test" }, 2,
	    { .authz_polls = 1, .order_polls = 1 } },
	{ { "a.example.test", "b.example.test" }, 2, { .order_polls = 2 } },
	{ { "a.example.test", "b.example.test" }, 0, { .sync = true } },
	{ { "a.example.test" }, 0, { .not_ready_once = true, .order_polls = 1 } },
};

static struct scripted_ca
begin_kind(const struct order_kind *kind)
{
	struct scripted_ca ca = kind->ca;

	for (size_t i = 0; i < ELEMENTS(kind->names) && kind->names[i] != NULL; i++)
		add_name(&ca, kind->names[i]);
	for (size_t i = 0; i < kind->valid; i++)
		ca.authz[i] = CA_VALID;
	return ca;
}

/* Crash before and after every reply; resume from the URL alone. */
START_TEST(survives_a_crash_anywhere)
{
	unsigned crashes = 0;

	setup_keys();
	for (unsigned crash = 1;; crash++) {
		struct scripted_ca ca = begin_kind(&order_kinds[_i]);
		struct facts facts = { 0 };
		struct acme_flow *f;
		bool crashed;

		f = begin(&ca, &facts);
		crashed = run(f, &ca, &facts, crash);
		acme_flow_free(f);
		if (crashed) {
			crashes++;
			f = begin(&ca, &facts);
			ck_assert(!run(f, &ca, &facts, 0));
			ck_assert_ptr_nonnull(acme_flow_chain(f));
			/* only a newOrder whose answer was lost is made again */
			ck_assert_uint_eq(ca.orders, crash == 2 ? 2 : 1);
			acme_flow_free(f);
		}
		scripted_ca_clear(&ca);
		if (!crashed)
			break;
	}
	ck_assert_uint_gt(crashes, 7); /* four requests at least */
	free_keys();
}
END_TEST

/* Crash again and again, each time one step later. */
START_TEST(survives_many_crashes)
{
	struct scripted_ca ca = begin_kind(&order_kinds[_i]);
	struct facts facts = { 0 };
	struct acme_flow *f;
	unsigned crash = 3; /* newOrder is through */
	bool crashed;

	setup_keys();
	do {
		f = begin(&ca, &facts);
		crashed = run(f, &ca, &facts, crash++);
		ck_assert(crashed || acme_flow_chain(f) != NULL);
		acme_flow_free(f);
	} while (crashed);
	ck_assert_uint_eq(ca.orders, 1);
	scripted_ca_clear(&ca);
	free_keys();
}
END_TEST

/* A conversation in words: answers to newOrder, authorization, challenge, poll. */
static struct acme_flow *
talk(const char *challenges, const char *const *bodies, size_t count)
{
	struct acme_identifier name;
	const struct acme_plan plan = { .identifiers = &name,
		.identifier_count = 1,
		.account_key = account_key,
		.key = key,
		.challenges = challenges };
	struct acme_request request;
	struct acme_flow *f;

	acme_identifier_parse("a.example.test", &name, NULL);
	ck_assert_int_eq(acme_flow_new(&plan, &f), 0);
	for (size_t i = 0; i < count; i++) {
		const struct acme_reply reply = { .status = i == 0 ? 201 : 200,
			.location = i == 0 ? "https://ca.test/order" : NULL,
			.body = bodies[i],
			.body_len = strlen(bodies[i]) };

		if (acme_flow_next(f, now, &request) == ACME_WAIT) {
			now = acme_flow_wait_until(f);
			ck_assert_int_eq(acme_flow_next(f, now, &request), ACME_SEND);
		}
		acme_flow_reply(f, now, &reply);
	}
	return f;
}

#define PENDING_ORDER                                                       \
  "{\"status\":\"pending\",\"authorizations\":[\"https://ca.test/authz\"]," \
  "\"finalize\":\"https://ca.test/finalize\"}"
#define PENDING_NAME                                                    \
  "{\"status\":\"pending\",\"identifier\":{\"type\":\"dns\",\"value\":" \
  "\"a.example.test\"},\"challenges\":["

START_TEST(hands_out_issuers)
{
	static const char *const bodies[] = { PENDING_ORDER,
		PENDING_NAME
		"{\"type\":\"dns-persist-01\",\"url\":\"https://ca.test/c\","
		"\"status\":\"pending\",\"issuerDomainNames\":[\"ca.test\"]}"
		"]}" };
	const struct acme_challenge *challenges;
	struct acme_request request;
	struct acme_flow *f;

	setup_keys();
	f = talk("dns-persist-01", bodies, ELEMENTS(bodies));
	ck_assert_int_eq(acme_flow_next(f, now, &request), ACME_SEND);
	ck_assert_int_eq(request.action, ACME_ACTION_CHALLENGE);
	ck_assert_str_eq(request.payload, "{}");
	ck_assert_uint_eq(acme_flow_challenges(f, &challenges), 1);
	ck_assert_str_eq(challenges[0].type, "dns-persist-01");
	ck_assert_ptr_null(challenges[0].token);
	ck_assert_ptr_null(challenges[0].key_authorization);
	ck_assert_uint_eq(challenges[0].issuer_count, 1);
	ck_assert_str_eq(challenges[0].issuers[0], "ca.test");
	acme_flow_fetched(f, now, "whatever");
	acme_flow_free(f);
	free_keys();
}
END_TEST

/* The one that was answered has failed, while the name stays pending (as at
 * smallstep's): the next type is taken, and nothing is left of the one of before. */
START_TEST(takes_another_type)
{
	static const char *const bodies[] = { PENDING_ORDER,
		PENDING_NAME
		"{\"type\":\"http-01\",\"url\":\"https://ca.test/c\",\"token\":\"a\","
		"\"status\":\"pending\"}]}",
		"{\"type\":\"http-01\",\"url\":\"https://ca.test/c\","
		"\"status\":\"processing\"}",
		PENDING_NAME
		"{\"type\":\"dns-persist-01\",\"url\":\"https://ca.test/d\","
		"\"issuer-domain-names\":[\"ca.test\"],\"status\":\"pending\"},{\"type\":"
		"\"http-01\",\"url\":\"https://ca.test/c\",\"token\":\"a\",\"status\":"
		"\"invalid\",\"error\":{\"detail\":\"nobody there\"}}]}" };
	const struct acme_challenge *challenges;
	struct acme_request request;
	struct acme_flow *f;

	setup_keys();
	f = talk("http-01 dns-persist-01", bodies, ELEMENTS(bodies));
	ck_assert_uint_eq(acme_flow_challenges(f, &challenges), 1);
	ck_assert_str_eq(challenges[0].type, "dns-persist-01");
	ck_assert_ptr_null(challenges[0].token);
	ck_assert_str_eq(challenges[0].issuers[0], "ca.test");
	if (acme_flow_next(f, now, &request) == ACME_WAIT) {
		now = acme_flow_wait_until(f);
		ck_assert_int_eq(acme_flow_next(f, now, &request), ACME_SEND);
	}
	ck_assert_int_eq(request.action, ACME_ACTION_CHALLENGE);
	ck_assert_str_eq(request.url, "https://ca.test/d");
	acme_flow_free(f);
	free_keys();
}
END_TEST

START_TEST(gone_order_is_made_anew)
{
	struct scripted_ca ca = { 0 };
	struct facts facts = { .order_url = "https://ca.test/order" };
	struct acme_flow *f;

	setup_keys();
	add_name(&ca, "a.example.test");
	f = begin(&ca, &facts);
	run(f, &ca, &facts, 0);
	ck_assert_ptr_nonnull(acme_flow_chain(f));
	ck_assert_uint_eq(ca.orders, 1);
	acme_flow_free(f);
	scripted_ca_clear(&ca);
	free_keys();
}
END_TEST

static struct acme_reply
refusal(const char *type, int status, const char *retry_after)
{
	static char text[256];

	snprintf(text, sizeof(text),
	    "{\"type\":\"urn:ietf:params:acme:error:%s\",\"detail\":\"because\"}",
	    type);
	return (struct acme_reply){ .status = status,
		.body = text,
		.body_len = strlen(text),
		.retry_after = retry_after,
		.received_at = 5000 };
}

START_TEST(refusals_have_a_class)
{
	static const struct {
		const char *type;
		int status;
		const char *retry_after;
		enum acme_class class;
		int64_t not_before;
	} cases[] = {
		{ "rateLimited", 429, "3600", ACME_LATER, 8600 },
		{ "rateLimited", 429, NULL, ACME_LATER, 0 },
		{ "rateLimited", 429, "Thu, 01 Jan 1970 03:00:00 GMT", ACME_LATER,
		    10800 },
		{ "rateLimited", 429, "soon", ACME_LATER, 0 },
		{ "rejectedIdentifier", 400, NULL, ACME_GIVE_UP, 0 },
		{ "unsupportedIdentifier", 400, NULL, ACME_GIVE_UP, 0 },
		{ "serverInternal", 500, "60", ACME_RETRY, 5060 },
		{ "somethingNew", 400, NULL, ACME_RETRY, 0 },
	};
	struct scripted_ca ca = { 0 };
	struct facts facts = { 0 };
	struct acme_request request;
	struct acme_reply reply =
	    refusal(cases[_i].type, cases[_i].status, cases[_i].retry_after);
	struct acme_flow *f;

	setup_keys();
	add_name(&ca, "a.example.test");
	f = begin(&ca, &facts);
	ck_assert_int_eq(acme_flow_next(f, now, &request), ACME_SEND);
	acme_flow_reply(f, now, &reply);
	ck_assert_int_eq(acme_flow_next(f, now, &request), ACME_FINISHED);
	ck_assert_int_eq(acme_flow_result(f)->class, cases[_i].class);
	ck_assert_int_eq(acme_flow_result(f)->not_before, cases[_i].not_before);
	ck_assert_int_eq(acme_flow_result(f)->status, cases[_i].status);
	ck_assert_str_eq(acme_flow_result(f)->detail, "because");
	acme_flow_free(f);
	scripted_ca_clear(&ca);
	free_keys();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("flow");
	TCase *tcase = tcase_create("flow");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, issues);
	tcase_add_loop_test(tcase, tells_its_authorizations, 0, 2);
	tcase_add_test(tcase, takes_seven_requests);
	tcase_add_test(tcase, takes_five_requests_where_all_is_at_once);
	tcase_add_test(tcase, skips_what_is_valid);
	tcase_add_test(tcase, one_valid_of_two);
	tcase_add_loop_test(tcase, validation_fails, 0, 2);
	tcase_add_test(tcase, order_not_ready_is_waited_for);
	tcase_add_loop_test(tcase, refuses_what_was_not_ordered, 0, 3);
	tcase_add_loop_test(tcase, refuses_bad_tokens, 0, 6);
	tcase_add_test(tcase, seen_fetch_is_polled_soon);
	tcase_add_test(tcase, retry_after_is_obeyed);
	tcase_add_loop_test(tcase, broken_answers_keep_the_order, 0, 6);
	tcase_add_loop_test(
	    tcase, survives_a_crash_anywhere, 0, (int)ELEMENTS(order_kinds));
	tcase_add_loop_test(
	    tcase, survives_many_crashes, 0, (int)ELEMENTS(order_kinds));
	tcase_add_test(tcase, hands_out_issuers);
	tcase_add_test(tcase, takes_another_type);
	tcase_add_test(tcase, gone_order_is_made_anew);
	tcase_add_loop_test(tcase, refusals_have_a_class, 0, 8);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
