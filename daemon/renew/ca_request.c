/*
 * ca_request.c - requests on their way to a CA: signed, sent, answered.
 *
 * What each of them is about is its caller's, but for what an answer says of the
 * account itself (ca_held.c), and answers that are none (ca_repeat.c): then it is sent
 * once more, and its caller doesn't notice.
 */
#include "renew/ca_request.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "platform/clock.h"
#include "platform/log.h"
#include "platform/metrics.h"
#include "schedule/limits.h"

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

void
ca_request_answer(struct ca_request *q, const struct acme_reply *reply)
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

/* ---- sending ---- */

/* Where neither the directory nor a nonce is to be had, nothing is. */
static void
heed_silence(const struct ca_request *q, const struct acme_reply *reply)
{
	int64_t until = acme_retry_at(reply);

	if (reply->status >= 400 && until != 0 &&
	    (q->sending == ACME_ACTION_NONCE || q->sending == ACME_ACTION_DIRECTORY))
		limits_silence(q->ca->limits, until);
}

void
ca_request_sent(struct ca_request *q, int r)
{
	if (r < 0)
		ca_request_answer(q, &(struct acme_reply){ .error = strerror(-r) });
	else if (acme_exchange_answer(q->exchange) != NULL)
		ca_request_answer(q, acme_exchange_answer(q->exchange));
}

/* ---- once more ---- */

static int begin(struct ca_request *q);

static void
again_cb(evutil_socket_t fd, short what, void *arg)
{
	struct ca_request *q = arg;

	(void)fd;
	(void)what;
	acme_exchange_again(q->exchange);
	ca_request_sent(q, begin(q));
}

static int
sleep_ms(struct ca_request *q, int64_t ms)
{
	struct timeval delay = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	if (q->timer == NULL)
		q->timer = evtimer_new(q->ca->means->base, again_cb, q);
	return q->timer != NULL ? event_add(q->timer, &delay) : -ENOMEM;
}

/* True: it isn't answered now. One that has come to nothing to its end speaks for all
 * that follow, until the CA answers something again. */
static bool
try_again(struct ca_request *q, enum https_fate fate)
{
	struct ca *ca = q->ca;
	const struct ca_attempt attempt = { .action = q->action,
		.sending = q->sending,
		.fate = fate,
		.reply = acme_exchange_answer(q->exchange),
		.stumbles = ca->stumbles,
		.tries = q->tries,
		.spent = clock_monotonic_ms() - q->first_at };
	int64_t delay;

	if (attempt.reply == NULL)
		return false;
	delay = ca_repeat_delay(&attempt);
	if (delay >= 0)
		delay += (int64_t)clock_random((uint64_t)delay / 4);
	if (delay < 0 || sleep_ms(q, delay) < 0) {
		ca->stumbles |= q->tries > 0 && ca_repeat_wanted(&attempt);
		return false;
	}
	q->tries++;
	log_line(LOG_DEBUG, &(struct log_fields){ .ca = ca->settings.name },
	    "nothing came of %s (HTTP %d%s%s): once more in %lld ms",
	    acme_action_name(q->sending), attempt.reply->status,
	    attempt.reply->error != NULL ? ", " : "",
	    attempt.reply->error != NULL ? attempt.reply->error : "", (long long)delay);
	return true;
}

/* ---- one message and its answer ---- */

static void
message_done_cb(const struct acme_reply *reply, void *arg)
{
	struct ca_request *q = arg;
	struct ca *ca = q->ca;
	enum https_fate fate = https_fate(q->https);
	int r;

	q->https = NULL;
	ca->on_wire--;
	ca_line_move(ca);
	if (reply->status != 0 && reply->status < 500)
		ca->stumbles = false;
	count_message(q, reply);
	heed_silence(q, reply);
	acme_exchange_reply(q->exchange, reply);
	if (try_again(q, fate))
		return;
	r = ca_line_send(q);
	if (r < 0)
		ca_request_sent(q, r);
	else if (acme_exchange_answer(q->exchange) != NULL)
		ca_settle(q, acme_exchange_answer(q->exchange));
}

static void
note_account(struct ca_request *q)
{
	const char *url = acme_session_account_url(q->ca->session);

	free(q->account_url);
	q->account_url = url != NULL ? strdup(url) : NULL;
	q->key_number = q->ca->key_number;
}

int
ca_request_send_now(struct ca_request *q)
{
	const struct https_options options = { .trust_file = q->ca->settings.trust_file,
		.proxy = q->ca->settings.proxy,
		.fresh = q->tries > 0 };
	struct acme_message message;
	int r;

	if (acme_exchange_next(q->exchange, &message) != ACME_SEND)
		return 0;
	note_account(q);
	q->sending =
	    strcmp(message.method, "HEAD") == 0 ? ACME_ACTION_NONCE : q->action;
	q->sent_at = clock_monotonic_ms();
	if (q->tries == 0)
		q->first_at = q->sent_at;
	log_line(LOG_DEBUG, &(struct log_fields){ .ca = q->ca->settings.name }, "%s %s",
	    message.method, message.url);
	r = https_send(
	    q->ca->means->https, &options, &message, message_done_cb, q, &q->https);
	if (r == 0)
		q->ca->on_wire++;
	return r;
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
	if (q->by_account && acme_session_account_url(q->ca->session) == NULL) {
		ca_hold(q); /* it is being registered again */
		return 0;
	}
	return ca_line_send(q);
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
	if (r == 0 && acme_exchange_answer(q->exchange) != NULL)
		r = -EIO; /* it could not even be signed */
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
		ca_let_go(q);
	if (q->in_line)
		ca_line_leave(q);
	if (q->timer != NULL)
		event_free(q->timer);
	if (q->https != NULL) {
		q->ca->on_wire--;
		ca_line_move(q->ca);
	}
	if (--q->ca->active == 0 && q->ca->chore != NULL)
		ca_prepare_later(q->ca, 0);
	https_cancel(q->https);
	acme_exchange_free(q->exchange);
	free(q->account_url);
	free(q);
	return NULL;
}
