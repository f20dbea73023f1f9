/*
 * account.h - inside renew/: the account that renewd has at one CA: its key, and what
 * the inventory has of it.
 *
 * Used by ca.c, which talks to the CA. The key is on disk before the CA hears of it.
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

/* settings are lent: they outlive the account, and may change. */
int own_account_new(const struct renewal_means *means,
    const struct ca_settings *settings, own_account_cb *cb, void *arg,
    struct own_account **ret);
struct own_account *own_account_free(struct own_account *a);

/* The next thing that is missing until its key is known and stored: found in the
 * inventory, read from a file or made. 1: it is there; 0: it comes, and the callback is
 * called then; negative: failed, and *ret_failure (to be freed; NULL: no memory) says
 * why. */
int own_account_prepare(struct own_account *a, struct acme_result **ret_failure);
/* The CA has told its URL: kept, in memory and in the inventory. */
int own_account_registered(struct own_account *a, const char *url, const char *terms);

int64_t own_account_id(const struct own_account *a); /* in the inventory; 0: none yet */
const struct acme_key *own_account_key(const struct own_account *a);
const char *own_account_url(
    const struct own_account *a); /* NULL: not registered, as far as known */

DEFINE_CLEANUP(struct own_account, own_account_free)

#endif
