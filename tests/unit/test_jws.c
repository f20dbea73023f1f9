/*
 * test_jws.c - signed requests, as a CA would check them.
 */
#include "jws.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "json.h"
#include "key.h"
#include "rfc_keys.h"
#include "suite.h"
#include "verify.h"

#define URL "https://ca.example/acme/new-order"

/* A JWS taken apart. */
struct taken {
	struct json *jws;
	struct json *header;
	struct bytes payload;
	struct bytes signature;
	char input[8192];
};

static struct json *
parsed(const void *text, size_t len)
{
	struct json *j = NULL;

	ck_assert_int_eq(json_parse(text, len, &json_limits_acme, &j), 0);
	return j;
}

static void
take_apart(const char *text, struct taken *t)
{
	const char *protected;
	const char *payload;
	struct bytes header;

	t->jws = parsed(text, strlen(text));
	ck_assert_uint_eq(json_count(t->jws), 3);
	protected = json_string(json_get(t->jws, "protected"));
	payload = json_string(json_get(t->jws, "payload"));
	header = verify_decode(protected);
	t->header = parsed(header.data, header.len);
	t->payload = verify_decode(payload);
	t->signature = verify_decode(json_string(json_get(t->jws, "signature")));
	snprintf(t->input, sizeof(t->input), "%s.%s", protected, payload);
}

static void
taken_free(struct taken *t)
{
	json_free(t->jws);
	json_free(t->header);
}

static bool
verifies(const struct taken *t, const struct acme_key *key)
{
	return verify_signature(acme_key_evp(key), key_alg(key), t->input,
	    strlen(t->input), t->signature.data, t->signature.len);
}

static const char *
header(const struct taken *t, const char *name)
{
	const char *text = json_string(json_get(t->header, name));

	return text != NULL ? text : "(none)";
}

static struct acme_key *
read_pem(const char *pem)
{
	struct acme_key *key = NULL;

	ck_assert_int_eq(acme_key_from_pem(pem, strlen(pem), &key), 0);
	return key;
}

START_TEST(test_with_jwk)
{
	_cleanup_(acme_key_freep) struct acme_key *key = read_pem(ec_example);
	_cleanup_(taken_free) struct taken t = { 0 };
	_cleanup_free_ char *text = NULL;
	EVP_PKEY *sent;

	ck_assert_int_eq(jws_sign(key, NULL, "n0-nce_", URL, "{\"a\":1}", &text), 0);
	take_apart(text, &t);
	ck_assert_uint_eq(json_count(t.header), 4);
	ck_assert_str_eq(header(&t, "alg"), "ES256");
	ck_assert_str_eq(header(&t, "nonce"), "n0-nce_");
	ck_assert_str_eq(header(&t, "url"), URL);
	ck_assert_ptr_null(json_get(t.header, "kid"));
	ck_assert_uint_eq(t.payload.len, 7);
	ck_assert_mem_eq(t.payload.data, "{\"a\":1}", 7);
	/* checked with the very key that was sent, which has no private half */
	ck_assert_uint_eq(json_count(json_get(t.header, "jwk")), 4);
	sent = verify_key(json_get(t.header, "jwk"));
	ck_assert(verify_signature(sent, "ES256", t.input, strlen(t.input),
	    t.signature.data, t.signature.len));
	EVP_PKEY_free(sent);
	ck_assert_uint_eq(ERR_peek_error(), 0);
}
END_TEST

START_TEST(test_with_kid)
{
	_cleanup_(acme_key_freep) struct acme_key *key = read_pem(ec_example);
	_cleanup_(taken_free) struct taken t = { 0 };
	_cleanup_free_ char *text = NULL;

	ck_assert_int_eq(
	    jws_sign(key, "https://ca.example/acct/1", "n", URL, "{}", &text), 0);
	take_apart(text, &t);
	ck_assert_uint_eq(json_count(t.header), 4);
	ck_assert_str_eq(header(&t, "kid"), "https://ca.example/acct/1");
	ck_assert_ptr_null(json_get(t.header, "jwk"));
	ck_assert(verifies(&t, key));
}
END_TEST

/* RFC 8555 section 6.3: POST-as-GET has an empty payload, which isn't {}. */
START_TEST(test_post_as_get)
{
	_cleanup_(acme_key_freep) struct acme_key *key = read_pem(ec_example);
	_cleanup_(taken_free) struct taken t = { 0 };
	_cleanup_free_ char *text = NULL;

	ck_assert_int_eq(jws_sign(key, "k", "n", URL, NULL, &text), 0);
	take_apart(text, &t);
	ck_assert_str_eq(json_string(json_get(t.jws, "payload")), "");
	ck_assert_int_eq(t.input[strlen(t.input) - 1], '.');
	ck_assert(verifies(&t, key));
}
END_TEST

START_TEST(test_without_nonce)
{
	_cleanup_(acme_key_freep) struct acme_key *key = read_pem(ec_example);
	_cleanup_(taken_free) struct taken t = { 0 };
	_cleanup_free_ char *text = NULL;

	ck_assert_int_eq(jws_sign(key, "k", NULL, URL, "{}", &text), 0);
	take_apart(text, &t);
	ck_assert_uint_eq(json_count(t.header), 3);
	ck_assert_ptr_null(json_get(t.header, "nonce"));
}
END_TEST

static void
check_alg(const struct acme_key *key, const char *alg, size_t size)
{
	_cleanup_(taken_free) struct taken t = { 0 };
	_cleanup_free_ char *text = NULL;
	EVP_PKEY *sent;

	ck_assert_int_eq(jws_sign(key, NULL, "n", URL, "{}", &text), 0);
	take_apart(text, &t);
	ck_assert_str_eq(header(&t, "alg"), alg);
	ck_assert_uint_eq(t.signature.len, size);
	sent = verify_key(json_get(t.header, "jwk"));
	ck_assert(verify_signature(
	    sent, alg, t.input, strlen(t.input), t.signature.data, t.signature.len));
	/* what is signed is this, and nothing else */
	t.input[10] ^= 1;
	ck_assert(!verify_signature(
	    sent, alg, t.input, strlen(t.input), t.signature.data, t.signature.len));
	EVP_PKEY_free(sent);
}

START_TEST(test_algorithms)
{
	_cleanup_(acme_key_freep) struct acme_key *p256 = read_pem(ec_example);
	_cleanup_(acme_key_freep) struct acme_key *rsa = read_pem(rsa_example);
	_cleanup_(acme_key_freep) struct acme_key *p384 = NULL;

	ck_assert_int_eq(acme_key_generate(ACME_KEY_ECDSA_P384, &p384), 0);
	check_alg(p256, "ES256", 64);
	check_alg(p384, "ES384", 96);
	check_alg(rsa, "RS256", 256);
}
END_TEST

/* What comes from a CA is escaped on its way back. */
START_TEST(test_hostile_header)
{
	_cleanup_(acme_key_freep) struct acme_key *key = read_pem(ec_example);
	_cleanup_(taken_free) struct taken t = { 0 };
	_cleanup_free_ char *text = NULL;
	static const char nonce[] = "\",\"url\":\"https://evil\"\n";

	ck_assert_int_eq(jws_sign(key, "k\\", nonce, URL, "{}", &text), 0);
	take_apart(text, &t);
	ck_assert_str_eq(header(&t, "nonce"), nonce);
	ck_assert_str_eq(header(&t, "kid"), "k\\");
	ck_assert_str_eq(header(&t, "url"), URL);
}
END_TEST

static void
hmac(const char *digest, const void *key, size_t key_len, const char *input,
    unsigned char *out, size_t size)
{
	size_t len = 0;

	ck_assert_ptr_nonnull(EVP_Q_mac(NULL, "HMAC", NULL, digest, NULL, key, key_len,
	    (const unsigned char *)input, strlen(input), out, size, &len));
	ck_assert_uint_eq(len, size);
}

/* RFC 7515 appendix A.1: that this is what others mean by HS256. */
START_TEST(test_rfc7515_hs256)
{
	struct bytes key =
	    verify_decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0g"
			  "ZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow");
	struct bytes expected =
	    verify_decode("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
	unsigned char out[32];

	hmac("SHA256", key.data, key.len,
	    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4"
	    "MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
	    out, 32);
	ck_assert_mem_eq(out, expected.data, 32);
}
END_TEST

static const struct {
	enum acme_hmac alg;
	const char *name;
	const char *digest;
	size_t size;
} hmacs[] = {
	{ ACME_HS256, "HS256", "SHA256", 32 },
	{ ACME_HS384, "HS384", "SHA384", 48 },
	{ ACME_HS512, "HS512", "SHA512", 64 },
};

/* RFC 8555 section 7.3.4 */
START_TEST(test_bind)
{
	static const unsigned char secret[] = { 0, 1, 2, 0xff, 0, 3 };
	_cleanup_(acme_key_freep) struct acme_key *key = read_pem(rsa_example);
	_cleanup_free_ char *jwk = NULL;
	unsigned char out[64];

	ck_assert_int_eq(key_jwk(key, &jwk), 0);
	for (size_t i = 0; i < ELEMENTS(hmacs); i++) {
		_cleanup_(taken_free) struct taken t = { 0 };
		_cleanup_free_ char *text = NULL;

		ck_assert_int_eq(jws_bind(key, "kid-1", hmacs[i].alg, secret,
				     sizeof(secret), URL, &text),
		    0);
		take_apart(text, &t);
		ck_assert_uint_eq(json_count(t.header), 3);
		ck_assert_str_eq(header(&t, "alg"), hmacs[i].name);
		ck_assert_str_eq(header(&t, "kid"), "kid-1");
		ck_assert_str_eq(header(&t, "url"), URL);
		ck_assert_uint_eq(t.payload.len, strlen(jwk));
		ck_assert_mem_eq(t.payload.data, jwk, t.payload.len);
		hmac(hmacs[i].digest, secret, sizeof(secret), t.input, out,
		    hmacs[i].size);
		ck_assert_uint_eq(t.signature.len, hmacs[i].size);
		ck_assert_mem_eq(t.signature.data, out, hmacs[i].size);
	}
}
END_TEST

START_TEST(test_bind_without_key)
{
	_cleanup_(acme_key_freep) struct acme_key *key = read_pem(ec_example);
	char *text = NULL;

	ck_assert_int_eq(jws_bind(key, "kid", ACME_HS256, "", 0, URL, &text), -EINVAL);
	ck_assert_int_eq(jws_bind(key, NULL, ACME_HS256, "x", 1, URL, &text), -EINVAL);
	ck_assert_int_eq(
	    jws_bind(key, "kid", (enum acme_hmac)3, "x", 1, URL, &text), -EINVAL);
	ck_assert_ptr_null(text);
}
END_TEST

SUITE("jws", test_with_jwk, test_with_kid, test_post_as_get, test_without_nonce,
    test_algorithms, test_hostile_header, test_rfc7515_hs256, test_bind,
    test_bind_without_key)
