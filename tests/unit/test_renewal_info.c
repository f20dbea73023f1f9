/*
 * test_renewal_info.c - renewal information (RFC 9773) as libacme has it: ids, URLs,
 * the object, and what a CA's refusal of "replaces" leads to.
 */
#include "acme.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "make_cert.h"
#include "scripted_ca.h"
#include "suite.h"

#define EXAMPLE_ID "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"

/* RFC 9773 appendix A */
static const char example[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt\n"
    "cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS\n"
    "BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu\n"
    "7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf\n"
    "qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B\n"
    "yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb\n"
    "+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK\n"
    "-----END CERTIFICATE-----\n";

/* ---- ids ---- */

static int
id_of(const char *pem, char **ret)
{
	struct acme_chain *chain;
	int r;

	ck_assert_int_eq(acme_chain_parse(pem, strlen(pem), &chain, NULL), 0);
	r = acme_chain_renewal_id(chain, ret);
	acme_chain_free(chain);
	return r;
}

START_TEST(id_of_the_example)
{
	char *id = NULL;

	ck_assert_int_eq(id_of(example, &id), 0);
	ck_assert_str_eq(id, EXAMPLE_ID);
	free(id);
}
END_TEST

/* An authority key identifier in DER, as the extension holds it. */
static int
add_aki(X509 *x, const unsigned char *der, int len)
{
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	X509_EXTENSION *e;
	int ok;

	ASN1_OCTET_STRING_set(value, der, len);
	e = X509_EXTENSION_create_by_NID(NULL, NID_authority_key_identifier, 0, value);
	ok = X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	ASN1_OCTET_STRING_free(value);
	return ok;
}

static int
with_short_aki(X509 *x)
{
	static const unsigned char der[] = { 0x30, 0x05, 0x80, 0x03, 0xc0, 0xff, 0xee };

	return add_aki(x, der, sizeof(der));
}

static int
with_empty_aki(X509 *x)
{
	static const unsigned char der[] = { 0x30, 0x00 };

	return add_aki(x, der, sizeof(der));
}

static int
with_broken_aki(X509 *x)
{
	static const unsigned char der[] = { 0x30, 0x09, 0x80 };

	return add_aki(x, der, sizeof(der));
}

static int
with_endless_aki(X509 *x)
{
	unsigned char der[4 + 100] = { 0x30, 102, 0x80, 100 };

	return add_aki(x, der, sizeof(der));
}

static const struct {
	int (*change)(X509 *x);
	const char *serial; /* hexadecimal */
	const char *id;     /* NULL: has none */
} ids[] = {
	{ with_short_aki, "1", "wP_u.AQ" },
	{ with_short_aki, "7f", "wP_u.fw" },
	{ with_short_aki, "80", "wP_u.AIA" }, /* the zero that keeps it positive */
	{ with_short_aki, "0087654321", "wP_u.AIdlQyE" },
	{ with_short_aki, "7fffffffffffffffffffffffffffffffffffffff",
	    "wP_u.f_________________________8" },
	{ with_empty_aki, "1", NULL },
	{ with_broken_aki, "1", NULL },
	{ with_endless_aki, "1", NULL },
	{ NULL, "1", NULL },
};

START_TEST(id_of_others)
{
	struct recipe recipe = { .subject = "a",
		.issuer = "b",
		.serial = ids[_i].serial,
		.key = EVP_EC_gen("P-256"),
		.change = ids[_i].change };
	char *id = NULL;
	char *pem;
	int r;

	recipe.issuer_key = recipe.key;
	pem = make_pem(&recipe);
	r = id_of(pem, &id);
	ck_assert_int_eq(r, ids[_i].id != NULL ? 0 : -ENOENT);
	if (r == 0)
		ck_assert_str_eq(id, ids[_i].id);
	free(id);
	free(pem);
	EVP_PKEY_free(recipe.key);
}
END_TEST

/* ---- where to ask ---- */

static const struct {
	const char *member; /* of the directory */
	const char *url;    /* NULL: can't be asked */
} directories[] = {
	{ "", NULL },
	{ "\"renewalInfo\":null,", NULL },
	{ "\"renewalInfo\":\"https://ca.test/ari\",",
	    "https://ca.test/ari/" EXAMPLE_ID },
	{ "\"renewalInfo\":\"https://ca.test/ari/\",",
	    "https://ca.test/ari/" EXAMPLE_ID },
};

START_TEST(asked_where_the_directory_says)
{
	struct acme_account account = { .accept_terms = true };
	struct acme_reply reply = { .status = 200 };
	struct acme_exchange *x;
	struct acme_message message;
	struct acme_request request;
	struct acme_session *s;
	struct acme_key *key;
	char *text = NULL;
	char *url = NULL;
	int r;

	ck_assert_int_eq(acme_key_generate(ACME_KEY_ECDSA_P256, &key), 0);
	ck_assert_int_eq(acme_session_new("https://ca.test/dir", key, &account, &s), 0);
	ck_assert_int_eq(acme_session_renewal_info_url(s, EXAMPLE_ID, &url), -ENOTSUP);
	ck_assert_int_gt(
	    asprintf(&text,
		"{%s\"newNonce\":\"https://ca.test/n\",\"newAccount\":\"https://ca.test/a\","
		"\"newOrder\":\"https://ca.test/o\"}",
		directories[_i].member),
	    0);
	reply.body = text;
	reply.body_len = strlen(text);
	ck_assert_int_eq(acme_session_next(s, &request), ACME_SEND);
	acme_session_reply(s, &reply);
	r = acme_session_renewal_info_url(s, EXAMPLE_ID, &url);
	ck_assert_int_eq(r, directories[_i].url != NULL ? 0 : -ENOTSUP);
	if (r == 0) {
		ck_assert_str_eq(url, directories[_i].url);
		request = (struct acme_request){ .action = ACME_ACTION_RENEWAL_INFO,
			.url = url };
		ck_assert_int_eq(acme_exchange_new(s, &request, &x), 0);
		ck_assert_int_eq(acme_exchange_next(x, &message), ACME_SEND);
		ck_assert_str_eq(message.method, "GET");
		ck_assert_str_eq(message.url, url);
		ck_assert_ptr_null(message.body);
		acme_exchange_free(x);
	}
	free(url);
	free(text);
	acme_session_free(s);
	acme_key_free(key);
}
END_TEST

/* ---- the object ---- */

#define WINDOW(start, end) \
  "{\"suggestedWindow\":{\"start\":\"" start "\",\"end\":\"" end "\"}"

static const struct {
	const char *text;
	int64_t start; /* 0: refused */
	int64_t end;
	const char *explanation;
} objects[] = {
	/* RFC 9773 section 4.2 */
	{ WINDOW("2021-01-03T00:00:00Z",
	      "2021-01-07T00:00:00Z") ",\"explanationURL\":\"https://example.com/docs/ari\"}",
	    1609632000, 1609977600, "https://example.com/docs/ari" },
	{ WINDOW("2021-01-03T00:00:00.123456789Z", "2021-01-07T02:00:00.9+02:00") "}",
	    1609632000, 1609977600, NULL },
	{ WINDOW("2021-01-02T19:00:00-05:00", "2021-01-03T00:00:01Z") ",\"x\":[1]}",
	    1609632000, 1609632001, NULL },
	{ WINDOW("2021-01-03T00:00:00Z", "9999-12-31T23:59:59Z") "}", 1609632000,
	    253402300799, NULL },
	/* an explanation that is none isn't passed on; the window counts */
	{ WINDOW(
	      "2021-01-03T00:00:00Z", "2021-01-07T00:00:00Z") ",\"explanationURL\":7}",
	    1609632000, 1609977600, NULL },
	{ WINDOW("2021-01-03T00:00:00Z",
	      "2021-01-07T00:00:00Z") ",\"explanationURL\":\"javascript:x\"}",
	    1609632000, 1609977600, NULL },
	{ WINDOW("2021-01-03T00:00:00Z",
	      "2021-01-07T00:00:00Z") ",\"explanationURL\":\"https://a/\\u001b[2J\"}",
	    1609632000, 1609977600, NULL },
	{ WINDOW("2021-01-03T00:00:00Z",
	      "2021-01-07T00:00:00Z") ",\"explanationURL\":\"http://plain.example/\"}",
	    1609632000, 1609977600, "http://plain.example/" },
	/* no window */
	{ WINDOW("2021-01-03T00:00:00Z", "2021-01-03T00:00:00Z") "}", 0, 0, NULL },
	{ WINDOW("2021-01-03T00:00:00.1Z", "2021-01-03T00:00:00.9Z") "}", 0, 0, NULL },
	{ WINDOW("2021-01-07T00:00:00Z", "2021-01-03T00:00:00Z") "}", 0, 0, NULL },
	{ WINDOW("1969-01-03T00:00:00Z", "2021-01-03T00:00:00Z") "}", 0, 0, NULL },
	{ WINDOW("1970-01-01T00:00:00Z", "2021-01-03T00:00:00Z") "}", 0, 0, NULL },
	{ WINDOW("2021-01-03", "2021-01-07") "}", 0, 0, NULL },
	{ WINDOW("2021-02-30T00:00:00Z", "2021-03-07T00:00:00Z") "}", 0, 0, NULL },
	{ WINDOW("2021-01-03T00:00:00", "2021-01-07T00:00:00") "}", 0, 0, NULL },
	{ WINDOW("12021-01-03T00:00:00Z", "12021-01-07T00:00:00Z") "}", 0, 0, NULL },
	{ "{\"suggestedWindow\":{\"start\":1609632000,\"end\":1609977600}}", 0, 0,
	    NULL },
	{ "{\"suggestedWindow\":{\"start\":\"2021-01-03T00:00:00Z\"}}", 0, 0, NULL },
	{ "{\"suggestedWindow\":[]}", 0, 0, NULL },
	{ "{\"suggestedWindow\":null}", 0, 0, NULL },
	{ "{}", 0, 0, NULL },
	{ "[]", 0, 0, NULL },
	{ "", 0, 0, NULL },
	{ "not JSON at all", 0, 0, NULL },
	{ WINDOW("2021-01-03T00:00:00Z", "2021-01-07T00:00:00Z"), 0, 0, NULL },
};

START_TEST(objects_are_read)
{
	struct acme_renewal_info *info = NULL;
	const char *text = objects[_i].text;
	int r = acme_renewal_info_parse(text, strlen(text), &info);

	if (objects[_i].start == 0) {
		ck_assert_int_eq(r, -EBADMSG);
		ck_assert_ptr_null(info);
		return;
	}
	ck_assert_int_eq(r, 0);
	ck_assert_int_eq(info->start, objects[_i].start);
	ck_assert_int_eq(info->end, objects[_i].end);
	ck_assert_pstr_eq(info->explanation_url, objects[_i].explanation);
	acme_renewal_info_free(info);
}
END_TEST

/* ---- what an order replaces (RFC 9773 section 5) ---- */

static const struct {
	const char *error;
	int status; /* 0: not refused */
	bool again; /* is newOrder sent once more, without it? */
} refusals[] = {
	{ NULL, 0, false },
	{ "alreadyReplaced", 409, true },
	{ "conflict", 409, true },
	{ "malformed", 400, true },
	{ "malformed", 404, true },
	{ "unauthorized", 403, true },
	{ "serverInternal", 500, true },
	{ "somethingNew", 409, true },
	{ NULL, 409, true },
	{ NULL, 404, true },
	{ NULL, 500, true },
	{ "rateLimited", 429, false },
	{ "userActionRequired", 403, false },
	{ "accountDoesNotExist", 400, false },
	{ "badNonce", 400, false },
	{ "rejectedIdentifier", 400, false },
	{ "caa", 403, false },
	{ "invalidProfile", 400, false },
	{ "externalAccountRequired", 403, false },
	{ NULL, 429, false },
	{ NULL, 503, false },
};

struct scene {
	struct scripted_ca ca;
	struct acme_key *account_key;
	struct acme_key *key;
	struct acme_flow *flow;
};

static void
begin(struct scene *s)
{
	struct acme_plan plan = { .challenges = "http-01", .replaces = EXAMPLE_ID };

	ck_assert_int_eq(acme_key_generate(ACME_KEY_ECDSA_P256, &s->account_key), 0);
	ck_assert_int_eq(acme_key_generate(ACME_KEY_ECDSA_P256, &s->key), 0);
	ck_assert_int_eq(
	    acme_identifier_parse("a.example.test", &s->ca.names[0], NULL), 0);
	s->ca.name_count = 1;
	s->ca.sync = true;
	plan.identifiers = s->ca.names;
	plan.identifier_count = 1;
	plan.account_key = s->account_key;
	plan.key = s->key;
	ck_assert_int_eq(acme_flow_new(&plan, &s->flow), 0);
}

static void
end(struct scene *s)
{
	acme_flow_free(s->flow);
	scripted_ca_clear(&s->ca);
	acme_key_free(s->account_key);
	acme_key_free(s->key);
}

static void
run(struct scene *s)
{
	struct acme_request request;
	int64_t now = 1;

	for (int i = 0; i < 50; i++) {
		switch (acme_flow_next(s->flow, now, &request)) {
		case ACME_SEND:
			acme_flow_reply(
			    s->flow, now, scripted_ca_answer(&s->ca, &request));
			break;
		case ACME_WAIT:
			now = acme_flow_wait_until(s->flow);
			break;
		case ACME_FINISHED:
			return;
		}
	}
	ck_abort_msg("no end");
}

START_TEST(replaces_is_dropped_once)
{
	bool refused = refusals[_i].status != 0;
	bool issued = !refused || refusals[_i].again;
	struct scene s = { .ca = { .refuse = refusals[_i].error,
			       .refuse_status = refusals[_i].status } };

	begin(&s);
	run(&s);
	ck_assert_uint_eq(s.ca.refused, refused ? 1 : 0);
	ck_assert_uint_eq(s.ca.orders, issued ? 1 : 0);
	ck_assert_uint_eq(s.ca.replacing, refused ? 0 : 1);
	ck_assert(issued == (acme_flow_chain(s.flow) != NULL));
	ck_assert((refused && issued) == (acme_flow_not_replaced(s.flow) != NULL));
	if (!issued)
		ck_assert_int_eq(acme_flow_result(s.flow)->status, refusals[_i].status);
	else if (refused)
		ck_assert_int_eq(
		    acme_flow_not_replaced(s.flow)->status, refusals[_i].status);
	end(&s);
}
END_TEST

/* A refusal that has nothing to do with it is told as it is, after one try without. */
START_TEST(replaces_isnt_dropped_twice)
{
	static const struct acme_reply refusal = { .status = 500, .received_at = 1000 };
	struct acme_request request;
	struct scene s = { 0 };

	begin(&s);
	ck_assert_int_eq(acme_flow_next(s.flow, 1, &request), ACME_SEND);
	ck_assert_ptr_nonnull(
	    strstr(request.payload, "\"replaces\":\"" EXAMPLE_ID "\""));
	acme_flow_reply(s.flow, 1, &refusal);
	ck_assert_int_eq(acme_flow_next(s.flow, 1, &request), ACME_SEND);
	ck_assert_int_eq(request.action, ACME_ACTION_NEW_ORDER);
	ck_assert_ptr_null(strstr(request.payload, "replaces"));
	acme_flow_reply(s.flow, 1, &refusal);
	ck_assert_int_eq(acme_flow_next(s.flow, 1, &request), ACME_FINISHED);
	ck_assert_int_eq(acme_flow_result(s.flow)->status, 500);
	end(&s);
}
END_TEST

/* Nor before the CA wants to hear of it again; for longer than a flow waits, another
 * attempt comes. */
START_TEST(replaces_is_dropped_in_time)
{
	struct acme_reply refusal = {
		.status = 500, .received_at = 1000, .retry_after = "60"
	};
	struct acme_request request;
	struct scene s = { 0 };

	begin(&s);
	ck_assert_int_eq(acme_flow_next(s.flow, 1, &request), ACME_SEND);
	acme_flow_reply(s.flow, 1, &refusal);
	ck_assert_int_eq(acme_flow_next(s.flow, 60000, &request), ACME_WAIT);
	ck_assert_int_eq(acme_flow_wait_until(s.flow), 60001);
	ck_assert_int_eq(acme_flow_next(s.flow, 60001, &request), ACME_SEND);
	ck_assert_ptr_null(strstr(request.payload, "replaces"));
	end(&s);
	begin(&s);
	refusal.retry_after = "3600";
	ck_assert_int_eq(acme_flow_next(s.flow, 1, &request), ACME_SEND);
	acme_flow_reply(s.flow, 1, &refusal);
	ck_assert_int_eq(acme_flow_next(s.flow, 1, &request), ACME_FINISHED);
	ck_assert_int_eq(acme_flow_result(s.flow)->not_before, 4600);
	end(&s);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("renewal_info");
	TCase *tcase = tcase_create("renewal_info");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, id_of_the_example);
	tcase_add_loop_test(tcase, id_of_others, 0, ELEMENTS(ids));
	tcase_add_loop_test(
	    tcase, asked_where_the_directory_says, 0, ELEMENTS(directories));
	tcase_add_loop_test(tcase, objects_are_read, 0, ELEMENTS(objects));
	tcase_add_loop_test(tcase, replaces_is_dropped_once, 0, ELEMENTS(refusals));
	tcase_add_test(tcase, replaces_isnt_dropped_twice);
	tcase_add_test(tcase, replaces_is_dropped_in_time);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
