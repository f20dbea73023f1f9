/*
 * challenge.h - inside libacme: what may stand in a challenge.
 */
#ifndef CHALLENGE_H
#define CHALLENGE_H

#include <stdbool.h>

#include "acme.h"

#define CHALLENGE_ISSUERS_MAX 10

/* A token becomes part of a path, so nothing but base64url's characters is taken (RFC
 * 8555 section 8.1). */
bool challenge_token_ok(const char *token);
/* The name of a CA as dns-persist-01 has it: lower-case A-labels, no last dot. */
bool challenge_issuer_ok(const char *name);

#endif
