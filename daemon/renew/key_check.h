/*
 * key_check.h - keys that no certificate may have, wherever they come from.
 *
 * Asked by an order before the CA hears of its key.
 */
#ifndef KEY_CHECK_H
#define KEY_CHECK_H

#include "acme.h"

struct store;

/* NULL: it may be used. Else why not, a constant sentence. */
const char *key_check(struct store *store, const struct acme_key *key);

#endif
