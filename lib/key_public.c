/*
 * key_public.c - public keys from their numbers, the short way.
 *
 * OpenSSL's own d2i_PUBKEY() looks through all its decoders each time: 0.1 ms, of which
 * the key takes a thirtieth. Called by certder.c for the keys of issuers, which are
 * needed to check what they have signed. The forms are those of RFC 3279 section 2.3.1
 * and RFC 5480 section 2.
 */
#include "key_public.h"

#include <openssl/asn1t.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/x509.h>

#include "key.h"
#include "scope.h"

#define NUMBER_MAX 1024 /* bytes: 8192 bits, more than anybody has */

/* RFC 8017 appendix A.1.1. */
typedef struct {
	ASN1_INTEGER *modulus;
	ASN1_INTEGER *exponent;
} NUMBERS;

/* clang-format off */
#ifndef __cppcheck__ /* which doesn't know these macros */
ASN1_SEQUENCE(NUMBERS) = {
	ASN1_SIMPLE(NUMBERS, modulus, ASN1_INTEGER),
	ASN1_SIMPLE(NUMBERS, exponent, ASN1_INTEGER),
} static_ASN1_SEQUENCE_END(NUMBERS)
#endif
/* clang-format on */

static void
numbers_free(NUMBERS *numbers)
{
	ASN1_item_free((ASN1_VALUE *)numbers, ASN1_ITEM_rptr(NUMBERS));
}

DEFINE_CLEANUP(BIGNUM, BN_free)
DEFINE_CLEANUP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
DEFINE_CLEANUP(NUMBERS, numbers_free)

EVP_PKEY *
key_build(const char *kind, int selection, OSSL_PARAM *params)
{
	_cleanup_(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *ctx =
	    EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
	EVP_PKEY *evp = NULL;

	if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &evp, selection, params) != 1)
		return NULL;
	return evp;
}

/* The number as OSSL_PARAM has it: in the machine's order of bytes. 0: it is negative,
 * zero, or too large. */
static size_t
turn(const ASN1_INTEGER *number, unsigned char ret[NUMBER_MAX])
{
	_cleanup_(BN_freep) BIGNUM *n = ASN1_INTEGER_to_BN(number, NULL);
	int len = n != NULL ? BN_num_bytes(n) : 0;

	if (len <= 0 || len > NUMBER_MAX || BN_is_negative(n) ||
	    BN_bn2nativepad(n, ret, len) != len)
		return 0;
	return (size_t)len;
}

static EVP_PKEY *
read_rsa(const unsigned char *data, int len)
{
	const unsigned char *end = data;
	_cleanup_(numbers_freep) NUMBERS *numbers =
	    (NUMBERS *)ASN1_item_d2i(NULL, &end, len, ASN1_ITEM_rptr(NUMBERS));
	unsigned char modulus[NUMBER_MAX], exponent[NUMBER_MAX];
	size_t modulus_len, exponent_len;
	OSSL_PARAM params[3];

	if (numbers == NULL || end != data + len)
		return NULL;
	modulus_len = turn(numbers->modulus, modulus);
	exponent_len = turn(numbers->exponent, exponent);
	if (modulus_len == 0 || exponent_len == 0)
		return NULL;
	params[0] =
	    OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, modulus, modulus_len);
	params[1] =
	    OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, exponent, exponent_len);
	params[2] = OSSL_PARAM_construct_end();
	return key_build("RSA", EVP_PKEY_PUBLIC_KEY, params);
}

static EVP_PKEY *
read_ec(const struct key_curve *curve, const unsigned char *data, int len)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(
		    OSSL_PKEY_PARAM_GROUP_NAME, (char *)curve->group, 0),
		OSSL_PARAM_construct_octet_string(
		    OSSL_PKEY_PARAM_PUB_KEY, (void *)data, (size_t)len),
		OSSL_PARAM_construct_end(),
	};

	return key_build("EC", EVP_PKEY_PUBLIC_KEY, params);
}

EVP_PKEY *
key_public_read(const X509_ALGOR *algorithm, const ASN1_BIT_STRING *bits)
{
	const unsigned char *data = ASN1_STRING_get0_data(bits);
	int len = ASN1_STRING_length(bits);
	const struct key_curve *curve =
	    key_curve_of(key_type_of_public(algorithm, data, (size_t)len));
	const ASN1_OBJECT *oid;
	EVP_PKEY *evp = NULL;

	X509_ALGOR_get0(&oid, NULL, NULL, algorithm);
	if (curve != NULL)
		evp = read_ec(curve, data, len);
	else if (OBJ_obj2nid(oid) == NID_rsaEncryption)
		evp = read_rsa(data, len);
	ERR_clear_error();
	return evp;
}
