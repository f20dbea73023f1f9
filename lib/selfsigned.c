/*
 * selfsigned.c - certificates without a CA: placeholders until it has issued, and the
 * answers to tls-alpn-01.
 *
 * Their names are subject alternative names; the subject is for people.
 */
#include "selfsigned.h"

#include <errno.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "altname.h"
#include "key.h"
#include "key_ec.h"
#include "scope.h"

#define SERIAL_BITS         127
#define ACME_IDENTIFIER_OID "1.3.6.1.5.5.7.1.31" /* RFC 8737 section 3 */

DEFINE_CLEANUP(ASN1_OBJECT, ASN1_OBJECT_free)
DEFINE_CLEANUP(ASN1_OCTET_STRING, ASN1_OCTET_STRING_free)
DEFINE_CLEANUP(BIO, BIO_free)
DEFINE_CLEANUP(BIGNUM, BN_free)
DEFINE_CLEANUP(X509, X509_free)
DEFINE_CLEANUP(X509_EXTENSION, X509_EXTENSION_free)

static const EVP_MD *
digest_for(const struct acme_key *key)
{
	return acme_key_get_type(key) == ACME_KEY_ECDSA_P384 ? EVP_sha384()
							     : EVP_sha256();
}

static bool
set_serial(X509 *x)
{
	_cleanup_(BN_freep) BIGNUM *serial = BN_new();

	return serial != NULL &&
	    BN_rand(serial, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
	    BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(x)) != NULL;
}

/* RFC 5280 section 4.1.2.4: an issuer must have a name, and here it is the subject. */
static bool
set_subject(X509 *x, const char *text)
{
	X509_NAME *name = X509_get_subject_name(x);

	return X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
		   (const unsigned char *)text, -1, -1, 0) == 1 &&
	    X509_set_issuer_name(x, name) == 1;
}

static bool
set_times(X509 *x, int64_t not_before, int64_t lifetime)
{
	int64_t not_after;

	if (lifetime <= 0 || __builtin_add_overflow(not_before, lifetime, &not_after))
		return false;
	return ASN1_TIME_set(X509_getm_notBefore(x), not_before) != NULL &&
	    ASN1_TIME_set(X509_getm_notAfter(x), not_after) != NULL;
}

static int
add_names(X509 *x, const struct acme_identifier *identifiers, size_t count)
{
	_cleanup_(GENERAL_NAMES_freep) GENERAL_NAMES *names = NULL;
	int r;

	r = altnames_new(identifiers, count, &names);
	if (r < 0)
		return r;
	if (X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, X509V3_ADD_APPEND) !=
	    1)
		return -EIO;
	return 0;
}

/* As a server's certificate. */
static bool
add_purposes(X509 *x)
{
	static const struct {
		int nid;
		const char *value; /* as in OpenSSL's own configuration */
	} purposes[] = {
		{ NID_basic_constraints, "critical,CA:FALSE" },
		{ NID_key_usage, "critical,digitalSignature" },
		{ NID_ext_key_usage, "serverAuth" },
	};

	for (size_t i = 0; i < ELEMENTS(purposes); i++) {
		_cleanup_(X509_EXTENSION_freep) X509_EXTENSION *extension =
		    X509V3_EXT_conf_nid(NULL, NULL, purposes[i].nid, purposes[i].value);

		if (extension == NULL || X509_add_ext(x, extension, -1) != 1)
			return false;
	}
	return true;
}

/* RFC 8737 section 3: critical, and its value a DER OCTET STRING of the digest. */
static bool
add_acme_identifier(X509 *x, const unsigned char sum[SHA256_DIGEST_LENGTH])
{
	_cleanup_(ASN1_OBJECT_freep) ASN1_OBJECT *oid =
	    OBJ_txt2obj(ACME_IDENTIFIER_OID, 1);
	_cleanup_(ASN1_OCTET_STRING_freep) ASN1_OCTET_STRING *value =
	    ASN1_OCTET_STRING_new();
	_cleanup_(X509_EXTENSION_freep) X509_EXTENSION *extension = NULL;
	unsigned char der[SHA256_DIGEST_LENGTH + 2] = { V_ASN1_OCTET_STRING,
		SHA256_DIGEST_LENGTH };

	memcpy(der + 2, sum, SHA256_DIGEST_LENGTH);
	if (oid == NULL || value == NULL ||
	    ASN1_OCTET_STRING_set(value, der, sizeof(der)) != 1)
		return false;
	extension = X509_EXTENSION_create_by_OBJ(NULL, oid, 1, value);
	return extension != NULL && X509_add_ext(x, extension, -1) == 1;
}

static bool
set_key(X509 *x, const struct acme_key *key)
{
	return key_ec_fill(key, X509_get_X509_PUBKEY(x)) == 0 ||
	    X509_set_pubkey(x, acme_key_evp(key)) == 1;
}

static int
build(const struct selfsigned *s, X509 *x)
{
	int r;

	if (!set_times(x, s->not_before, s->lifetime))
		return -EINVAL;
	r = add_names(x, s->identifiers, s->count);
	if (r < 0)
		return r;
	if (s->acme_identifier != NULL ? !add_acme_identifier(x, s->acme_identifier)
				       : !add_purposes(x))
		return -EIO;
	if (!set_serial(x) || !set_subject(x, s->subject) ||
	    X509_set_version(x, X509_VERSION_3) != 1 || !set_key(x, s->key) ||
	    X509_sign(x, acme_key_evp(s->key), digest_for(s->key)) <= 0)
		return -EIO;
	return 0;
}

static int
write_pem(X509 *x, char **ret)
{
	_cleanup_(BIO_freep) BIO *bio = BIO_new(BIO_s_mem());
	const char *data;
	long len;

	if (bio == NULL || PEM_write_bio_X509(bio, x) != 1)
		return -ENOMEM;
	len = BIO_get_mem_data(bio, &data);
	*ret = strndup(data, (size_t)len);
	return *ret == NULL ? -ENOMEM : 0;
}

int
selfsigned_new(const struct selfsigned *s, char **ret_pem)
{
	_cleanup_(X509_freep) X509 *x = X509_new();
	int r = x != NULL ? build(s, x) : -ENOMEM;

	if (r == 0)
		r = write_pem(x, ret_pem);
	ERR_clear_error();
	return r;
}

int
acme_placeholder_new(const struct acme_key *key,
    const struct acme_identifier *identifiers, size_t count, int64_t not_before,
    int64_t lifetime, char **ret_pem)
{
	if (count == 0)
		return -EINVAL;
	return selfsigned_new(
	    &(struct selfsigned){
		.key = key,
		.identifiers = identifiers,
		.count = count,
		.subject = "placeholder, not issued by a CA",
		.not_before = not_before,
		.lifetime = lifetime,
	    },
	    ret_pem);
}
