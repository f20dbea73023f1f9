/*
 * test_key.c - keys: made, written, read, their JWK and their signatures.
 */
#include "key.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "base64url.h"
#include "json.h"
#include "key_ec.h"
#include "rfc_keys.h"
#include "suite.h"
#include "verify.h"

DEFINE_CLEANUP(struct json, json_free)

static struct acme_key *
make(enum acme_key_type type)
{
	struct acme_key *key = NULL;

	ck_assert_int_eq(acme_key_generate(type, &key), 0);
	ck_assert_int_eq(acme_key_get_type(key), type);
	ck_assert_uint_eq(ERR_peek_error(), 0);
	return key;
}

static struct acme_key *
read_pem(const char *pem)
{
	struct acme_key *key = NULL;

	ck_assert_int_eq(acme_key_from_pem(pem, strlen(pem), &key), 0);
	ck_assert_uint_eq(ERR_peek_error(), 0);
	return key;
}

START_TEST(test_types)
{
	static const char *const names[] = { "none", "ecdsa-p256", "ecdsa-p384",
		"rsa-2048", "rsa-3072", "rsa-4096" };

	for (size_t i = 0; i < ELEMENTS(names); i++) {
		enum acme_key_type type = (enum acme_key_type)i;

		ck_assert_str_eq(acme_key_type_name(type), names[i]);
		ck_assert_int_eq(acme_key_type_parse(names[i]), type);
		ck_assert(acme_key_type_is_rsa(type) == (i >= 3));
	}
	ck_assert_int_eq(acme_key_type_parse(""), ACME_KEY_NONE);
	ck_assert_int_eq(acme_key_type_parse("RSA-2048"), ACME_KEY_NONE);
	ck_assert_int_eq(acme_key_type_parse("rsa-20480"), ACME_KEY_NONE);
	ck_assert_str_eq(acme_key_type_name((enum acme_key_type)99), "none");
}
END_TEST

START_TEST(test_no_such_type)
{
	struct acme_key *key = NULL;

	ck_assert_int_eq(acme_key_generate(ACME_KEY_NONE, &key), -EINVAL);
	ck_assert_ptr_null(key);
	ck_assert_ptr_null(acme_key_free(NULL));
	acme_wipe_free(NULL, 0);
}
END_TEST

/* RFC 7638 section 3.1 */
START_TEST(test_thumbprint_rsa)
{
	_cleanup_(acme_key_freep) struct acme_key *key = read_pem(rsa_example);
	_cleanup_free_ char *jwk = NULL;
	char thumbprint[ACME_THUMBPRINT_SIZE];

	ck_assert_int_eq(key_jwk(key, &jwk), 0);
	ck_assert_str_eq(jwk,
	    "{\"e\":\"AQAB\",\"kty\":\"RSA\",\"n\":\"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2"
	    "aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhM"
	    "stn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMic"
	    "AtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6"
	    "WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw\"}");
	ck_assert_int_eq(acme_key_thumbprint(key, thumbprint), 0);
	ck_assert_str_eq(thumbprint, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
	ck_assert_str_eq(key_alg(key), "RS256");
}
END_TEST

START_TEST(test_jwk_ec)
{
	_cleanup_(acme_key_freep) struct acme_key *key = read_pem(ec_example);
	_cleanup_free_ char *jwk = NULL;

	ck_assert_int_eq(key_jwk(key, &jwk), 0);
	/* RFC 7515 appendix A.3.1 */
	ck_assert_str_eq(jwk,
	    "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uP"
	    "HvRVEU\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}");
	ck_assert_str_eq(key_alg(key), "ES256");
	ck_assert_int_eq(acme_key_get_type(key), ACME_KEY_ECDSA_P256);
}
END_TEST

/* RFC 7515 appendix A.3: a signature made by others passes the check that ours have to
 * pass below, and one bit more doesn't. */
START_TEST(test_rfc7515_es256)
{
	static const char input[] =
	    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6"
	    "Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
	struct bytes s =
	    verify_decode("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDx"
			  "w5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q");
	_cleanup_(acme_key_freep) struct acme_key *key = read_pem(ec_example);
	EVP_PKEY *evp = acme_key_evp(key);

	ck_assert(verify_signature(evp, "ES256", input, strlen(input), s.data, s.len));
	s.data[40] ^= 1;
	ck_assert(!verify_signature(evp, "ES256", input, strlen(input), s.data, s.len));
}
END_TEST

/* Often enough that r or s has leading zeros, which have to stay. */
static void
sign_often(enum acme_key_type type, int times, size_t size)
{
	_cleanup_(acme_key_freep) struct acme_key *key = make(type);
	_cleanup_(json_freep) struct json *jwk = NULL;
	_cleanup_free_ char *text = NULL;
	EVP_PKEY *public;
	int short_ones = 0;

	ck_assert_int_eq(key_jwk(key, &text), 0);
	ck_assert_int_eq(json_parse(text, strlen(text), &json_limits_acme, &jwk), 0);
	public = verify_key(jwk);
	for (int i = 0; i < times; i++) {
		_cleanup_free_ unsigned char *signature = NULL;
		size_t len = 0;

		ck_assert_int_eq(key_sign(key, &i, sizeof(i), &signature, &len), 0);
		ck_assert_uint_eq(len, size);
		ck_assert(verify_signature(
		    public, key_alg(key), &i, sizeof(i), signature, len));
		short_ones += signature[0] == 0 || signature[size / 2] == 0;
	}
	ck_assert(acme_key_type_is_rsa(type) || short_ones > 0);
	ck_assert_uint_eq(ERR_peek_error(), 0);
	EVP_PKEY_free(public);
}

START_TEST(test_sign_es256)
{
	sign_often(ACME_KEY_ECDSA_P256, 3000, 64);
}
END_TEST

START_TEST(test_sign_es384)
{
	sign_often(ACME_KEY_ECDSA_P384, 1500, 96);
}
END_TEST

START_TEST(test_sign_rs256)
{
	sign_often(ACME_KEY_RSA_2048, 3, 256);
}
END_TEST

/* Coordinates with leading zeros keep them, too. */
START_TEST(test_jwk_coordinates)
{
	for (int i = 0; i < 600; i++) {
		_cleanup_(acme_key_freep) struct acme_key *key =
		    make(ACME_KEY_ECDSA_P256);
		_cleanup_free_ char *jwk = NULL;

		ck_assert_int_eq(key_jwk(key, &jwk), 0);
		ck_assert_uint_eq(strlen(jwk),
		    2 * 43 +
			strlen(
			    "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"\",\"y\":\"\"}"));
	}
}
END_TEST

static void
round_trip(struct acme_key *key)
{
	_cleanup_(acme_key_freep) struct acme_key *from_pem = NULL;
	_cleanup_(acme_key_freep) struct acme_key *from_der = NULL;
	_cleanup_free_ char *pem = NULL;
	unsigned char *der = NULL;
	size_t len = 0;

	ck_assert_int_eq(acme_key_to_pem(key, &pem), 0);
	ck_assert_ptr_eq(strstr(pem, "-----BEGIN PRIVATE KEY-----\n"), pem);
	from_pem = read_pem(pem);
	ck_assert_int_eq(acme_key_to_der(key, &der, &len), 0);
	ck_assert_int_eq(acme_key_from_der(der, len, &from_der), 0);
	ck_assert_int_eq(EVP_PKEY_eq(acme_key_evp(key), acme_key_evp(from_pem)), 1);
	ck_assert_int_eq(EVP_PKEY_eq(acme_key_evp(key), acme_key_evp(from_der)), 1);
	ck_assert_int_eq(acme_key_get_type(from_pem), acme_key_get_type(key));
	ck_assert_int_eq(acme_key_get_type(from_der), acme_key_get_type(key));
	ck_assert_uint_eq(ERR_peek_error(), 0);
	acme_wipe_free(der, len);
}

START_TEST(test_round_trips)
{
	_cleanup_(acme_key_freep) struct acme_key *p256 = make(ACME_KEY_ECDSA_P256);
	_cleanup_(acme_key_freep) struct acme_key *p384 = make(ACME_KEY_ECDSA_P384);
	_cleanup_(acme_key_freep) struct acme_key *rsa = read_pem(rsa_example);

	round_trip(p256);
	round_trip(p384);
	round_trip(rsa);
}
END_TEST

START_TEST(test_der_cut_or_longer)
{
	_cleanup_(acme_key_freep) struct acme_key *key = make(ACME_KEY_ECDSA_P256);
	_cleanup_free_ unsigned char *der = NULL;
	_cleanup_free_ unsigned char *longer = NULL;
	struct acme_key *none = NULL;
	size_t len;

	ck_assert_int_eq(acme_key_to_der(key, &der, &len), 0);
	for (size_t i = 0; i < len; i++) {
		_cleanup_free_ unsigned char *cut = malloc(i + 1);

		memcpy(cut, der, i);
		ck_assert_int_eq(acme_key_from_der(cut, i, &none), -EBADMSG);
	}
	longer = calloc(1, len + 1);
	memcpy(longer, der, len);
	ck_assert_int_eq(acme_key_from_der(longer, len + 1, &none), -EBADMSG);
	ck_assert_ptr_null(none);
	ck_assert_uint_eq(ERR_peek_error(), 0);
}
END_TEST

/* Whatever is damaged: read or refused, without harm and without errors left behind. */
START_TEST(test_der_damaged)
{
	_cleanup_(acme_key_freep) struct acme_key *key = make(ACME_KEY_ECDSA_P256);
	_cleanup_free_ unsigned char *der = NULL;
	size_t len;

	ck_assert_int_eq(acme_key_to_der(key, &der, &len), 0);
	for (size_t i = 0; i < len; i++) {
		_cleanup_(acme_key_freep) struct acme_key *damaged = NULL;
		int r;

		der[i] ^= 0x5a;
		r = acme_key_from_der(der, len, &damaged);
		der[i] ^= 0x5a;
		ck_assert(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT);
		ck_assert((r == 0) == (damaged != NULL));
		ck_assert_uint_eq(ERR_peek_error(), 0);
	}
}
END_TEST

static char *
pem_of(const char *kind, const char *how, size_t bits)
{
	EVP_PKEY *evp;
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	char *pem;
	long len;

	if (how != NULL)
		evp = EVP_PKEY_Q_keygen(NULL, NULL, kind, how);
	else
		evp = EVP_PKEY_Q_keygen(NULL, NULL, kind, bits);
	ck_assert_ptr_nonnull(evp);
	ck_assert_int_eq(
	    PEM_write_bio_PrivateKey(bio, evp, NULL, NULL, 0, NULL, NULL), 1);
	len = BIO_get_mem_data(bio, &data);
	pem = strndup(data, (size_t)len);
	BIO_free(bio);
	EVP_PKEY_free(evp);
	return pem;
}

START_TEST(test_other_kinds)
{
	struct acme_key *key = NULL;
	char *pems[] = {
		pem_of("EC", "P-521", 0),
		pem_of("EC", "secp256k1", 0),
		pem_of("ED25519", NULL, 0),
		pem_of("RSA", NULL, 1024),
	};

	for (size_t i = 0; i < ELEMENTS(pems); i++) {
		ck_assert_int_eq(acme_key_from_pem(pems[i], strlen(pems[i]), &key),
		    -EPROTONOSUPPORT);
		ck_assert_ptr_null(key);
		ck_assert_uint_eq(ERR_peek_error(), 0);
		free(pems[i]);
	}
}
END_TEST

/* RFC 8555 has no word on odd sizes; they count as the next smaller one. */
START_TEST(test_odd_rsa)
{
	_cleanup_free_ char *pem = pem_of("RSA", NULL, 2176);
	_cleanup_(acme_key_freep) struct acme_key *key = read_pem(pem);
	_cleanup_free_ unsigned char *signature = NULL;
	size_t len;

	ck_assert_int_eq(acme_key_get_type(key), ACME_KEY_RSA_2048);
	ck_assert_int_eq(key_sign(key, "x", 1, &signature, &len), 0);
	ck_assert_uint_eq(len, 2176 / 8);
}
END_TEST

static const char sec1[] =
    "some words before\n"
    "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MHcCAQEEII6bEJ5xkJi/mASH3x9dd+nLKWBuvtImO19XwhPfhPSyoAoGCCqGSM49\n"
    "AwEHoUQDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEXH8UTNG72b\n"
    "focs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
    "-----END EC PRIVATE KEY-----\n";

/* The same, with a public half of which one bit is another: no point of the curve. */
static const char off_curve[] =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MHcCAQEEII6bEJ5xkJi/mASH3x9dd+nLKWBuvtImO19XwhPfhPSyoAoGCCqGSM49\n"
    "AwEHoUQDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEXH8UTNG72b\n"
    "focs3+257rn0s2ldbqkLJK2KRiMohYjlrA==\n"
    "-----END EC PRIVATE KEY-----\n";

static const char encrypted[] =
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
    "MIHrMFYGCSqGSIb3DQEFDTBJMCgGCSqGSIb3DQEFDDAbBAjfOzsMuy9OBAIBATAM\n"
    "BggqhkiG9w0CCQUAMB0GCWCGSAFlAwQBAgQQJ5jSxFB7/bm0MeEFBJJkAwSBkEX4\n"
    "J+9CATmAA5Ww7UXP1aHSXmF9BDiBGAppf2Q/vhNo1nUWxhmQ9enwlQjMaEsNhfBC\n"
    "jwAeytsCi+VbahLOEHWQmjYrBjlL/0EyPUWK8+IHnOuVyIr7Cv2dDfpOqv8qvtWs\n"
    "8//jmYf4UuKOK0KqKaDBGbhz2Igf4IaLzT/Yv2LmHoKVOouDANy+6XHCmN9a2Q==\n"
    "-----END ENCRYPTED PRIVATE KEY-----\n";

START_TEST(test_older_form)
{
	_cleanup_(acme_key_freep) struct acme_key *old = read_pem(sec1);
	_cleanup_(acme_key_freep) struct acme_key *key = read_pem(ec_example);

	ck_assert_int_eq(EVP_PKEY_eq(acme_key_evp(old), acme_key_evp(key)), 1);
}
END_TEST

/* With a terminal or without one: nobody is asked for the passphrase, or this hangs. */
START_TEST(test_unreadable_pem)
{
	static const char *const texts[] = {
		"",
		"x",
		"-----BEGIN PRIVATE KEY-----\n",
		"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
		"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
		encrypted,
		off_curve,
	};

	for (size_t i = 0; i < ELEMENTS(texts); i++) {
		struct acme_key *key = NULL;
		int r = acme_key_from_pem(texts[i], strlen(texts[i]), &key);

		ck_assert_msg(r == -EBADMSG, "text %zu: %d", i, r);
		ck_assert_ptr_null(key);
		ck_assert_uint_eq(ERR_peek_error(), 0);
	}
}
END_TEST

/* A private half with the public half of another key. */
START_TEST(test_halves_that_do_not_fit)
{
	_cleanup_(acme_key_freep) struct acme_key *a = make(ACME_KEY_ECDSA_P256);
	_cleanup_(acme_key_freep) struct acme_key *b = make(ACME_KEY_ECDSA_P256);
	_cleanup_free_ unsigned char *der = NULL;
	_cleanup_free_ unsigned char *other = NULL;
	struct acme_key *key = NULL;
	char pem[1024];
	char *text = NULL;
	size_t len;
	size_t other_len;
	int n;

	ck_assert_int_eq(acme_key_to_der(a, &der, &len), 0);
	ck_assert_int_eq(acme_key_to_der(b, &other, &other_len), 0);
	ck_assert_uint_eq(len, other_len);
	memcpy(der + len - 64, other + len - 64, 64); /* the point is the last */
	text = calloc(2, len);
	n = EVP_EncodeBlock((unsigned char *)text, der, (int)len);
	ck_assert_int_gt(n, 64);
	snprintf(pem, sizeof(pem),
	    "-----BEGIN PRIVATE KEY-----\n%.64s\n%.64s\n%s\n-----END PRIVATE KEY-----\n",
	    text, text + 64, text + 128);
	free(text);
	ck_assert_int_eq(acme_key_from_pem(pem, strlen(pem), &key), -EBADMSG);
	ck_assert_ptr_null(key);
}
END_TEST

START_TEST(test_too_long)
{
	size_t size = 1024 * 1024;
	_cleanup_free_ char *text = malloc(size);
	struct acme_key *key = NULL;

	memset(text, '\n', size);
	memcpy(text, ec_example, strlen(ec_example));
	ck_assert_int_eq(acme_key_from_pem(text, size, &key), -EBADMSG);
	ck_assert_int_eq(acme_key_from_der(text, size, &key), -EBADMSG);
}
END_TEST

START_TEST(test_owners)
{
	struct acme_key *key = make(ACME_KEY_ECDSA_P256);
	struct acme_key *second = acme_key_ref(key);
	char thumbprint[ACME_THUMBPRINT_SIZE];

	ck_assert_ptr_eq(acme_key_ref(second), key);
	ck_assert_ptr_null(acme_key_free(key));
	ck_assert_ptr_null(acme_key_free(key));
	ck_assert_int_eq(acme_key_thumbprint(second, thumbprint), 0);
	ck_assert_uint_eq(strlen(thumbprint), 43);
	acme_key_free(second);
}
END_TEST

/* What is written the short way are the bytes that OpenSSL writes, whatever zeros the
 * numbers of a key begin or end with. */
START_TEST(test_same_as_openssl)
{
	for (int i = 0; i < 600; i++) {
		struct acme_key *key =
		    make(i % 2 == 0 ? ACME_KEY_ECDSA_P256 : ACME_KEY_ECDSA_P384);
		PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(acme_key_evp(key));
		PKCS8_PRIV_KEY_INFO *own = key_ec_to_info(key);
		unsigned char *der = NULL, *own_der = NULL;
		int len = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
		EVP_PKEY *read;

		ck_assert_ptr_nonnull(own);
		ck_assert_int_eq(i2d_PKCS8_PRIV_KEY_INFO(own, &own_der), len);
		ck_assert_mem_eq(own_der, der, len);
		read = key_ec_from_info(info);
		ck_assert_ptr_nonnull(read);
		ck_assert_int_eq(EVP_PKEY_eq(read, acme_key_evp(key)), 1);
		OPENSSL_free(der);
		OPENSSL_free(own_der);
		der = own_der = NULL;
		len = i2d_PUBKEY(acme_key_evp(key), &der);
		ck_assert_int_eq(key_public_der(key, &own_der), len);
		ck_assert_mem_eq(own_der, der, len);
		OPENSSL_free(der);
		OPENSSL_free(own_der);
		PKCS8_PRIV_KEY_INFO_free(info);
		PKCS8_PRIV_KEY_INFO_free(own);
		EVP_PKEY_free(read);
		acme_key_free(key);
	}
}
END_TEST

/* Read by hand it signs as before: its private half is the one it had. */
START_TEST(test_der_signs)
{
	struct acme_key *key = make(ACME_KEY_ECDSA_P384);
	struct acme_key *again = NULL;
	unsigned char *der, *signature;
	char *pem;
	size_t len, signature_len;

	ck_assert_int_eq(acme_key_to_der(key, &der, &len), 0);
	ck_assert_int_eq(acme_key_from_der(der, len, &again), 0);
	ck_assert_int_eq(key_sign(again, "x", 1, &signature, &signature_len), 0);
	ck_assert_uint_eq(signature_len, 96);
	/* which looks whether the halves fit */
	ck_assert_int_eq(acme_key_to_pem(again, &pem), 0);
	acme_key_free(again);
	ck_assert_int_eq(acme_key_from_pem(pem, strlen(pem), &again), 0);
	ck_assert(acme_key_equal(again, key));
	free(der);
	free(signature);
	free(pem);
	acme_key_free(again);
	acme_key_free(key);
}
END_TEST

START_TEST(test_type_of_nothing)
{
	ck_assert_int_eq(key_type_of(NULL), ACME_KEY_NONE);
}
END_TEST

SUITE("key", test_types, test_no_such_type, test_thumbprint_rsa, test_jwk_ec,
    test_rfc7515_es256, test_sign_es256, test_sign_es384, test_sign_rs256,
    test_jwk_coordinates, test_round_trips, test_der_cut_or_longer, test_der_damaged,
    test_other_kinds, test_odd_rsa, test_older_form, test_unreadable_pem,
    test_halves_that_do_not_fit, test_too_long, test_owners, test_same_as_openssl,
    test_der_signs, test_type_of_nothing)
