/*
 * ca_chore.c - what is done with an account while nobody uses it: its key is changed
 * (RFC 8555 section 7.3.5), or it is ended (section 7.3.6).
 *
 * A step of ca.c, begun when no order is in flight: published challenges are made with
 * the key. What is to be is in the inventory before the CA hears of it, and the next
 * step follows from that, so a chore that was cut off is found again by its facts:
 *
 *   next key stored   does the CA know the new key? then it is the key, else it is
 *                     asked for the change once more, by the old one
 *   ENDING            the CA is told, and then it is DEACTIVATED
 */
#include "renew/ca_chore.h"

#include <errno.h>
#include <string.h>

#include "inventory/store.h"
#include "key.h"
#include "platform/log.h"
#include "renew/ca_private.h"
#include "renew/keyjob.h"

#define AGAIN_SECONDS 300

/* ---- beginning and end ---- */

static struct chore *
chore_free(struct chore *c)
{
	if (c == NULL)
		return NULL;
	store_forget(c->ca->means->store, c);
	keyjob_forget(c->keyjob);
	ca_cancel(c->request);
	acme_key_free(c->key);
	acme_result_free(c->refusal);
	free(c);
	return NULL;
}

/* failure NULL: it is done. The CA may be gone after. */
void
chore_end(struct chore *c, const struct acme_result *failure)
{
	struct ca *ca = ca_ref(c->ca);
	chore_done_cb *cb = c->cb;
	void *arg = c->arg;

	ca->chore = NULL;
	chore_free(c);
	if (cb != NULL)
		cb(failure, arg);
	ca_unref(ca);
}

/* It stays as it was, and whoever waits for the CA goes on. */
void
chore_give_up(struct chore *c, const struct acme_result *failure)
{
	struct ca *ca = ca_ref(c->ca);

	log_line(LOG_WARNING,
	    &(struct log_fields){ .event = LOG_EVENT_ACCOUNT_UNCHANGED,
		.ca = ca->settings.name,
		.problem = failure->type },
	    "the account stays as it is: %s", failure->detail);
	chore_end(c, failure);
	ca_prepare(ca);
	ca_unref(ca);
}

static void
refused_cb(int r, void *arg)
{
	struct chore *c = arg;
	struct ca *ca = ca_ref(c->ca);
	struct acme_result *failure = steal_ptr(c->refusal);

	(void)r; /* said by others; it is found out again */
	if (acme_result_is(failure, "accountDoesNotExist"))
		ca_forgotten(ca);
	if (ca->chore == c && failure != NULL)
		chore_give_up(c, failure);
	else if (ca->chore == c)
		chore_give_up_errno(c, "refused by the CA: ", -ENOMEM);
	acme_result_free(failure);
	ca_unref(ca);
}

void
chore_give_up_saved(struct chore *c, const struct acme_result *failure)
{
	struct acme_result *copy = acme_result_copy(failure);
	int r;

	acme_result_free(c->refusal);
	c->refusal = copy;
	r = store_after_commit(c->ca->means->store, refused_cb, c);
	if (r < 0)
		chore_give_up_errno(c, "refused by the CA: ", r);
}

void
chore_give_up_text(
    struct chore *c, enum acme_class class, const char *what, const char *why)
{
	static const struct acme_result no_memory = { .class = ACME_RETRY,
		.stage = "account",
		.detail = (char *)"out of memory" };
	struct acme_result *failure =
	    acme_result_new(class, "account", "%s%s", what, why);

	chore_give_up(c, failure != NULL ? failure : &no_memory);
	acme_result_free(failure);
}

void
chore_give_up_errno(struct chore *c, const char *what, int r)
{
	chore_give_up_text(c, ACME_RETRY, what, strerror(-r));
}

/* ---- as a step of its CA ---- */

static int
make(struct ca *ca, enum chore_kind kind, chore_done_cb *cb, void *arg)
{
	struct chore *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return -ENOMEM;
	*c = (struct chore){ .ca = ca, .kind = kind, .cb = cb, .arg = arg };
	ca->chore = c;
	return 0;
}

static bool
is_cut_off(const struct ca *ca)
{
	return own_account_next(ca->account) != NULL ||
	    own_account_state(ca->account) == ACCOUNT_ENDING;
}

int
chore_ask(struct ca *ca, enum chore_kind kind, chore_done_cb *cb, void *arg)
{
	int r;

	if (ca->chore != NULL || is_cut_off(ca))
		return -EBUSY;
	r = make(ca, kind, cb, arg);
	if (r == 0)
		ca_prepare_later(ca, 0);
	return r;
}

bool
ca_chore_step(struct ca *ca)
{
	struct chore *c;

	if (ca->chore == NULL && is_cut_off(ca) &&
	    make(ca,
		own_account_next(ca->account) != NULL ? CHORE_ROLLOVER
						      : CHORE_DEACTIVATE,
		NULL, NULL) < 0)
		return true;
	c = ca->chore;
	if (c == NULL)
		return false;
	if (c->begun || ca->users > 0 || ca->active > 0)
		return true;
	c->begun = true;
	if (c->kind == CHORE_ROLLOVER)
		rollover_begin(c);
	else
		account_end_begin(c);
	return true;
}

void
ca_chore_abandon(struct ca *ca, const struct acme_result *failure)
{
	static const struct acme_result gone = { .class = ACME_RETRY,
		.stage = "account",
		.detail =
		    (char *)"renewd stops, or the CA has left the configuration" };

	if (ca->chore != NULL)
		chore_end(ca->chore, failure != NULL ? failure : &gone);
	if (failure != NULL && ca->account != NULL && is_cut_off(ca))
		ca_prepare_later(ca, AGAIN_SECONDS);
}
