/*
 * fingerprint.c - what a key is known by, whichever file or certificate it is found in.
 *
 * The public half alone goes in, so the text may be stored and shown.
 */
#include <errno.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "hex.h"
#include "key.h"

int
acme_key_fingerprint(const struct acme_key *key, char ret[ACME_FINGERPRINT_SIZE])
{
	unsigned char digest[(ACME_FINGERPRINT_SIZE - 1) / 2];
	unsigned char *der = NULL;
	int len = key_public_der(key, &der);
	int ok = 0;

	if (len > 0)
		ok = EVP_Q_digest(NULL, "SHA256", NULL, der, (size_t)len, digest, NULL);
	OPENSSL_free(der);
	ERR_clear_error();
	if (ok != 1)
		return -EIO;
	hex_write(digest, sizeof(digest), ret);
	return 0;
}
