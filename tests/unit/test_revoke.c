/*
 * test_revoke.c - libacme's part of a revocation: reasons, payload, answer, and a
 * session that needs no account.
 */
#include "acme.h"

#include <errno.h>
#include <string.h>

#include "base64url.h"
#include "json.h"
#include "make_cert.h"
#include "rfc_keys.h"
#include "suite.h"

#define JANUARY 1767225600 /* 2026-01-01 00:00:00 UTC */

DEFINE_CLEANUP(struct acme_chain, acme_chain_free)

START_TEST(reasons_have_names)
{
	static const struct {
		const char *name;
		enum acme_reason reason;
	} names[] = {
		{ "unspecified", ACME_REASON_UNSPECIFIED },
		{ "keyCompromise", ACME_REASON_KEY_COMPROMISE },
		{ "superseded", ACME_REASON_SUPERSEDED },
		{ "cessationOfOperation", ACME_REASON_CESSATION_OF_OPERATION },
	};
	enum acme_reason reason;

	for (size_t i = 0; i < ELEMENTS(names); i++) {
		ck_assert_str_eq(acme_reason_name(names[i].reason), names[i].name);
		ck_assert_int_eq(acme_reason_parse(names[i].name, &reason), 0);
		ck_assert_int_eq(reason, names[i].reason);
	}
	ck_assert_int_eq(acme_reason_parse("KEYCOMPROMISE", &reason), 0);
	ck_assert_int_eq(reason, ACME_REASON_KEY_COMPROMISE);
	ck_assert_int_eq(acme_reason_parse("cACompromise", &reason), -EINVAL);
	ck_assert_int_eq(acme_reason_parse("removeFromCRL", &reason), -EINVAL);
	ck_assert_int_eq(acme_reason_parse("1", &reason), -EINVAL);
	ck_assert_int_eq(acme_reason_parse("", &reason), -EINVAL);
}
END_TEST

/* What `openssl pkey -pubout -outform DER | sha256sum` says of these keys. */
START_TEST(keys_have_fingerprints)
{
	static const struct {
		const char *pem;
		const char *fingerprint;
	} keys[] = {
		{ ec_example,
		    "2bd1bb0c44a897c30a7aa0991cde38d8062fe441de50da0f46825344f602e827" },
		{ rsa_example,
		    "ad32320cf6c596d884b05381ba573aba8ddd5749b4de8f4a23a79f9a89ddaeb2" },
	};
	char text[ACME_FINGERPRINT_SIZE];
	struct acme_key *key;

	for (size_t i = 0; i < ELEMENTS(keys); i++) {
		ck_assert_int_eq(
		    acme_key_from_pem(keys[i].pem, strlen(keys[i].pem), &key), 0);
		ck_assert_int_eq(acme_key_fingerprint(key, text), 0);
		ck_assert_str_eq(text, keys[i].fingerprint);
		acme_key_free(key);
	}
}
END_TEST

static X509 *
make_leaf(struct acme_key *key)
{
	const struct recipe recipe = { .issuer = "Test CA",
		.san = "DNS:example.org",
		.serial = "00c0ffee01",
		.key = acme_key_evp(key),
		.issuer_key = acme_key_evp(key),
		.not_before = JANUARY };

	return make_cert(&recipe);
}

static struct acme_chain *
make_chain(struct acme_key *key)
{
	const struct recipe recipe = { .issuer = "Test CA",
		.san = "DNS:example.org",
		.serial = "00c0ffee01",
		.key = acme_key_evp(key),
		.issuer_key = acme_key_evp(key),
		.not_before = JANUARY };
	_cleanup_free_ char *pem = make_pem(&recipe);
	struct acme_chain *chain;

	ck_assert_int_eq(acme_chain_parse(pem, strlen(pem), &chain, NULL), 0);
	return chain;
}

/* The signature of ECDSA differs each time: RSA's doesn't. */
static void
check_certificate(const char *text, struct acme_key *key)
{
	X509 *x = make_leaf(key);
	unsigned char *expected = NULL;
	int expected_len = i2d_X509(x, &expected);
	unsigned char *der;
	size_t len;

	ck_assert_int_eq(base64url_decode(text, strlen(text), &der, &len), 0);
	ck_assert_uint_eq(len, (size_t)expected_len);
	ck_assert_mem_eq(der, expected, len);
	free(der);
	OPENSSL_free(expected);
	X509_free(x);
}

START_TEST(payload_has_leaf_and_reason)
{
	static const enum acme_reason reasons[] = { ACME_REASON_UNSPECIFIED,
		ACME_REASON_KEY_COMPROMISE, ACME_REASON_SUPERSEDED,
		ACME_REASON_CESSATION_OF_OPERATION };
	_cleanup_(acme_chain_freep) struct acme_chain *chain = NULL;
	struct acme_key *key;

	ck_assert_int_eq(acme_key_from_pem(rsa_example, strlen(rsa_example), &key), 0);
	chain = make_chain(key);
	for (size_t i = 0; i < ELEMENTS(reasons); i++) {
		_cleanup_free_ char *payload = NULL;
		struct json *json;
		int64_t reason = 0;

		ck_assert_int_eq(
		    acme_revocation_payload(chain, reasons[i], &payload), 0);
		ck_assert_int_eq(
		    json_parse(payload, strlen(payload), &json_limits_acme, &json), 0);
		check_certificate(json_string(json_get(json, "certificate")), key);
		/* RFC 5280 section 5.3.1: absent rather than 0 */
		ck_assert_uint_eq(json_count(json), i == 0 ? 1 : 2);
		json_integer(json_get(json, "reason"), &reason);
		ck_assert_int_eq(reason, reasons[i]);
		json_free(json);
	}
	for (int bad = -1; bad < 12; bad++) {
		char *payload = NULL;

		if (bad == 0 || bad == 1 || bad == 4 || bad == 5)
			continue;
		ck_assert_int_eq(
		    acme_revocation_payload(chain, (enum acme_reason)bad, &payload),
		    -EINVAL);
		ck_assert_ptr_null(payload);
	}
	acme_key_free(key);
}
END_TEST

#define PROBLEM(error) "{\"type\":\"urn:ietf:params:acme:error:" error "\"}"

START_TEST(answers)
{
	static const struct {
		int status;
		const char *body;
		bool revoked;
	} cases[] = {
		{ 200, NULL, true },
		{ 400, PROBLEM("alreadyRevoked"), true },
		{ 403, PROBLEM("alreadyRevoked"), true },
		{ 400, PROBLEM("badRevocationReason"), false },
		{ 400, "alreadyRevoked", false },
		{ 403, PROBLEM("unauthorized"), false },
		{ 302, PROBLEM("alreadyRevoked"), false },
		{ 500, NULL, false },
		{ 0, NULL, false },
	};

	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		const struct acme_reply reply = { .status = cases[i].status,
			.content_type = "application/problem+json",
			.body = cases[i].body,
			.body_len = cases[i].body != NULL ? strlen(cases[i].body) : 0 };

		ck_assert_msg(
		    acme_reply_is_revoked(&reply) == cases[i].revoked, "case %zu", i);
	}
}
END_TEST

/* ---- without an account ---- */

static const char directory[] =
    "{\"newNonce\":\"https://ca.test/nonce\",\"newAccount\":\"https://ca.test/account\","
    "\"newOrder\":\"https://ca.test/order\",\"revokeCert\":\"https://ca.test/revoke\","
    "\"meta\":{\"termsOfService\":\"https://ca.test/terms\","
    "\"externalAccountRequired\":true}}";

static struct acme_session *
open_session(void)
{
	const struct acme_account none = { .none = true };
	const struct acme_reply reply = {
		.status = 200, .body = directory, .body_len = strlen(directory)
	};
	struct acme_session *s;
	struct acme_request request;

	ck_assert_int_eq(
	    acme_session_new("https://ca.test/directory", NULL, &none, &s), 0);
	ck_assert(!acme_session_ready(s));
	ck_assert_int_eq(acme_session_next(s, &request), ACME_SEND);
	ck_assert_int_eq(request.action, ACME_ACTION_DIRECTORY);
	acme_session_reply(s, &reply);
	return s;
}

/* The protected header of what is sent. */
static struct json *
read_header(const struct acme_message *message)
{
	struct json *jws;
	struct json *header;
	unsigned char *decoded;
	const char *text;
	size_t len;

	ck_assert_int_eq(
	    json_parse(message->body, message->body_len, &json_limits_acme, &jws), 0);
	text = json_string(json_get(jws, "protected"));
	ck_assert_int_eq(base64url_decode(text, strlen(text), &decoded, &len), 0);
	ck_assert_int_eq(
	    json_parse((char *)decoded, len, &json_limits_acme, &header), 0);
	free(decoded);
	json_free(jws);
	return header;
}

START_TEST(a_session_without_an_account)
{
	struct acme_session *s = open_session();
	const struct acme_reply nonce = { .status = 200, .replay_nonce = "n1" };
	struct acme_exchange *x;
	struct acme_message message;
	struct acme_request request;
	struct acme_key *key;
	struct json *header;

	/* neither terms nor a binding are in the way: nobody registers */
	ck_assert(acme_session_ready(s));
	ck_assert_int_eq(acme_session_next(s, &request), ACME_FINISHED);
	ck_assert_ptr_null(acme_session_result(s));
	ck_assert_ptr_null(acme_session_account_url(s));
	ck_assert_int_eq(acme_key_generate(ACME_KEY_ECDSA_P256, &key), 0);
	request = (struct acme_request){
		.action = ACME_ACTION_REVOKE, .payload = "{}", .key = key
	};
	ck_assert_int_eq(acme_exchange_new(s, &request, &x), 0);
	ck_assert_int_eq(acme_exchange_next(x, &message), ACME_SEND);
	acme_exchange_reply(x, &nonce);
	ck_assert_int_eq(acme_exchange_next(x, &message), ACME_SEND);
	ck_assert_str_eq(message.url, "https://ca.test/revoke");
	header = read_header(&message);
	ck_assert_int_eq(json_type(json_get(header, "jwk")), JSON_OBJECT);
	ck_assert_ptr_null(json_get(header, "kid"));
	json_free(header);
	acme_exchange_free(x);
	acme_key_free(key);
	acme_session_free(s);
}
END_TEST

SUITE("revoke", reasons_have_names, keys_have_fingerprints, payload_has_leaf_and_reason,
    answers, a_session_without_an_account)
