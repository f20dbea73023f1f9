/*
 * base64url.h - RFC 4648 section 5 without padding, as JWS and ACME use it (RFC 7515
 * section 2).
 *
 * Decoding is strict: padding, other characters, impossible lengths and non-zero
 * trailing bits are refused.
 */
#ifndef BASE64URL_H
#define BASE64URL_H

#include <stddef.h>

/* A NUL-terminated string that the caller frees; -ENOMEM. */
int base64url_encode(const void *data, size_t len, char **ret);

/* -EBADMSG where the text isn't base64url, -ENOMEM. The caller frees *ret (never NULL
 * on success, also for an empty text). */
int base64url_decode(
    const char *text, size_t len, unsigned char **ret, size_t *ret_len);

#endif
