/*
 * test_wire.c - RFC 8555's objects as CAs send them: whole, odd, and hostile.
 */
#include "wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "result.h"
#include "suite.h"

static int
read_order(const char *text, struct wire_order **ret)
{
	return wire_order_read(text, strlen(text), ret);
}

static int
read_authz(const char *text, struct wire_authz **ret)
{
	return wire_authz_read(text, strlen(text), ret);
}

START_TEST(urls)
{
	char longest[WIRE_URL_MAX + 2];

	memset(longest, 'a', sizeof(longest) - 1);
	memcpy(longest, "https://", 8);
	longest[WIRE_URL_MAX + 1] = '\0';
	ck_assert(!wire_url_ok(longest));
	longest[WIRE_URL_MAX] = '\0';
	ck_assert(wire_url_ok(longest));
	ck_assert(wire_url_ok("https://ca.test/a?b=c"));
	ck_assert(!wire_url_ok("http://ca.test/"));
	ck_assert(!wire_url_ok("https:///path"));
	ck_assert(!wire_url_ok("https://"));
	ck_assert(!wire_url_ok("https://a\r\nHost: b"));
	ck_assert(!wire_url_ok("https://ca.test/\xc3\xa4"));
	ck_assert(!wire_url_ok("file:///etc/passwd"));
}
END_TEST

START_TEST(order_example)
{
	/* RFC 8555 section 7.1.3 */
	static const char text[] =
	    "{\"status\":\"valid\",\"expires\":\"2016-01-20T14:09:07.99Z\",\"identifiers\":["
	    "{\"type\":\"dns\",\"value\":\"www.example.org\"},"
	    "{\"type\":\"dns\",\"value\":\"example.org\"}],"
	    "\"notBefore\":\"2016-01-01T00:00:00Z\",\"authorizations\":["
	    "\"https://example.com/acme/authz/PAniVnsZcis\","
	    "\"https://example.com/acme/authz/r4HqLzrSrpI\"],"
	    "\"finalize\":\"https://example.com/acme/order/TOlocE8rfgo/finalize\","
	    "\"certificate\":\"https://example.com/acme/cert/jWCdfHVGY2M\"}";
	struct wire_order *o;

	ck_assert_int_eq(read_order(text, &o), 0);
	ck_assert_int_eq(o->status, WIRE_VALID);
	ck_assert_uint_eq(o->authorization_count, 2);
	ck_assert_str_eq(
	    o->authorizations[1], "https://example.com/acme/authz/r4HqLzrSrpI");
	ck_assert_str_eq(o->certificate, "https://example.com/acme/cert/jWCdfHVGY2M");
	ck_assert_ptr_null(o->error);
	wire_order_free(o);
}
END_TEST

START_TEST(bad_orders)
{
	static const char *const texts[] = { "", "7", "[]", "{}", "{\"status\":7}",
		"{\"status\":\"dreaming\"}",
		"{\"status\":\"ready\",\"finalize\":\"http://x/\"}",
		"{\"status\":\"ready\",\"finalize\":{}}",
		"{\"status\":\"pending\",\"authorizations\":[7]}",
		"{\"status\":\"pending\",\"authorizations\":[\"ftp://x/\"]}",
		"{\"status\":\"ready\"} trailing" };
	struct wire_order *o;

	for (size_t i = 0; i < ELEMENTS(texts); i++)
		ck_assert_int_eq(read_order(texts[i], &o), -EBADMSG);
}
END_TEST

/* Every beginning of a good object is refused, and none leaks or crashes. */
START_TEST(truncated_objects)
{
	static const char text[] =
	    "{\"status\":\"pending\",\"identifier\":{\"type\":\"dns\",\"value\":\"a.test\"},"
	    "\"challenges\":[{\"type\":\"http-01\",\"url\":\"https://x/1\",\"token\":\"t\"}]}";
	struct wire_authz *a;

	for (size_t len = 0; len < strlen(text); len++)
		ck_assert_int_lt(wire_authz_read(text, len, &a), 0);
	ck_assert_int_eq(read_authz(text, &a), 0);
	ck_assert_uint_eq(a->challenge_count, 1);
	wire_authz_free(a);
}
END_TEST

START_TEST(odd_challenges_are_passed_over)
{
	static const char text[] =
	    "{\"status\":\"pending\",\"wildcard\":true,\"x\":null,"
	    "\"identifier\":{\"type\":\"dns\",\"value\":\"A.Test.\"},\"challenges\":["
	    "{\"type\":\"dns-persist-01\",\"url\":\"https://x/0\",\"accounturi\":\"u\"},"
	    "{\"type\":\"http-01\",\"url\":\"https://x/1\",\"token\":\"../x\"},"
	    "{\"type\":\"http-01\",\"url\":\"http://x/2\",\"token\":\"t\"},"
	    "{\"type\":7,\"url\":\"https://x/3\",\"token\":\"t\"},"
	    "\"nonsense\", null, [], "
	    "{\"type\":\"tls-alpn-01\",\"url\":\"https://x/4\",\"token\":\"t_-9\","
	    "\"status\":\"invalid\",\"error\":{\"detail\":\"a\\nb\"}}]}";
	struct wire_authz *a;

	ck_assert_int_eq(read_authz(text, &a), 0);
	ck_assert(a->wildcard);
	ck_assert_str_eq(a->identifier.value, "a.test");
	ck_assert_uint_eq(a->challenge_count, 1);
	ck_assert_str_eq(a->challenges[0].type, "tls-alpn-01");
	ck_assert_int_eq(a->challenges[0].status, WIRE_INVALID);
	ck_assert_str_eq(a->challenges[0].error->detail, "a b"); /* one line */
	wire_authz_free(a);
}
END_TEST

static size_t
count_challenges(const char *challenge, struct wire_authz **ret)
{
	char text[2000];

	snprintf(text, sizeof(text),
	    "{\"status\":\"pending\",\"identifier\":{\"type\":\"dns\",\"value\":"
	    "\"example.com\"},\"challenges\":[{\"type\":\"dns-persist-01\","
	    "\"url\":\"https://ca.example/acme/authz/1234/0\",%s}]}",
	    challenge);
	ck_assert_int_eq(read_authz(text, ret), 0);
	return (*ret)->challenge_count;
}

/* draft-ietf-acme-dns-persist section 3.1: names of the CA in place of a token, 1 to 10
 * of them; "issuer-domain-names" until -01. */
START_TEST(issuers_in_place_of_a_token)
{
	static const char *const good[] = {
		"\"issuerDomainNames\":[\"authority.example\",\"ca.example.net\"]",
		"\"issuer-domain-names\":[\"authority.example\",\"ca.example.net\"]",
	};
	static const char *const bad[] = {
		"\"token\":\"abc\"",
		"\"issuerDomainNames\":[]",
		"\"issuerDomainNames\":\"authority.example\"",
		"\"issuerDomainNames\":[\"Authority.example\"]",
		"\"issuerDomainNames\":[\"authority.example.\"]",
		"\"issuerDomainNames\":[\"authority.example\",7]",
		"\"issuerDomainNames\":[\"a;b\"]",
		("\"issuerDomainNames\":[\"a.b\",\"b.b\",\"c.b\",\"d.b\",\"e.b\",\"f.b\","
		 "\"g.b\",\"h.b\",\"i.b\",\"j.b\",\"k.b\"]"),
	};
	struct wire_authz *a;

	for (size_t i = 0; i < ELEMENTS(good); i++) {
		ck_assert_uint_eq(count_challenges(good[i], &a), 1);
		ck_assert_ptr_null(a->challenges[0].token);
		ck_assert_uint_eq(a->challenges[0].issuer_count, 2);
		ck_assert_str_eq(a->challenges[0].issuers[1], "ca.example.net");
		wire_authz_free(a);
	}
	for (size_t i = 0; i < ELEMENTS(bad); i++) {
		ck_assert_uint_eq(count_challenges(bad[i], &a), 0);
		wire_authz_free(a);
	}
}
END_TEST

START_TEST(unknown_identifier_types_are_told)
{
	static const char text[] =
	    "{\"status\":\"valid\",\"identifier\":{\"type\":\"email\",\"value\":\"a@b\"}}";
	struct wire_authz *a;

	ck_assert_int_eq(read_authz(text, &a), 0);
	ck_assert_int_eq(a->identifier.type, 0);
	wire_authz_free(a);
}
END_TEST

START_TEST(problems)
{
	static const char text[] =
	    "{\"type\":\"urn:ietf:params:acme:error:malformed\","
	    "\"detail\":\"Some of the identifiers requested were rejected\","
	    "\"instance\":\"https://example.com/e/1\",\"subproblems\":["
	    "{\"type\":\"urn:ietf:params:acme:error:rejectedIdentifier\","
	    "\"detail\":\"no \\u001b[31m\",\"identifier\":"
	    "{\"type\":\"dns\",\"value\":\"_example.org\"}},{}]}";
	const struct acme_reply reply = {
		.status = 403, .body = text, .body_len = strlen(text)
	};
	struct acme_result *result = wire_problem_read(&reply, "order");

	ck_assert_str_eq(result->stage, "order");
	ck_assert(acme_result_is(result, "malformed"));
	ck_assert_int_eq(result->status, 403);
	ck_assert_str_eq(result->instance, "https://example.com/e/1");
	ck_assert_uint_eq(result->subproblem_count, 2);
	ck_assert_str_eq(result->subproblems[0].identifier, "_example.org");
	ck_assert_str_eq(result->subproblems[0].detail, "no  [31m"); /* no escapes */
	ck_assert_str_eq(result->subproblems[1].identifier, "");
	acme_result_free(result);
}
END_TEST

START_TEST(what_is_no_problem_document)
{
	static const struct {
		struct acme_reply reply;
		const char *says;
	} cases[] = {
		{ { .status = 0, .error = "refused" },
		    "no answer from the CA: refused" },
		{ { .status = 502, .body = "<html>", .body_len = 6 },
		    "the CA answers HTTP 502" },
		{ { .status = 200, .body = "{}", .body_len = 2 },
		    "the CA's answer makes no sense (HTTP 200)" },
		{ { .status = 404, .body = "{}", .body_len = 2 },
		    "the CA gave no explanation" },
	};

	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct acme_result *result = wire_problem_read(&cases[i].reply, "x");

		ck_assert_str_eq(result->detail, cases[i].says);
		acme_result_free(result);
	}
}
END_TEST

/* 1,000 bytes of detail and no half of a character at the cut. */
START_TEST(long_details_are_cut)
{
	char text[3001];
	char *line;
	size_t len;

	for (size_t i = 0; i < 3000; i += 3)
		memcpy(text + i, "\xe2\x82\xac", 3);
	text[3000] = '\0';
	line = result_line(text);
	len = strlen(line);
	ck_assert_uint_le(len, 1000);
	ck_assert_uint_gt(len, 990);
	ck_assert_uint_eq(len % 3, 0);
	free(line);
	line = result_line("short \xe2\x82\xac");
	ck_assert_str_eq(line, "short \xe2\x82\xac");
	free(line);
}
END_TEST

START_TEST(retry_after)
{
	static const struct {
		const char *text;
		const char *date;
		int64_t at;
	} cases[] = {
		{ "0", NULL, 1000 },
		{ "120", NULL, 1120 },
		{ "999999999999999999999", NULL, 1000 + INT64_C(366) * 86400 },
		{ "-5", NULL, 0 },
		{ "", NULL, 0 },
		{ "tomorrow", NULL, 0 },
		{ "12 apples", NULL, 0 },
		{ "Thu, 01 Jan 1970 00:20:00 GMT", NULL, 1200 },
		/* the CA's clock is ahead by 10 minutes: it is the difference that
		   counts */
		{ "Thu, 01 Jan 1970 00:27:40 GMT", "Thu, 01 Jan 1970 00:26:40 GMT",
		    1060 },
		{ "Thu, 01 Jan 1970 00:00:00 GMT", NULL, 1000 },
	};

	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct acme_reply reply = { .status = 429,
			.retry_after = cases[i].text,
			.date = cases[i].date,
			.received_at = 1000 };

		ck_assert_int_eq(acme_retry_at(&reply), cases[i].at);
	}
}
END_TEST

/* The words of Let's Encrypt, at 1970-01-01 00:16:40. */
START_TEST(limits_in_words)
{
	static const struct {
		const char *detail;
		const char *retry_after;
		int64_t at;
		enum acme_scope scope;
		const char *name;
		enum acme_class class;
	} cases[] = {
		{ "too many new orders (300) from this account in the last 3h0m0s, retry "
		  "after 1970-01-01 00:18:15 UTC: see "
		  "https://letsencrypt.org/docs/rate-limits/#new-orders-per-account",
		    NULL, 1095, ACME_SCOPE_UNKNOWN, NULL, ACME_LATER },
		{ "too many new registrations (10) from this IP address in the last "
		  "3h0m0s, retry after 1970-01-01 00:18:15 UTC: see https://x",
		    "10", 1095, ACME_SCOPE_UNKNOWN, NULL, ACME_LATER },
		{ "too many certificates (50) already issued for \\\"example.com\\\" "
		  "in the last 168h0m0s, retry after 1970-01-01T00:18:15Z: see https://x",
		    "200", 1200, ACME_SCOPE_DOMAIN, "example.com", ACME_LATER },
		{ "too many certificates (5) already issued for this exact set of "
		  "identifiers in the last 168h0m0s, retry after 1970-01-02 00:00:00 "
		  "UTC: see https://x",
		    NULL, 86400, ACME_SCOPE_NAMES, NULL, ACME_LATER },
		{ "too many failed authorizations (5) for \\\"a.example.com\\\" in the "
		  "last 1h0m0s, retry after 1970-01-01 00:18:15.5 UTC: see https://x",
		    NULL, 1096, ACME_SCOPE_IDENTIFIER, "a.example.com", ACME_LATER },
		{ "Your account is temporarily prevented from requesting certificates "
		  "for a.example and possibly others. Please visit: https://x/unpause",
		    NULL, 0, ACME_SCOPE_UNKNOWN, NULL, ACME_GIVE_UP },
		{ "Service busy; retry later.", "60", 1060, ACME_SCOPE_UNKNOWN, NULL,
		    ACME_LATER },
		{ "retry after 1969-12-31 00:18:15 UTC", NULL, 0, ACME_SCOPE_UNKNOWN,
		    NULL, ACME_LATER },
		{ "retry after 9999-12-31 00:18:15 UTC", NULL,
		    1000 + INT64_C(366) * 86400, ACME_SCOPE_UNKNOWN, NULL, ACME_LATER },
		{ "retry after 1970-13-41 99:18:15 UTC", NULL, 0, ACME_SCOPE_UNKNOWN,
		    NULL, ACME_LATER },
		{ "too many for \\\"../../etc\\\", retry after soon", NULL, 0,
		    ACME_SCOPE_UNKNOWN, NULL, ACME_LATER },
	};

	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		char body[600];
		struct acme_reply reply = { .status = 429,
			.retry_after = cases[i].retry_after,
			.received_at = 1000,
			.body = body };
		struct acme_result *r;

		reply.body_len = (size_t)snprintf(body, sizeof(body),
		    "{\"type\":\"urn:ietf:params:acme:error:rateLimited\","
		    "\"detail\":\"%s\"}",
		    cases[i].detail);
		r = wire_problem_read(&reply, "order");
		ck_assert_ptr_nonnull(r);
		ck_assert_int_eq(r->not_before, cases[i].at);
		ck_assert_int_eq(r->scope, cases[i].scope);
		ck_assert_int_eq(r->class, cases[i].class);
		if (cases[i].name != NULL)
			ck_assert_str_eq(r->scope_name, cases[i].name);
		else
			ck_assert_ptr_null(r->scope_name);
		acme_result_free(r);
	}
}
END_TEST

START_TEST(what_is_written)
{
	struct acme_identifier identifiers[2];
	struct wire_new_order order = { .identifiers = identifiers,
		.identifier_count = 2 };
	char *text;

	acme_identifier_parse("Example.ORG", &identifiers[0], NULL);
	acme_identifier_parse("2001:DB8::0:1", &identifiers[1], NULL);
	ck_assert_int_eq(wire_order_write(&order, &text), 0);
	ck_assert_str_eq(text,
	    "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"example.org\"},"
	    "{\"type\":\"ip\",\"value\":\"2001:db8::1\"}]}");
	free(text);
	order = (struct wire_new_order){ .identifiers = identifiers,
		.identifier_count = 1,
		.profile = "shortlived",
		.replaces = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE",
		.not_after = 1767225600 };
	ck_assert_int_eq(wire_order_write(&order, &text), 0);
	ck_assert_str_eq(text,
	    "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"example.org\"}],"
	    "\"profile\":\"shortlived\","
	    "\"replaces\":\"aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE\","
	    "\"notAfter\":\"2026-01-01T00:00:00Z\"}");
	free(text);
	ck_assert_int_eq(wire_account_write(NULL, false, NULL, &text), 0);
	ck_assert_str_eq(text, "{}");
	free(text);
}
END_TEST

SUITE("wire", urls, order_example, bad_orders, truncated_objects,
    odd_challenges_are_passed_over, issuers_in_place_of_a_token,
    unknown_identifier_types_are_told, problems, what_is_no_problem_document,
    long_details_are_cut, retry_after, limits_in_words, what_is_written)
