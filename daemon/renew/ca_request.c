/*
 * ca_request.c - requests on their way to a CA: signed, sent, answered.
 *
 * What each of them is about is its caller's, but for what an answer says of the
 * account itself. One that the CA has forgotten is registered again, one that may be
 * deactivated is looked at; the request is held meanwhile, and then made once more: its
 * caller doesn't notice.
 */
#include "renew/ca_private.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "platform/clock.h"
#include "platform/https.h"
#include "platform/log.h"
#include "platform/metrics.h"
#include "result.h"
#include "schedule/limits.h"

/* A CA that wants to be left alone for longer isn't waited for. */
#define SILENCE_MS (60 * 1000)

struct ca_request {
	struct ca *ca;
	struct acme_exchange *exchange;
	struct https_request *https;
	enum acme_action sending; /* the message on its way */
	int64_t sent_at;          /* monotonic, ms */
	ca_reply_cb *cb;
	void *arg;
	enum acme_action action;
	bool by_account;     /* signed by the account's key, about something else */
	bool repeated;       /* for the account's sake; not twice */
	bool held;           /* in ca->held */
	bool in_line;        /* in ca->line */
	unsigned key_number; /* of the account, when it was signed */
	char *account_url;   /* likewise */
	TAILQ_ENTRY(ca_request) entry;
};

static int send_next(struct ca_request *q);

static void
count_message(const struct ca_request *q, const struct acme_reply *reply)
{
	struct metrics *m = q->ca->means->metrics;
	const char *ca = q->ca->settings.name;
	char status[16];

	snprintf(status, sizeof(status), "%d", reply->status);
	metrics_add(m, METRIC_REQUESTS, 1,
	    (const char *const[METRIC_LABELS_MAX]){
		ca, acme_action_name(q->sending), status });
	metrics_observe(m, METRIC_REQUEST_DURATION,
	    (double)(clock_monotonic_ms() - q->sent_at) / 1000,
	    (const char *const[METRIC_LABELS_MAX]){ ca, NULL, NULL });
}

static void
answer(struct ca_request *q, const struct acme_reply *reply)
{
	struct ca *ca = ca_ref(q->ca); /* cb may let go of it */

	log_line(LOG_DEBUG, &(struct log_fields){ .ca = q->ca->settings.name },
	    "the CA has answered: HTTP %d%s%s", reply->status,
	    reply->error != NULL ? " " : "", reply->error != NULL ? reply->error : "");
	metrics_add(ca->means->metrics, METRIC_NONCE_RETRIES,
	    acme_exchange_bad_nonces(q->exchange),
	    (const char *const[METRIC_LABELS_MAX]){ ca->settings.name, NULL, NULL });
	ca_heard(
	    ca, &(struct ca_heard){ q->by_account, q->sending, q->sent_at, reply });
	q->cb(reply, q->arg);
	ca_cancel(q);
	ca_unref(ca);
}

/* ---- held for the account's sake ---- */

static void
hold(struct ca_request *q)
{
	q->held = true;
	TAILQ_INSERT_TAIL(&q->ca->held, q, entry);
}

static void
let_go(struct ca_request *q)
{
	q->held = false;
	TAILQ_REMOVE(&q->ca->held, q, entry);
}

static void
repeat(struct ca_request *q)
{
	int r;

	acme_exchange_again(q->exchange);
	r = send_next(q);
	if (r < 0)
		answer(q, &(struct acme_reply){ .error = strerror(-r) });
	else if (acme_exchange_answer(q->exchange) != NULL)
		answer(q, acme_exchange_answer(q->exchange));
}

void
ca_release_held(struct ca *ca)
{
	struct ca_request *q;

	ca_ref(ca);
	while ((q = TAILQ_FIRST(&ca->held)) != NULL && ca->check == NULL) {
		let_go(q);
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
		let_go(q);
		answer(q, &reply);
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
	return result->status == 500 && result->type == NULL;
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
	hold(q);
	if (lost && !account_has_changed(q))
		ca_forgotten(q->ca);
	return true;
}

/* Answered, held, or stopped for. */
static void
settle(struct ca_request *q, const struct acme_reply *reply)
{
	_cleanup_(acme_result_freep) struct acme_result *result = NULL;
	struct ca *ca = ca_ref(q->ca);

	if (q->by_account && reply->status >= 400 && reply->status <= 500)
		result = acme_reply_result(reply, "account");
	if (acme_result_is(result, "userActionRequired") ||
	    acme_result_is(result, "agreementRequired"))
		ca_stop(ca, result);
	if (result == NULL || !put_right(q, result))
		answer(q, reply);
	else if (ca->check == NULL)
		ca_prepare(ca);
	ca_unref(ca);
}

/* ---- sending ---- */

/* Where neither the directory nor a nonce is to be had, nothing is. */
static void
heed_silence(const struct ca_request *q, const struct acme_reply *reply)
{
	int64_t until = acme_retry_at(reply);

	if ((reply->status == 429 || reply->status == 503) && until != 0 &&
	    (q->sending == ACME_ACTION_NONCE || q->sending == ACME_ACTION_DIRECTORY))
		limits_silence(q->ca->limits, until);
}

static void
message_done_cb(const struct acme_reply *reply, void *arg)
{
	struct ca_request *q = arg;
	int r;

	q->https = NULL;
	count_message(q, reply);
	heed_silence(q, reply);
	acme_exchange_reply(q->exchange, reply);
	r = send_next(q);
	if (r < 0)
		answer(q, &(struct acme_reply){ .error = strerror(-r) });
	else if (acme_exchange_answer(q->exchange) != NULL)
		settle(q, acme_exchange_answer(q->exchange));
}

static void
note_account(struct ca_request *q)
{
	const char *url = acme_session_account_url(q->ca->session);

	free(q->account_url);
	q->account_url = url != NULL ? strdup(url) : NULL;
	q->key_number = q->ca->key_number;
}

static int
send_now(struct ca_request *q)
{
	const struct https_options options = { .trust_file = q->ca->settings.trust_file,
		.proxy = q->ca->settings.proxy };
	struct acme_message message;

	if (acme_exchange_next(q->exchange, &message) != ACME_SEND)
		return 0;
	note_account(q);
	q->sending =
	    strcmp(message.method, "HEAD") == 0 ? ACME_ACTION_NONCE : q->action;
	q->sent_at = clock_monotonic_ms();
	log_line(LOG_DEBUG, &(struct log_fields){ .ca = q->ca->settings.name }, "%s %s",
	    message.method, message.url);
	return https_send(
	    q->ca->means->https, &options, &message, message_done_cb, q, &q->https);
}

/* ---- the line in which they wait, where a CA takes no more in a second ---- */

static void
leave_line(struct ca_request *q)
{
	q->in_line = false;
	TAILQ_REMOVE(&q->ca->line, q, entry);
}

static void
wait_for(struct ca *ca, int64_t at, int64_t now)
{
	int64_t ms = at > now ? at - now : 0;
	struct timeval delay = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	event_add(ca->line_timer, &delay);
}

/* What goes on with something comes before what begins. */
static void
join_line(struct ca_request *q)
{
	struct ca_request *other;

	q->in_line = true;
	if (q->action != ACME_ACTION_NEW_ORDER)
		TAILQ_FOREACH (other, &q->ca->line, entry)
			if (other->action == ACME_ACTION_NEW_ORDER) {
				TAILQ_INSERT_BEFORE(other, q, entry);
				return;
			}
	TAILQ_INSERT_TAIL(&q->ca->line, q, entry);
}

/* As the CA would answer. */
static void
refuse(struct ca_request *q, int64_t ms)
{
	char seconds[24];

	snprintf(seconds, sizeof(seconds), "%lld", (long long)(ms + 999) / 1000);
	answer(q,
	    &(struct acme_reply){ .status = 503,
		.retry_after = seconds,
		.body = "",
		.received_at = clock_now() });
}

void
ca_line_cb(evutil_socket_t fd, short what, void *arg)
{
	struct ca *ca = ca_ref(arg);
	struct ca_request *q;
	int r;

	(void)fd;
	(void)what;
	while ((q = TAILQ_FIRST(&ca->line)) != NULL) {
		int64_t now = clock_monotonic_ms();
		int64_t at = limits_send_at(ca->limits, now);

		if (at > now && at - now < SILENCE_MS) {
			wait_for(ca, at, now);
			break;
		}
		leave_line(q);
		if (at > now) {
			refuse(q, at - now);
			continue;
		}
		limits_take_request(ca->limits, now);
		r = send_now(q);
		if (r < 0)
			answer(q, &(struct acme_reply){ .error = strerror(-r) });
		else if (acme_exchange_answer(q->exchange) != NULL)
			answer(q, acme_exchange_answer(q->exchange));
	}
	ca_unref(ca);
}

static int
send_next(struct ca_request *q)
{
	struct ca *ca = q->ca;
	int64_t now = clock_monotonic_ms();
	int64_t at = limits_send_at(ca->limits, now);

	if (acme_exchange_answer(q->exchange) != NULL)
		return 0;
	if (at <= now && TAILQ_EMPTY(&ca->line)) {
		limits_take_request(ca->limits, now);
		return send_now(q);
	}
	join_line(q);
	wait_for(ca, at - now < SILENCE_MS ? at : now, now);
	return 0;
}

/* Those of the account itself are not made again by themselves. */
static bool
is_by_account(const struct acme_request *request)
{
	switch (request->action) {
	case ACME_ACTION_DIRECTORY:
	case ACME_ACTION_NONCE:
	case ACME_ACTION_ACCOUNT:
	case ACME_ACTION_UPDATE_ACCOUNT:
	case ACME_ACTION_KEY_CHANGE:
	case ACME_ACTION_RENEWAL_INFO:
		return false;
	case ACME_ACTION_NEW_ORDER:
	case ACME_ACTION_ORDER:
	case ACME_ACTION_AUTHORIZATION:
	case ACME_ACTION_CHALLENGE:
	case ACME_ACTION_FINALIZE:
	case ACME_ACTION_CERTIFICATE:
	case ACME_ACTION_REVOKE:
	case ACME_ACTION_DEACTIVATE:
		break;
	}
	return request->key == NULL;
}

static int
begin(struct ca_request *q)
{
	int r;

	if (q->by_account && acme_session_account_url(q->ca->session) == NULL) {
		hold(q); /* it is being registered again */
		return 0;
	}
	r = send_next(q);
	if (r == 0 && acme_exchange_answer(q->exchange) != NULL)
		r = -EIO; /* it could not even be signed */
	return r;
}

int
ca_send(struct ca *ca, const struct acme_request *request, ca_reply_cb *cb, void *arg,
    struct ca_request **ret)
{
	struct ca_request *q;
	int r;

	if (ca->session == NULL)
		return -ENOTCONN;
	q = calloc(1, sizeof(*q));
	if (q == NULL)
		return -ENOMEM;
	q->ca = ca;
	ca->active++;
	q->cb = cb;
	q->arg = arg;
	q->action = request->action;
	q->by_account = is_by_account(request);
	r = acme_exchange_new(ca->session, request, &q->exchange);
	if (r == 0)
		r = begin(q);
	if (r < 0) {
		ca_cancel(q);
		return r;
	}
	*ret = q;
	return 0;
}

struct ca_request *
ca_cancel(struct ca_request *q)
{
	if (q == NULL)
		return NULL;
	if (q->held)
		let_go(q);
	if (q->in_line)
		leave_line(q);
	if (--q->ca->active == 0 && q->ca->chore != NULL)
		ca_prepare_later(q->ca, 0);
	https_cancel(q->https);
	acme_exchange_free(q->exchange);
	free(q->account_url);
	free(q);
	return NULL;
}
