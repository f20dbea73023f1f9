/*
 * accounts.h - what administrators ask of the accounts at the CAs: another key, the
 * end.
 *
 * Used by control/. Any account of the inventory can be asked for, also one of a CA
 * that isn't configured any more.
 */
#ifndef ACCOUNTS_H
#define ACCOUNTS_H

#include <stdbool.h>

struct account;
struct account_wish;
struct acme_result;
struct renewals;

enum account_change {
	ACCOUNT_ROLLOVER,
	ACCOUNT_DEACTIVATE,
};

/* failure NULL: done, and stored. Lent for the call. */
typedef void account_changed_cb(const struct acme_result *failure, void *arg);

/* Waits for orders in flight, then for the CA; cb is called from the loop. -EBUSY:
 * another change is under way; -ESHUTDOWN: it is deactivated; -EALREADY: the CA has
 * never heard of it, so it was ended here, and there is nothing to wait for. */
int accounts_change(struct renewals *r, const struct account *a,
    enum account_change change, account_changed_cb *cb, void *arg,
    struct account_wish **ret);
/* Nobody waits for it any more; it is done all the same. */
void accounts_forget(struct account_wish *w);

/* Is this the account that its CA uses? */
bool accounts_is_own(const struct renewals *r, const struct account *a);

#endif
