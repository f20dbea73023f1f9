/*
 * jws_check.c - flattened JWS with ES256, verified (RFC 7515, RFC 8555 section 6.2).
 */
#include "jws_check.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/param_build.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base64url.h"
#include "buffer.h"
#include "json.h"
#include "scope.h"

#define COORDINATE 32 /* bytes of P-256's */

DEFINE_CLEANUP(EVP_MD_CTX, EVP_MD_CTX_free)
DEFINE_CLEANUP(struct json, json_free)

/* ---- keys ---- */

static bool
read_coordinate(const struct json *jwk, const char *name, unsigned char *ret)
{
	const char *text = json_string(json_get(jwk, name));
	_cleanup_free_ unsigned char *data = NULL;
	size_t len = 0;

	if (text == NULL || base64url_decode(text, strlen(text), &data, &len) < 0 ||
	    len != COORDINATE)
		return false;
	memcpy(ret, data, len);
	return true;
}

static EVP_PKEY *
make_key(const unsigned char *point, size_t len)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)"P-256", 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)point, len),
		OSSL_PARAM_END,
	};
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *key = NULL;

	if (ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1)
		EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

/* RFC 7638 */
static bool
thumbprint(const struct json *jwk, char ret[44])
{
	_cleanup_(buffer_free) struct buffer text = { 0 };
	_cleanup_free_ char *encoded = NULL;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len;

	buffer_printf(&text,
	    "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}",
	    json_string(json_get(jwk, "x")), json_string(json_get(jwk, "y")));
	if (text.failed ||
	    EVP_Digest(text.data, text.len, digest, &len, EVP_sha256(), NULL) != 1 ||
	    base64url_encode(digest, len, &encoded) < 0 || strlen(encoded) != 43)
		return false;
	memcpy(ret, encoded, 44);
	return true;
}

static const char *
read_jwk(const struct json *jwk, struct jws_checked *ret)
{
	unsigned char point[1 + 2 * COORDINATE] = { 4 }; /* uncompressed */

	if (!read_coordinate(jwk, "x", point + 1) ||
	    !read_coordinate(jwk, "y", point + 1 + COORDINATE) ||
	    !thumbprint(jwk, ret->thumbprint))
		return "badPublicKey";
	ret->key = make_key(point, sizeof(point));
	return ret->key != NULL ? NULL : "badPublicKey";
}

/* ---- signature ---- */

/* r and s side by side to the DER that OpenSSL wants. */
static int
to_der(const unsigned char *raw, unsigned char **ret)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	int len;

	ECDSA_SIG_set0(sig, BN_bin2bn(raw, COORDINATE, NULL),
	    BN_bin2bn(raw + COORDINATE, COORDINATE, NULL));
	*ret = NULL;
	len = i2d_ECDSA_SIG(sig, ret);
	ECDSA_SIG_free(sig);
	return len;
}

static bool
verify(const struct json *jws, EVP_PKEY *key)
{
	_cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	_cleanup_(buffer_free) struct buffer input = { 0 };
	_cleanup_free_ unsigned char *raw = NULL;
	const char *signature = json_string(json_get(jws, "signature"));
	unsigned char *der;
	size_t len = 0;
	int der_len;
	bool good;

	if (signature == NULL ||
	    base64url_decode(signature, strlen(signature), &raw, &len) < 0 ||
	    len != 2 * COORDINATE)
		return false;
	buffer_printf(&input, "%s.%s", json_string(json_get(jws, "protected")),
	    json_string(json_get(jws, "payload")));
	der_len = to_der(raw, &der);
	good = der_len > 0 && !input.failed &&
	    EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
	    EVP_DigestVerify(ctx, der, (size_t)der_len,
		(const unsigned char *)input.data, input.len) == 1;
	OPENSSL_free(der);
	return good;
}

/* ---- the whole ---- */

static struct json *
decode(const char *text)
{
	_cleanup_free_ unsigned char *data = NULL;
	struct json *json = NULL;
	size_t len;

	if (text != NULL && base64url_decode(text, strlen(text), &data, &len) == 0)
		(void)json_parse((char *)data, len, &json_limits_acme, &json);
	return json;
}

static const char *
find_key(const struct json *header, const struct jws_context *context,
    struct jws_checked *ret, EVP_PKEY **ret_key)
{
	const struct json *jwk = json_get(header, "jwk");
	const char *kid = json_string(json_get(header, "kid"));
	size_t prefix = strlen(context->account);
	const char *why;

	if ((json_type(jwk) == JSON_OBJECT) == (kid != NULL))
		return "malformed";
	if (kid == NULL) {
		why = read_jwk(jwk, ret);
		*ret_key = ret->key;
		return why;
	}
	if (strncmp(kid, context->account, prefix) != 0)
		return "accountDoesNotExist";
	ret->account = strtoull(kid + prefix, NULL, 10);
	*ret_key = context->find_key(ret->account);
	return *ret_key != NULL ? NULL : "accountDoesNotExist";
}

static const char *
check_header(const struct json *header, const struct jws_context *context)
{
	const char *alg = json_string(json_get(header, "alg"));
	const char *url = json_string(json_get(header, "url"));
	const char *nonce = json_string(json_get(header, "nonce"));

	if (alg == NULL || strcmp(alg, "ES256") != 0)
		return "badSignatureAlgorithm";
	if (url == NULL || strcmp(url, context->url) != 0)
		return "unauthorized";
	if (context->take_nonce == NULL)
		return nonce == NULL ? NULL : "malformed";
	if (nonce == NULL || !context->take_nonce(nonce))
		return "badNonce";
	return NULL;
}

const char *
jws_check(const char *body, size_t len, const struct jws_context *context,
    struct jws_checked *ret)
{
	_cleanup_(json_freep) struct json *jws = NULL;
	_cleanup_(json_freep) struct json *header = NULL;
	unsigned char *payload = NULL;
	EVP_PKEY *key = NULL;
	const char *text;
	const char *why;

	*ret = (struct jws_checked){ 0 };
	if (json_parse(body, len, &json_limits_acme, &jws) < 0)
		return "malformed";
	header = decode(json_string(json_get(jws, "protected")));
	text = json_string(json_get(jws, "payload"));
	if (header == NULL || text == NULL)
		return "malformed";
	why = check_header(header, context);
	if (why == NULL)
		why = find_key(header, context, ret, &key);
	if (why == NULL && !verify(jws, key))
		why = "unauthorized";
	if (why == NULL &&
	    base64url_decode(text, strlen(text), &payload, &ret->payload_len) < 0)
		why = "malformed";
	if (why != NULL) {
		EVP_PKEY_free(ret->key);
		*ret = (struct jws_checked){ 0 };
		return why;
	}
	ret->payload = (char *)payload;
	return NULL;
}
