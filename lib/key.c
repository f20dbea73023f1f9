/*
 * key.c - private keys: made, and what JWS needs of them. key_der.c reads and writes
 * them.
 *
 * The only place that knows which kinds of key there are: a kind is a row of the table.
 * Called from any thread; a key never changes once it is made. Nothing here asks for a
 * passphrase, and no copy of a private half is left in freed memory.
 */
#include "key.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/rsa.h>

#include "base64url.h"
#include "buffer.h"

#define POINT_UNCOMPRESSED 4

DEFINE_CLEANUP(BIGNUM, BN_free)
DEFINE_CLEANUP(ECDSA_SIG, ECDSA_SIG_free)
DEFINE_CLEANUP(EVP_MD_CTX, EVP_MD_CTX_free)
DEFINE_CLEANUP(EVP_PKEY, EVP_PKEY_free)
DEFINE_CLEANUP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)

struct acme_key {
	EVP_PKEY *evp;
	enum acme_key_type type;
	unsigned char point[KEY_POINT_MAX]; /* of ECDSA, uncompressed */
	size_t point_len;                   /* 0: of RSA, or written differently */
	_Atomic(EVP_MD_CTX *) signer; /* made for the first signature; only copied */
	atomic_uint owners;
};

static const struct kind {
	enum acme_key_type type;
	const char *name;
	const char *alg; /* RFC 7518 section 3.1 */
	const char *digest;
	const char *crv; /* RFC 7518 section 6.2.1.1; NULL: RSA */
	struct key_curve curve;
	size_t bits;
} kinds[] = {
	{ ACME_KEY_ECDSA_P256, "ecdsa-p256", "ES256", "SHA256", "P-256",
	    { NID_X9_62_prime256v1, "prime256v1", 32 }, 256 },
	{ ACME_KEY_ECDSA_P384, "ecdsa-p384", "ES384", "SHA384", "P-384",
	    { NID_secp384r1, "secp384r1", 48 }, 384 },
	{ ACME_KEY_RSA_2048, "rsa-2048", "RS256", "SHA256", NULL, { 0 }, 2048 },
	{ ACME_KEY_RSA_3072, "rsa-3072", "RS256", "SHA256", NULL, { 0 }, 3072 },
	{ ACME_KEY_RSA_4096, "rsa-4096", "RS256", "SHA256", NULL, { 0 }, 4096 },
};

static const struct kind *
kind_of(enum acme_key_type type)
{
	for (size_t i = 0; i < ELEMENTS(kinds); i++)
		if (kinds[i].type == type)
			return &kinds[i];
	return NULL;
}

const char *
acme_key_type_name(enum acme_key_type type)
{
	const struct kind *kind = kind_of(type);

	return kind != NULL ? kind->name : "none";
}

enum acme_key_type
acme_key_type_parse(const char *name)
{
	for (size_t i = 0; i < ELEMENTS(kinds); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return kinds[i].type;
	return ACME_KEY_NONE;
}

bool
acme_key_type_is_rsa(enum acme_key_type type)
{
	const struct kind *kind = kind_of(type);

	return kind != NULL && kind->crv == NULL;
}

const struct key_curve *
key_curve_of(enum acme_key_type type)
{
	const struct kind *kind = kind_of(type);

	return kind != NULL && kind->crv != NULL ? &kind->curve : NULL;
}

enum acme_key_type
key_type_of_curve(int nid)
{
	for (size_t i = 0; i < ELEMENTS(kinds); i++)
		if (kinds[i].crv != NULL && kinds[i].curve.nid == nid)
			return kinds[i].type;
	return ACME_KEY_NONE;
}

static enum acme_key_type
type_of_rsa(EVP_PKEY *evp)
{
	int bits = EVP_PKEY_get_bits(evp);
	enum acme_key_type type = ACME_KEY_NONE;

	for (size_t i = 0; i < ELEMENTS(kinds); i++)
		if (kinds[i].crv == NULL && (size_t)bits >= kinds[i].bits)
			type = kinds[i].type;
	return bits > 0 && bits <= 4096 ? type : ACME_KEY_NONE;
}

static enum acme_key_type
type_of_ec(EVP_PKEY *evp)
{
	char group[64];

	if (EVP_PKEY_get_group_name(evp, group, sizeof(group), NULL) != 1)
		return ACME_KEY_NONE;
	for (size_t i = 0; i < ELEMENTS(kinds); i++)
		if (kinds[i].crv != NULL && strcmp(kinds[i].curve.group, group) == 0)
			return kinds[i].type;
	return ACME_KEY_NONE;
}

enum acme_key_type
key_type_of(EVP_PKEY *evp)
{
	enum acme_key_type type = ACME_KEY_NONE;

	if (evp == NULL)
		return ACME_KEY_NONE;
	if (EVP_PKEY_is_a(evp, "RSA"))
		type = type_of_rsa(evp);
	else if (EVP_PKEY_is_a(evp, "EC"))
		type = type_of_ec(evp);
	ERR_clear_error();
	return type;
}

/* Its public half, which is asked for again and again. */
static void
keep_point(struct acme_key *key)
{
	const struct key_curve *curve = key_curve_of(key->type);
	size_t len = 0;

	if (curve != NULL &&
	    EVP_PKEY_get_octet_string_param(key->evp, OSSL_PKEY_PARAM_PUB_KEY,
		key->point, sizeof(key->point), &len) == 1 &&
	    key_is_point(curve, key->point, len))
		key->point_len = len;
	ERR_clear_error();
}

int
key_wrap(EVP_PKEY **evp, struct acme_key **ret)
{
	enum acme_key_type type = key_type_of(*evp);
	struct acme_key *key;

	if (type == ACME_KEY_NONE)
		return -EPROTONOSUPPORT;
	key = calloc(1, sizeof(*key));
	if (key == NULL)
		return -ENOMEM;
	key->evp = steal_ptr(*evp);
	key->type = type;
	keep_point(key);
	atomic_init(&key->owners, 1);
	*ret = key;
	return 0;
}

int
key_from_public(EVP_PKEY *evp, struct acme_key **ret)
{
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *shared = NULL;

	if (EVP_PKEY_up_ref(evp) != 1)
		return -ENOMEM;
	shared = evp;
	return key_wrap(&shared, ret);
}

bool
acme_key_equal(const struct acme_key *a, const struct acme_key *b)
{
	bool same = EVP_PKEY_eq(a->evp, b->evp) == 1;

	ERR_clear_error();
	return same;
}

/* OpenSSL asks between the candidates for a prime: some milliseconds. */
static int
go_on_cb(EVP_PKEY_CTX *ctx)
{
	const atomic_bool *stop = EVP_PKEY_CTX_get_app_data(ctx);

	return !atomic_load(stop);
}

static EVP_PKEY *
generate_rsa(size_t bits, const atomic_bool *stop)
{
	_cleanup_(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *ctx =
	    EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY *evp = NULL;

	if (ctx == NULL || EVP_PKEY_keygen_init(ctx) <= 0 ||
	    EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)bits) <= 0)
		return NULL;
	EVP_PKEY_CTX_set_app_data(ctx, (void *)stop);
	EVP_PKEY_CTX_set_cb(ctx, go_on_cb);
	return EVP_PKEY_generate(ctx, &evp) > 0 ? evp : NULL;
}

int
key_generate(enum acme_key_type type, const atomic_bool *stop, struct acme_key **ret)
{
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *evp = NULL;
	const struct kind *kind = kind_of(type);

	if (kind == NULL)
		return -EINVAL;
	if (kind->crv != NULL)
		evp = EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind->curve.group);
	else
		evp = generate_rsa(kind->bits, stop);
	ERR_clear_error();
	if (evp == NULL)
		return atomic_load(stop) ? -ECANCELED : -EIO;
	return key_wrap(&evp, ret);
}

int
acme_key_generate(enum acme_key_type type, struct acme_key **ret)
{
	static const atomic_bool never;

	return key_generate(type, &never, ret);
}

enum acme_key_type
acme_key_get_type(const struct acme_key *key)
{
	return key->type;
}

EVP_PKEY *
acme_key_evp(const struct acme_key *key)
{
	return key->evp;
}

struct acme_key *
acme_key_ref(const struct acme_key *key)
{
	/* the count is not part of the value that const protects */
	struct acme_key *owned = (struct acme_key *)key;

	if (owned != NULL)
		atomic_fetch_add(&owned->owners, 1);
	return owned;
}

struct acme_key *
acme_key_free(struct acme_key *key)
{
	if (key == NULL || atomic_fetch_sub(&key->owners, 1) > 1)
		return NULL;
	EVP_MD_CTX_free(atomic_load(&key->signer));
	EVP_PKEY_free(key->evp);
	free(key);
	return NULL;
}

void
acme_wipe_free(void *secret, size_t len)
{
	if (secret != NULL)
		explicit_bzero(secret, len);
	free(secret);
}

const unsigned char *
key_point(const struct acme_key *key, size_t *ret_len)
{
	*ret_len = key->point_len;
	return key->point;
}

bool
key_is_point(const struct key_curve *curve, const unsigned char *data, size_t len)
{
	return len == 1 + 2 * curve->field && data[0] == POINT_UNCOMPRESSED;
}

const char *
key_alg(const struct acme_key *key)
{
	return kind_of(key->type)->alg;
}

/* ,"name":"base64url" for a number of the public key; field 0: as short as it is. */
static int
add_number(struct buffer *b, const char *before, EVP_PKEY *evp, const char *param,
    size_t field)
{
	_cleanup_(BN_freep) BIGNUM *number = NULL;
	_cleanup_free_ char *text = NULL;
	unsigned char bytes[4096 / CHAR_BIT];
	int len;
	int r;

	if (EVP_PKEY_get_bn_param(evp, param, &number) != 1)
		return -EIO;
	len = field > 0 ? (int)field : BN_num_bytes(number);
	if (len > (int)sizeof(bytes) || BN_bn2binpad(number, bytes, len) != len)
		return -EIO;
	r = base64url_encode(bytes, (size_t)len, &text);
	if (r == 0)
		buffer_printf(b, "%s\"%s\"", before, text);
	return r;
}

/* The same for a coordinate. */
static int
add_coordinate(
    struct buffer *b, const char *before, const unsigned char *bytes, size_t len)
{
	_cleanup_free_ char *text = NULL;
	int r = base64url_encode(bytes, len, &text);

	if (r == 0)
		buffer_printf(b, "%s\"%s\"", before, text);
	return r;
}

static int
add_point(struct buffer *b, const struct acme_key *key, size_t field)
{
	const unsigned char *x = key->point + 1;
	int r;

	if (key->point_len == 0) {
		r = add_number(b, ",\"x\":", key->evp, OSSL_PKEY_PARAM_EC_PUB_X, field);
		return r < 0 ? r
			     : add_number(b, ",\"y\":", key->evp,
				   OSSL_PKEY_PARAM_EC_PUB_Y, field);
	}
	r = add_coordinate(b, ",\"x\":", x, field);
	return r < 0 ? r : add_coordinate(b, ",\"y\":", x + field, field);
}

static int
compose_jwk(const struct acme_key *key, struct buffer *b)
{
	const struct kind *kind = kind_of(key->type);
	EVP_PKEY *evp = key->evp;
	int r;

	/* RFC 7638 section 3.2: these members, in this order */
	if (kind->crv == NULL) {
		r = add_number(b, "{\"e\":", evp, OSSL_PKEY_PARAM_RSA_E, 0);
		buffer_puts(b, ",\"kty\":\"RSA\"");
		if (r == 0)
			r = add_number(b, ",\"n\":", evp, OSSL_PKEY_PARAM_RSA_N, 0);
	} else {
		buffer_printf(b, "{\"crv\":\"%s\",\"kty\":\"EC\"", kind->crv);
		r = add_point(b, key, kind->curve.field);
	}
	buffer_puts(b, "}");
	return r;
}

int
key_jwk(const struct acme_key *key, char **ret_json)
{
	_cleanup_(buffer_free) struct buffer b = { 0 };
	int r = compose_jwk(key, &b);

	ERR_clear_error();
	if (r < 0)
		return r;
	return buffer_steal(&b, ret_json, NULL);
}

int
acme_key_thumbprint(const struct acme_key *key, char ret[ACME_THUMBPRINT_SIZE])
{
	_cleanup_free_ char *jwk = NULL;
	_cleanup_free_ char *text = NULL;
	unsigned char digest[32];
	int ok;
	int r;

	r = key_jwk(key, &jwk);
	if (r < 0)
		return r;
	ok = EVP_Q_digest(NULL, "SHA256", NULL, jwk, strlen(jwk), digest, NULL);
	ERR_clear_error();
	if (ok != 1)
		return -EIO;
	r = base64url_encode(digest, sizeof(digest), &text);
	if (r < 0)
		return r;
	memcpy(ret, text, ACME_THUMBPRINT_SIZE);
	return 0;
}

/* From the DER that OpenSSL makes to r and s of fixed length (RFC 7518 section 3.4). */
static int
flatten_ecdsa(const struct kind *kind, unsigned char *signature, size_t *len)
{
	_cleanup_(ECDSA_SIG_freep) ECDSA_SIG *ecdsa = NULL;
	const unsigned char *der = signature;
	int field = (int)kind->curve.field;

	ecdsa = d2i_ECDSA_SIG(NULL, &der, (long)*len);
	if (ecdsa == NULL)
		return -EIO;
	if (BN_bn2binpad(ECDSA_SIG_get0_r(ecdsa), signature, field) != field ||
	    BN_bn2binpad(ECDSA_SIG_get0_s(ecdsa), signature + field, field) != field)
		return -EIO;
	*len = 2 * kind->curve.field;
	return 0;
}

/* Looking up what signs takes a fifth of a signature: once for a key that signs often.
 */
static EVP_MD_CTX *
find_signer(const struct acme_key *key)
{
	/* as with the owners, no part of the value that const protects */
	struct acme_key *own = (struct acme_key *)key;
	EVP_MD_CTX *signer = atomic_load(&own->signer);
	EVP_MD_CTX *other = NULL;

	if (signer != NULL)
		return signer;
	signer = EVP_MD_CTX_new();
	if (signer == NULL ||
	    EVP_DigestSignInit_ex(signer, NULL, kind_of(key->type)->digest, NULL, NULL,
		key->evp, NULL) != 1) {
		EVP_MD_CTX_free(signer);
		return NULL;
	}
	if (atomic_compare_exchange_strong(&own->signer, &other, signer))
		return signer;
	EVP_MD_CTX_free(signer); /* another thread was faster */
	return other;
}

static int
sign(const struct acme_key *key, const void *data, size_t len, unsigned char **ret,
    size_t *ret_len)
{
	_cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	_cleanup_free_ unsigned char *signature = NULL;
	const struct kind *kind = kind_of(key->type);
	size_t size = (size_t)EVP_PKEY_get_size(key->evp);
	const EVP_MD_CTX *signer = find_signer(key);

	signature = malloc(size);
	if (ctx == NULL || signature == NULL)
		return -ENOMEM;
	if (signer == NULL || EVP_MD_CTX_copy_ex(ctx, signer) != 1 ||
	    EVP_DigestSign(ctx, signature, &size, data, len) != 1)
		return -EIO;
	if (kind->curve.field > 0 && flatten_ecdsa(kind, signature, &size) < 0)
		return -EIO;
	*ret = steal_ptr(signature);
	*ret_len = size;
	return 0;
}

int
key_sign(const struct acme_key *key, const void *data, size_t len, unsigned char **ret,
    size_t *ret_len)
{
	int r = sign(key, data, len, ret, ret_len);

	ERR_clear_error();
	return r;
}
