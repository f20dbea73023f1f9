/*
 * ocsp_response.h - what a CA's responder says of one certificate (RFC 6960): how it is
 * asked, and whether its answer may be believed.
 *
 * Pure, for ocsp.c: no files, no network, no clock.
 */
#ifndef OCSP_RESPONSE_H
#define OCSP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OCSP_RESPONSE_MAX ((size_t)64 * 1024)

enum ocsp_status {     /* stored */
	OCSP_NONE = 0, /* nothing was answered yet */
	OCSP_GOOD = 1,
	OCSP_REVOKED = 2,
	OCSP_UNKNOWN = 3,
};
const char *ocsp_status_name(enum ocsp_status status);

struct ocsp_answer {
	enum ocsp_status status;
	bool key_compromise; /* why it was revoked */
	const char *reason;  /* RFC 5280's name of it; "" where none is told */
	int64_t this_update;
	int64_t next_update; /* 0: it doesn't say */
};

/* Where to ask about the chain's leaf, by GET (RFC 5019 section 5). -ENOENT where the
 * leaf names no responder, or the chain has no issuer to ask about. To be freed. */
int ocsp_url(const char *chain_pem, char **ret);
/* Believes what the issuer has signed, or a responder that it has named, about just
 * this certificate, for a time that isn't over at `now`. -EBADMSG: *ret_why says what
 * is wrong, for people. */
int ocsp_read(const char *chain_pem, const void *body, size_t len, int64_t now,
    struct ocsp_answer *ret, const char **ret_why);

#endif
