/*
 * authorizations.h - valid authorizations that orders have left behind at the CAs.
 *
 * Kept from an issue until they expire, or until their name leaves the configuration
 * for good and renew/deactivate.c has told the CA. Nothing depends on them: one that is
 * missing here only expires by itself. Conventions as in inventory.h.
 */
#ifndef AUTHORIZATIONS_H
#define AUTHORIZATIONS_H

#include "inventory/inventory.h"

struct authorization {
	int64_t id;
	int64_t account;
	char *identifier; /* as in the names of an issued row */
	char *url;
	int64_t expires;
	unsigned failures;
	int64_t next_attempt; /* to be deactivated then; 0: its name is in use */
};
/* A new one; one that is there by its URL takes the new end. */
int authorization_add(struct store *s, const struct authorization *a);
/* Names of this certificate may not be needed any more: all that it ever had are looked
 * at. To be called before it is deleted, or after one with other names was issued. */
int authorization_release(struct store *s, int64_t certificate, int64_t now);
/* The one to be looked at next, and not before its next_attempt. -ENOENT. */
int authorization_next(struct store *s, struct authorization **ret);
/* Does a certificate of this account, an order or the configuration have the name? 1 or
 * 0. Reads much: for few. */
int authorization_wanted(struct store *s, const struct authorization *a);
/* Saves failures and next_attempt. */
int authorization_save(struct store *s, const struct authorization *a);
int authorization_delete(struct store *s, int64_t id);
/* All of this account that wait to be deactivated: its CA can't do that. */
int authorization_delete_waiting(struct store *s, int64_t account);
/* Those that have expired go. */
int authorization_prune(struct store *s, int64_t now);
struct authorization *authorization_free(struct authorization *a);

DEFINE_CLEANUP(struct authorization, authorization_free)

#endif
