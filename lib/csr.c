/*
 * csr.c - requests for a certificate, as the flow sends them to a CA.
 *
 * Their names are subject alternative names only, and they don't say more than was
 * asked for.
 */
#include "csr.h"

#include <errno.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "altname.h"
#include "key.h"
#include "key_ec.h"
#include "scope.h"

typedef STACK_OF(X509_EXTENSION) extensions;

static void
extensions_free(extensions *list)
{
	sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
}

DEFINE_CLEANUP(extensions, extensions_free)
DEFINE_CLEANUP(X509_EXTENSION, X509_EXTENSION_free)
DEFINE_CLEANUP(X509_REQ, X509_REQ_free)

static const EVP_MD *
digest_for(const struct acme_key *key)
{
	return acme_key_get_type(key) == ACME_KEY_ECDSA_P384 ? EVP_sha384()
							     : EVP_sha256();
}

/* value is written as in OpenSSL's own configuration. */
static bool
add_extension(extensions **list, int nid, const char *value)
{
	_cleanup_(X509_EXTENSION_freep) X509_EXTENSION *extension = NULL;

	extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	return extension != NULL && X509v3_add_ext(list, extension, -1) != NULL;
}

static int
add_names(extensions **list, const struct acme_identifier *identifiers, size_t count)
{
	_cleanup_(GENERAL_NAMES_freep) GENERAL_NAMES *names = NULL;
	int r;

	r = altnames_new(identifiers, count, &names);
	if (r < 0)
		return r;
	if (X509V3_add1_i2d(list, NID_subject_alt_name, names, 0, X509V3_ADD_APPEND) !=
	    1)
		return -EIO;
	return 0;
}

static bool
set_key(X509_REQ *request, const struct acme_key *key)
{
	return key_ec_fill(key, X509_REQ_get_X509_PUBKEY(request)) == 0 ||
	    X509_REQ_set_pubkey(request, acme_key_evp(key)) == 1;
}

static int
build_request(const struct acme_key *key, const struct acme_identifier *identifiers,
    size_t count, bool must_staple, X509_REQ *request)
{
	_cleanup_(extensions_freep) extensions *list = NULL;
	int r;

	r = add_names(&list, identifiers, count);
	if (r < 0)
		return r;
	if (must_staple && !add_extension(&list, NID_tlsfeature, "status_request"))
		return -EIO;
	if (X509_REQ_set_version(request, X509_REQ_VERSION_1) != 1 ||
	    !set_key(request, key) || X509_REQ_add_extensions(request, list) != 1 ||
	    X509_REQ_sign(request, acme_key_evp(key), digest_for(key)) <= 0)
		return -EIO;
	return 0;
}

/* RFC 5280 appendix A.1: ub-common-name */
#define COMMON_NAME_MAX 64

static int
set_common_name(
    X509_REQ *request, const struct acme_identifier *identifiers, size_t count)
{
	size_t i = 0;
	const char *name;

	while (i < count && identifiers[i].type != ACME_IDENTIFIER_DNS)
		i++;
	if (i == count || strlen(identifiers[i].value) > COMMON_NAME_MAX)
		return -EINVAL;
	name = identifiers[i].value;
	if (X509_NAME_add_entry_by_NID(X509_REQ_get_subject_name(request),
		NID_commonName, MBSTRING_UTF8, (const unsigned char *)name, -1, -1,
		0) != 1)
		return -ENOMEM;
	return 0;
}

static int
encode_request(X509_REQ *request, unsigned char **ret_der, size_t *ret_len)
{
	int len = i2d_X509_REQ(request, NULL);
	unsigned char *der;
	unsigned char *end;

	if (len <= 0)
		return -EIO;
	der = malloc((size_t)len);
	if (der == NULL)
		return -ENOMEM;
	end = der;
	i2d_X509_REQ(request, &end);
	*ret_der = der;
	*ret_len = (size_t)len;
	return 0;
}

static int
make_request(const struct acme_key *key, const struct acme_identifier *identifiers,
    size_t count, bool must_staple, bool named, unsigned char **ret_der,
    size_t *ret_len)
{
	_cleanup_(X509_REQ_freep) X509_REQ *request = NULL;
	int r;

	if (count == 0)
		return -EINVAL;
	request = X509_REQ_new();
	r = request != NULL ? 0 : -ENOMEM;
	if (r == 0 && named)
		r = set_common_name(request, identifiers, count);
	if (r == 0)
		r = build_request(key, identifiers, count, must_staple, request);
	if (r == 0)
		r = encode_request(request, ret_der, ret_len);
	ERR_clear_error();
	return r;
}

int
acme_csr_new(const struct acme_key *key, const struct acme_identifier *identifiers,
    size_t count, bool must_staple, unsigned char **ret_der, size_t *ret_len)
{
	return make_request(
	    key, identifiers, count, must_staple, false, ret_der, ret_len);
}

int
csr_new_named(const struct acme_key *key, const struct acme_identifier *identifiers,
    size_t count, bool must_staple, unsigned char **ret_der, size_t *ret_len)
{
	return make_request(
	    key, identifiers, count, must_staple, true, ret_der, ret_len);
}
