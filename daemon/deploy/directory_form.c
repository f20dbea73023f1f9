/*
 * directory_form.c - PEM, DER and PKCS#12 of what a bundle has.
 *
 * Called by directory.c. Keys pass through memory here and are wiped after.
 */
#include "deploy/directory_form.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <string.h>

#include "cert.h"
#include "key.h"

static void
free_pkcs12(PKCS12 **p)
{
	PKCS12_free(*p);
}

static void
free_certs(STACK_OF(X509) * *certs)
{
	sk_X509_pop_free(*certs, X509_free);
}

static void
free_cert(X509 **cert)
{
	X509_free(*cert);
}

static void
free_evp(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

static void
free_bio(BIO **bio)
{
	BIO_free(*bio);
}

static int
copy(const void *data, size_t len, char **ret, size_t *ret_len)
{
	*ret = malloc(len + 1);
	if (*ret == NULL)
		return -ENOMEM;
	memcpy(*ret, data, len);
	(*ret)[len] = '\0';
	*ret_len = len;
	return 0;
}

static int
make_bundle(const struct directory_pair *pair, char **ret, size_t *ret_len)
{
	size_t cert = pair->lens[COPY_FULLCHAIN], key = pair->lens[COPY_KEY];
	char *text = malloc(cert + key + 1);

	if (text == NULL)
		return -ENOMEM;
	memcpy(text, pair->texts[COPY_FULLCHAIN], cert);
	memcpy(text + cert, pair->texts[COPY_KEY], key);
	text[cert + key] = '\0';
	*ret = text;
	*ret_len = cert + key;
	return 0;
}

static int
make_cert_der(const struct directory_pair *pair, char **ret, size_t *ret_len)
{
	size_t len;
	const unsigned char *der = cert_leaf_der(pair->chain, &len);

	return copy(der, len, ret, ret_len);
}

/* As OpenSSL has it; NULL without memory. */
static X509 *
load_leaf(const struct directory_pair *pair)
{
	size_t len;
	const unsigned char *der = cert_leaf_der(pair->chain, &len);

	return d2i_X509(NULL, &der, (long)len);
}

static int
load_key(const struct directory_pair *pair, struct acme_key **ret)
{
	return acme_key_from_pem(pair->texts[COPY_KEY], pair->lens[COPY_KEY], ret);
}

static int
make_key_der(const struct directory_pair *pair, char **ret, size_t *ret_len)
{
	_cleanup_(acme_key_freep) struct acme_key *key = NULL;
	unsigned char *der;
	int r = load_key(pair, &key);

	if (r == 0)
		r = acme_key_to_der(key, &der, ret_len);
	if (r == 0)
		*ret = (char *)der;
	return r;
}

/* The certificates behind the leaf; none is fine. */
static int
load_chain(const struct directory_pair *pair, STACK_OF(X509) * *ret)
{
	_cleanup_(free_certs) STACK_OF(X509) *certs = sk_X509_new_null();
	_cleanup_(free_bio) BIO *bio =
	    BIO_new_mem_buf(pair->texts[COPY_CHAIN], (int)pair->lens[COPY_CHAIN]);
	X509 *cert;

	if (certs == NULL || bio == NULL)
		return -ENOMEM;
	while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		if (sk_X509_push(certs, cert) <= 0) {
			X509_free(cert);
			return -ENOMEM;
		}
	ERR_clear_error();
	*ret = steal_ptr(certs);
	return 0;
}

/* AES-256 and SHA-256, as OpenSSL 3 has it: Java since 8u301, Windows since 2019. */
static int
make_pkcs12(const struct directory_pair *pair, const char *password, const char *name,
    char **ret, size_t *ret_len)
{
	_cleanup_(acme_key_freep) struct acme_key *key = NULL;
	_cleanup_(free_certs) STACK_OF(X509) *certs = NULL;
	_cleanup_(free_pkcs12) PKCS12 *p = NULL;
	_cleanup_(free_cert) X509 *leaf = load_leaf(pair);
	unsigned char *der = NULL;
	int r = leaf != NULL ? load_key(pair, &key) : -ENOMEM, len;

	if (r == 0)
		r = load_chain(pair, &certs);
	if (r < 0)
		return r;
	p = PKCS12_create(
	    password, name, acme_key_evp(key), leaf, certs, 0, 0, 0, 0, 0);
	len = p != NULL ? i2d_PKCS12(p, &der) : -1;
	ERR_clear_error();
	if (len < 0)
		return -ENOMEM;
	r = copy(der, (size_t)len, ret, ret_len);
	OPENSSL_free(der);
	return r;
}

static bool
needs_key(unsigned kind)
{
	return kind == COPY_KEY || kind == COPY_PKCS12 || kind == COPY_KEY_DER ||
	    kind == COPY_BUNDLE;
}

int
directory_form(const struct directory_pair *pair, unsigned kind, const char *password,
    const char *name, char **ret, size_t *ret_len)
{
	if (needs_key(kind) && pair->texts[COPY_KEY] == NULL)
		return -ENOKEY;
	if (kind < DIRECTORY_TEXTS)
		return copy(pair->texts[kind], pair->lens[kind], ret, ret_len);
	if (kind == COPY_PKCS12)
		return make_pkcs12(pair, password, name, ret, ret_len);
	if (kind == COPY_CERT_DER)
		return make_cert_der(pair, ret, ret_len);
	if (kind == COPY_KEY_DER)
		return make_key_der(pair, ret, ret_len);
	return make_bundle(pair, ret, ret_len);
}

static bool
same_chain(const struct directory_pair *pair, STACK_OF(X509) * is)
{
	_cleanup_(free_certs) STACK_OF(X509) *certs = NULL;
	int count = is != NULL ? sk_X509_num(is) : 0;

	if (load_chain(pair, &certs) < 0 || sk_X509_num(certs) != count)
		return false;
	for (int i = 0; i < count; i++)
		if (X509_cmp(sk_X509_value(certs, i), sk_X509_value(is, i)) != 0)
			return false;
	return true;
}

static bool
same_pkcs12(
    const struct directory_pair *pair, const char *password, const char *is, size_t len)
{
	const unsigned char *data = (const unsigned char *)is;
	_cleanup_(free_pkcs12) PKCS12 *p = d2i_PKCS12(NULL, &data, (long)len);
	_cleanup_(free_evp) EVP_PKEY *evp = NULL;
	_cleanup_(free_cert) X509 *cert = NULL, *leaf = load_leaf(pair);
	_cleanup_(free_certs) STACK_OF(X509) *certs = NULL;
	_cleanup_(acme_key_freep) struct acme_key *key = NULL;
	bool same;

	same = p != NULL && PKCS12_parse(p, password, &evp, &cert, &certs) == 1 &&
	    evp != NULL && cert != NULL && load_key(pair, &key) == 0 &&
	    EVP_PKEY_eq(evp, acme_key_evp(key)) == 1 && leaf != NULL &&
	    X509_cmp(cert, leaf) == 0 && same_chain(pair, certs);
	ERR_clear_error();
	return same;
}

bool
directory_form_same(const struct directory_pair *pair, unsigned kind,
    const char *password, const char *is, size_t is_len)
{
	char *wanted = NULL;
	size_t len = 0;
	bool same;

	if (kind == COPY_PKCS12)
		return same_pkcs12(pair, password, is, is_len);
	if (directory_form(pair, kind, NULL, NULL, &wanted, &len) < 0 || wanted == NULL)
		return false;
	same = is_len == len && memcmp(is, wanted, len) == 0;
	acme_wipe_free(wanted, len);
	return same;
}
