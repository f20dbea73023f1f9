/*
 * jws.c - flattened JSON Web Signatures (RFC 7515 section 7.2.2) as ACME wants them.
 *
 * Called by exchange for each request and by session for external account binding. The
 * protected header holds alg, nonce, url and one of jwk and kid (RFC 8555 section 6.2),
 * never more.
 */
#include "jws.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "base64url.h"
#include "buffer.h"
#include "json.h"
#include "key.h"
#include "scope.h"

DEFINE_CLEANUP(struct json_writer, json_writer_free)

/* Header and payload, encoded. */
struct parts {
	char *header;
	char *payload;
};

static void
parts_free(struct parts *parts)
{
	free(parts->header);
	free(parts->payload);
}

static int
encode_header(const char *alg, const char *kid, const char *jwk, const char *nonce,
    const char *url, char **ret)
{
	_cleanup_(json_writer_freep) struct json_writer *w = json_writer_new();
	_cleanup_free_ char *json = NULL;
	size_t len;
	int r;

	json_open_object(w);
	json_member_string(w, "alg", alg);
	if (kid != NULL)
		json_member_string(w, "kid", kid);
	else
		json_member_raw(w, "jwk", jwk);
	if (nonce != NULL)
		json_member_string(w, "nonce", nonce);
	json_member_string(w, "url", url);
	json_close_object(w);
	r = json_writer_steal(w, &json, &len);
	if (r < 0)
		return r;
	return base64url_encode(json, len, ret);
}

/* What is signed: RFC 7515 section 5.1, step 8. */
static int
join(const struct parts *parts, char **ret, size_t *ret_len)
{
	_cleanup_(buffer_free) struct buffer b = { 0 };

	buffer_puts(&b, parts->header);
	buffer_puts(&b, ".");
	buffer_puts(&b, parts->payload);
	return buffer_steal(&b, ret, ret_len);
}

static int
flatten(const struct parts *parts, const void *signature, size_t len, char **ret)
{
	_cleanup_(json_writer_freep) struct json_writer *w = json_writer_new();
	_cleanup_free_ char *text = NULL;
	int r;

	r = base64url_encode(signature, len, &text);
	if (r < 0)
		return r;
	json_open_object(w);
	json_member_string(w, "protected", parts->header);
	json_member_string(w, "payload", parts->payload);
	json_member_string(w, "signature", text);
	json_close_object(w);
	return json_writer_steal(w, ret, NULL);
}

int
jws_sign(const struct acme_key *key, const char *kid, const char *nonce,
    const char *url, const char *payload, char **ret)
{
	_cleanup_(parts_free) struct parts parts = { 0 };
	_cleanup_free_ unsigned char *signature = NULL;
	_cleanup_free_ char *input = NULL;
	_cleanup_free_ char *jwk = NULL;
	size_t len = 0;
	int r;

	if (payload == NULL)
		payload = ""; /* POST-as-GET, RFC 8555 section 6.3 */
	r = kid == NULL ? key_jwk(key, &jwk) : 0;
	if (r == 0)
		r = encode_header(key_alg(key), kid, jwk, nonce, url, &parts.header);
	if (r == 0)
		r = base64url_encode(payload, strlen(payload), &parts.payload);
	if (r == 0)
		r = join(&parts, &input, &len);
	if (r == 0)
		r = key_sign(key, input, len, &signature, &len);
	if (r < 0)
		return r;
	return flatten(&parts, signature, len, ret);
}

/* RFC 7518 section 3.2 */
static const struct hmac {
	const char *alg;
	const char *digest;
	size_t size;
} hmacs[] = {
	[ACME_HS256] = { "HS256", "SHA256", 32 },
	[ACME_HS384] = { "HS384", "SHA384", 48 },
	[ACME_HS512] = { "HS512", "SHA512", 64 },
};

static int
sign_hmac(const struct hmac *hmac, const void *key, size_t key_len, const char *input,
    size_t len, unsigned char signature[64])
{
	bool ok =
	    EVP_Q_mac(NULL, "HMAC", NULL, hmac->digest, NULL, key, key_len,
		(const unsigned char *)input, len, signature, hmac->size, NULL) != NULL;

	ERR_clear_error();
	return ok ? 0 : -EIO;
}

int
jws_bind(const struct acme_key *key, const char *eab_kid, enum acme_hmac alg,
    const void *hmac_key, size_t hmac_key_len, const char *url, char **ret)
{
	_cleanup_(parts_free) struct parts parts = { 0 };
	_cleanup_free_ char *input = NULL;
	_cleanup_free_ char *jwk = NULL;
	unsigned char signature[64];
	size_t len;
	int r;

	if (eab_kid == NULL || hmac_key_len == 0 || (size_t)alg >= ELEMENTS(hmacs))
		return -EINVAL;
	r = key_jwk(key, &jwk);
	/* RFC 8555 section 7.3.4: kid and url, no nonce */
	if (r == 0)
		r = encode_header(
		    hmacs[alg].alg, eab_kid, NULL, NULL, url, &parts.header);
	if (r == 0)
		r = base64url_encode(jwk, strlen(jwk), &parts.payload);
	if (r == 0)
		r = join(&parts, &input, &len);
	if (r == 0)
		r = sign_hmac(
		    &hmacs[alg], hmac_key, hmac_key_len, input, len, signature);
	if (r < 0)
		return r;
	return flatten(&parts, signature, hmacs[alg].size, ret);
}
