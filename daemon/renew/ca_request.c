/*
 * ca_request.c - requests on their way to a CA: signed, sent, answered.
 *
 * What each of them is about is its caller's.
 */
#include "renew/ca_private.h"

#include <errno.h>
#include <string.h>

#include "platform/https.h"
#include "platform/log.h"

struct ca_request {
	struct ca *ca;
	struct acme_exchange *exchange;
	struct https_request *https;
	ca_reply_cb *cb;
	void *arg;
};

static int send_next(struct ca_request *q);

static void
answer(struct ca_request *q, const struct acme_reply *reply)
{
	struct ca *ca = ca_ref(q->ca); /* cb may let go of it */

	log_line(LOG_DEBUG, &(struct log_fields){ .ca = q->ca->settings.name },
	    "the CA has answered: HTTP %d%s%s", reply->status,
	    reply->error != NULL ? " " : "", reply->error != NULL ? reply->error : "");
	q->cb(reply, q->arg);
	ca_cancel(q);
	ca_unref(ca);
}

static void
message_done_cb(const struct acme_reply *reply, void *arg)
{
	struct ca_request *q = arg;
	int r;

	q->https = NULL;
	acme_exchange_reply(q->exchange, reply);
	r = send_next(q);
	if (r < 0)
		answer(q, &(struct acme_reply){ .error = strerror(-r) });
	else if (acme_exchange_answer(q->exchange) != NULL)
		answer(q, acme_exchange_answer(q->exchange));
}

static int
send_next(struct ca_request *q)
{
	const struct https_options options = { .trust_file = q->ca->settings.trust_file,
		.proxy = q->ca->settings.proxy };
	struct acme_message message;

	if (acme_exchange_next(q->exchange, &message) != ACME_SEND)
		return 0;
	log_line(LOG_DEBUG, &(struct log_fields){ .ca = q->ca->settings.name }, "%s %s",
	    message.method, message.url);
	return https_send(
	    q->ca->means->https, &options, &message, message_done_cb, q, &q->https);
}

int
ca_send(struct ca *ca, const struct acme_request *request, ca_reply_cb *cb, void *arg,
    struct ca_request **ret)
{
	struct ca_request *q = calloc(1, sizeof(*q));
	int r;

	if (q == NULL)
		return -ENOMEM;
	q->ca = ca;
	ca->active++;
	q->cb = cb;
	q->arg = arg;
	r = acme_exchange_new(ca->session, request, &q->exchange);
	if (r == 0)
		r = send_next(q);
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
	q->ca->active--;
	https_cancel(q->https);
	acme_exchange_free(q->exchange);
	free(q);
	return NULL;
}
