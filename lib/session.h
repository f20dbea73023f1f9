/*
 * session.h - inside libacme: what an exchange needs of its session.
 */
#ifndef SESSION_H
#define SESSION_H

#include "acme.h"
#include "patience.h"

/* Where a request of this kind goes unless it says so itself; NULL: not known. */
const char *session_url(const struct acme_session *s, enum acme_action action);
/* All that a directory names, by blanks; the caller frees. NULL: no memory. */
char *session_origins(const struct acme_session *s);
/* Is this URL on the host of one of them? Where the CA's own objects have to be: a
 * reply that leads elsewhere would have our signed requests sent to strangers. */
bool session_is_near(const char *origins, const char *url);
/* What its flows learn of the CA, and go by; lent. */
struct patience *session_patience(const struct acme_session *s);
const struct acme_key *session_key(const struct acme_session *s);
/* A fresh nonce, to be freed by the caller; NULL: none at hand. */
char *session_take_nonce(struct acme_session *s);
/* Keeps what a reply brought; nonsense is passed over. */
void session_keep_nonce(struct acme_session *s, const char *nonce);
/* Could this be a nonce (RFC 8555 section 6.5.1)? */
bool session_nonce_ok(const char *nonce);

#endif
