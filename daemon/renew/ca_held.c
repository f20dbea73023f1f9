/*
 * ca_held.c - what a CA's answers say of the account itself, and the requests that wait
 * meanwhile.
 *
 * Part of ca_request.c. An account that the CA has forgotten is registered again, one
 * that may be deactivated is looked at; the request is held, and then made once more:
 * its caller doesn't notice.
 */
#include "renew/ca_request.h"

#include <string.h>

#include "json.h"
#include "platform/log.h"
#include "result.h"

void
ca_hold(struct ca_request *q)
{
	q->held = true;
	TAILQ_INSERT_TAIL(&q->ca->held, q, entry);
}

void
ca_let_go(struct ca_request *q)
{
	q->held = false;
	TAILQ_REMOVE(&q->ca->held, q, entry);
}

static void
repeat(struct ca_request *q)
{
	acme_exchange_again(q->exchange);
	ca_request_sent(q, ca_line_send(q));
}

void
ca_release_held(struct ca *ca)
{
	struct ca_request *q;

	ca_ref(ca);
	while ((q = TAILQ_FIRST(&ca->held)) != NULL && ca->check == NULL) {
		ca_let_go(q);
		repeat(q);
	}
	ca_unref(ca);
}

/* As if the CA had answered so: whoever waits judges by it. */
static char *
describe(const struct acme_result *failure)
{
	struct json_writer *w = json_writer_new();
	char *text = NULL;

	json_open_object(w);
	json_member_string(w, "type", failure->type);
	json_member_string(w, "detail", failure->detail);
	json_close_object(w);
	if (w == NULL || json_writer_steal(w, &text, NULL) < 0)
		text = NULL;
	json_writer_free(w);
	return text;
}

void
ca_fail_held(struct ca *ca, const struct acme_result *failure)
{
	_cleanup_free_ char *text = describe(failure);
	struct ca_request *q;
	struct ca_request *last = TAILQ_LAST(&ca->held, held_head);
	bool more = last != NULL;
	struct acme_reply reply = { .error = failure->detail };

	if (text != NULL && failure->status >= 400)
		reply = (struct acme_reply){ .status = failure->status,
			.body = text,
			.body_len = strlen(text) };
	ca_ref(ca);
	while (more && (q = TAILQ_FIRST(&ca->held)) != NULL) {
		more = q != last;
		ca_let_go(q);
		ca_request_answer(q, &reply);
	}
	ca_unref(ca);
}

/* ---- what an answer says of the account ---- */

void
ca_forgotten(struct ca *ca)
{
	struct acme_result *failure = NULL;
	int r;

	if (own_account_url(ca->account) == NULL)
		return; /* it is being registered again */
	log_line(LOG_WARNING,
	    &(struct log_fields){
		.event = LOG_EVENT_ACCOUNT_LOST, .ca = ca->settings.name },
	    "the CA does not know the account any more: it is registered again, with "
	    "the same key");
	ca_history(ca, "account-forgotten", own_account_url(ca->account));
	r = own_account_forgotten(ca->account);
	if (r == 0)
		r = ca_set_account(ca, &failure);
	if (failure != NULL)
		ca_fail(ca, failure);
	else if (r < 0)
		ca_fail_here(ca, "cannot register the account again", r);
	acme_result_free(failure);
}

static void
account_is_bad(struct ca *ca, const char *words)
{
	const char *name = ca->settings.name;
	struct acme_result *failure = acme_result_new(ACME_GIVE_UP, "account",
	    "the CA refuses the account %s: %s; for a new one: renewctl deactivate %s, "
	    "then renewctl reload",
	    own_account_url(ca->account), words, name);

	if (failure != NULL) {
		failure->status = 403;
		ca_stop(ca, failure);
		ca_fail_held(ca, failure);
	}
	acme_result_free(failure);
}

static void
checked_cb(const struct acme_reply *reply, void *arg)
{
	_cleanup_(acme_result_freep) struct acme_result *result = NULL;
	struct acme_account_info info;
	struct ca *ca = arg;

	ca->check = NULL;
	(void)acme_account_read(reply, &info);
	if (reply->status >= 400)
		result = acme_reply_result(reply, "account");
	if (info.status == ACME_ACCOUNT_DEACTIVATED ||
	    info.status == ACME_ACCOUNT_REVOKED)
		account_is_bad(ca,
		    info.status == ACME_ACCOUNT_REVOKED ? "it is revoked"
							: "it is deactivated");
	else if (result != NULL && acme_result_is(result, "unauthorized"))
		account_is_bad(ca, result->detail);
	else if (acme_result_is(result, "accountDoesNotExist"))
		ca_forgotten(ca);
	acme_account_info_clear(&info);
	/* where the account is good, or nothing is known, the answer itself counts */
	ca_prepare(ca);
}

static bool
check_with(struct ca *ca, const struct acme_request *request)
{
	return ca->check != NULL ||
	    ca_send(ca, request, checked_cb, ca, &ca->check) == 0;
}

/* Is it the account that the CA doesn't want, or only what was asked? */
static bool
check_account(struct ca *ca)
{
	return check_with(
	    ca, &(struct acme_request){ .action = ACME_ACTION_UPDATE_ACCOUNT });
}

/* smallstep answers all that an account signs with a bare 500 where it doesn't know the
 * account; only asked by the key it says so. */
static bool
look_up_account(struct ca *ca)
{
	_cleanup_free_ char *payload = NULL;

	return acme_account_lookup(&payload) == 0 &&
	    check_with(ca,
		&(struct acme_request){
		    .action = ACME_ACTION_ACCOUNT, .payload = payload });
}

static bool
is_bare_500(const struct acme_result *result)
{
	return result->status == 500 && result->type == NULL && result->not_before == 0;
}

static bool
account_has_changed(const struct ca_request *q)
{
	const char *url = acme_session_account_url(q->ca->session);

	return q->key_number != q->ca->key_number || url == NULL ||
	    q->account_url == NULL || strcmp(url, q->account_url) != 0;
}

/* True: it isn't answered now. */
static bool
put_right(struct ca_request *q, const struct acme_result *result)
{
	bool lost = acme_result_is(result, "accountDoesNotExist");
	bool doubtful = acme_result_is(result, "unauthorized");

	if (q->repeated)
		return false;
	if ((lost || doubtful || acme_result_is(result, "malformed")) &&
	    account_has_changed(q)) {
		q->repeated = true;
	} else if (lost) {
		q->repeated = true;
	} else if (doubtful &&
	    (q->action == ACME_ACTION_NEW_ORDER || q->action == ACME_ACTION_ORDER)) {
		q->repeated = check_account(q->ca);
		lost = false;
	} else if (is_bare_500(result) && q->action == ACME_ACTION_NEW_ORDER) {
		q->repeated = look_up_account(q->ca);
	}
	if (!q->repeated)
		return false;
	ca_hold(q);
	if (lost && !account_has_changed(q))
		ca_forgotten(q->ca);
	return true;
}

/* Answered, held, or stopped for. */
void
ca_settle(struct ca_request *q, const struct acme_reply *reply)
{
	_cleanup_(acme_result_freep) struct acme_result *result = NULL;
	struct ca *ca = ca_ref(q->ca);

	if (q->by_account && reply->status >= 400 && reply->status <= 500)
		result = acme_reply_result(reply, "account");
	if (acme_result_is(result, "userActionRequired") ||
	    acme_result_is(result, "agreementRequired"))
		ca_stop(ca, result);
	if (result == NULL || !put_right(q, result))
		ca_request_answer(q, reply);
	else if (ca->check == NULL)
		ca_prepare(ca);
	ca_unref(ca);
}
