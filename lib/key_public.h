/*
 * key_public.h - inside libacme: public keys from what a SubjectPublicKeyInfo says, the
 * short way.
 */
#ifndef KEY_PUBLIC_H
#define KEY_PUBLIC_H

#include <openssl/types.h>

/* RSA, or ECDSA on a curve of ours, in their usual form; data are the bits. NULL: it is
 * another kind, or broken, and OpenSSL's own functions are to be asked. */
EVP_PKEY *key_public_read(const X509_ALGOR *algorithm, const ASN1_BIT_STRING *bits);

#endif
