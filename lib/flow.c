/*
 * flow.c - the life of one order (RFC 8555 section 7.4). Read the table first.
 *
 * Each state has what to ask of the CA and where its answer leads. What survives a
 * crash is the order's URL alone: with it a flow begins at ORDERED, the hub, where the
 * CA's own status of the order picks the next leg. Every request may be repeated safely
 * but newOrder and finalize, which are sent only when the hub, or all authorizations
 * seen valid by this flow, say that they are due.
 */
#include "flow.h"

#include <errno.h>
#include <string.h>

#include "cert.h"
#include "key.h"
#include "result.h"
#include "session.h"

#define PROCESSING_MAX_MS  (600 * FLOW_SECOND)
#define RETRY_AFTER_MAX_MS (300 * FLOW_SECOND)
#define POLL_MAX_MS        (10 * FLOW_SECOND)
#define POLL_MIN_MS        250
#define STEPS_MAX          2000

DEFINE_CLEANUP(struct acme_flow, acme_flow_free)

static void ask_new_order(struct acme_flow *f, struct acme_request *ret);
static void ask_order(struct acme_flow *f, struct acme_request *ret);
static flow_got_fn got_new_order, got_order;

/* clang-format off */
static const struct flow_step {
	void (*ask)(struct acme_flow *f, struct acme_request *ret); /* what to send */
	flow_got_fn *got;                                           /* where to go */
} steps[] = {
	[FLOW_NEW]       = { ask_new_order,   got_new_order },   /* -> a leg */
	[FLOW_ORDERED]   = { ask_order,       got_order },       /* the hub -> a leg */
	[FLOW_AUTHORIZE] = { flow_authz_ask,  flow_authz_got },  /* each name in turn */
	[FLOW_CHALLENGE] = { flow_authz_ask_challenge, flow_authz_got_challenge },
	[FLOW_POLL]      = { flow_authz_ask,  flow_authz_got_poll }, /* until all are valid */
	[FLOW_FINALIZE]  = { flow_issue_ask_finalize, flow_issue_got_finalize }, /* -> a leg */
	[FLOW_DOWNLOAD]  = { flow_issue_ask, flow_issue_got },   /* -> ISSUED, or */
	[FLOW_ALTERNATE] = { flow_issue_ask_alternate, flow_issue_got_alternate },
	[FLOW_ISSUED]    = { NULL, NULL },
	[FLOW_FAILED]    = { NULL, NULL },
};
/* clang-format on */

/* ---- making and freeing ---- */

int
flow_copy(const char *from, char **to)
{
	if (from == NULL)
		return 0;
	*to = strdup(from);
	return *to != NULL ? 0 : -ENOMEM;
}

static int
copy_bytes(const void *from, size_t len, unsigned char **to, size_t *to_len)
{
	*to = malloc(len + 1);
	if (*to == NULL)
		return -ENOMEM;
	memcpy(*to, from, len);
	*to_len = len;
	return 0;
}

/* What isn't the order itself. */
static int
copy_surroundings(struct acme_flow *f, const struct acme_plan *plan)
{
	const unsigned char *der;
	size_t len;
	int r;

	r = flow_copy(plan->preferred_chain, &f->preferred_chain);
	if (r == 0 && plan->csr != NULL) {
		der = acme_csr_der(plan->csr, &len);
		r = copy_bytes(der, len, &f->csr, &f->csr_len);
	}
	if (r == 0 && plan->session != NULL) {
		f->origins = session_origins(plan->session);
		f->patience = patience_ref(session_patience(plan->session));
		r = f->origins != NULL ? 0 : -ENOMEM;
	}
	return r;
}

static int
copy_plan(struct acme_flow *f, const struct acme_plan *plan)
{
	size_t size;
	int r;

	if (plan->identifier_count == 0 || plan->identifier_count > WIRE_NAMES_MAX)
		return -EINVAL;
	f->identifiers = calloc(plan->identifier_count, sizeof(*f->identifiers));
	if (f->identifiers == NULL)
		return -ENOMEM;
	size = plan->identifier_count * sizeof(*f->identifiers);
	memcpy(f->identifiers, plan->identifiers, size);
	f->identifier_count = plan->identifier_count;
	f->account_key = acme_key_ref(plan->account_key);
	f->key = acme_key_ref(plan->key);
	f->must_staple = plan->must_staple;
	f->common_name = plan->common_name;
	f->not_before = plan->not_before;
	f->not_after = plan->not_after;
	r = flow_copy(plan->challenges, &f->challenge_types);
	if (r == 0)
		r = flow_copy(plan->profile, &f->profile);
	if (r == 0)
		r = flow_copy(plan->replaces, &f->replaces);
	if (r == 0)
		r = flow_copy(plan->order_url, &f->order_url);
	return r == 0 ? copy_surroundings(f, plan) : r;
}

int
acme_flow_new(const struct acme_plan *plan, struct acme_flow **ret)
{
	_cleanup_(acme_flow_freep) struct acme_flow *f = NULL;
	int r;

	f = calloc(1, sizeof(*f));
	if (f == NULL)
		return -ENOMEM;
	r = copy_plan(f, plan);
	if (r < 0)
		return r;
	f->state = f->order_url != NULL ? FLOW_ORDERED : FLOW_NEW;
	*ret = steal_ptr(f);
	return 0;
}

struct acme_flow *
acme_flow_free(struct acme_flow *f)
{
	if (f == NULL)
		return NULL;
	flow_authz_clear(f);
	flow_valid_clear(f);
	free(f->identifiers);
	acme_key_free(f->account_key);
	acme_key_free(f->key);
	free(f->challenge_types);
	free(f->profile);
	free(f->replaces);
	free(f->preferred_chain);
	free(f->csr);
	free(f->origins);
	patience_free(f->patience);
	free(f->alternates);
	free(f->order_url);
	acme_chain_free(f->chain);
	acme_result_free(f->result);
	acme_result_free(f->not_replaced);
	free(f->finalize_url);
	free(f->certificate_url);
	free(f->payload);
	free(f);
	return NULL;
}

/* ---- ways to end, and to wait ---- */

enum flow_state
flow_fail(struct acme_flow *f, struct acme_result *result)
{
	acme_result_free(f->result);
	f->result =
	    result != NULL ? result : acme_result_new(ACME_RETRY, "order", "no memory");
	return FLOW_FAILED;
}

static void
forget_order(struct acme_flow *f)
{
	free(f->order_url);
	f->order_url = NULL;
	flow_authz_clear(f);
}

/* The order can't become a certificate any more: the next attempt makes a new one. */
enum flow_state
flow_fail_for_good(struct acme_flow *f, struct acme_result *result)
{
	forget_order(f);
	return flow_fail(f, result);
}

/* The CA didn't do what it was asked. Where it may still, the order is kept. */
enum flow_state
flow_refused(struct acme_flow *f, const struct acme_reply *reply, const char *stage)
{
	if (reply->status >= 400 && reply->status < 500 && reply->status != 429)
		return flow_fail_for_good(f, wire_problem_read(reply, stage));
	return flow_fail(f, wire_problem_read(reply, stage));
}

/* Not to be mixed up with a CA that can't be reached: it has answered. */
static struct acme_result *
has_answered(struct acme_result *result)
{
	if (result != NULL)
		result->status = 200;
	return result;
}

enum flow_state
flow_nonsense(struct acme_flow *f, const char *stage, const char *what)
{
	return flow_fail(f,
	    has_answered(acme_result_new(ACME_RETRY, stage, "the CA sent %s", what)));
}

bool
flow_obey(struct acme_flow *f, const struct acme_reply *reply)
{
	int64_t at = acme_retry_at(reply);
	int64_t delay = (at - reply->received_at) * FLOW_SECOND;

	if (at == 0)
		return false;
	/* some CAs say a day and have it ready in seconds: longer than this leg may
	 * take is no time to obey, but one that tells not to hurry */
	if (f->deadline > f->now && delay >= f->deadline - f->now)
		delay = (f->deadline - f->now) / 2;
	if (delay > RETRY_AFTER_MAX_MS)
		delay = RETRY_AFTER_MAX_MS;
	if (delay < POLL_MIN_MS)
		delay = POLL_MIN_MS; /* "now" is no reason to hammer it */
	f->obey_until = f->now + delay;
	return true;
}

void
flow_wait_for(struct acme_flow *f, const struct acme_reply *reply, int64_t delay)
{
	f->wait_until = flow_obey(f, reply) ? f->obey_until : f->now + delay;
}

void
flow_learn(struct acme_flow *f, enum patience_for what, bool ready)
{
	if (f->first_look)
		patience_learn(f->patience, what, ready);
	f->first_look = false;
}

void
flow_slower(struct acme_flow *f)
{
	f->poll_delay += f->poll_delay / 2;
	if (f->poll_delay > POLL_MAX_MS)
		f->poll_delay = POLL_MAX_MS;
}

/* ---- the order ---- */

static enum flow_state
wait_processing(struct acme_flow *f, const struct acme_reply *reply)
{
	bool begun = false;

	if (f->state != FLOW_ORDERED || f->deadline == 0) {
		f->deadline = f->now + PROCESSING_MAX_MS;
		f->poll_delay = patience_ms(f->patience, PATIENCE_ISSUE);
		begun = true;
	}
	if (f->now >= f->deadline)
		return flow_fail(f,
		    has_answered(acme_result_new(ACME_RETRY, "finalize",
			"the CA is still working on the order; it will be asked again")));
	flow_wait_for(f, reply, f->poll_delay);
	f->first_look = begun && f->obey_until <= f->now;
	if (f->poll_delay < POLL_MIN_MS)
		f->poll_delay = POLL_MIN_MS;
	flow_slower(f);
	return FLOW_ORDERED;
}

/* Gone, as after the CA's reset, or grown old while nobody asked: from the start, but
 * not for ever. */
static bool
may_begin_anew(struct acme_flow *f)
{
	if (f->begun_anew)
		return false;
	f->begun_anew = true;
	forget_order(f);
	return true;
}

static enum flow_state
order_invalid(
    struct acme_flow *f, const struct acme_reply *reply, struct wire_order *order)
{
	struct acme_result *why = steal_ptr(order->error);

	if (why == NULL && order->expires > 0 && order->expires <= reply->received_at) {
		if (may_begin_anew(f))
			return FLOW_NEW;
		why = acme_result_new(ACME_RETRY, "order",
		    "the order has expired before it became a certificate");
	}
	if (why == NULL)
		why = acme_result_new(
		    ACME_RETRY, "order", "the CA has made the order invalid");
	return flow_fail_for_good(f, why);
}

/* The CA's status of the order picks the leg. */
static enum flow_state
pick_leg(struct acme_flow *f, const struct acme_reply *reply, struct wire_order *order)
{
	free(f->finalize_url);
	f->finalize_url = steal_ptr(order->finalize);
	free(f->certificate_url);
	f->certificate_url = steal_ptr(order->certificate);
	switch (order->status) {
	case WIRE_PENDING:
		return flow_authz_begin(f, order);
	case WIRE_READY:
		if (f->finalize_url == NULL)
			return flow_nonsense(
			    f, "order", "a ready order without a finalize URL");
		return FLOW_FINALIZE;
	case WIRE_PROCESSING:
		return wait_processing(f, reply);
	case WIRE_VALID:
		if (f->certificate_url == NULL)
			return wait_processing(f, reply);
		return FLOW_DOWNLOAD;
	case WIRE_INVALID:
		return order_invalid(f, reply, order);
	case WIRE_UNKNOWN:
	case WIRE_DEACTIVATED:
	case WIRE_EXPIRED:
	case WIRE_REVOKED:
		break;
	}
	return flow_fail_for_good(
	    f, acme_result_new(ACME_RETRY, "order", "the order has an unknown status"));
}

enum flow_state
flow_read_order(struct acme_flow *f, const struct acme_reply *reply, const char *stage)
{
	_cleanup_(wire_order_freep) struct wire_order *order = NULL;

	if (reply->body == NULL ||
	    wire_order_read(reply->body, reply->body_len, &order) < 0)
		return flow_nonsense(f, stage, "an order that can't be read");
	if (f->state == FLOW_ORDERED)
		flow_learn(f, PATIENCE_ISSUE, order->status != WIRE_PROCESSING);
	return pick_leg(f, reply, order);
}

static void
ask_new_order(struct acme_flow *f, struct acme_request *ret)
{
	const struct wire_new_order order = {
		.identifiers = f->identifiers,
		.identifier_count = f->identifier_count,
		.profile = f->profile,
		.replaces = f->replaces,
		.not_before = f->not_before,
		.not_after = f->not_after,
	};

	if (wire_order_write(&order, &f->payload) < 0)
		return;
	ret->action = ACME_ACTION_NEW_ORDER;
	ret->payload = f->payload;
}

/* Longer than a flow waits: that is for another attempt. */
static bool
wants_long_silence(const struct acme_reply *reply)
{
	return acme_retry_at(reply) - reply->received_at >
	    RETRY_AFTER_MAX_MS / FLOW_SECOND;
}

static enum flow_state
got_new_order(struct acme_flow *f, const struct acme_reply *reply)
{
	if (!wants_long_silence(reply) && flow_drop_replaces(f, reply)) {
		if (flow_obey(f, reply))
			f->wait_until = f->obey_until;
		return FLOW_NEW;
	}
	if (reply->status != 201 && reply->status != 200)
		return flow_refused(f, reply, "order");
	if (reply->location == NULL || !wire_url_ok(reply->location))
		return flow_nonsense(f, "order", "no URL of the new order");
	if (f->origins != NULL && !session_is_near(f->origins, reply->location))
		return flow_fail(f,
		    has_answered(acme_result_new(ACME_RETRY, "order",
			"the CA put the order on a host that its directory does not "
			"name: %s",
			reply->location)));
	if (flow_copy(reply->location, &f->order_url) < 0)
		return flow_fail(f, NULL);
	return flow_read_order(f, reply, "order");
}

static void
ask_order(struct acme_flow *f, struct acme_request *ret)
{
	ret->action = ACME_ACTION_ORDER;
	ret->url = f->order_url;
}

static enum flow_state
got_order(struct acme_flow *f, const struct acme_reply *reply)
{
	if (reply->status == 404 && may_begin_anew(f))
		return FLOW_NEW;
	if (reply->status != 200)
		return flow_refused(f, reply, "order");
	return flow_read_order(f, reply, "order");
}

/* ---- the wheel ---- */

static void
enter(struct acme_flow *f, enum flow_state state)
{
	/* validation and processing have deadlines of their own */
	if (state == FLOW_FINALIZE || state == FLOW_NEW)
		f->deadline = 0;
	if (state == FLOW_ISSUED)
		flow_valid_keep(f);
	if (state == FLOW_ISSUED || state == FLOW_FAILED)
		flow_authz_clear(f);
	f->state = state;
}

enum acme_next
acme_flow_next(struct acme_flow *f, int64_t now, struct acme_request *ret)
{
	f->now = now;
	if (steps[f->state].ask == NULL)
		return ACME_FINISHED;
	if (now < f->wait_until)
		return ACME_WAIT;
	if (++f->steps > STEPS_MAX) {
		enter(f,
		    flow_fail_for_good(f,
			acme_result_new(
			    ACME_RETRY, "order", "the CA leads in circles")));
		return ACME_FINISHED;
	}
	*ret = (struct acme_request){ 0 };
	free(f->payload);
	f->payload = NULL;
	steps[f->state].ask(f, ret);
	if (ret->action == 0) {
		enter(f,
		    flow_fail(f,
			acme_result_new(
			    ACME_RETRY, "order", "cannot make the request")));
		return ACME_FINISHED;
	}
	return ACME_SEND;
}

void
acme_flow_reply(struct acme_flow *f, int64_t now, const struct acme_reply *reply)
{
	f->now = now;
	if (steps[f->state].got != NULL)
		enter(f, steps[f->state].got(f, reply));
}

int64_t
acme_flow_wait_until(const struct acme_flow *f)
{
	return f->wait_until;
}

const char *
acme_flow_order_url(const struct acme_flow *f)
{
	return f->order_url;
}

const struct acme_chain *
acme_flow_chain(const struct acme_flow *f)
{
	return f->state == FLOW_ISSUED ? f->chain : NULL;
}

const struct acme_result *
acme_flow_result(const struct acme_flow *f)
{
	return f->state == FLOW_FAILED ? f->result : NULL;
}
