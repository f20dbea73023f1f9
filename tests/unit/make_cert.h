/*
 * make_cert.h - a small certificate authority for tests: chains as a CA sends them, and
 * as it shouldn't.
 */
#ifndef MAKE_CERT_H
#define MAKE_CERT_H

#include <stdio.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "key.h"
#include "suite.h"

struct recipe {
	const char *subject; /* common name; NULL: empty */
	const char *issuer;
	const char *san;    /* as in OpenSSL's configuration; NULL: none */
	const char *serial; /* hexadecimal; NULL: 1 */
	EVP_PKEY *key;      /* its own */
	EVP_PKEY *issuer_key;
	int64_t not_before;
	int64_t not_after;      /* 0: a day after not_before */
	int (*change)(X509 *x); /* before it is signed; 0 on failure */
};

static inline void
make_name(X509_NAME *name, const char *cn)
{
	if (cn != NULL)
		ck_assert_int_eq(
		    X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
			(const unsigned char *)cn, -1, -1, 0),
		    1);
}

static inline X509 *
make_cert(const struct recipe *recipe)
{
	int64_t not_after =
	    recipe->not_after != 0 ? recipe->not_after : recipe->not_before + 86400;
	BIGNUM *serial = NULL;
	X509 *x = X509_new();

	X509_set_version(x, X509_VERSION_3);
	BN_hex2bn(&serial, recipe->serial != NULL ? recipe->serial : "1");
	BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(x));
	BN_free(serial);
	make_name(X509_get_subject_name(x), recipe->subject);
	make_name(X509_get_issuer_name(x), recipe->issuer);
	ASN1_TIME_set(X509_getm_notBefore(x), recipe->not_before);
	ASN1_TIME_set(X509_getm_notAfter(x), not_after);
	ck_assert_int_eq(X509_set_pubkey(x, recipe->key), 1);
	if (recipe->san != NULL) {
		X509_EXTENSION *e =
		    X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, recipe->san);

		ck_assert_ptr_nonnull(e);
		X509_add_ext(x, e, -1);
		X509_EXTENSION_free(e);
	}
	if (recipe->change != NULL)
		ck_assert_int_ne(recipe->change(x), 0);
	ck_assert_int_gt(X509_sign(x, recipe->issuer_key, EVP_sha256()), 0);
	return x;
}

static inline char *
make_pem(const struct recipe *recipe)
{
	BIO *bio = BIO_new(BIO_s_mem());
	X509 *x = make_cert(recipe);
	char *data;
	char *pem;
	long len;

	ck_assert_int_eq(PEM_write_bio_X509(bio, x), 1);
	len = BIO_get_mem_data(bio, &data);
	pem = strndup(data, (size_t)len);
	BIO_free(bio);
	X509_free(x);
	return pem;
}

/* Frees both. */
static inline char *
make_join(char *first, char *second)
{
	char *joined = NULL;

	ck_assert_int_gt(asprintf(&joined, "%s%s", first, second), 0);
	free(first);
	free(second);
	return joined;
}

#endif
