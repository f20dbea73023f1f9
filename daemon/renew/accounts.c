/*
 * accounts.c - finds the CA of an account, and has it changed there.
 *
 * Called by control/. An account that isn't its CA's own gets a CA for itself, as long
 * as it takes.
 */
#include "renew/accounts.h"

#include <errno.h>
#include <string.h>

#include "platform/clock.h"
#include "renew/ca.h"
#include "renew/ca_chore.h"
#include "renew/job.h"

struct account_wish {
	struct renewals *renewals;
	struct ca *guest; /* for this account alone, or NULL */
	account_changed_cb *cb;
	void *arg;
	LIST_ENTRY(account_wish) entry;
};

static const enum chore_kind chores[] = {
	[ACCOUNT_ROLLOVER] = CHORE_ROLLOVER,
	[ACCOUNT_DEACTIVATE] = CHORE_DEACTIVATE,
};

static struct account *
own_of(const struct renewals *r, const struct ca *ca)
{
	struct account *own = NULL;
	int e = -ENOENT; /* that of the file's key, which nobody has asked for yet */

	if (ca_account(ca) != 0)
		e = account_get(r->means.store, ca_account(ca), &own);
	else if (!ca_has_key_file(ca))
		e = account_find(
		    r->means.store, ca_name(ca), ca_directory(ca), NULL, &own);
	return e == 0 ? own : NULL;
}

bool
accounts_is_own(const struct renewals *r, const struct account *a)
{
	_cleanup_(account_freep) struct account *own = NULL;
	const struct ca *ca = renewals_ca(r, a->ca);

	if (ca == NULL || a->state == ACCOUNT_DEACTIVATED)
		return false;
	own = own_of(r, ca);
	return own != NULL && own->id == a->id;
}

static void
changed_cb(const struct acme_result *failure, void *arg)
{
	struct account_wish *w = arg;

	LIST_REMOVE(w, entry);
	if (w->cb != NULL)
		w->cb(failure, w->arg);
	ca_unref(w->guest);
	free(w);
}

/* How to reach the CA is as its section says, if there still is one. */
static int
make_guest(struct renewals *r, const struct account *a, struct ca **ret)
{
	const struct ca_config *section = config_ca(r->config, a->ca);
	struct ca_config config = { 0 };

	if (section != NULL) {
		config.trust_file = section->trust_file;
		config.proxy = section->proxy;
	}
	config.name = a->ca;
	config.directory = a->directory;
	config.account_key = ACME_KEY_ECDSA_P256;
	config.accept_terms = true; /* they were, or there would be no account */
	return ca_new_for(&r->means, &config, a->id, ret);
}

static int
end_unknown(struct renewals *r, const struct account *a)
{
	int e =
	    account_set_state(r->means.store, a->id, ACCOUNT_DEACTIVATED, clock_now());

	return e == 0 ? -EALREADY : e;
}

int
accounts_change(struct renewals *r, const struct account *a, enum account_change change,
    account_changed_cb *cb, void *arg, struct account_wish **ret)
{
	bool own = accounts_is_own(r, a);
	struct account_wish *w;
	struct ca *ca;
	int e;

	if (a->state == ACCOUNT_DEACTIVATED)
		return -ESHUTDOWN;
	if (a->url == NULL && !own)
		return change == ACCOUNT_DEACTIVATE ? end_unknown(r, a) : -ENOTCONN;
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return -ENOMEM;
	*w = (struct account_wish){ .renewals = r, .cb = cb, .arg = arg };
	e = own ? 0 : make_guest(r, a, &w->guest);
	ca = own ? renewals_ca(r, a->ca) : w->guest;
	if (e == 0)
		e = chore_ask(ca, chores[change], changed_cb, w);
	if (e < 0) {
		ca_unref(w->guest);
		free(w);
		return e;
	}
	LIST_INSERT_HEAD(&r->wishes, w, entry);
	*ret = w;
	return 0;
}

void
accounts_forget(struct account_wish *w)
{
	w->cb = NULL;
}

/* Those of a CA of the configuration end with it. */
void
accounts_drop(struct renewals *r)
{
	struct account_wish *w;
	struct account_wish *next;

	for (w = LIST_FIRST(&r->wishes); w != NULL; w = next) {
		struct ca *guest = w->guest;

		next = LIST_NEXT(w, entry);
		w->cb = NULL;
		w->guest = NULL;
		ca_unref(guest); /* frees the wish, too */
	}
}
