/*
 * account.h - inside renew/: the account that renewd has at one CA: its key, and what
 * the inventory has of it.
 *
 * Used by ca.c and its neighbours, which talk to the CA. A key is on disk before the CA
 * hears of it; what is noted here is written with the turn of the loop.
 */
#ifndef ACCOUNT_H
#define ACCOUNT_H

#include "acme.h"
#include "inventory/inventory.h"
#include "renew/renewal.h"
#include "scope.h"

struct ca_settings;
struct own_account;

/* What own_account_prepare() had to wait for is there (failure NULL), or isn't to be
 * had. */
typedef void own_account_cb(const struct acme_result *failure, void *arg);

/* settings are lent: they outlive the account, and may change. only: the id of the one
 * account to be used; 0: the CA's own, found or made. */
int own_account_new(const struct renewal_means *means,
    const struct ca_settings *settings, int64_t only, own_account_cb *cb, void *arg,
    struct own_account **ret);
struct own_account *own_account_free(struct own_account *a);

/* The next thing that is missing until its key is known and stored: found in the
 * inventory, read from a file or made. 1: it is there; 0: it comes, and the callback is
 * called then; negative: failed, and *ret_failure (to be freed; NULL: no memory) says
 * why. */
int own_account_prepare(struct own_account *a, struct acme_result **ret_failure);
/* Is there one already? Makes none. */
bool own_account_find(struct own_account *a);

/* The key of account_key = file:PATH. *ret_failure as above. */
int own_account_read_file(const struct ca_settings *settings, struct acme_key **ret,
    struct acme_result **ret_failure);

/* The CA has told its URL, and which contacts it has (NULL: it didn't say). */
int own_account_registered(
    struct own_account *a, const char *url, const char *contacts, const char *terms);
/* The CA doesn't know it any more. */
int own_account_forgotten(struct own_account *a);

/* Has the CA other contacts than the settings say? */
bool own_account_contacts_differ(const struct own_account *a);
int own_account_contacts_told(struct own_account *a, const char *contacts);

/* The key that it is to get, to be committed before the CA hears of it. -EEXIST: an
 * account has it, or has had it. */
int own_account_set_next(struct own_account *a, const struct acme_key *key);
int own_account_drop_next(struct own_account *a);
/* The CA knows it: it is the key now. */
int own_account_take_next(struct own_account *a);
const struct acme_key *own_account_next(const struct own_account *a); /* or NULL */

int own_account_set_state(struct own_account *a, enum account_state state);
enum account_state own_account_state(const struct own_account *a);
/* Forgets it here: the next one is another. */
void own_account_leave(struct own_account *a);

int64_t own_account_id(const struct own_account *a); /* in the inventory; 0: none yet */
const struct acme_key *own_account_key(const struct own_account *a);
const char *own_account_url(
    const struct own_account *a); /* NULL: not registered, as far as known */

DEFINE_CLEANUP(struct own_account, own_account_free)

#endif
