/*
 * key_ec.c - ECDSA keys as PKCS#8 and SubjectPublicKeyInfo, the short way.
 *
 * OpenSSL's own functions look through all its decoders or encoders each time, which
 * takes ten times as long as the work. Called by key_der.c, which has them do what is
 * refused here: other curves, explicit ones, points that are written differently. The
 * forms are those of RFC 5915 and RFC 5480.
 */
#include "key_ec.h"

#include <errno.h>
#include <string.h>

#include <openssl/asn1t.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "key.h"
#include "key_public.h"

#define FIELD_MAX 48
#define VERSION   1

/* RFC 5915 section 3; the curve is said outside. */
typedef struct {
	ASN1_INTEGER *version;
	ASN1_OCTET_STRING *number;
	ASN1_BIT_STRING *point;
} PAIR;

/* clang-format off */
#ifndef __cppcheck__ /* which doesn't know these macros */
ASN1_SEQUENCE(PAIR) = {
	ASN1_SIMPLE(PAIR, version, ASN1_INTEGER),
	ASN1_SIMPLE(PAIR, number, ASN1_OCTET_STRING),
	ASN1_EXP(PAIR, point, ASN1_BIT_STRING, 1),
} static_ASN1_SEQUENCE_END(PAIR)
#endif
/* clang-format on */

static void
pair_free(PAIR *pair)
{
	if (pair->number != NULL && pair->number->data != NULL)
		OPENSSL_cleanse(pair->number->data, (size_t)pair->number->length);
	ASN1_item_free((ASN1_VALUE *)pair, ASN1_ITEM_rptr(PAIR));
}

DEFINE_CLEANUP(BIGNUM, BN_clear_free)
DEFINE_CLEANUP(PAIR, pair_free)
DEFINE_CLEANUP(PKCS8_PRIV_KEY_INFO, PKCS8_PRIV_KEY_INFO_free)

static enum acme_key_type
type_of(const X509_ALGOR *algorithm)
{
	const ASN1_OBJECT *oid;
	const void *curve;
	int kind;

	X509_ALGOR_get0(&oid, &kind, &curve, algorithm);
	if (OBJ_obj2nid(oid) != NID_X9_62_id_ecPublicKey || kind != V_ASN1_OBJECT)
		return ACME_KEY_NONE;
	return key_type_of_curve(OBJ_obj2nid(curve));
}

enum acme_key_type
key_type_of_public(const X509_ALGOR *algorithm, const unsigned char *data, size_t len)
{
	enum acme_key_type type = type_of(algorithm);
	const struct key_curve *curve = key_curve_of(type);

	return curve != NULL && key_is_point(curve, data, len) ? type : ACME_KEY_NONE;
}

/* ---- reading ---- */

/* The number as OSSL_PARAM has it: in the machine's order of bytes. */
static bool
turn(const PAIR *pair, const struct key_curve *curve, unsigned char ret[FIELD_MAX])
{
	_cleanup_(BN_clear_freep) BIGNUM *number = NULL;

	number = BN_bin2bn(ASN1_STRING_get0_data(pair->number),
	    ASN1_STRING_length(pair->number), NULL);
	return number != NULL &&
	    BN_bn2nativepad(number, ret, (int)curve->field) == (int)curve->field;
}

static EVP_PKEY *
build(const PAIR *pair, const struct key_curve *curve)
{
	unsigned char number[FIELD_MAX];
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(
		    OSSL_PKEY_PARAM_GROUP_NAME, (char *)curve->group, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
		    pair->point->data, (size_t)pair->point->length),
		OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, number, curve->field),
		OSSL_PARAM_construct_end(),
	};
	EVP_PKEY *evp = NULL;

	if (turn(pair, curve, number))
		evp = key_build("EC", EVP_PKEY_KEYPAIR, params);
	OPENSSL_cleanse(number, sizeof(number));
	return evp;
}

static PAIR *
read_pair(const PKCS8_PRIV_KEY_INFO *info, const struct key_curve **ret)
{
	_cleanup_(pair_freep) PAIR *pair = NULL;
	const struct key_curve *curve;
	const X509_ALGOR *algorithm;
	const unsigned char *der;
	int len;

	if (PKCS8_pkey_get0(NULL, &der, &len, &algorithm, info) != 1)
		return NULL;
	curve = key_curve_of(type_of(algorithm));
	if (curve != NULL)
		pair = (PAIR *)ASN1_item_d2i(NULL, &der, len, ASN1_ITEM_rptr(PAIR));
	if (pair == NULL || ASN1_INTEGER_get(pair->version) != VERSION ||
	    !key_is_point(curve, ASN1_STRING_get0_data(pair->point),
		(size_t)ASN1_STRING_length(pair->point)))
		return NULL;
	*ret = curve;
	return steal_ptr(pair);
}

EVP_PKEY *
key_ec_from_info(const PKCS8_PRIV_KEY_INFO *info)
{
	const struct key_curve *curve;
	_cleanup_(pair_freep) PAIR *pair = read_pair(info, &curve);
	EVP_PKEY *evp = pair != NULL ? build(pair, curve) : NULL;

	ERR_clear_error();
	return evp;
}

enum acme_key_type
key_ec_public_of(const unsigned char *der, size_t len, unsigned char ret[KEY_POINT_MAX],
    size_t *ret_len)
{
	_cleanup_(PKCS8_PRIV_KEY_INFO_freep) PKCS8_PRIV_KEY_INFO *info = NULL;
	_cleanup_(pair_freep) PAIR *pair = NULL;
	const struct key_curve *curve;
	const unsigned char *end = der;

	info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &end, (long)len);
	if (info != NULL && end == der + len)
		pair = read_pair(info, &curve);
	ERR_clear_error();
	if (pair == NULL)
		return ACME_KEY_NONE;
	*ret_len = (size_t)ASN1_STRING_length(pair->point);
	memcpy(ret, ASN1_STRING_get0_data(pair->point), *ret_len);
	return key_type_of_curve(curve->nid);
}

/* ---- writing ---- */

static bool
set_number(PAIR *pair, const struct acme_key *key, const struct key_curve *curve)
{
	_cleanup_(BN_clear_freep) BIGNUM *number = NULL;
	unsigned char bytes[FIELD_MAX];
	bool ok = false;

	if (EVP_PKEY_get_bn_param(
		acme_key_evp(key), OSSL_PKEY_PARAM_PRIV_KEY, &number) == 1 &&
	    BN_bn2binpad(number, bytes, (int)curve->field) == (int)curve->field)
		ok = ASN1_OCTET_STRING_set(pair->number, bytes, (int)curve->field) == 1;
	OPENSSL_cleanse(bytes, sizeof(bytes));
	return ok;
}

static bool
set_point(PAIR *pair, const struct acme_key *key)
{
	size_t len;
	const unsigned char *point = key_point(key, &len);

	if (len == 0 || ASN1_STRING_set(pair->point, point, (int)len) != 1)
		return false;
	/* all bits count: without this, zeros at the end would not be written */
	pair->point->flags &= ~(ASN1_STRING_FLAG_BITS_LEFT | 7);
	pair->point->flags |= ASN1_STRING_FLAG_BITS_LEFT;
	return true;
}

/* Takes *der over where it succeeds. */
static PKCS8_PRIV_KEY_INFO *
wrap(unsigned char **der, int len, const struct key_curve *curve)
{
	_cleanup_(PKCS8_PRIV_KEY_INFO_freep) PKCS8_PRIV_KEY_INFO *info =
	    PKCS8_PRIV_KEY_INFO_new();

	if (info == NULL ||
	    PKCS8_pkey_set0(info, OBJ_nid2obj(NID_X9_62_id_ecPublicKey), 0,
		V_ASN1_OBJECT, OBJ_nid2obj(curve->nid), *der, len) != 1)
		return NULL;
	*der = NULL;
	return steal_ptr(info);
}

PKCS8_PRIV_KEY_INFO *
key_ec_to_info(const struct acme_key *key)
{
	_cleanup_(pair_freep) PAIR *pair = NULL;
	const struct key_curve *curve = key_curve_of(acme_key_get_type(key));
	PKCS8_PRIV_KEY_INFO *info = NULL;
	unsigned char *der = NULL;
	int len = 0;

	if (curve != NULL)
		pair = (PAIR *)ASN1_item_new(ASN1_ITEM_rptr(PAIR));
	if (pair != NULL && ASN1_INTEGER_set(pair->version, VERSION) == 1 &&
	    set_number(pair, key, curve) && set_point(pair, key))
		len = ASN1_item_i2d((ASN1_VALUE *)pair, &der, ASN1_ITEM_rptr(PAIR));
	if (len > 0)
		info = wrap(&der, len, curve);
	if (der != NULL)
		OPENSSL_clear_free(der, (size_t)len);
	ERR_clear_error();
	return info;
}

int
key_ec_fill(const struct acme_key *key, X509_PUBKEY *public)
{
	const struct key_curve *curve = key_curve_of(acme_key_get_type(key));
	size_t len;
	const unsigned char *point = key_point(key, &len);
	unsigned char *copy;

	if (len == 0)
		return -ENOTSUP;
	copy = OPENSSL_memdup(point, len);
	if (copy == NULL)
		return -ENOMEM;
	if (X509_PUBKEY_set0_param(public, OBJ_nid2obj(NID_X9_62_id_ecPublicKey),
		V_ASN1_OBJECT, OBJ_nid2obj(curve->nid), copy, (int)len) == 1)
		return 0;
	OPENSSL_free(copy);
	return -ENOMEM;
}
