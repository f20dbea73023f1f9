/*
 * key_der.c - private keys read and written, as PKCS#8 and as PEM.
 *
 * ECDSA keys, which most are, go through key_ec.c: OpenSSL's decoders and encoders take
 * ten times as long as it does. Nothing here asks for a passphrase, and no copy of a
 * private half is left in freed memory.
 */
#include "key.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "key_ec.h"

#define TEXT_MAX (64 * 1024) /* a PEM file may hold a chain and remarks, too */

DEFINE_CLEANUP(BIO, BIO_free)
DEFINE_CLEANUP(EVP_MD_CTX, EVP_MD_CTX_free)
DEFINE_CLEANUP(EVP_PKEY, EVP_PKEY_free)
DEFINE_CLEANUP(PKCS8_PRIV_KEY_INFO, PKCS8_PRIV_KEY_INFO_free)
DEFINE_CLEANUP(X509_PUBKEY, X509_PUBKEY_free)

/* Whoever runs a daemon isn't there to be asked: an encrypted key can't be read. */
static int
refuse_passphrase_cb(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

/* Does the private half belong to the public one? A key put together by hand may have
 * two that don't, and would be found out by the CA or by no browser connecting. */
static bool
is_pair(EVP_PKEY *evp)
{
	static const unsigned char data[] = "pair";
	_cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char signature[1024];
	size_t len = sizeof(signature);

	return ctx != NULL &&
	    EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, evp, NULL) == 1 &&
	    EVP_DigestSign(ctx, signature, &len, data, sizeof(data)) == 1 &&
	    EVP_MD_CTX_reset(ctx) == 1 &&
	    EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", NULL, NULL, evp, NULL) == 1 &&
	    EVP_DigestVerify(ctx, signature, len, data, sizeof(data)) == 1;
}

int
acme_key_from_pem(const char *pem, size_t len, struct acme_key **ret)
{
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *evp = NULL;
	_cleanup_(acme_key_freep) struct acme_key *key = NULL;
	_cleanup_(BIO_freep) BIO *bio = NULL;
	bool pair;
	int r;

	if (len == 0 || len > TEXT_MAX)
		return -EBADMSG;
	bio = BIO_new_mem_buf(pem, (int)len);
	if (bio == NULL)
		return -ENOMEM;
	evp = PEM_read_bio_PrivateKey_ex(
	    bio, NULL, refuse_passphrase_cb, NULL, NULL, NULL);
	ERR_clear_error();
	if (evp == NULL)
		return -EBADMSG;
	r = key_wrap(&evp, &key);
	if (r < 0)
		return r;
	pair = is_pair(acme_key_evp(key));
	ERR_clear_error();
	if (!pair)
		return -EBADMSG;
	*ret = steal_ptr(key);
	return 0;
}

int
acme_key_from_der(const void *der, size_t len, struct acme_key **ret)
{
	_cleanup_(PKCS8_PRIV_KEY_INFO_freep) PKCS8_PRIV_KEY_INFO *info = NULL;
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *evp = NULL;
	const unsigned char *end = der;

	if (len == 0 || len > TEXT_MAX)
		return -EBADMSG;
	info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &end, (long)len);
	if (info == NULL || end != (const unsigned char *)der + len) {
		ERR_clear_error();
		return -EBADMSG;
	}
	evp = key_ec_from_info(info);
	if (evp == NULL)
		evp = EVP_PKCS82PKEY_ex(info, NULL, NULL);
	ERR_clear_error();
	if (evp == NULL)
		return -EBADMSG;
	return key_wrap(&evp, ret);
}

/* The text that was written. */
static int
take_text(BIO *bio, char **ret)
{
	const char *data;
	long len = BIO_get_mem_data(bio, &data);
	char *text;

	ERR_clear_error();
	if (len <= 0)
		return -EIO;
	text = strndup(data, (size_t)len);
	if (text == NULL)
		return -ENOMEM;
	*ret = text;
	return 0;
}

int
key_pem_of_der(const unsigned char *der, size_t len, char **ret_pem)
{
	_cleanup_(BIO_freep) BIO *bio = BIO_new(BIO_s_mem());

	if (bio == NULL)
		return -ENOMEM;
	if (len > LONG_MAX ||
	    PEM_write_bio(bio, PEM_STRING_PKCS8INF, "", der, (long)len) <= 0)
		return -EIO;
	return take_text(bio, ret_pem);
}

int
acme_key_to_der(const struct acme_key *key, unsigned char **ret_der, size_t *ret_len)
{
	_cleanup_(PKCS8_PRIV_KEY_INFO_freep) PKCS8_PRIV_KEY_INFO *info = NULL;
	unsigned char *der;
	unsigned char *end;
	int len = -1;

	info = key_ec_to_info(key);
	if (info == NULL)
		info = EVP_PKEY2PKCS8(acme_key_evp(key));
	if (info != NULL)
		len = i2d_PKCS8_PRIV_KEY_INFO(info, NULL);
	ERR_clear_error();
	if (len <= 0)
		return -EIO;
	der = malloc((size_t)len);
	if (der == NULL)
		return -ENOMEM;
	end = der;
	i2d_PKCS8_PRIV_KEY_INFO(info, &end);
	*ret_der = der;
	*ret_len = (size_t)len;
	return 0;
}

int
acme_key_to_pem(const struct acme_key *key, char **ret_pem)
{
	unsigned char *der;
	size_t len;
	int r = acme_key_to_der(key, &der, &len);

	if (r < 0)
		return r;
	r = key_pem_of_der(der, len, ret_pem);
	acme_wipe_free(der, len);
	return r;
}

int
key_der_of_pem(const char *pem, size_t len, unsigned char **ret_der, size_t *ret_len)
{
	_cleanup_(BIO_freep) BIO *bio = NULL;
	char *name = NULL, *header = NULL;
	unsigned char *der = NULL;
	long der_len = 0;
	bool ok = false;

	if (len == 0 || len > TEXT_MAX)
		return -EBADMSG;
	bio = BIO_new_mem_buf(pem, (int)len);
	if (bio != NULL && PEM_read_bio(bio, &name, &header, &der, &der_len) == 1)
		ok = strcmp(name, PEM_STRING_PKCS8INF) == 0 && header[0] == '\0';
	OPENSSL_free(name);
	OPENSSL_free(header);
	ERR_clear_error();
	if (ok) {
		*ret_der = der;
		*ret_len = (size_t)der_len;
	} else if (der != NULL) {
		OPENSSL_clear_free(der, (size_t)der_len);
	}
	return ok ? 0 : -EBADMSG;
}

/* ---- the public half ---- */

int
key_public_der(const struct acme_key *key, unsigned char **ret)
{
	_cleanup_(X509_PUBKEY_freep) X509_PUBKEY *public = X509_PUBKEY_new();

	*ret = NULL;
	if (public != NULL && key_ec_fill(key, public) == 0)
		return i2d_X509_PUBKEY(public, ret);
	return i2d_PUBKEY(acme_key_evp(key), ret);
}
