/*
 * test_challenge.c - what is published for each type of challenge, against the vectors
 * of RFCs and drafts.
 */
#include "acme.h"

#include <errno.h>
#include <string.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "key.h"
#include "rfc_keys.h"
#include "suite.h"

#define ACCOUNT "https://example.com/acme/acct/ExampleAccount"
/* RFC 8555 section 8.3 */
#define KEY_AUTHORIZATION                                                               \
  "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21" \
  "mqTI"

static void
expect_text(int r, char *text, const char *expected)
{
	ck_assert_int_eq(r, 0);
	ck_assert_str_eq(text, expected);
	free(text);
}

static struct acme_key *
rsa_key(void)
{
	struct acme_key *key;

	ck_assert_int_eq(acme_key_from_pem(rsa_example, strlen(rsa_example), &key), 0);
	return key;
}

START_TEST(http01)
{
	char *text = NULL;
	int r;

	r = acme_http01_path("LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0", &text);
	expect_text(r, text,
	    "/.well-known/acme-challenge/LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0");
}
END_TEST

START_TEST(refuses_tokens)
{
	static const char *const tokens[] = { "", "..", "a/b", "a b",
		"a=", "\xc3\xa9" };
	struct acme_key *key = rsa_key();
	char *text = NULL;

	ck_assert_int_eq(acme_http01_path(tokens[_i], &text), -EINVAL);
	ck_assert_int_eq(acme_key_authorization(key, tokens[_i], &text), -EINVAL);
	ck_assert_ptr_null(text);
	acme_key_free(key);
}
END_TEST

/* The thumbprint is RFC 7638's example, section 3.1. */
START_TEST(key_authorization)
{
	struct acme_key *key = rsa_key();
	char *text = NULL;
	int r;

	r = acme_key_authorization(key, "evaGxfADs6pSRb2LAv9IZ", &text);
	expect_text(r, text,
	    "evaGxfADs6pSRb2LAv9IZ.NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
	acme_key_free(key);
}
END_TEST

START_TEST(dns01)
{
	char *text = NULL;
	int r;

	r = acme_dns01_name("www.example.org", &text);
	expect_text(r, text, "_acme-challenge.www.example.org");
	r = acme_dns01_name("*.Example.org.", &text);
	expect_text(r, text, "_acme-challenge.example.org");
	ck_assert_int_eq(acme_dns01_name("192.0.2.1", &text), -EINVAL);
	ck_assert_int_eq(acme_dns01_name("a..b", &text), -EINVAL);
	/* printf %s KEY_AUTHORIZATION | openssl dgst -sha256 -binary | basenc
	 * --base64url
	 */
	r = acme_dns01_value(KEY_AUTHORIZATION, &text);
	expect_text(r, text, "LPsIwTo7o8BoG0-vjCyGQGBWSVIPxI-i_X336eUOQZo");
}
END_TEST

/* draft-ietf-acme-dns-account-label section 3.2 */
START_TEST(dns_account01)
{
	char *text = NULL;
	int r;

	r = acme_dns_account01_name("example.org", ACCOUNT, &text);
	expect_text(r, text, "_ujmmovf2vn55tgye._acme-challenge.example.org");
	r = acme_dns_account01_name("*.example.org", ACCOUNT, &text);
	expect_text(r, text, "_ujmmovf2vn55tgye._acme-challenge.example.org");
	ck_assert_int_eq(acme_dns_account01_name("::1", ACCOUNT, &text), -EINVAL);
}
END_TEST

/* draft-ietf-acme-dns-persist-01 sections 3.1 and 4, -02 section 10.2 */
START_TEST(dns_persist01)
{
	struct acme_persist persist = { .issuer = "authority.example",
		.account_uri = "https://ca.example/acct/123" };
	struct acme_key *key = rsa_key();
	char *text = NULL;
	int r;

	r = acme_dns_persist01_name("*.example.com", &text);
	expect_text(r, text, "_validation-persist.example.com");
	r = acme_dns_persist01_value(&persist, &text);
	expect_text(
	    r, text, "authority.example; accounturi=https://ca.example/acct/123");
	persist.wildcard = true;
	persist.until = 1721952000;
	r = acme_dns_persist01_value(&persist, &text);
	expect_text(r, text,
	    "authority.example; accounturi=https://ca.example/acct/123; "
	    "policy=wildcard; persistUntil=1721952000");
	r = acme_dns_persist01_account("https://ca.example/account-hash/",
	    "*.example.com", key, "https://ca.example/acct/123", &text);
	expect_text(r, text,
	    "https://ca.example/account-hash/sha-256/"
	    "5SQm7n6tPh2-PlLbCKGnViTXX5z19SCN4cPGQHSk-kw");
	r = acme_dns_persist01_account("https://ca.example/account-hash/", NULL, key,
	    "https://ca.example/acct/123", &text);
	expect_text(r, text,
	    "https://ca.example/account-hash/sha-256/"
	    "NpDnSwUthQK8zCgFdefYxAdAVPnygMLbs9US6oO-5ug");
	acme_key_free(key);
}
END_TEST

START_TEST(refuses_records)
{
	static const struct acme_persist records[] = {
		{ .issuer = "Authority.example",
		    .account_uri = "https://ca.example/1" },
		{ .issuer = "authority.example.",
		    .account_uri = "https://ca.example/1" },
		{ .issuer = "*.example", .account_uri = "https://ca.example/1" },
		{ .issuer = "192.0.2.1", .account_uri = "https://ca.example/1" },
		{ .issuer = "a.example", .account_uri = "https://ca.example/1;x=y" },
		{ .issuer = "a.example", .account_uri = "https://ca.example/1 x" },
		{ .issuer = "a.example", .account_uri = "" },
		{ .issuer = "a.example", .account_uri = "x", .until = -1 },
	};
	char *text = NULL;

	ck_assert_int_eq(acme_dns_persist01_value(&records[_i], &text), -EINVAL);
	ck_assert_ptr_null(text);
}
END_TEST

START_TEST(tls_alpn01_names)
{
	char *text = NULL;
	int r;

	r = acme_tls_alpn01_sni("www.Example.org", &text);
	expect_text(r, text, "www.example.org");
	r = acme_tls_alpn01_sni("192.0.2.1", &text);
	expect_text(r, text, "1.2.0.192.in-addr.arpa");
	/* RFC 8738 section 6 */
	r = acme_tls_alpn01_sni("2001:db8::1", &text);
	expect_text(r, text,
	    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
	ck_assert_int_eq(acme_tls_alpn01_sni("*.example.org", &text), -EINVAL);
}
END_TEST

static X509 *
read_certificate(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	BIO_free(bio);
	ck_assert_ptr_nonnull(x);
	return x;
}

/* RFC 8737 section 3: critical, an OCTET STRING of SHA-256(key authorization). */
static void
expect_acme_identifier(X509 *x)
{
	ASN1_OBJECT *oid = OBJ_txt2obj("1.3.6.1.5.5.7.1.31", 1);
	int i = X509_get_ext_by_OBJ(x, oid, -1);
	X509_EXTENSION *extension = X509_get_ext(x, i);
	const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(extension);
	unsigned char sum[32];

	ASN1_OBJECT_free(oid);
	ck_assert_int_ge(i, 0);
	ck_assert_int_eq(X509_EXTENSION_get_critical(extension), 1);
	EVP_Digest(KEY_AUTHORIZATION, strlen(KEY_AUTHORIZATION), sum, NULL,
	    EVP_sha256(), NULL);
	ck_assert_int_eq(ASN1_STRING_length(value), 34);
	ck_assert_mem_eq(ASN1_STRING_get0_data(value), "\x04\x20", 2);
	ck_assert_mem_eq(ASN1_STRING_get0_data(value) + 2, sum, 32);
}

START_TEST(tls_alpn01_certificate)
{
	static const char *const names[] = { "www.example.org", "2001:db8::1" };
	struct acme_key *key;
	GENERAL_NAMES *altnames;
	char *pem;
	X509 *x;
	int critical;

	ck_assert_int_eq(acme_key_generate(ACME_KEY_ECDSA_P256, &key), 0);
	ck_assert_int_eq(acme_tls_alpn01_certificate(key, names[_i], KEY_AUTHORIZATION,
			     1800000000, 86400, &pem),
	    0);
	x = read_certificate(pem);
	expect_acme_identifier(x);
	ck_assert_int_eq(X509_get_ext_count(x), 2);
	altnames = X509_get_ext_d2i(x, NID_subject_alt_name, &critical, NULL);
	ck_assert_int_eq(sk_GENERAL_NAME_num(altnames), 1);
	if (_i == 0)
		ck_assert_int_eq(X509_check_host(x, names[0], 0, 0, NULL), 1);
	else
		ck_assert_int_eq(X509_check_ip_asc(x, names[1], 0), 1);
	ck_assert_int_eq(X509_verify(x, acme_key_evp(key)), 1);
	GENERAL_NAMES_free(altnames);
	X509_free(x);
	free(pem);
	acme_key_free(key);
}
END_TEST

START_TEST(tls_alpn01_refuses)
{
	struct acme_key *key;
	char *pem = NULL;

	ck_assert_int_eq(acme_key_generate(ACME_KEY_ECDSA_P384, &key), 0);
	ck_assert_int_eq(
	    acme_tls_alpn01_certificate(key, "*.example.org", "x.y", 0, 86400, &pem),
	    -EINVAL);
	ck_assert_int_eq(
	    acme_tls_alpn01_certificate(key, "example.org", "x.y", 0, 0, &pem),
	    -EINVAL);
	ck_assert_ptr_null(pem);
	acme_key_free(key);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("challenge");
	TCase *tcase = tcase_create("challenge");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, http01);
	tcase_add_loop_test(tcase, refuses_tokens, 0, 6);
	tcase_add_test(tcase, key_authorization);
	tcase_add_test(tcase, dns01);
	tcase_add_test(tcase, dns_account01);
	tcase_add_test(tcase, dns_persist01);
	tcase_add_loop_test(tcase, refuses_records, 0, 8);
	tcase_add_test(tcase, tls_alpn01_names);
	tcase_add_loop_test(tcase, tls_alpn01_certificate, 0, 2);
	tcase_add_test(tcase, tls_alpn01_refuses);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
