/*
 * jws_check.h - the CA's side of a JWS: is it whole, fresh, meant for this URL, signed?
 */
#ifndef JWS_CHECK_H
#define JWS_CHECK_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a request carries, once it has been checked. */
struct jws_checked {
	char *payload; /* "" for POST-as-GET; to be freed */
	size_t payload_len;
	uint64_t account;    /* from "kid"; 0: it has a "jwk" */
	EVP_PKEY *key;       /* from "jwk", to be freed; NULL otherwise */
	char thumbprint[44]; /* of that key */
};

/* What the check needs of the CA. */
struct jws_context {
	const char *url;     /* that the request came to */
	const char *account; /* prefix of "kid" */
	/* The key of an account, or NULL. */
	EVP_PKEY *(*find_key)(uint64_t account);
	/* Was it given out and never used? It is used then. NULL: there is none, as in
	 * the inner JWS of a key change (RFC 8555 section 7.3.5). */
	bool (*take_nonce)(const char *nonce);
};

/* NULL: all is well; else the name of the ACME error. */
const char *jws_check(const char *body, size_t len, const struct jws_context *context,
    struct jws_checked *ret);

#endif
