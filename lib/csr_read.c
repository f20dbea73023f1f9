/*
 * csr_read.c - certificate requests that somebody else has made (RFC 2986).
 *
 * Used by renewd for csr_file. The request goes to the CA as it is; here it is only
 * found out what it asks for. Its private key is never seen.
 */
#include "acme.h"

#include <errno.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "altname.h"
#include "key.h"
#include "scope.h"
#include "wire.h"

#define TEXT_MAX (64 * 1024)

struct acme_csr {
	unsigned char *der;
	size_t len;
	struct acme_key *key;
	struct acme_identifier identifiers[WIRE_NAMES_MAX];
	size_t count;
};

typedef STACK_OF(X509_EXTENSION) extensions;

static void
extensions_free(extensions *list)
{
	sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
}

DEFINE_CLEANUP(extensions, extensions_free)
DEFINE_CLEANUP(struct acme_csr, acme_csr_free)
DEFINE_CLEANUP(BIO, BIO_free)
DEFINE_CLEANUP(X509_REQ, X509_REQ_free)

static X509_REQ *
decode(const void *data, size_t len)
{
	_cleanup_(BIO_freep) BIO *bio = BIO_new_mem_buf(data, (int)len);
	const unsigned char *end = data;
	X509_REQ *request = NULL;

	if (memmem(data, len, "-----BEGIN ", strlen("-----BEGIN ")) != NULL)
		return bio != NULL ? PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL)
				   : NULL;
	request = d2i_X509_REQ(NULL, &end, (long)len);
	if (request != NULL && end == (const unsigned char *)data + len)
		return request;
	X509_REQ_free(request);
	return NULL;
}

/* Once each: what is both common name and alternative name is one name. */
static const char *
add_name(struct acme_csr *csr, const char *text)
{
	struct acme_identifier name;
	const char *why = NULL;

	if (acme_identifier_parse(text, &name, &why) < 0)
		return "it has a name that isn't a DNS name or address";
	for (size_t i = 0; i < csr->count; i++)
		if (acme_identifier_equal(&csr->identifiers[i], &name))
			return NULL;
	if (csr->count == ELEMENTS(csr->identifiers))
		return "it has more than 100 names";
	csr->identifiers[csr->count++] = name;
	return NULL;
}

static const char *
read_altnames(struct acme_csr *csr, X509_REQ *request)
{
	_cleanup_(extensions_freep) extensions *list = X509_REQ_get_extensions(request);
	_cleanup_(GENERAL_NAMES_freep) GENERAL_NAMES *names =
	    X509V3_get_d2i(list, NID_subject_alt_name, NULL, NULL);
	const char *why = NULL;

	for (int i = 0; i < sk_GENERAL_NAME_num(names) && why == NULL; i++) {
		struct acme_identifier name;

		why = altname_read(sk_GENERAL_NAME_value(names, i), &name) < 0
		    ? "it has a name that isn't a DNS name or address"
		    : add_name(csr, name.value);
	}
	return why;
}

/* RFC 8555 section 7.4: common names count as names that are asked for. */
static const char *
read_common_names(struct acme_csr *csr, X509_REQ *request)
{
	X509_NAME *subject = X509_REQ_get_subject_name(request);
	const char *why = NULL;
	int i = -1;

	while (why == NULL &&
	    (i = X509_NAME_get_index_by_NID(subject, NID_commonName, i)) >= 0) {
		const X509_NAME_ENTRY *entry = X509_NAME_get_entry(subject, i);
		unsigned char *text = NULL;
		int len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry));

		why = len > 0 && strlen((char *)text) == (size_t)len
		    ? add_name(csr, (char *)text)
		    : "its common name can't be read";
		OPENSSL_free(text);
	}
	return why;
}

static const char *
read_names(struct acme_csr *csr, X509_REQ *request)
{
	const char *why = read_altnames(csr, request);

	if (why == NULL)
		why = read_common_names(csr, request);
	if (why == NULL && csr->count == 0)
		why = "it has no names";
	return why;
}

static const char *
read_key(struct acme_csr *csr, X509_REQ *request)
{
	EVP_PKEY *evp = X509_REQ_get0_pubkey(request);

	if (evp == NULL || key_from_public(evp, &csr->key) < 0)
		return "its key is of a kind or size that isn't supported";
	return acme_key_weakness(csr->key);
}

static int
encode(struct acme_csr *csr, X509_REQ *request)
{
	int len = i2d_X509_REQ(request, &csr->der);

	if (len <= 0)
		return -ENOMEM;
	csr->len = (size_t)len;
	return 0;
}

static int
read_request(struct acme_csr *csr, const void *data, size_t len, const char **ret_why)
{
	_cleanup_(X509_REQ_freep) X509_REQ *request = NULL;

	*ret_why = "it isn't a PKCS#10 request, PEM or DER";
	if (len == 0 || len > TEXT_MAX || (request = decode(data, len)) == NULL)
		return -EBADMSG;
	*ret_why = read_key(csr, request);
	if (*ret_why != NULL)
		return -EKEYREJECTED;
	*ret_why = X509_REQ_verify(request, acme_key_evp(csr->key)) == 1
	    ? read_names(csr, request)
	    : "its signature is wrong";
	if (*ret_why != NULL)
		return -EBADMSG;
	return encode(csr, request);
}

int
acme_csr_read(const void *data, size_t len, struct acme_csr **ret, const char **ret_why)
{
	_cleanup_(acme_csr_freep) struct acme_csr *csr = calloc(1, sizeof(*csr));
	const char *why = NULL;
	int r;

	if (csr == NULL)
		return -ENOMEM;
	r = read_request(csr, data, len, &why);
	ERR_clear_error();
	if (r < 0) {
		if (ret_why != NULL)
			*ret_why = why;
		return r;
	}
	*ret = steal_ptr(csr);
	return 0;
}

const struct acme_key *
acme_csr_key(const struct acme_csr *csr)
{
	return csr->key;
}

const struct acme_identifier *
acme_csr_identifiers(const struct acme_csr *csr, size_t *ret_count)
{
	*ret_count = csr->count;
	return csr->identifiers;
}

const unsigned char *
acme_csr_der(const struct acme_csr *csr, size_t *ret_len)
{
	*ret_len = csr->len;
	return csr->der;
}

struct acme_csr *
acme_csr_free(struct acme_csr *csr)
{
	if (csr == NULL)
		return NULL;
	OPENSSL_free(csr->der);
	acme_key_free(csr->key);
	free(csr);
	return NULL;
}
