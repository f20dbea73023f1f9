/*
 * ca_rollover.c - another key for an account (RFC 8555 section 7.3.5), safe at any
 * crash.
 *
 * A chore of ca_chore.c. The new key is stored before the CA hears of it, and the
 * answer to the change isn't trusted where it isn't a yes: the CA is asked whether it
 * knows the new key, and the one that it knows is the account's.
 */
#include "renew/ca_chore.h"

#include <errno.h>
#include <string.h>

#include "inventory/store.h"
#include "platform/log.h"
#include "renew/ca_private.h"
#include "renew/keyjob.h"
#include "renew/order.h"
#include "result.h"

static void
taken_cb(int r, void *arg)
{
	struct chore *c = arg;
	struct ca *ca = ca_ref(c->ca);

	if (r < 0) {
		chore_give_up_errno(
		    c, "the CA has the new key, but it could not be noted: ", r);
	} else {
		log_line(LOG_NOTICE,
		    &(struct log_fields){
			.event = LOG_EVENT_ACCOUNT_KEY, .ca = ca->settings.name },
		    "the account has another key, and the one of before is not used "
		    "any more");
		chore_end(c, NULL);
		ca_prepare(ca);
	}
	ca_unref(ca);
}

/* Challenges of orders that go on later are answered by the new key already. */
static int
publish_cb(const struct order_row *row, void *arg)
{
	struct ca *ca = arg;

	if (row->account == own_account_id(ca->account))
		order_publish_stored(ca->means, row);
	return 0;
}

static void
take(struct chore *c)
{
	char thumbprint[ACME_THUMBPRINT_SIZE];
	struct acme_result *failure = NULL;
	struct ca *ca = c->ca;
	int r;

	r = own_account_take_next(ca->account);
	if (r == 0)
		r = acme_key_thumbprint(own_account_key(ca->account), thumbprint);
	if (r == 0)
		r = ca_set_account(ca, &failure);
	if (r == 0) {
		ca->key_number++;
		ca_history(ca, "account-key-changed", thumbprint);
		(void)order_walk(ca->means->store, publish_cb, ca);
		r = store_after_commit(ca->means->store, taken_cb, c);
	}
	if (r < 0)
		chore_give_up_errno(
		    c, "the CA has the new key, but it could not be noted: ", r);
	acme_result_free(failure);
}

/* The CA has said for sure that the new key isn't the account's. */
static void
drop(struct chore *c, const struct acme_result *failure)
{
	(void)own_account_drop_next(c->ca->account);
	ca_history(c->ca, "rollover-failed", failure != NULL ? failure->detail : NULL);
	chore_give_up_saved(c, failure);
}

static void change(struct chore *c);

static void
drop_foreign(struct chore *c, const char *url)
{
	_cleanup_(acme_result_freep) struct acme_result *failure =
	    acme_result_new(ACME_GIVE_UP, "account",
		"the new key belongs to another account at the CA: %s", url);

	if (failure != NULL)
		failure->status = 409;
	drop(c, failure);
}

static void
unclear(struct ca *ca, const char *why)
{
	struct acme_result *failure = acme_result_new(ACME_RETRY, "account",
	    "it is not known yet which key of the account the CA has; it is asked "
	    "again: %s",
	    why != NULL ? why : "its answer makes no sense");

	if (failure != NULL)
		ca_fail(ca, failure);
	acme_result_free(failure);
}

static void
looked_up_cb(const struct acme_reply *reply, void *arg)
{
	_cleanup_(acme_result_freep) struct acme_result *result = NULL;
	struct chore *c = arg;
	const char *url = own_account_url(c->ca->account);

	c->request = NULL;
	if (reply->status >= 400)
		result = acme_reply_result(reply, "account");
	if (reply->status == 200 && reply->location != NULL) {
		if (url != NULL && strcmp(reply->location, url) == 0)
			take(c);
		else
			drop_foreign(c, reply->location);
	} else if (!acme_result_is(result, "accountDoesNotExist")) {
		unclear(c->ca, result != NULL ? result->detail : reply->error);
	} else if (!c->changed) {
		change(c);
	} else {
		drop(c, c->refusal);
	}
}

/* The one that the CA knows counts: is it the new one? */
static void
look_up(struct chore *c)
{
	struct acme_request request = { .action = ACME_ACTION_ACCOUNT,
		.key = own_account_next(c->ca->account) };
	_cleanup_free_ char *payload = NULL;
	int r;

	r = acme_account_lookup(&payload);
	request.payload = payload;
	if (r == 0)
		r = ca_send(c->ca, &request, looked_up_cb, c, &c->request);
	if (r < 0)
		ca_fail_here(c->ca, "cannot ask which key the CA has", r);
}

static void
changed_cb(const struct acme_reply *reply, void *arg)
{
	struct chore *c = arg;

	c->request = NULL;
	if (reply->status >= 200 && reply->status < 300) {
		take(c);
		return;
	}
	c->refusal = acme_reply_result(reply, "account");
	look_up(c); /* what went wrong may have been the answer only */
}

static void
change(struct chore *c)
{
	struct acme_request request = { .action = ACME_ACTION_KEY_CHANGE };
	_cleanup_free_ char *payload = NULL;
	int r;

	c->changed = true;
	r = acme_key_change(c->ca->session, own_account_next(c->ca->account), &payload);
	request.payload = payload;
	if (r == 0)
		r = ca_send(c->ca, &request, changed_cb, c, &c->request);
	if (r < 0) {
		(void)own_account_drop_next(c->ca->account);
		chore_give_up_errno(c, "the key cannot be changed: ", r);
	}
}

static void
stored_cb(int r, void *arg)
{
	struct chore *c = arg;

	if (r < 0) {
		(void)own_account_drop_next(c->ca->account);
		chore_give_up_errno(c, "cannot store the new key: ", r);
		return;
	}
	change(c);
}

/* It is on disk before the CA hears of it. */
static void
have_key(struct chore *c)
{
	_cleanup_free_ char *payload = NULL;
	struct ca *ca = c->ca;
	int r;

	r = acme_key_change(ca->session, c->key, &payload);
	if (r == -EOPNOTSUPP) {
		chore_give_up_text(c, ACME_GIVE_UP,
		    "the CA cannot change the keys of accounts: its directory has no "
		    "keyChange",
		    "");
		return;
	}
	if (r == 0)
		r = own_account_set_next(ca->account, c->key);
	if (r == -EEXIST) {
		chore_give_up_text(c, ACME_GIVE_UP,
		    "the new key is, or was, the key of an account: a fresh one is needed",
		    "");
		return;
	}
	if (r == 0)
		r = store_after_commit(ca->means->store, stored_cb, c);
	if (r < 0)
		chore_give_up_errno(c, "cannot store the new key: ", r);
}

static void
key_made_cb(struct acme_key *key, void *arg)
{
	struct chore *c = arg;

	c->keyjob = NULL;
	c->key = key;
	if (key != NULL)
		have_key(c);
	else
		chore_give_up_errno(c, "cannot make a key: ", -EIO);
}

/* account_key = file:PATH: renewd makes no key there, but takes the one that is. */
static void
take_file(struct chore *c)
{
	_cleanup_(acme_result_freep) struct acme_result *failure = NULL;
	const struct ca_settings *settings = &c->ca->settings;
	int r;

	r = own_account_read_file(settings, &c->key, &failure);
	if (r < 0 && failure != NULL)
		chore_give_up(c, failure);
	else if (r < 0)
		chore_give_up_errno(c, "cannot read the key: ", r);
	else if (acme_key_equal(c->key, own_account_key(c->ca->account)))
		chore_give_up_text(c, ACME_GIVE_UP,
		    "the key is your own, and the file still has the one in use: put "
		    "another into it and ask again: ",
		    settings->key_file);
	else
		have_key(c);
}

void
rollover_begin(struct chore *c)
{
	struct ca *ca = c->ca;
	int r;

	if (own_account_next(ca->account) != NULL) {
		look_up(c); /* of an earlier run */
		return;
	}
	if (ca->settings.key_file != NULL) {
		take_file(c);
		return;
	}
	r = keyjob_start(
	    ca->means->worker, ca->settings.key_type, key_made_cb, c, &c->keyjob);
	if (r < 0)
		chore_give_up_errno(c, "cannot make a key: ", r);
}
