/*
 * whole_order.c - see whole_order.h.
 */
#include "whole_order.h"

#include <errno.h>
#include <string.h>

#define DIRECTORY                                                                       \
  "{\"newNonce\":\"https://ca.test/nonce\",\"newAccount\":\"https://ca.test/account\"," \
  "\"newOrder\":\"https://ca.test/new\",\"meta\":{\"termsOfService\":"                  \
  "\"https://ca.test/terms\",\"externalAccountRequired\":true,"                         \
  "\"profiles\":{\"short\":\"6 days\"}}}"

static struct acme_reply
answer(const struct whole_order *o, const struct acme_request *request,
    const struct acme_message *message)
{
	struct acme_reply reply = { .status = 200 };

	if (o->at_work != NULL)
		o->at_work(false);
	if (strcmp(message->method, "HEAD") == 0)
		;
	else if (request->action == ACME_ACTION_DIRECTORY)
		reply.body = DIRECTORY;
	else if (request->action == ACME_ACTION_ACCOUNT)
		reply.location = "https://ca.test/account/1";
	else
		reply = *scripted_ca_answer(o->ca, request);
	if (request->action == ACME_ACTION_DIRECTORY)
		reply.body_len = strlen(DIRECTORY);
	reply.replay_nonce = "oFvnlFP1wIhRlYS2jTaXbA";
	if (o->at_work != NULL)
		o->at_work(true);
	return reply;
}

/* The answer is lent by the exchange, which the caller frees. */
static int
ask(const struct whole_order *o, struct acme_session *s,
    const struct acme_request *request, struct acme_reply *reply,
    struct acme_exchange **ret)
{
	struct acme_message message;
	int r = acme_exchange_new(s, request, ret);

	while (r == 0 && acme_exchange_next(*ret, &message) == ACME_SEND) {
		*reply = answer(o, request, &message);
		acme_exchange_reply(*ret, reply);
	}
	return r;
}

static int
prepare(const struct whole_order *o, struct acme_session *s)
{
	struct acme_request request;
	struct acme_exchange *x;
	struct acme_reply reply;

	while (acme_session_next(s, &request) == ACME_SEND) {
		int r = ask(o, s, &request, &reply, &x);

		if (r < 0)
			return r;
		acme_session_reply(s, acme_exchange_answer(x));
		acme_exchange_free(x);
	}
	if (acme_session_ready(s) != (acme_session_result(s) == NULL))
		return 1;
	return acme_session_ready(s) ? 0 : -EIO;
}

static int
pump(const struct whole_order *o, struct acme_session *s, struct acme_flow *f)
{
	struct acme_request request;
	struct acme_exchange *x;
	struct acme_reply reply;
	enum acme_next next;
	int64_t now = 1;

	while ((next = acme_flow_next(f, now, &request)) != ACME_FINISHED) {
		int r;

		if (next == ACME_WAIT) {
			now = acme_flow_wait_until(f);
			continue;
		}
		r = ask(o, s, &request, &reply, &x);
		if (r < 0)
			return r;
		acme_flow_reply(f, now, acme_exchange_answer(x));
		acme_exchange_free(x);
	}
	if ((acme_flow_chain(f) != NULL) == (acme_flow_result(f) != NULL))
		return 1;
	return acme_flow_chain(f) != NULL ? 0 : -EIO;
}

static int
order(const struct whole_order *o, struct acme_session *s)
{
	struct acme_flow *f;
	const struct acme_plan plan = { .identifiers = o->ca->names,
		.identifier_count = o->ca->name_count,
		.account_key = o->account_key,
		.key = o->key,
		.challenges = "dns-01 http-01",
		.profile = "short",
		.must_staple = true };
	int r = acme_flow_new(&plan, &f);

	if (r < 0)
		return r;
	r = pump(o, s, f);
	acme_flow_free(f);
	return r;
}

int
whole_order_run(const struct whole_order *o)
{
	const struct acme_account account = { .contacts = "mailto:a@example.test",
		.accept_terms = true,
		.eab_kid = "kid",
		.eab_key = "secret",
		.eab_key_len = 6 };
	struct acme_session *s;
	int r;

	r = acme_session_new("https://ca.test/directory", o->account_key, &account, &s);
	if (r < 0)
		return r;
	r = prepare(o, s);
	if (r == 0)
		r = order(o, s);
	acme_session_free(s);
	return r;
}
