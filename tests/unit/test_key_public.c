/*
 * test_key_public.c - public keys that are read the short way, and those that aren't.
 */
#include "key_public.h"

#include <stdbool.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "scope.h"
#include "suite.h"

static X509_PUBKEY *
public_of(EVP_PKEY *evp)
{
	X509_PUBKEY *public = NULL;

	ck_assert_ptr_nonnull(evp);
	ck_assert_int_eq(X509_PUBKEY_set(&public, evp), 1);
	return public;
}

/* Reads it with these bits, or its own where data is NULL. */
static EVP_PKEY *
read_with(X509_PUBKEY *public, const unsigned char *data, int len)
{
	ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();
	const unsigned char *own;
	X509_ALGOR *algorithm;
	EVP_PKEY *evp;
	int own_len;

	X509_PUBKEY_get0_param(NULL, &own, &own_len, &algorithm, public);
	ASN1_STRING_set(bits, data != NULL ? data : own, data != NULL ? len : own_len);
	evp = key_public_read(algorithm, bits);
	ASN1_BIT_STRING_free(bits);
	return evp;
}

static void
expect(EVP_PKEY *evp, bool short_way)
{
	X509_PUBKEY *public = public_of(evp);
	EVP_PKEY *read = read_with(public, NULL, 0);

	ck_assert_int_eq(read != NULL, short_way);
	if (short_way)
		ck_assert_int_eq(EVP_PKEY_eq(read, evp), 1);
	EVP_PKEY_free(read);
	X509_PUBKEY_free(public);
	EVP_PKEY_free(evp);
}

static EVP_PKEY *
compressed(void)
{
	EVP_PKEY *evp = EVP_EC_gen("P-256");

	EVP_PKEY_set_utf8_string_param(
	    evp, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "compressed");
	return evp;
}

START_TEST(test_kinds)
{
	expect(EVP_RSA_gen(2048), true);
	expect(EVP_RSA_gen(3072), true);
	expect(EVP_EC_gen("P-256"), true);
	expect(EVP_EC_gen("P-384"), true);
	expect(EVP_EC_gen("P-521"), false);
	expect(compressed(), false);
	expect(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), false);
}
END_TEST

static const struct {
	const char *what;
	int len;
	unsigned char data[12];
} broken[] = {
	{ "nothing", 0, "" },
	{ "not a sequence", 2, { 0x05, 0 } },
	{ "one number", 5, { 0x30, 3, 2, 1, 3 } },
	{ "a negative modulus", 8, { 0x30, 6, 2, 1, 0x83, 2, 1, 3 } },
	{ "no modulus", 8, { 0x30, 6, 2, 1, 0, 2, 1, 3 } },
	{ "no exponent", 8, { 0x30, 6, 2, 1, 3, 2, 1, 0 } },
	{ "something behind it", 10, { 0x30, 6, 2, 1, 3, 2, 1, 3, 5, 0 } },
};

START_TEST(test_broken)
{
	EVP_PKEY *evp = EVP_RSA_gen(2048);
	X509_PUBKEY *public = public_of(evp);

	for (size_t i = 0; i < ELEMENTS(broken); i++)
		ck_assert_msg(read_with(public, broken[i].data, broken[i].len) == NULL,
		    "%s", broken[i].what);
	X509_PUBKEY_free(public);
	EVP_PKEY_free(evp);
}
END_TEST

/* More than this is for OpenSSL to refuse, or not. */
START_TEST(test_too_large)
{
	static unsigned char data[4 + 4 + 1026 + 3] = { 0x30, 0x82, 0x04, 0x09, 0x02,
		0x82, 0x04, 0x02, 1, [8 + 1026] = 2, 1, 3 };
	EVP_PKEY *evp = EVP_RSA_gen(2048);
	X509_PUBKEY *public = public_of(evp);

	ck_assert_ptr_null(read_with(public, data, sizeof(data)));
	X509_PUBKEY_free(public);
	EVP_PKEY_free(evp);
}
END_TEST

/* A point that isn't on its curve. */
START_TEST(test_no_point)
{
	unsigned char data[65] = { 4, [40] = 1 };
	EVP_PKEY *evp = EVP_EC_gen("P-256");
	X509_PUBKEY *public = public_of(evp);

	ck_assert_ptr_null(read_with(public, data, sizeof(data)));
	X509_PUBKEY_free(public);
	EVP_PKEY_free(evp);
}
END_TEST

SUITE("key_public", test_kinds, test_broken, test_too_large, test_no_point)
