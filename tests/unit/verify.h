/*
 * verify.h - are our signatures what others would accept? Asked of OpenSSL, with the
 * public key rebuilt from nothing but its JWK.
 */
#ifndef VERIFY_H
#define VERIFY_H

#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "base64url.h"
#include "json.h"
#include "suite.h"

struct bytes {
	unsigned char data[2048];
	size_t len;
};

static inline struct bytes
verify_decode(const char *text)
{
	_cleanup_free_ unsigned char *decoded = NULL;
	struct bytes b = { 0 };

	ck_assert_ptr_nonnull(text);
	ck_assert_int_eq(base64url_decode(text, strlen(text), &decoded, &b.len), 0);
	ck_assert_uint_lt(b.len, sizeof(b.data));
	memcpy(b.data, decoded, b.len);
	return b;
}

static inline EVP_PKEY *
verify_build_key(const char *kind, OSSL_PARAM_BLD *builder)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
	EVP_PKEY *evp = NULL;

	ck_assert_int_eq(EVP_PKEY_fromdata_init(ctx), 1);
	ck_assert_int_eq(EVP_PKEY_fromdata(ctx, &evp, EVP_PKEY_PUBLIC_KEY, params), 1);
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(builder);
	return evp;
}

static inline EVP_PKEY *
verify_rsa_key(const struct json *jwk)
{
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	struct bytes n = verify_decode(json_string(json_get(jwk, "n")));
	struct bytes e = verify_decode(json_string(json_get(jwk, "e")));
	BIGNUM *bn_n = BN_bin2bn(n.data, (int)n.len, NULL);
	BIGNUM *bn_e = BN_bin2bn(e.data, (int)e.len, NULL);
	EVP_PKEY *evp;

	/* RFC 7518 section 6.3.1.1: no leading zeros */
	ck_assert(n.data[0] != 0 && e.data[0] != 0);
	OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, bn_n);
	OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, bn_e);
	evp = verify_build_key("RSA", builder);
	BN_free(bn_n);
	BN_free(bn_e);
	return evp;
}

static inline EVP_PKEY *
verify_ec_key(const struct json *jwk)
{
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	const char *crv = json_string(json_get(jwk, "crv"));
	struct bytes x = verify_decode(json_string(json_get(jwk, "x")));
	struct bytes y = verify_decode(json_string(json_get(jwk, "y")));
	size_t field = strcmp(crv, "P-256") == 0 ? 32 : 48;
	unsigned char point[97] = { 4 };

	/* RFC 7518 section 6.2.1.2: always the full size */
	ck_assert_uint_eq(x.len, field);
	ck_assert_uint_eq(y.len, field);
	memcpy(point + 1, x.data, field);
	memcpy(point + 1 + field, y.data, field);
	OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, crv, 0);
	OSSL_PARAM_BLD_push_octet_string(
	    builder, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * field);
	return verify_build_key("EC", builder);
}

static inline EVP_PKEY *
verify_key(const struct json *jwk)
{
	const char *kty = json_string(json_get(jwk, "kty"));

	ck_assert_ptr_nonnull(kty);
	return strcmp(kty, "RSA") == 0 ? verify_rsa_key(jwk) : verify_ec_key(jwk);
}

/* r and s of fixed length back to the DER that OpenSSL wants. */
static inline struct bytes
verify_ecdsa_der(const unsigned char *signature, size_t len)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	int half = (int)(len / 2);
	struct bytes der = { 0 };
	unsigned char *end = der.data;

	ECDSA_SIG_set0(sig, BN_bin2bn(signature, half, NULL),
	    BN_bin2bn(signature + half, half, NULL));
	der.len = (size_t)i2d_ECDSA_SIG(sig, &end);
	ECDSA_SIG_free(sig);
	return der;
}

static inline bool
verify_signature(EVP_PKEY *evp, const char *alg, const void *data, size_t data_len,
    const unsigned char *signature, size_t len)
{
	const char *digest = strcmp(alg, "ES384") == 0 ? "SHA384" : "SHA256";
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct bytes der = { 0 };
	int ok;

	if (alg[0] == 'E') {
		ck_assert_uint_eq(len, strcmp(alg, "ES384") == 0 ? 96 : 64);
		der = verify_ecdsa_der(signature, len);
		signature = der.data;
		len = der.len;
	}
	ck_assert_int_eq(
	    EVP_DigestVerifyInit_ex(ctx, NULL, digest, NULL, NULL, evp, NULL), 1);
	ok = EVP_DigestVerify(ctx, signature, len, data, data_len);
	EVP_MD_CTX_free(ctx);
	return ok == 1;
}

#endif
