/*
 * test_weakness.c - keys that are no good, and requests that were made elsewhere.
 */
#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "key.h"
#include "suite.h"

/* A public RSA key of these numbers, whether they make sense or not. */
static EVP_PKEY *
rsa_of(const BIGNUM *n, unsigned long exponent)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	BIGNUM *e = BN_new();
	EVP_PKEY *evp = NULL;
	OSSL_PARAM *params;

	BN_set_word(e, exponent);
	OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n);
	OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e);
	params = OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY_fromdata_init(ctx);
	EVP_PKEY_fromdata(ctx, &evp, EVP_PKEY_PUBLIC_KEY, params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	EVP_PKEY_CTX_free(ctx);
	BN_free(e);
	return evp;
}

static const char *
weakness_of(const BIGNUM *n, unsigned long exponent)
{
	EVP_PKEY *evp = rsa_of(n, exponent);
	struct acme_key *key = NULL;
	const char *why;

	ck_assert_ptr_nonnull(evp);
	ck_assert_int_eq(key_from_public(evp, &key), 0);
	why = acme_key_weakness(key);
	EVP_PKEY_free(evp);
	acme_key_free(key);
	return why;
}

/* 65537 modulo the product of the primes below 168, as Infineon's library made it. */
static BIGNUM *
roca_modulus(void)
{
	BN_CTX *ctx = BN_CTX_new();
	BIGNUM *n = BN_new();
	BIGNUM *m = BN_new();

	BN_set_word(m, 1);
	for (unsigned p = 3; p < 168; p += 2) {
		unsigned divisor = 3;

		while (divisor * divisor <= p && p % divisor != 0)
			divisor += 2;
		if (divisor * divisor > p)
			BN_mul_word(m, p);
	}
	BN_set_bit(n, 2047);
	BN_div(n, NULL, n, m, ctx); /* times an even number, and 65537 more */
	BN_clear_bit(n, 0);
	BN_add_word(n, 2);
	BN_mul(n, n, m, ctx);
	BN_add_word(n, 65537);
	ck_assert_int_eq(BN_num_bits(n), 2048);
	BN_free(m);
	BN_CTX_free(ctx);
	return n;
}

START_TEST(weak_keys)
{
	BIGNUM *n = BN_new();
	BIGNUM *roca = roca_modulus();

	BN_rand(n, 2048, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD);
	ck_assert_ptr_null(weakness_of(n, 65537));
	ck_assert_ptr_null(weakness_of(n, 3));
	ck_assert_str_eq(weakness_of(n, 65536), "its public exponent is even or 1");
	ck_assert_str_eq(weakness_of(n, 1), "its public exponent is even or 1");
	ck_assert_ptr_nonnull(strstr(weakness_of(roca, 65537), "ROCA"));
	BN_clear_bit(n, 0);
	ck_assert_str_eq(weakness_of(n, 65537), "its modulus is even");
	BN_free(n);
	BN_free(roca);
}
END_TEST

START_TEST(good_keys)
{
	static const enum acme_key_type types[] = { ACME_KEY_ECDSA_P256,
		ACME_KEY_ECDSA_P384, ACME_KEY_RSA_2048 };

	for (size_t i = 0; i < ELEMENTS(types); i++) {
		struct acme_key *key;
		struct acme_key *other;

		ck_assert_int_eq(acme_key_generate(types[i], &key), 0);
		ck_assert_int_eq(acme_key_generate(ACME_KEY_ECDSA_P256, &other), 0);
		ck_assert_ptr_null(acme_key_weakness(key));
		ck_assert(acme_key_equal(key, key));
		ck_assert(!acme_key_equal(key, other));
		acme_key_free(key);
		acme_key_free(other);
	}
}
END_TEST

/* ---- requests ---- */

/* As openssl req makes them: subject and extensions as configured. */
static char *
make_request(EVP_PKEY *key, const char *common_name, const char *names, bool broken,
    bool der, size_t *ret_len)
{
	X509_REQ *request = X509_REQ_new();
	BIO *out = BIO_new(BIO_s_mem());
	STACK_OF(X509_EXTENSION) *list = NULL;
	char *data;
	char *text;
	long len;

	if (common_name != NULL)
		X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request), "CN",
		    MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0);
	if (names != NULL) {
		X509_EXTENSION *e =
		    X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);

		X509v3_add_ext(&list, e, -1);
		X509_EXTENSION_free(e);
		X509_REQ_add_extensions(request, list);
		sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
	}
	X509_REQ_set_pubkey(request, key);
	ck_assert_int_gt(X509_REQ_sign(request, key, EVP_sha256()), 0);
	if (der)
		i2d_X509_REQ_bio(out, request);
	else
		PEM_write_bio_X509_REQ(out, request);
	len = BIO_get_mem_data(out, &data);
	text = malloc((size_t)len + 1);
	memcpy(text, data, (size_t)len);
	text[len] = '\0';
	if (broken)
		text[len - 1] ^= 1;
	*ret_len = (size_t)len;
	BIO_free(out);
	X509_REQ_free(request);
	return text;
}

START_TEST(requests)
{
	static const struct {
		const char *common_name;
		const char *names;
		bool der;
		bool broken;
		const char *expected; /* names by blanks; NULL: refused */
	} cases[] = {
		{ NULL, "DNS:a.example,DNS:B.example.,IP:192.0.2.1,IP:2001:db8:0::1",
		    false, false, "a.example b.example 192.0.2.1 2001:db8::1" },
		{ "a.example", "DNS:a.example", true, false, "a.example" },
		{ "c.example", "DNS:a.example", false, false, "a.example c.example" },
		{ "c.example", NULL, true, false, "c.example" },
		{ "My Server", "DNS:a.example", false, false, NULL },
		{ NULL, NULL, false, false, NULL },
		{ NULL, "DNS:a.example,email:x@a.example", false, false, NULL },
		{ NULL, "DNS:a_b.example", false, false, NULL },
		{ NULL, "DNS:a.example", true, true, NULL },
	};
	EVP_PKEY *key = EVP_EC_gen("P-256");

	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		size_t len;
		_cleanup_free_ char *text = make_request(key, cases[i].common_name,
		    cases[i].names, cases[i].broken, cases[i].der, &len);
		const struct acme_identifier *names;
		struct acme_csr *csr = NULL;
		const char *why = NULL;
		char all[300] = "";
		size_t count;

		if (cases[i].expected == NULL) {
			ck_assert_int_eq(
			    acme_csr_read(text, len, &csr, &why), -EBADMSG);
			ck_assert_ptr_nonnull(why);
			continue;
		}
		ck_assert_int_eq(acme_csr_read(text, len, &csr, &why), 0);
		names = acme_csr_identifiers(csr, &count);
		for (size_t k = 0; k < count; k++) {
			strncat(all, k > 0 ? " " : "", sizeof(all) - strlen(all) - 1);
			strncat(all, names[k].value, sizeof(all) - strlen(all) - 1);
		}
		ck_assert_str_eq(all, cases[i].expected);
		ck_assert_int_eq(
		    acme_key_get_type(acme_csr_key(csr)), ACME_KEY_ECDSA_P256);
		acme_csr_free(csr);
	}
	EVP_PKEY_free(key);
}
END_TEST

START_TEST(requests_with_bad_keys)
{
	EVP_PKEY *curve = EVP_EC_gen("P-521");
	EVP_PKEY *small = EVP_RSA_gen(1024);
	EVP_PKEY *keys[] = { curve, small };

	for (size_t i = 0; i < ELEMENTS(keys); i++) {
		size_t len;
		_cleanup_free_ char *text =
		    make_request(keys[i], NULL, "DNS:a.example", false, false, &len);
		struct acme_csr *csr = NULL;
		const char *why = NULL;

		ck_assert_int_eq(acme_csr_read(text, len, &csr, &why), -EKEYREJECTED);
		ck_assert_str_eq(
		    why, "its key is of a kind or size that isn't supported");
		EVP_PKEY_free(keys[i]);
	}
}
END_TEST

/* Every beginning of one, and every byte of it changed: refused, or a request. */
START_TEST(requests_that_are_none)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	size_t len;
	_cleanup_free_ char *text =
	    make_request(key, "a.example", "DNS:a.example", false, true, &len);

	for (size_t i = 0; i < len; i++) {
		struct acme_csr *csr = NULL;
		_cleanup_free_ char *copy = malloc(len);

		ck_assert_int_lt(acme_csr_read(text, i, &csr, NULL), 0);
		memcpy(copy, text, len);
		copy[i] ^= 0x41;
		if (acme_csr_read(copy, len, &csr, NULL) == 0)
			acme_csr_free(csr);
	}
	EVP_PKEY_free(key);
}
END_TEST

SUITE("weakness", weak_keys, good_keys, requests, requests_with_bad_keys,
    requests_that_are_none)
