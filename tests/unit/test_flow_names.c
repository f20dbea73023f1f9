/*
 * test_flow_names.c - orders and their names where CAs differ or misbehave: lists of
 * authorizations, challenges that fail in their own ways, waits, orders that grow old.
 */
#include "flow_run.h"

static unsigned asked; /* how often the thing in question was, in this test */

/* ---- lists of authorizations, orders that are further than asked ---- */

static const struct acme_reply *
own_order(const char *status, const char *rest)
{
	static char text[1000];
	const struct acme_reply *reply;

	snprintf(text, sizeof(text),
	    "{\"status\":\"%s\",\"finalize\":\"" RUN_URL "/finalize\",%s}", status,
	    rest);
	reply = run_reply(201, text);
	((struct acme_reply *)reply)->location = RUN_URL "/order";
	return reply;
}

static const struct acme_reply *
fewer_cb(struct scripted_ca *ca, const struct acme_request *request)
{
	if (request->action != ACME_ACTION_NEW_ORDER)
		return NULL;
	ca->order_exists = true;
	ca->authz[1] = CA_VALID;
	return own_order("pending", "\"authorizations\":[\"" RUN_URL "/authz/0\"]");
}

static const struct acme_reply *
more_cb(struct scripted_ca *ca, const struct acme_request *request)
{
	if (request->action != ACME_ACTION_NEW_ORDER)
		return NULL;
	ca->order_exists = true;
	return own_order("pending",
	    "\"authorizations\":[\"" RUN_URL "/authz/1\",\"" RUN_URL
	    "/authz/0\",\"" RUN_URL "/authz/1\"]");
}

/* An order of before that is as good as done: its certificate is for this CSR. */
static const struct acme_reply *
done_cb(struct scripted_ca *ca, const struct acme_request *request)
{
	if (request->action != ACME_ACTION_NEW_ORDER)
		return NULL;
	ca->order_exists = true;
	ck_assert_int_eq(acme_csr_new(run_key, ca->names, ca->name_count, false,
			     &ca->csr, &ca->csr_len),
	    0);
	return own_order("valid", "\"certificate\":\"" RUN_URL "/cert\"");
}

START_TEST(authorizations_in_any_number)
{
	static run_answer_fn *const answers[] = { fewer_cb, more_cb, done_cb };

	for (size_t i = 0; i < ELEMENTS(answers); i++) {
		struct scripted_ca ca = { .authz_polls = 1, .order_polls = 1 };
		struct acme_plan plan;
		struct acme_flow *f;

		run_setup(&ca, "a.example.test b.example.test");
		plan = run_plan(&ca);
		f = run_flow(&plan, &ca, answers[i]);
		ck_assert_ptr_nonnull(acme_flow_chain(f));
		ck_assert_uint_le(ca.finalizes, 1);
		run_end(f, &ca);
	}
}
END_TEST

/* ---- names that fail ---- */

static const struct acme_reply *
only_b_cb(struct scripted_ca *ca, const struct acme_request *request)
{
	if (request->action == ACME_ACTION_AUTHORIZATION)
		ca->fail_authz = strstr(request->url, "/1") == NULL;
	return NULL;
}

START_TEST(all_that_fail_are_said)
{
	struct scripted_ca ca = { .authz_polls = 1 };
	struct acme_plan plan;
	const struct acme_result *result;
	struct acme_flow *f;

	run_setup(&ca, "a.example.test b.example.test c.example.test");
	plan = run_plan(&ca);
	f = run_flow(&plan, &ca, only_b_cb);
	result = acme_flow_result(f);
	ck_assert_ptr_nonnull(result);
	ck_assert_uint_eq(result->subproblem_count, 2);
	ck_assert(acme_result_is(result, "unauthorized"));
	ck_assert_int_eq(result->class, ACME_RETRY);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_str_ne(result->subproblems[i].identifier, "b.example.test");
		ck_assert_str_eq(result->subproblems[i].detail, "no token there");
		ck_assert_ptr_nonnull(
		    strstr(result->detail, result->subproblems[i].identifier));
	}
	ck_assert_ptr_null(acme_flow_order_url(f));
	run_end(f, &ca);
}
END_TEST

/* One name with two kinds of challenges, the first of which always fails alone. */
static const struct acme_reply *
two_kinds_cb(struct scripted_ca *ca, const struct acme_request *request)
{
	static char text[1000];
	static bool first_tried;

	if (request->action == ACME_ACTION_NEW_ORDER)
		first_tried = false;
	if (request->action == ACME_ACTION_CHALLENGE) {
		asked++;
		first_tried = true;
		if (strstr(request->url, "/second") != NULL)
			ca->authz[0] = CA_VALID;
		return run_reply(200, "{\"status\":\"processing\"}");
	}
	if (request->action != ACME_ACTION_AUTHORIZATION)
		return NULL;
	snprintf(text, sizeof(text),
	    "{\"status\":\"%s\",\"identifier\":{\"type\":\"dns\",\"value\":\"%s\"},"
	    "\"challenges\":[{\"type\":\"first-01\",\"url\":\"" RUN_URL
	    "/first\",\"token\":\"one\",\"status\":\"%s\",\"error\":{\"type\":"
	    "\"urn:ietf:params:acme:error:rejectedIdentifier\",\"detail\":\"no\"}},"
	    "{\"type\":\"second-01\",\"url\":\"" RUN_URL
	    "/second\",\"token\":\"two\",\"status\":\"pending\"}]}",
	    ca->authz[0] == CA_VALID ? "valid" : "pending", ca->names[0].value,
	    first_tried ? "invalid" : "pending");
	return run_reply(200, text);
}

START_TEST(the_next_kind_is_tried)
{
	struct scripted_ca ca = { 0 };
	struct acme_plan plan;
	struct acme_flow *f;

	asked = 0;
	run_setup(&ca, "a.example.test");
	plan = run_plan(&ca);
	plan.challenges = "first-01 second-01";
	f = run_flow(&plan, &ca, two_kinds_cb);
	ck_assert_ptr_nonnull(acme_flow_chain(f));
	ck_assert_uint_eq(asked, 2);
	acme_flow_free(f);
	/* where nobody here can do the other, the first one's error is what counts */
	ca.authz[0] = CA_PENDING;
	plan.challenges = "first-01";
	f = run_flow(&plan, &ca, two_kinds_cb);
	ck_assert_str_eq(acme_flow_result(f)->detail, "a.example.test: no");
	/* the name was taken into the order: what was found there may be mended */
	ck_assert(acme_result_is(acme_flow_result(f), "rejectedIdentifier"));
	ck_assert_int_eq(acme_flow_result(f)->class, ACME_RETRY);
	run_end(f, &ca);
}
END_TEST

/* smallstep: nothing wrong was found yet but an error, and the challenge stays open. */
static unsigned open_for;

static const struct acme_reply *
open_cb(struct scripted_ca *ca, const struct acme_request *request)
{
	static char text[1000];

	if (request->action == ACME_ACTION_CHALLENGE) {
		if (++asked > open_for)
			ca->authz[0] = CA_VALID;
		return run_reply(200, "{\"status\":\"pending\"}");
	}
	if (request->action != ACME_ACTION_AUTHORIZATION)
		return NULL;
	snprintf(text, sizeof(text),
	    "{\"status\":\"%s\",\"identifier\":{\"type\":\"dns\",\"value\":\"%s\"},"
	    "\"challenges\":[{\"type\":\"http-01\",\"url\":\"" RUN_URL
	    "/x\",\"token\":\"one\",\"status\":\"pending\"%s}]}",
	    ca->authz[0] == CA_VALID ? "valid" : "pending", ca->names[0].value,
	    asked > 0
		? ",\"error\":{\"type\":\"urn:ietf:params:acme:error:connection\","
		  "\"detail\":\"refused\"}"
		: "");
	return run_reply(200, text);
}

START_TEST(an_open_challenge_is_answered_again)
{
	for (open_for = 1; open_for < 100; open_for += 90) {
		struct scripted_ca ca = { 0 };
		struct acme_plan plan;
		struct acme_flow *f;

		asked = 0;
		run_setup(&ca, "a.example.test");
		plan = run_plan(&ca);
		f = run_flow(&plan, &ca, open_cb);
		if (open_for == 1) {
			ck_assert_ptr_nonnull(acme_flow_chain(f));
			ck_assert_uint_eq(asked, 2);
		} else {
			ck_assert_str_eq(
			    acme_flow_result(f)->detail, "a.example.test: refused");
			ck_assert(acme_result_is(acme_flow_result(f), "connection"));
			ck_assert_uint_eq(asked, 3);
			ck_assert_int_lt(run_now, 60000);
		}
		run_end(f, &ca);
	}
}
END_TEST

START_TEST(a_bad_token_is_named)
{
	struct scripted_ca ca = { .token = "../../etc/passwd" };
	struct acme_plan plan;
	struct acme_flow *f;

	run_setup(&ca, "a.example.test");
	plan = run_plan(&ca);
	f = run_flow(&plan, &ca, NULL);
	ck_assert_str_eq(acme_flow_result(f)->detail,
	    "a.example.test: the CA sent a challenge whose token is not one");
	ck_assert_int_eq(acme_flow_result(f)->class, ACME_RETRY);
	run_end(f, &ca);
}
END_TEST

/* ---- waits ---- */

START_TEST(processing_is_resumed)
{
	struct scripted_ca ca = { .order_polls = 100000 };
	struct acme_plan plan;
	struct acme_flow *f;
	char url[100];

	run_setup(&ca, "a.example.test");
	plan = run_plan(&ca);
	f = run_flow(&plan, &ca, NULL);
	ck_assert_ptr_null(acme_flow_chain(f));
	ck_assert_int_eq(acme_flow_result(f)->class, ACME_RETRY);
	ck_assert_int_eq(acme_flow_result(f)->status, 200); /* it was reached */
	ck_assert_int_ge(run_now, 600000);
	ck_assert_int_lt(run_now, 660000);
	ck_assert_ptr_nonnull(acme_flow_order_url(f));
	snprintf(url, sizeof(url), "%s", acme_flow_order_url(f));
	acme_flow_free(f);
	ca.processing = 0;
	plan.order_url = url;
	f = run_flow(&plan, &ca, NULL);
	ck_assert_ptr_nonnull(acme_flow_chain(f));
	ck_assert_uint_eq(ca.orders, 1);
	ck_assert_uint_eq(ca.finalizes, 1);
	run_end(f, &ca);
}
END_TEST

static const char *retry_after;
static const char *reply_date;
static enum acme_action retry_at;

static const struct acme_reply *
retry_cb(struct scripted_ca *ca, const struct acme_request *request)
{
	static struct acme_reply reply;

	if (request->action != retry_at)
		return NULL;
	reply = *scripted_ca_answer(ca, request);
	reply.retry_after = retry_after;
	reply.date = reply_date;
	asked++;
	return &reply;
}

/* Whatever stands there: not hammered, not forgotten, and obeyed where it makes sense.
 */
START_TEST(any_retry_after)
{
	static const struct {
		const char *text;
		const char *date;
		int64_t least; /* of one wait, in milliseconds */
		int64_t most;
	} cases[] = {
		{ "0", NULL, 250, 3000 },
		{ "7", NULL, 7000, 7000 },
		{ "-5", NULL, 250, 15000 },
		{ "99999999999999999999", NULL, 150000, 300000 },
		{ "86400", NULL, 150000, 300000 },
		{ "Thu, 01 Jan 1970 00:00:01 GMT", NULL, 250, 3000 },
		{ "Thu, 01 Jan 1970 00:00:30 GMT", "Thu, 01 Jan 1970 00:00:10 GMT",
		    20000, 20000 },
		{ "Fri, 31 Dec 9999 23:59:59 GMT", NULL, 150000, 300000 },
		{ "soon", NULL, 250, 15000 },
		{ "1e9", NULL, 250, 15000 },
		{ "", NULL, 250, 15000 },
	};
	static const enum acme_action actions[] = { ACME_ACTION_AUTHORIZATION,
		ACME_ACTION_ORDER, ACME_ACTION_CHALLENGE };

	for (size_t i = 0; i < ELEMENTS(cases) * ELEMENTS(actions); i++) {
		struct scripted_ca ca = { .order_polls = 2, .authz_polls = 1 };
		struct acme_plan plan;
		struct acme_flow *f;

		asked = 0;
		retry_after = cases[i / ELEMENTS(actions)].text;
		reply_date = cases[i / ELEMENTS(actions)].date;
		retry_at = actions[i % ELEMENTS(actions)];
		run_setup(&ca, "a.example.test");
		plan = run_plan(&ca);
		f = run_flow(&plan, &ca, retry_cb);
		if (acme_flow_chain(f) == NULL)
			ck_abort_msg("%s %d: %s", retry_after, retry_at,
			    acme_flow_result(f)->detail);
		ck_assert_int_ge(run_now, cases[i / ELEMENTS(actions)].least);
		/* two waits with it, and the others */
		ck_assert_int_le(
		    run_now, 2 * cases[i / ELEMENTS(actions)].most + 20000);
		ck_assert_uint_le(asked, 12);
		run_end(f, &ca);
	}
}
END_TEST

static const struct acme_reply *
never_ready_cb(struct scripted_ca *ca, const struct acme_request *request)
{
	(void)ca;
	if (request->action != ACME_ACTION_FINALIZE)
		return NULL;
	asked++;
	return run_reply(403,
	    "{\"type\":\"urn:ietf:params:acme:error:orderNotReady\",\"detail\":\"no\"}");
}

START_TEST(a_ca_that_contradicts_itself)
{
	struct scripted_ca ca = { 0 };
	struct acme_plan plan;
	struct acme_flow *f;

	asked = 0;
	run_setup(&ca, "a.example.test");
	plan = run_plan(&ca);
	f = run_flow(&plan, &ca, never_ready_cb);
	ck_assert_str_eq(acme_flow_result(f)->detail, "no");
	ck_assert_uint_le(asked, 9);
	ck_assert_int_lt(run_now, 120000);
	ck_assert_int_gt(run_now, 20000);
	run_end(f, &ca);
}
END_TEST

static const struct acme_reply *
bad_csr_cb(struct scripted_ca *ca, const struct acme_request *request)
{
	(void)ca;
	if (request->action != ACME_ACTION_FINALIZE)
		return NULL;
	return run_reply(400,
	    "{\"type\":\"urn:ietf:params:acme:error:badCSR\",\"detail\":\"weak\"}");
}

START_TEST(bad_csr)
{
	struct scripted_ca ca = { 0 };
	struct acme_plan plan;
	struct acme_flow *f;

	run_setup(&ca, "a.example.test");
	plan = run_plan(&ca);
	f = run_flow(&plan, &ca, bad_csr_cb);
	ck_assert_int_eq(acme_flow_result(f)->class, ACME_GIVE_UP);
	ck_assert_str_eq(acme_flow_result(f)->stage, "finalize");
	run_end(f, &ca);
}
END_TEST

/* ---- orders that are no more ---- */

static const struct acme_reply *
expired_cb(struct scripted_ca *ca, const struct acme_request *request)
{
	(void)ca;
	if (request->action == ACME_ACTION_NEW_ORDER)
		asked++;
	if (request->action != ACME_ACTION_ORDER || asked >= open_for)
		return NULL;
	return run_reply(200,
	    "{\"status\":\"invalid\",\"expires\":\"1970-01-01T01:10:00.5+01:00\","
	    "\"finalize\":\"" RUN_URL "/finalize\"}");
}

static const struct acme_reply *
gone_cb(struct scripted_ca *ca, const struct acme_request *request)
{
	(void)ca;
	if (request->action == ACME_ACTION_NEW_ORDER)
		asked++;
	if (request->action != ACME_ACTION_ORDER || asked >= open_for)
		return NULL;
	return run_reply(404,
	    "{\"type\":\"urn:ietf:params:acme:error:malformed\",\"detail\":\"what?\"}");
}

/* Anew once, and not for ever. */
START_TEST(an_order_that_is_no_more)
{
	static run_answer_fn *const answers[] = { expired_cb, gone_cb };

	for (size_t i = 0; i < 4; i++) {
		struct scripted_ca ca = { .order_polls = 1 };
		struct acme_plan plan;
		struct acme_flow *f;

		asked = 0;
		open_for = i < 2 ? 1 : 1000;
		run_setup(&ca, "a.example.test");
		plan = run_plan(&ca);
		plan.order_url = RUN_URL "/order";
		f = run_flow(&plan, &ca, answers[i % 2]);
		ck_assert_uint_eq(asked, 1);
		if (i < 2)
			ck_assert_ptr_nonnull(acme_flow_chain(f));
		else
			ck_assert_ptr_null(acme_flow_order_url(f));
		run_end(f, &ca);
	}
}
END_TEST

/* ---- orders that are elsewhere ---- */

static const char *location;

static const struct acme_reply *
location_cb(struct scripted_ca *ca, const struct acme_request *request)
{
	static struct acme_reply reply;

	if (request->action != ACME_ACTION_NEW_ORDER)
		return NULL;
	reply = *scripted_ca_answer(ca, request);
	reply.location = location;
	return &reply;
}

START_TEST(an_order_on_another_host)
{
	static const struct {
		const char *location;
		bool good;
	} cases[] = {
		{ "https://CA.test:8443/order", true },
		{ "https://other.test/order", true },
		{ "https://evil.test/order", false },
		{ "https://ca.test.evil.test/order", false },
		{ "https://ca.test@evil.test/order", false },
		{ "https://evil.test/https://ca.test/order", false },
		{ "https://evil.test?ca.test", false },
		{ "https://ca.tes/order", false },
		{ "http://ca.test/order", false },
		{ "/order", false },
	};
	static const char directory[] =
	    "{\"newNonce\":\"https://ca.test/n\",\"newAccount\":\"https://ca.test/a\","
	    "\"newOrder\":\"https://other.test/o\"}";

	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct scripted_ca ca = { 0 };
		const struct acme_account account = { .url = "https://ca.test/acct" };
		struct acme_session *session;
		struct acme_request request;
		struct acme_plan plan;
		struct acme_flow *f;

		run_setup(&ca, "a.example.test");
		ck_assert_int_eq(acme_session_new("https://ca.test/d", run_account_key,
				     &account, &session),
		    0);
		ck_assert_int_eq(acme_session_next(session, &request), ACME_SEND);
		acme_session_reply(session, run_reply(200, directory));
		ck_assert(acme_session_ready(session));
		location = cases[i].location;
		plan = run_plan(&ca);
		plan.session = session;
		ck_assert_int_eq(acme_flow_new(&plan, &f), 0);
		acme_session_free(session);
		ck_assert_int_eq(acme_flow_next(f, 1, &request), ACME_SEND);
		acme_flow_reply(f, 1, location_cb(&ca, &request));
		if (cases[i].good) {
			ck_assert_str_eq(acme_flow_order_url(f), location);
		} else {
			ck_assert_ptr_nonnull(acme_flow_result(f));
			ck_assert_ptr_null(acme_flow_order_url(f));
		}
		run_end(f, &ca);
	}
}
END_TEST

START_TEST(an_account_on_another_host)
{
	static const char *const locations[] = { "https://ca.test/acct/1",
		"https://evil.test/acct/1" };
	static const char directory[] =
	    "{\"newNonce\":\"https://ca.test/n\",\"newAccount\":\"https://ca.test/a\","
	    "\"newOrder\":\"https://ca.test/o\"}";

	for (size_t i = 0; i < ELEMENTS(locations); i++) {
		const struct acme_account account = { .accept_terms = true };
		struct scripted_ca ca = { 0 };
		struct acme_session *session;
		struct acme_request request;
		struct acme_reply reply;

		run_setup(&ca, "a.example.test");
		ck_assert_int_eq(acme_session_new("https://ca.test/d", run_account_key,
				     &account, &session),
		    0);
		ck_assert_int_eq(acme_session_next(session, &request), ACME_SEND);
		acme_session_reply(session, run_reply(200, directory));
		ck_assert_int_eq(acme_session_next(session, &request), ACME_SEND);
		ck_assert_int_eq(request.action, ACME_ACTION_ACCOUNT);
		reply = *run_reply(201, "{}");
		reply.location = locations[i];
		acme_session_reply(session, &reply);
		ck_assert(acme_session_ready(session) == (i == 0));
		if (i == 1)
			ck_assert_ptr_nonnull(
			    strstr(acme_session_result(session)->detail, locations[i]));
		acme_session_free(session);
		run_end(NULL, &ca);
	}
}
END_TEST

SUITE("flow_names", authorizations_in_any_number, all_that_fail_are_said,
    the_next_kind_is_tried, an_open_challenge_is_answered_again, a_bad_token_is_named,
    processing_is_resumed, any_retry_after, a_ca_that_contradicts_itself, bad_csr,
    an_order_that_is_no_more, an_order_on_another_host, an_account_on_another_host)
