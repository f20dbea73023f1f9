/*
 * key_public.h - inside libacme: public keys from what a SubjectPublicKeyInfo says, the
 * short way; and any key from its numbers.
 */
#ifndef KEY_PUBLIC_H
#define KEY_PUBLIC_H

#include <openssl/types.h>

/* RSA, or ECDSA on a curve of ours, in their usual form; data are the bits. NULL: it is
 * another kind, or broken, and OpenSSL's own functions are to be asked. */
EVP_PKEY *key_public_read(const X509_ALGOR *algorithm, const ASN1_BIT_STRING *bits);
/* A key of this kind as OpenSSL names it; selection is EVP_PKEY_fromdata()'s. NULL:
 * they aren't one's numbers. */
EVP_PKEY *key_build(const char *kind, int selection, OSSL_PARAM *params);

#endif
