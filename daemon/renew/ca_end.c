/*
 * ca_end.c - the end of an account (RFC 8555 section 7.3.6).
 *
 * A chore of ca_chore.c. That it ends is stored before the CA is told, so that it isn't
 * used again whatever happens; a crash between the two is made up for.
 */
#include "renew/ca_chore.h"

#include <errno.h>
#include <string.h>

#include "inventory/store.h"
#include "platform/log.h"
#include "renew/ca_private.h"
#include "result.h"

static void
ended_cb(int r, void *arg)
{
	struct chore *c = arg;
	struct ca *ca = ca_ref(c->ca);

	if (r < 0) {
		chore_give_up_errno(
		    c, "the end of the account could not be noted: ", r);
		ca_unref(ca);
		return;
	}
	log_line(LOG_NOTICE,
	    &(struct log_fields){
		.event = LOG_EVENT_ACCOUNT_ENDED, .ca = ca->settings.name },
	    "the account is deactivated and not used again; an order would register a "
	    "new one, with a new key");
	own_account_leave(ca->account);
	ca->account_is_other = true;
	ca->stopped = acme_result_free(ca->stopped);
	ca_note(ca, NULL);
	chore_end(c, NULL);
	if (!TAILQ_EMPTY(&ca->waiters))
		ca_prepare(ca);
	ca_unref(ca);
}

static void
mark_ended(struct chore *c)
{
	struct ca *ca = c->ca;
	int r;

	ca_history(ca, "account-deactivated", own_account_url(ca->account));
	r = own_account_set_state(ca->account, ACCOUNT_DEACTIVATED);
	if (r == 0)
		r = store_after_commit(ca->means->store, ended_cb, c);
	if (r < 0)
		chore_give_up_errno(
		    c, "the end of the account could not be noted: ", r);
}

/* One that the CA has deactivated, or forgotten, is ended as well. Without an answer it
 * may be: it is told again later. */
static void
told_cb(const struct acme_reply *reply, void *arg)
{
	_cleanup_(acme_result_freep) struct acme_result *result = NULL;
	struct chore *c = arg;

	c->request = NULL;
	if (reply->status != 200)
		result = acme_reply_result(reply, "account");
	if (reply->status == 200 || acme_result_is(result, "unauthorized") ||
	    acme_result_is(result, "accountDoesNotExist")) {
		mark_ended(c);
	} else if (reply->status >= 400 && reply->status < 500 && result != NULL) {
		(void)own_account_set_state(c->ca->account, ACCOUNT_VALID);
		chore_give_up_saved(c, result);
	} else if (result != NULL) {
		ca_fail(c->ca, result);
	} else {
		ca_fail_here(c->ca, "cannot read the CA's answer", -ENOMEM);
	}
}

static void
tell_end(struct chore *c)
{
	struct acme_request request = { .action = ACME_ACTION_UPDATE_ACCOUNT };
	_cleanup_free_ char *payload = NULL;
	int r;

	r = acme_account_deactivate(&payload);
	request.payload = payload;
	if (r == 0)
		r = ca_send(c->ca, &request, told_cb, c, &c->request);
	if (r < 0)
		ca_fail_here(c->ca, "cannot send a request", r);
}

static void
ending_cb(int r, void *arg)
{
	struct chore *c = arg;

	if (r < 0)
		chore_give_up_errno(c, "cannot store the end of the account: ", r);
	else
		tell_end(c);
}

void
account_end_begin(struct chore *c)
{
	struct ca *ca = c->ca;
	int r;

	if (own_account_state(ca->account) == ACCOUNT_ENDING) {
		tell_end(c);
		return;
	}
	r = own_account_set_state(ca->account, ACCOUNT_ENDING);
	if (r == 0)
		r = store_after_commit(ca->means->store, ending_cb, c);
	if (r < 0)
		chore_give_up_errno(c, "cannot store the end of the account: ", r);
}
