/*
 * certder.c - one certificate in DER, read without decoding its key.
 *
 * OpenSSL's own X509 decodes the key of whatever it reads, which costs ten times as
 * much as all the rest, and is needed only to verify a signature: here it stays bytes
 * until then. Used by cert.c alone. The tables are those of RFC 5280 section 4.1.
 */
#include "certder.h"

#include <errno.h>
#include <string.h>

#include <openssl/asn1t.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "key.h"
#include "key_ec.h"
#include "key_public.h"

DEFINE_CLEANUP(EVP_PKEY, EVP_PKEY_free)

typedef struct {
	X509_ALGOR *algorithm;
	ASN1_BIT_STRING *bits;
} PUBLIC;

typedef struct {
	ASN1_ENCODING enc; /* as it was signed */
	ASN1_INTEGER *version;
	ASN1_INTEGER *serial;
	X509_ALGOR *algorithm;
	X509_NAME *issuer;
	X509_VAL *validity;
	X509_NAME *subject;
	PUBLIC *key;
	ASN1_BIT_STRING *issuer_id;
	ASN1_BIT_STRING *subject_id;
	STACK_OF(X509_EXTENSION) * extensions;
} SIGNED;

typedef struct certder_fields {
	SIGNED *content;
	X509_ALGOR *algorithm;
	ASN1_BIT_STRING *signature;
} CERTIFICATE;

/* clang-format off */
#ifndef __cppcheck__ /* which doesn't know these macros */
ASN1_SEQUENCE(PUBLIC) = {
	ASN1_SIMPLE(PUBLIC, algorithm, X509_ALGOR),
	ASN1_SIMPLE(PUBLIC, bits, ASN1_BIT_STRING),
} static_ASN1_SEQUENCE_END(PUBLIC)

ASN1_SEQUENCE_enc(SIGNED, enc, 0) = {
	ASN1_EXP_OPT(SIGNED, version, ASN1_INTEGER, 0),
	ASN1_SIMPLE(SIGNED, serial, ASN1_INTEGER),
	ASN1_SIMPLE(SIGNED, algorithm, X509_ALGOR),
	ASN1_SIMPLE(SIGNED, issuer, X509_NAME),
	ASN1_SIMPLE(SIGNED, validity, X509_VAL),
	ASN1_SIMPLE(SIGNED, subject, X509_NAME),
	ASN1_SIMPLE(SIGNED, key, PUBLIC),
	ASN1_IMP_OPT(SIGNED, issuer_id, ASN1_BIT_STRING, 1),
	ASN1_IMP_OPT(SIGNED, subject_id, ASN1_BIT_STRING, 2),
	ASN1_EXP_SEQUENCE_OF_OPT(SIGNED, extensions, X509_EXTENSION, 3),
} static_ASN1_SEQUENCE_END_ref(SIGNED, SIGNED)

ASN1_SEQUENCE(CERTIFICATE) = {
	ASN1_SIMPLE(CERTIFICATE, content, SIGNED),
	ASN1_SIMPLE(CERTIFICATE, algorithm, X509_ALGOR),
	ASN1_SIMPLE(CERTIFICATE, signature, ASN1_BIT_STRING),
} static_ASN1_SEQUENCE_END(CERTIFICATE)
#endif
/* clang-format on */

static void
lend(struct certder *c)
{
	const SIGNED *s = c->fields->content;

	c->serial = s->serial;
	c->issuer = s->issuer;
	c->subject = s->subject;
	c->not_before = s->validity->notBefore;
	c->not_after = s->validity->notAfter;
}

int
certder_read(const unsigned char *der, size_t len, struct certder **ret)
{
	_cleanup_(certder_freep) struct certder *c = calloc(1, sizeof(*c));
	const unsigned char *end = der;

	if (c == NULL)
		return -ENOMEM;
	c->fields = (struct certder_fields *)ASN1_item_d2i(
	    NULL, &end, (long)len, ASN1_ITEM_rptr(CERTIFICATE));
	ERR_clear_error();
	if (c->fields == NULL || end != der + len)
		return -EBADMSG;
	c->der = malloc(len);
	if (c->der == NULL)
		return -ENOMEM;
	memcpy(c->der, der, len);
	c->len = len;
	lend(c);
	*ret = steal_ptr(c);
	return 0;
}

void *
certder_extension(const struct certder *c, int nid, int *ret_critical)
{
	return X509V3_get_d2i(c->fields->content->extensions, nid, ret_critical, NULL);
}

/* Its URL, where it is one of OCSP that can be asked: lent, of *ret_len bytes. */
static const char *
url_of(const ACCESS_DESCRIPTION *access, size_t *ret_len)
{
	const GENERAL_NAME *where = access->location;
	const char *url;
	size_t len;

	if (OBJ_obj2nid(access->method) != NID_ad_OCSP || where->type != GEN_URI)
		return NULL;
	url = (const char *)ASN1_STRING_get0_data(where->d.uniformResourceIdentifier);
	len = (size_t)ASN1_STRING_length(where->d.uniformResourceIdentifier);
	for (size_t i = 0; i < len; i++)
		if (url[i] <= ' ' || url[i] > '~')
			return NULL;
	if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
		return NULL;
	*ret_len = len;
	return url;
}

int
certder_responder(const struct certder *c, char **ret)
{
	AUTHORITY_INFO_ACCESS *all = certder_extension(c, NID_info_access, NULL);
	const char *url = NULL;
	size_t len = 0;

	for (int i = 0; i < sk_ACCESS_DESCRIPTION_num(all) && url == NULL; i++)
		url = url_of(sk_ACCESS_DESCRIPTION_value(all, i), &len);
	*ret = url != NULL ? strndup(url, len) : NULL;
	AUTHORITY_INFO_ACCESS_free(all);
	return url != NULL && *ret == NULL ? -ENOMEM : 0;
}

/* ---- the key ---- */

/* SubjectPublicKeyInfo, to be freed with OPENSSL_free(). */
static int
encode_key(const struct certder *c, unsigned char **ret)
{
	*ret = NULL;
	return ASN1_item_i2d(
	    (const ASN1_VALUE *)c->fields->content->key, ret, ASN1_ITEM_rptr(PUBLIC));
}

/* What costs, where it isn't of a usual form. */
static EVP_PKEY *
decode_key(const struct certder *c)
{
	const PUBLIC *key = c->fields->content->key;
	EVP_PKEY *evp = key_public_read(key->algorithm, key->bits);
	const unsigned char *end;
	unsigned char *der;
	int len;

	if (evp != NULL)
		return evp;
	len = encode_key(c, &der);
	end = der;
	evp = len > 0 ? d2i_PUBKEY(NULL, &end, len) : NULL;
	OPENSSL_free(der);
	return evp;
}

enum acme_key_type
certder_key_type(const struct certder *c)
{
	const PUBLIC *key = c->fields->content->key;
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *evp = NULL;
	enum acme_key_type type;

	type = key_type_of_public(key->algorithm, ASN1_STRING_get0_data(key->bits),
	    (size_t)ASN1_STRING_length(key->bits));
	if (type != ACME_KEY_NONE)
		return type;
	evp = decode_key(c);
	return key_type_of(evp);
}

bool
certder_has_key(const struct certder *c, const struct acme_key *key)
{
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *evp = NULL;
	unsigned char *own = NULL, *other = NULL;
	int own_len = encode_key(c, &own);
	int other_len = key_public_der(key, &other);
	bool same = own_len > 0 && own_len == other_len &&
	    memcmp(own, other, (size_t)own_len) == 0;

	OPENSSL_free(own);
	OPENSSL_free(other);
	/* the same key may be written in more than one way */
	if (!same) {
		evp = decode_key(c);
		same = evp != NULL && EVP_PKEY_eq(evp, acme_key_evp(key)) == 1;
	}
	ERR_clear_error();
	return same;
}

bool
certder_has_pkcs8(const struct certder *c, const unsigned char *der, size_t len)
{
	const PUBLIC *key = c->fields->content->key;
	const unsigned char *bits = ASN1_STRING_get0_data(key->bits);
	size_t bits_len = (size_t)ASN1_STRING_length(key->bits);
	unsigned char point[KEY_POINT_MAX];
	size_t point_len = 0;
	enum acme_key_type type = key_ec_public_of(der, len, point, &point_len);

	return type != ACME_KEY_NONE &&
	    type == key_type_of_public(key->algorithm, bits, bits_len) &&
	    bits_len == point_len && memcmp(bits, point, point_len) == 0;
}

bool
certder_signed_by(const struct certder *c, const struct certder *issuer)
{
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *evp = decode_key(issuer);
	const CERTIFICATE *f = c->fields;
	bool ok = evp != NULL &&
	    X509_ALGOR_cmp(f->algorithm, f->content->algorithm) == 0 &&
	    ASN1_item_verify(ASN1_ITEM_rptr(SIGNED), f->algorithm, f->signature,
		f->content, evp) == 1;

	ERR_clear_error();
	return ok;
}

struct certder *
certder_free(struct certder *c)
{
	if (c == NULL)
		return NULL;
	ASN1_item_free((ASN1_VALUE *)c->fields, ASN1_ITEM_rptr(CERTIFICATE));
	free(c->der);
	free(c);
	return NULL;
}
