/*
 * issue.c - checks a certificate request and signs what it asks for.
 */
#include "issue.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "scope.h"

DEFINE_CLEANUP(X509, X509_free)
DEFINE_CLEANUP(X509_REQ, X509_REQ_free)
DEFINE_CLEANUP(BIO, BIO_free)

static EVP_PKEY *issuer;
static int64_t life = INT64_C(90) * 86400;

void
issue_set_life(int64_t seconds)
{
	life = seconds;
}

static bool
is_name(const GENERAL_NAMES *names, const char *name)
{
	int type;
	const ASN1_STRING *value;

	if (names == NULL || sk_GENERAL_NAME_num(names) != 1)
		return false;
	value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, 0), &type);
	return type == GEN_DNS && (size_t)ASN1_STRING_length(value) == strlen(name) &&
	    memcmp(ASN1_STRING_get0_data(value), name, strlen(name)) == 0;
}

/* The names that are asked for are the certificate's. */
static bool
add_names(X509 *cert, X509_REQ *request, const char *name)
{
	STACK_OF(X509_EXTENSION) *list = X509_REQ_get_extensions(request);
	GENERAL_NAMES *names = X509V3_get_d2i(list, NID_subject_alt_name, NULL, NULL);
	bool good = is_name(names, name) &&
	    X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0) == 1;

	GENERAL_NAMES_free(names);
	sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
	return good;
}

static char *
to_text(X509 *cert)
{
	_cleanup_(BIO_freep) BIO *out = BIO_new(BIO_s_mem());
	const char *data;
	long len;

	if (out == NULL || PEM_write_bio_X509(out, cert) != 1)
		return NULL;
	len = BIO_get_mem_data(out, &data);
	return strndup(data, (size_t)len);
}

char *
issue_certificate(
    const unsigned char *der, size_t len, const char *name, uint64_t serial)
{
	_cleanup_(X509_REQ_freep) X509_REQ *request =
	    d2i_X509_REQ(NULL, &der, (long)len);
	_cleanup_(X509_freep) X509 *cert = X509_new();
	EVP_PKEY *key = request != NULL ? X509_REQ_get0_pubkey(request) : NULL;

	if (issuer == NULL)
		issuer = EVP_EC_gen("P-256");
	if (key == NULL || cert == NULL || X509_REQ_verify(request, key) != 1)
		return NULL;
	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial);
	X509_gmtime_adj(X509_getm_notBefore(cert), -60);
	X509_gmtime_adj(X509_getm_notAfter(cert), (long)life - 60);
	X509_NAME_add_entry_by_txt(X509_get_issuer_name(cert), "CN", MBSTRING_ASC,
	    (const unsigned char *)"load CA", -1, -1, 0);
	X509_set_pubkey(cert, key);
	if (!add_names(cert, request, name) ||
	    X509_sign(cert, issuer, EVP_sha256()) <= 0)
		return NULL;
	return to_text(cert);
}
