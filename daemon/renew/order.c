/*
 * order.c - one order in flight. order_pump() is the page to read: save, then act on
 * what the flow says.
 *
 * What comes before (an order of earlier, a key) is in order_begin.c, what it can do
 * without in order_again.c. All of it is safe to repeat after a crash.
 */
#include "renew/order.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>

#include "buffer.h"
#include "config/config.h"
#include "inventory/revocations.h"
#include "inventory/store.h"
#include "key.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "renew/ari.h"
#include "renew/ca.h"
#include "renew/deactivate.h"
#include "renew/keyjob.h"
#include "renew/order_parts.h"
#include "result.h"
#include "schedule/limits.h"

DEFINE_CLEANUP(struct order, order_free)

static ca_ready_cb account_ready_cb;

struct log_fields
order_fields(const struct order *o)
{
	return (struct log_fields){ .certificate = o->wish.name,
		.ca = ca_name(o->ca),
		.order = o->row != NULL ? o->row->url : NULL };
}

/* ---- ends ---- */

/* The last thing that an order does; it may be freed by the callback. */
static void
succeed(struct order *o)
{
	ca_note(o->ca, NULL);
	o->done_cb(NULL, o->arg);
}

/* The same; NULL: there was no memory to say why. */
void
order_fail(struct order *o, const struct acme_result *failure)
{
	static const struct acme_result no_memory = {
		.class = ACME_RETRY,
		.stage = "order",
		.detail = (char *)"out of memory",
	};

	if (failure == NULL)
		failure = &no_memory;
	if (ca_stopped(o->ca) != NULL && strcmp(failure->stage, "store") != 0 &&
	    strcmp(failure->stage, "key") != 0)
		failure = ca_stopped(o->ca); /* whatever came of it: that is why */
	/* a name that can't be validated says nothing of the CA, nor does a file here
	 */
	if (strcmp(failure->stage, "authorize") != 0 &&
	    strcmp(failure->stage, "key") != 0)
		ca_note(o->ca, failure);
	limits_heed(ca_limits(o->ca), failure, o->row != NULL ? o->row->names : NULL);
	o->done_cb(failure, o->arg);
}

void
order_fail_here(struct order *o, const char *stage, const char *what, int r)
{
	struct acme_result *failure =
	    acme_result_new(ACME_RETRY, stage, "%s: %s", what, strerror(-r));

	order_fail(o, failure);
	acme_result_free(failure);
}

/* ---- facts ---- */

/* Takes a text over from the flow; true: it is another than was stored. */
static bool
take(char **field, const char *now)
{
	if (strcmp(*field != NULL ? *field : "", now != NULL ? now : "") == 0)
		return false;
	free(*field);
	*field = now != NULL ? strdup(now) : NULL;
	return true;
}

static int
note_facts(struct order *o)
{
	_cleanup_(buffer_free) struct buffer lines = { 0 };
	const struct acme_challenge *challenges;
	size_t count = acme_flow_challenges(o->flow, &challenges);
	bool url_changed;

	for (size_t i = 0; i < count; i++)
		buffer_printf(&lines, "%s %s\n", challenges[i].token,
		    challenges[i].key_authorization);
	if (lines.failed)
		return -ENOMEM;
	url_changed = take(&o->row->url, acme_flow_order_url(o->flow));
	/* challenges that are done need no commit of their own */
	if (url_changed || count > 0)
		o->changed |= take(&o->row->challenges, lines.data);
	o->changed |= url_changed;
	return 0;
}

/* Reported while it was at the CA. */
static int
revoke_if_compromised(struct order *o, int64_t issued)
{
	int r = compromised_has(o->means->store, o->spki);

	if (r <= 0)
		return r;
	return revocation_ask(o->means->store,
	    &(struct revocation){ .issued = issued,
		.reason = ACME_REASON_KEY_COMPROMISE,
		.asked_at = clock_now() });
}

/* Issued: the certificate, the end of the order and the event are one commit. */
static int
store_issued(struct order *o)
{
	const struct acme_chain *chain = acme_flow_chain(o->flow);
	const struct acme_leaf *leaf = acme_chain_leaf(chain);
	_cleanup_free_ char *pem = NULL;
	struct issued row = {
		.certificate = o->wish.certificate,
		.key_type = o->wish.key_type,
		.ca = o->row->ca,
		.account = o->row->account,
		.names = o->row->names,
		.profile = o->row->profile,
		.serial = (char *)leaf->serial,
		.fingerprint = (char *)leaf->fingerprint_sha256,
		.issuer = (char *)leaf->issuer,
		.top = (char *)leaf->top,
		.not_before = leaf->not_before,
		.not_after = leaf->not_after,
		.issued_at = clock_now(),
		.key = o->row->key,
		.wish = o->row->wish,
		.missing = o->row->missing,
		.responder = leaf->responder != NULL,
	};
	int r;

	r = acme_chain_pem_from(chain, 0, &pem);
	if (r < 0)
		return r;
	row.chain = pem;
	row.spki = o->spki;
	r = deactivate_note_issue(o->means->store, &row, o->flow);
	if (r == 0)
		r = issued_insert(o->means->store, &row);
	if (r == 0)
		r = revoke_if_compromised(o, row.id);
	if (r == 0)
		r = order_delete(o->means->store, o->row->id);
	if (r == 0)
		r = history_add(o->means->store,
		    &(struct history_event){ .at = clock_now(),
			.kind = "issued",
			.certificate = o->wish.name,
			.ca = o->row->ca,
			.detail = acme_key_type_name(o->wish.key_type) });
	return r;
}

static void
say_chain(const struct order *o)
{
	const char *wanted = o->wish.spec->preferred_chain;
	const struct acme_chain *chain = acme_flow_chain(o->flow);
	struct log_fields f = order_fields(o);

	if (wanted != NULL && !acme_chain_has_issuer(chain, wanted))
		log_line(LOG_WARNING, &f,
		    "the CA has no chain with issuer \"%s\" (preferred_chain): its own is "
		    "used, to \"%s\"",
		    wanted, acme_chain_leaf(chain)->top);
}

static void
issued_committed_cb(int r, void *arg)
{
	struct order *o = arg;
	struct log_fields f = order_fields(o);

	if (r < 0) {
		order_fail_here(o, "store", "cannot store the certificate", r);
		return;
	}
	f.event = LOG_EVENT_ISSUED;
	log_line(LOG_NOTICE, &f, "certificate issued (%s, %s)",
	    acme_key_type_name(o->wish.key_type), renew_reason_name(o->wish.reason));
	say_chain(o);
	succeed(o);
}

/* ---- the pump ---- */

/* Said once an attempt, and no failure. */
static void
tell_not_replaced(struct order *o)
{
	const struct acme_result *why = acme_flow_not_replaced(o->flow);
	struct log_fields f = order_fields(o);

	if (why == NULL || o->not_replaced_told)
		return;
	o->not_replaced_told = true;
	f.problem = why->type;
	log_line(LOG_INFO, &f,
	    "the CA doesn't take the order as a replacement, so it is made without "
	    "saying so: %s",
	    why->detail);
}

/* A refusal that doesn't end the order is one to the others all the same. */
static void
heed(const struct order *o, const struct acme_reply *reply)
{
	_cleanup_(acme_result_freep) struct acme_result *refusal = NULL;

	if (reply->status < 400 || acme_retry_at(reply) == 0 ||
	    acme_flow_result(o->flow) != NULL)
		return;
	refusal = acme_reply_result(reply, "order");
	if (refusal != NULL)
		limits_heed(ca_limits(o->ca), refusal, o->row->names);
}

static void
reply_cb(const struct acme_reply *reply, void *arg)
{
	struct order *o = arg;

	o->request = NULL;
	acme_flow_reply(o->flow, clock_monotonic_ms(), reply);
	heed(o, reply);
	tell_not_replaced(o);
	order_pump(o);
}

static void
timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct order *o = arg;

	(void)fd;
	(void)what;
	if (o->flow == NULL)
		ca_when_ready(o->ca, account_ready_cb, o);
	else
		order_pump(o);
}

static void
sleep_until(struct order *o, int64_t at)
{
	int64_t ms = at - clock_monotonic_ms();
	struct timeval delay = { 0 };

	if (ms > 0) {
		delay.tv_sec = ms / 1000;
		delay.tv_usec = (ms % 1000) * 1000;
	}
	event_add(o->timer, &delay);
}

/* What the CA has against the key won't go away with the next attempt: another one. */
static void
drop_bad_key(struct order *o, const struct acme_result *failure)
{
	if (acme_result_is(failure, "badCSR") ||
	    acme_result_is(failure, "badPublicKey"))
		(void)order_delete(o->means->store, o->row->id);
}

static void
end_badly(struct order *o)
{
	_cleanup_(acme_result_freep) struct acme_result *failure =
	    acme_result_copy(acme_flow_result(o->flow));

	if (failure != NULL && order_try_again(o, failure))
		return;
	drop_bad_key(o, failure);
	order_explain(o, failure);
	order_fail(o, failure);
}

static void
end(struct order *o)
{
	int r;

	order_withdraw(o);
	if (acme_flow_chain(o->flow) == NULL) {
		end_badly(o);
		return;
	}
	r = store_issued(o);
	if (r == 0)
		r = store_after_commit(o->means->store, issued_committed_cb, o);
	if (r < 0)
		order_fail_here(o, "store", "cannot store the certificate", r);
}

/* An order that is made once more, without what the CA refused, is one more. */
static void
count_order(struct order *o)
{
	if (!o->wish.counted)
		limits_take_order(ca_limits(o->ca),
		    o->wish.reason == RENEW_ARI ? QUEUE_ARI : QUEUE_NEW);
	o->wish.counted = false;
}

/* What the flow wants done, now that what led to it is on disk. */
static void
act(struct order *o)
{
	struct acme_request request;
	int r;

	switch (acme_flow_next(o->flow, clock_monotonic_ms(), &request)) {
	case ACME_SEND:
		r = order_publish(o);
		if (request.action == ACME_ACTION_NEW_ORDER)
			count_order(o);
		if (r == 0)
			r = ca_send(o->ca, &request, reply_cb, o, &o->request);
		if (r < 0)
			order_fail_here(o, "order", "cannot send a request", r);
		break;
	case ACME_WAIT:
		sleep_until(o, acme_flow_wait_until(o->flow));
		break;
	case ACME_FINISHED:
		end(o);
		break;
	}
}

static void
saved_cb(int r, void *arg)
{
	struct order *o = arg;

	if (r < 0) {
		order_fail_here(o, "store", "cannot store the order", r);
		return;
	}
	o->changed = false;
	act(o);
}

void
order_pump(struct order *o)
{
	int r;

	event_del(o->timer);
	r = note_facts(o);
	if (r == 0 && o->changed) {
		r = order_save(o->means->store, o->row);
		if (r == 0)
			r = store_after_commit(o->means->store, saved_cb, o);
		if (r == 0)
			return;
	}
	if (r < 0)
		order_fail_here(o, "store", "cannot store the order", r);
	else
		act(o);
}

/* ---- before the flow ---- */

/* NULL: none, or none that the CA would have. */
static const char *
choose_profile(const struct order *o)
{
	const char *profile = o->row->profile;
	struct log_fields f = order_fields(o);

	if (profile == NULL || o->profile_refused)
		return NULL;
	if (ca_has_profile(o->ca, profile))
		return profile;
	log_line(o->wish.repeated ? LOG_DEBUG : LOG_NOTICE, &f,
	    "the CA has no profile \"%s\": ordered without", profile);
	return NULL;
}

void
order_begin_flow(struct order *o)
{
	_cleanup_free_ char *types = NULL;
	_cleanup_free_ struct acme_identifier *identifiers = NULL;
	_cleanup_free_ char *replaces = ari_replaces(o->ca, o->wish.old, o->row->names);
	const struct certificate_spec *spec = o->wish.spec;
	struct buffer text = { 0 };
	struct acme_plan plan = {
		.account_key = ca_account_key(o->ca),
		.key = o->key,
		.profile = choose_profile(o),
		.replaces = replaces,
		.must_staple = spec->must_staple,
		.order_url = o->row->url,
		.not_after = spec->lifetime.seconds > 0
		    ? clock_now() + spec->lifetime.seconds
		    : 0,
		.common_name = spec->common_name,
		.preferred_chain = spec->preferred_chain,
		.csr = o->csr,
		.session = ca_session(o->ca),
	};
	int r;

	for (size_t i = 0; i < spec->challenges.n; i++)
		buffer_printf(&text, "%s ", spec->challenges.v[i]);
	r = buffer_steal(&text, &types, NULL);
	plan.challenges = types;
	if (r == 0)
		r = order_identifiers(o, &identifiers, &plan.identifier_count);
	plan.identifiers = identifiers;
	if (r == 0)
		r = acme_flow_new(&plan, &o->flow);
	if (r < 0)
		order_fail_here(o, "order", "cannot begin the order", r);
	else
		order_pump(o);
}

static void
account_ready_cb(const struct acme_result *failure, void *arg)
{
	static const struct acme_result not_due = {
		.class = ACME_LATER,
		.stage = "clock",
		.detail = (char *)"it is not due yet by the CA's clock",
	};
	struct order *o = arg;

	if (failure != NULL) {
		order_fail(o, failure);
		return;
	}
	if (o->wish.due_at != 0 && ca_denies(o->ca, o->wish.due_at)) {
		o->done_cb(&not_due, o->arg);
		return;
	}
	ca_enter(o->ca);
	o->entered = true;
	order_begin(o);
}

int
order_start(const struct renewal_means *means, struct ca *ca,
    const struct order_wish *wish, order_done_cb *done_cb, void *arg,
    struct order **ret)
{
	_cleanup_(order_freep) struct order *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return -ENOMEM;
	o->means = means;
	o->ca = ca_ref(ca);
	o->wish = *wish;
	o->done_cb = done_cb;
	o->arg = arg;
	o->timer = evtimer_new(means->base, timer_cb, o);
	if (o->timer == NULL)
		return -ENOMEM;
	event_active(o->timer, EV_TIMEOUT, 0); /* begins in timer_cb() */
	*ret = steal_ptr(o);
	return 0;
}

struct order *
order_free(struct order *o)
{
	if (o == NULL)
		return NULL;
	store_forget(o->means->store, o);
	ca_forget(o->ca, o);
	ca_cancel(o->request);
	if (o->entered)
		ca_leave(o->ca);
	order_withdraw(o);
	keyjob_forget(o->keyjob);
	if (o->timer != NULL)
		event_free(o->timer);
	acme_flow_free(o->flow);
	acme_key_free(o->key);
	acme_csr_free(o->csr);
	order_row_free(o->row);
	ca_unref(o->ca);
	free(o);
	return NULL;
}
