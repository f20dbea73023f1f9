/*
 * test_examples.c - what RFCs print, word for word: signatures of RFC 7515, objects of
 * RFC 8555; and that all enums have names. Thumbprints, ES256 and HS256 are in
 * test_key.c and test_jws.c.
 */
#include "acme.h"

#include <string.h>

#include "base64url.h"
#include "key.h"
#include "rfc_keys.h"
#include "suite.h"
#include "wire.h"

/* RFC 7515 appendix A.2: RS256 gives the same signature every time. */
START_TEST(rs256)
{
	static const char input[] =
	    "eyJhbGciOiJSUzI1NiJ9."
	    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
	    "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
	static const char expected[] =
	    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7"
	    "AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4"
	    "BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K"
	    "0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqv"
	    "hJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrB"
	    "p0igcN_IoypGlUPQGe77Rw";
	unsigned char *signature;
	struct acme_key *key;
	size_t len;
	char *text;

	ck_assert_int_eq(
	    acme_key_from_pem(rs256_example, strlen(rs256_example), &key), 0);
	ck_assert_int_eq(key_sign(key, input, strlen(input), &signature, &len), 0);
	ck_assert_int_eq(base64url_encode(signature, len, &text), 0);
	ck_assert_str_eq(text, expected);
	free(text);
	free(signature);
	acme_key_free(key);
}
END_TEST

/* RFC 8555 section 7.1.1, and what dns-persist-01 adds to it */
START_TEST(directory)
{
	static const char text[] =
	    "{ \"newNonce\": \"https://example.com/acme/new-nonce\","
	    " \"newAccount\": \"https://example.com/acme/new-account\","
	    " \"newOrder\": \"https://example.com/acme/new-order\","
	    " \"newAuthz\": \"https://example.com/acme/new-authz\","
	    " \"revokeCert\": \"https://example.com/acme/revoke-cert\","
	    " \"keyChange\": \"https://example.com/acme/key-change\","
	    " \"meta\": {"
	    " \"termsOfService\": \"https://example.com/acme/terms/2017-5-30\","
	    " \"website\": \"https://www.example.com/\","
	    " \"caaIdentities\": [\"example.com\"],"
	    " \"accountHashPrefix\": \"https://ca.example/account-hash/\","
	    " \"externalAccountRequired\": false } }";
	struct wire_directory *d;

	ck_assert_int_eq(wire_directory_read(text, strlen(text), &d), 0);
	ck_assert_str_eq(d->new_nonce, "https://example.com/acme/new-nonce");
	ck_assert_str_eq(d->new_account, "https://example.com/acme/new-account");
	ck_assert_str_eq(d->new_order, "https://example.com/acme/new-order");
	ck_assert_str_eq(d->revoke_cert, "https://example.com/acme/revoke-cert");
	ck_assert_str_eq(d->key_change, "https://example.com/acme/key-change");
	ck_assert_ptr_null(d->renewal_info);
	ck_assert_str_eq(d->terms, "https://example.com/acme/terms/2017-5-30");
	ck_assert_str_eq(d->account_hash_prefix, "https://ca.example/account-hash/");
	ck_assert(!d->eab_required);
	wire_directory_free(d);
}
END_TEST

/* RFC 8555 section 7.1.4 */
START_TEST(authorization)
{
	static const char text[] =
	    "{ \"status\": \"valid\", \"expires\": \"2015-03-01T14:09:07.99Z\","
	    " \"identifier\": { \"type\": \"dns\", \"value\": \"www.example.org\" },"
	    " \"challenges\": [ {"
	    " \"url\": \"https://example.com/acme/chall/prV_B7yEyA4\","
	    " \"type\": \"http-01\", \"status\": \"valid\","
	    " \"token\": \"DGyRejmCefe7v4NfDGDKfA\","
	    " \"validated\": \"2014-12-01T12:05:58.16Z\" } ],"
	    " \"wildcard\": false }";
	struct wire_authz *a;

	ck_assert_int_eq(wire_authz_read(text, strlen(text), &a), 0);
	ck_assert_int_eq(a->status, WIRE_VALID);
	ck_assert_int_eq(a->identifier.type, ACME_IDENTIFIER_DNS);
	ck_assert_str_eq(a->identifier.value, "www.example.org");
	ck_assert(!a->wildcard);
	ck_assert_uint_eq(a->challenge_count, 1);
	ck_assert_str_eq(
	    a->challenges[0].url, "https://example.com/acme/chall/prV_B7yEyA4");
	ck_assert_str_eq(a->challenges[0].type, "http-01");
	ck_assert_str_eq(a->challenges[0].token, "DGyRejmCefe7v4NfDGDKfA");
	ck_assert_int_eq(a->challenges[0].status, WIRE_VALID);
	wire_authz_free(a);
}
END_TEST

/* RFC 8555 section 6.7.1 */
START_TEST(subproblems)
{
	static const char text[] =
	    "{ \"type\": \"urn:ietf:params:acme:error:malformed\","
	    " \"detail\": \"Some of the identifiers requested were rejected\","
	    " \"subproblems\": [ {"
	    " \"type\": \"urn:ietf:params:acme:error:malformed\","
	    " \"detail\": \"Invalid underscore in DNS name \\\"_example.org\\\"\","
	    " \"identifier\": { \"type\": \"dns\", \"value\": \"_example.org\" } }, {"
	    " \"type\": \"urn:ietf:params:acme:error:rejectedIdentifier\","
	    " \"detail\": \"This CA will not issue for \\\"example.net\\\"\","
	    " \"identifier\": { \"type\": \"dns\", \"value\": \"example.net\" } } ] }";
	const struct acme_reply reply = {
		.status = 403, .body = text, .body_len = strlen(text)
	};
	struct acme_result *r = acme_reply_result(&reply, "order");

	ck_assert(acme_result_is(r, "malformed"));
	ck_assert_str_eq(r->detail, "Some of the identifiers requested were rejected");
	ck_assert_int_eq(r->status, 403);
	ck_assert_uint_eq(r->subproblem_count, 2);
	ck_assert_str_eq(r->subproblems[0].identifier, "_example.org");
	ck_assert_str_eq(
	    r->subproblems[1].detail, "This CA will not issue for \"example.net\"");
	ck_assert_str_eq(
	    r->subproblems[1].type, "urn:ietf:params:acme:error:rejectedIdentifier");
	acme_result_free(r);
}
END_TEST

START_TEST(names)
{
	ck_assert_str_eq(acme_class_name(ACME_RETRY), "retry");
	ck_assert_str_eq(acme_class_name(ACME_LATER), "later");
	ck_assert_str_eq(acme_class_name(ACME_GIVE_UP), "give-up");
	ck_assert_str_eq(acme_action_name(ACME_ACTION_DIRECTORY), "directory");
	ck_assert_str_eq(acme_action_name(ACME_ACTION_RENEWAL_INFO), "renewalInfo");
	for (int i = ACME_ACTION_DIRECTORY; i <= ACME_ACTION_RENEWAL_INFO; i++)
		ck_assert_str_ne(acme_action_name((enum acme_action)i), "unknown");
	ck_assert_str_eq(acme_action_name((enum acme_action)0), "unknown");
	ck_assert_str_eq(acme_action_name((enum acme_action)999), "unknown");
}
END_TEST

SUITE("examples", rs256, directory, authorization, subproblems, names)
