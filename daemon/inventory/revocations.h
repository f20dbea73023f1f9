/*
 * revocations.h - which certificates are to be revoked, and which keys are never to be
 * used again.
 *
 * A wish is a row until the CA has done it, or has refused it for good: it is there
 * before the CA hears of it, so a crash loses none. Written by renew/revoke.c (what is
 * asked) and renew/revoker.c (how it goes); conventions as in inventory.h.
 */
#ifndef REVOCATIONS_H
#define REVOCATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inventory/inventory.h"

struct revocation {
	int64_t issued; /* the one to be revoked */
	enum acme_reason reason;
	bool waits;   /* until what replaces it is deployed */
	bool removal; /* its certificate is removed when this is done */
	int64_t asked_at;
	unsigned failures;
	int64_t next_attempt;
	char *detail; /* why the last attempt failed, or NULL */
	/* of the issued row and its certificate, read only */
	int64_t certificate;
	char *name;
	enum acme_key_type key_type;
	char *serial;
	int64_t not_after;
};
/* Stores a wish, or changes the one that there is: a reported key stays so, a removal
 * too; it is tried now. Of r nothing below `asked_at` is used. */
int revocation_ask(struct store *s, const struct revocation *r);
/* All of a certificate that aren't done. */
int revocation_list(
    struct store *s, int64_t certificate, struct revocation **ret, size_t *ret_count);
int revocation_between(struct store *s, const char *first, const char *last,
    struct revocation **ret, size_t *ret_count);
/* Some of those that may be tried now, the longest overdue first. */
int revocation_due(
    struct store *s, int64_t now, struct revocation **ret, size_t *ret_count);
/* Those that wait for their replacement. */
int revocation_waiting(struct store *s, struct revocation **ret, size_t *ret_count);
/* When is the next of those that don't wait? -ENOENT: there is none. */
int revocation_next(struct store *s, int64_t *ret_at);
/* Saves waits, failures, next_attempt and detail. */
int revocation_save(struct store *s, const struct revocation *r);
/* Done, or given up. */
int revocation_delete(struct store *s, int64_t issued);
void revocation_free_all(struct revocation *rows, size_t count);

/* ---- keys ---- */

/* This key, by acme_key_fingerprint(), was reported as compromised; der is the key as
 * the issued rows of before have it, which weren't known by a fingerprint yet. */
int compromised_add(
    struct store *s, const char *spki, const struct secret *der, int64_t now);
/* 1: it must never be used again; 0: not known as compromised. To be asked of each key
 * before something is ordered with it: new, used again or brought along. */
int compromised_has(struct store *s, const char *spki);

/* An issued row whose key is compromised: which, and of what. */
struct compromised_row {
	int64_t issued;
	int64_t certificate;
	bool current;
	bool revocable; /* neither revoked nor expired */
};
int compromised_rows(struct store *s, const char *spki, int64_t now,
    struct compromised_row **ret, size_t *ret_count);

#endif
