/*
 * flow.c - the life of one order (RFC 8555 section 7.4). Read the table first.
 *
 * Each state has what to ask of the CA and where its answer leads. What survives a
 * crash is the order's URL alone: with it a flow begins at ORDERED, the hub, where the
 * CA's own status of the order picks the next leg. Every request may be repeated safely
 * but newOrder and finalize, which are sent only when the hub, or all authorizations
 * seen valid by this flow, say that they are due.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "acme.h"
#include "cert.h"
#include "key.h"
#include "result.h"
#include "wire.h"

#define MS INT64_C(1000)

#define FIRST_POLL_MS      (3 * MS) /* where the CA's request isn't seen here */
#define FETCHED_POLL_MS    150      /* where it is */
#define POLL_MIN_MS        250
#define POLL_MAX_MS        (10 * MS)
#define ORDER_POLL_MS      500
#define VALIDATION_MAX_MS  (300 * MS)
#define PROCESSING_MAX_MS  (600 * MS)
#define RETRY_AFTER_MAX_MS (300 * MS)
#define STEPS_MAX          2000

enum flow_state {
	FLOW_NEW,
	FLOW_ORDERED,
	FLOW_AUTHORIZE,
	FLOW_CHALLENGE,
	FLOW_POLL,
	FLOW_FINALIZE,
	FLOW_DOWNLOAD,
	FLOW_ISSUED,
	FLOW_FAILED,
};

/* One name on its way to being valid. */
struct authz {
	char *url;
	bool seen; /* read at least once */
	bool valid;
	bool answered; /* the CA was told to look */
	bool fetched;  /* and has looked */
	struct acme_identifier identifier;
	char *challenge_url;
	char *type;
	char *token;
	char *key_authorization;
};

struct acme_flow {
	/* the plan */
	struct acme_identifier *identifiers;
	size_t identifier_count;
	struct acme_key *account_key;
	struct acme_key *key;
	char *challenge_types;
	char *profile;
	bool must_staple;

	/* facts */
	char *order_url;
	struct acme_chain *chain;
	struct acme_result *result;

	/* where it stands */
	enum flow_state state;
	char *finalize_url;
	char *certificate_url;
	struct authz *authz;
	size_t authz_count;
	size_t current;                    /* the authorization that was asked for */
	struct acme_challenge *challenges; /* of those not valid yet */
	size_t challenge_count;
	struct acme_result *complaint; /* what the CA said to a challenge request */
	char *payload;
	int64_t now;
	int64_t wait_until;
	int64_t obey_until; /* the CA said so: not to be shortened */
	int64_t poll_delay;
	int64_t deadline; /* of the leg: validation or processing */
	unsigned steps;
};

DEFINE_CLEANUP(struct acme_flow, acme_flow_free)

static void ask_new_order(struct acme_flow *f, struct acme_request *ret);
static void ask_order(struct acme_flow *f, struct acme_request *ret);
static void ask_authz(struct acme_flow *f, struct acme_request *ret);
static void ask_challenge(struct acme_flow *f, struct acme_request *ret);
static void ask_finalize(struct acme_flow *f, struct acme_request *ret);
static void ask_certificate(struct acme_flow *f, struct acme_request *ret);
typedef enum flow_state got_fn(struct acme_flow *f, const struct acme_reply *reply);
static got_fn got_new_order, got_order, got_authz, got_challenge, got_poll,
    got_finalize, got_certificate;

/* clang-format off */
static const struct flow_step {
	void (*ask)(struct acme_flow *f, struct acme_request *ret); /* what to send */
	got_fn *got;                                                /* where to go */
} steps[] = {
	[FLOW_NEW]       = { ask_new_order,   got_new_order },   /* -> a leg */
	[FLOW_ORDERED]   = { ask_order,       got_order },       /* the hub -> a leg */
	[FLOW_AUTHORIZE] = { ask_authz,       got_authz },       /* each name in turn */
	[FLOW_CHALLENGE] = { ask_challenge,   got_challenge },   /* each that isn't valid */
	[FLOW_POLL]      = { ask_authz,       got_poll },        /* until all are valid */
	[FLOW_FINALIZE]  = { ask_finalize,    got_finalize },    /* the CSR -> a leg */
	[FLOW_DOWNLOAD]  = { ask_certificate, got_certificate }, /* -> ISSUED */
	[FLOW_ISSUED]    = { NULL, NULL },
	[FLOW_FAILED]    = { NULL, NULL },
};
/* clang-format on */

/* ---- making and freeing ---- */

static int
copy(const char *from, char **to)
{
	if (from == NULL)
		return 0;
	*to = strdup(from);
	return *to != NULL ? 0 : -ENOMEM;
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
	r = copy(plan->challenges, &f->challenge_types);
	if (r == 0)
		r = copy(plan->profile, &f->profile);
	if (r == 0)
		r = copy(plan->order_url, &f->order_url);
	return r;
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

static void
clear_authz(struct acme_flow *f)
{
	for (size_t i = 0; i < f->authz_count; i++) {
		free(f->authz[i].url);
		free(f->authz[i].challenge_url);
		free(f->authz[i].type);
		free(f->authz[i].token);
		free(f->authz[i].key_authorization);
	}
	free(f->authz);
	f->authz = NULL;
	f->authz_count = 0;
	free(f->challenges);
	f->challenges = NULL;
	f->challenge_count = 0;
}

struct acme_flow *
acme_flow_free(struct acme_flow *f)
{
	if (f == NULL)
		return NULL;
	clear_authz(f);
	free(f->identifiers);
	acme_key_free(f->account_key);
	acme_key_free(f->key);
	free(f->challenge_types);
	free(f->profile);
	free(f->order_url);
	acme_chain_free(f->chain);
	acme_result_free(f->result);
	free(f->finalize_url);
	free(f->certificate_url);
	acme_result_free(f->complaint);
	free(f->payload);
	free(f);
	return NULL;
}

/* ---- ways to end, and to wait ---- */

static enum flow_state
fail(struct acme_flow *f, struct acme_result *result)
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
	clear_authz(f);
}

/* The order can't become a certificate any more: the next attempt makes a new one. */
static enum flow_state
fail_for_good(struct acme_flow *f, struct acme_result *result)
{
	forget_order(f);
	return fail(f, result);
}

/* The CA didn't do what it was asked. Where it may still, the order is kept. */
static enum flow_state
refused(struct acme_flow *f, const struct acme_reply *reply, const char *stage)
{
	if (reply->status >= 400 && reply->status < 500 && reply->status != 429)
		return fail_for_good(f, wire_problem_read(reply, stage));
	return fail(f, wire_problem_read(reply, stage));
}

static enum flow_state
nonsense(struct acme_flow *f, const char *stage, const char *what)
{
	return fail(f, acme_result_new(ACME_RETRY, stage, "the CA sent %s", what));
}

/* Wait as long as the reply says, or else as we think. */
static void
wait_for(struct acme_flow *f, const struct acme_reply *reply, int64_t delay)
{
	int64_t at = acme_retry_at(reply);

	if (at > 0) {
		delay = (at - reply->received_at) * MS;
		if (delay > RETRY_AFTER_MAX_MS)
			delay = RETRY_AFTER_MAX_MS;
		f->obey_until = f->now + delay;
	}
	f->wait_until = f->now + delay;
}

static void
slower(struct acme_flow *f)
{
	f->poll_delay += f->poll_delay / 2;
	if (f->poll_delay > POLL_MAX_MS)
		f->poll_delay = POLL_MAX_MS;
}

/* ---- challenges to publish ---- */

static int
list_challenges(struct acme_flow *f)
{
	struct acme_challenge *list;
	size_t n = 0;

	list = calloc(f->authz_count + 1, sizeof(*list));
	if (list == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < f->authz_count; i++) {
		const struct authz *a = &f->authz[i];

		if (a->valid || a->token == NULL)
			continue;
		list[n++] = (struct acme_challenge){ .type = a->type,
			.identifier = a->identifier.value,
			.token = a->token,
			.key_authorization = a->key_authorization };
	}
	free(f->challenges);
	f->challenges = list;
	f->challenge_count = n;
	return 0;
}

size_t
acme_flow_challenges(const struct acme_flow *f, const struct acme_challenge **ret)
{
	*ret = f->challenges;
	return f->challenge_count;
}

/* RFC 8555 section 8.1. */
static int
authorize_key(struct acme_flow *f, struct authz *a)
{
	char thumbprint[ACME_THUMBPRINT_SIZE];
	int r;

	r = acme_key_thumbprint(f->account_key, thumbprint);
	if (r < 0)
		return r;
	if (asprintf(&a->key_authorization, "%s.%s", a->token, thumbprint) < 0) {
		a->key_authorization = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* The first type of our preference that the CA offers and has not refused yet. */
static const struct wire_challenge *
choose(const struct acme_flow *f, const struct wire_authz *wire)
{
	const char *types = f->challenge_types;

	while (*(types += strspn(types, " ")) != '\0') {
		size_t len = strcspn(types, " ");

		for (size_t i = 0; i < wire->challenge_count; i++) {
			const struct wire_challenge *c = &wire->challenges[i];

			if (strlen(c->type) == len &&
			    strncmp(c->type, types, len) == 0 &&
			    c->status != WIRE_INVALID)
				return c;
		}
		types += len;
	}
	return NULL;
}

static int
take_challenge(struct acme_flow *f, struct authz *a, const struct wire_challenge *c)
{
	int r;

	if (a->token != NULL)
		return 0;
	r = copy(c->url, &a->challenge_url);
	if (r == 0)
		r = copy(c->type, &a->type);
	if (r == 0)
		r = copy(c->token, &a->token);
	if (r == 0)
		r = authorize_key(f, a);
	a->answered = c->status == WIRE_PROCESSING;
	return r;
}

/* ---- the order ---- */

static enum flow_state
begin_authorizations(struct acme_flow *f, struct wire_order *order)
{
	if (order->authorization_count == 0)
		return nonsense(f, "order", "a pending order without authorizations");
	clear_authz(f);
	f->authz = calloc(order->authorization_count, sizeof(*f->authz));
	if (f->authz == NULL)
		return fail(f, NULL);
	f->authz_count = order->authorization_count;
	for (size_t i = 0; i < f->authz_count; i++)
		f->authz[i].url = steal_ptr(order->authorizations[i]);
	order->authorization_count = 0;
	free(order->authorizations);
	order->authorizations = NULL;
	f->current = 0;
	f->deadline = f->now + VALIDATION_MAX_MS;
	return FLOW_AUTHORIZE;
}

static enum flow_state
wait_processing(struct acme_flow *f, const struct acme_reply *reply)
{
	if (f->state != FLOW_ORDERED || f->deadline == 0) {
		f->deadline = f->now + PROCESSING_MAX_MS;
		f->poll_delay = ORDER_POLL_MS;
	}
	if (f->now >= f->deadline)
		return fail(f,
		    acme_result_new(ACME_RETRY, "finalize",
			"the CA is still working on the order; it will be asked again"));
	wait_for(f, reply, f->poll_delay);
	slower(f);
	return FLOW_ORDERED;
}

static enum flow_state
order_invalid(struct acme_flow *f, struct wire_order *order)
{
	struct acme_result *why = steal_ptr(order->error);

	if (why == NULL)
		why = acme_result_new(
		    ACME_RETRY, "order", "the CA has made the order invalid");
	return fail_for_good(f, why);
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
		return begin_authorizations(f, order);
	case WIRE_READY:
		if (f->finalize_url == NULL)
			return nonsense(
			    f, "order", "a ready order without a finalize URL");
		return FLOW_FINALIZE;
	case WIRE_PROCESSING:
		return wait_processing(f, reply);
	case WIRE_VALID:
		if (f->certificate_url == NULL)
			return wait_processing(f, reply);
		return FLOW_DOWNLOAD;
	case WIRE_INVALID:
		return order_invalid(f, order);
	case WIRE_UNKNOWN:
	case WIRE_DEACTIVATED:
	case WIRE_EXPIRED:
	case WIRE_REVOKED:
		break;
	}
	return fail_for_good(
	    f, acme_result_new(ACME_RETRY, "order", "the order has an unknown status"));
}

static enum flow_state
read_order(struct acme_flow *f, const struct acme_reply *reply, const char *stage)
{
	_cleanup_(wire_order_freep) struct wire_order *order = NULL;

	if (reply->body == NULL ||
	    wire_order_read(reply->body, reply->body_len, &order) < 0)
		return nonsense(f, stage, "an order that can't be read");
	return pick_leg(f, reply, order);
}

static void
ask_new_order(struct acme_flow *f, struct acme_request *ret)
{
	if (wire_order_write(
		f->identifiers, f->identifier_count, f->profile, &f->payload) < 0)
		return;
	ret->action = ACME_ACTION_NEW_ORDER;
	ret->payload = f->payload;
}

static enum flow_state
got_new_order(struct acme_flow *f, const struct acme_reply *reply)
{
	if (reply->status != 201 && reply->status != 200)
		return refused(f, reply, "order");
	if (reply->location == NULL || !wire_url_ok(reply->location))
		return nonsense(f, "order", "no URL of the new order");
	if (copy(reply->location, &f->order_url) < 0)
		return fail(f, NULL);
	return read_order(f, reply, "order");
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
	if (reply->status == 404) { /* gone, as after the CA's reset: from the start */
		forget_order(f);
		return FLOW_NEW;
	}
	if (reply->status != 200)
		return refused(f, reply, "order");
	return read_order(f, reply, "order");
}

/* ---- the names ---- */

static void
ask_authz(struct acme_flow *f, struct acme_request *ret)
{
	ret->action = ACME_ACTION_AUTHORIZATION;
	ret->url = f->authz[f->current].url;
}

/* Is this name one that we ordered? (RFC 8555 section 7.1.4: without its "*.") */
static bool
is_ordered(const struct acme_flow *f, const struct acme_identifier *identifier)
{
	for (size_t i = 0; i < f->identifier_count; i++) {
		struct acme_identifier ours = f->identifiers[i];

		if (strncmp(ours.value, "*.", 2) == 0)
			memmove(ours.value, ours.value + 2, strlen(ours.value) - 1);
		if (acme_identifier_equal(&ours, identifier))
			return true;
	}
	return false;
}

static enum flow_state
authz_failed(struct acme_flow *f, const struct wire_authz *wire)
{
	struct acme_result *why = NULL;

	for (size_t i = 0; i < wire->challenge_count && why == NULL; i++)
		why = acme_result_copy(wire->challenges[i].error);
	if (why == NULL)
		why = acme_result_new(ACME_RETRY, "authorize",
		    "the CA did not authorize %s", wire->identifier.value);
	if (why != NULL && why->subproblem_count == 0) {
		char *detail = NULL;

		if (asprintf(&detail, "%s: %s", wire->identifier.value, why->detail) >=
		    0) {
			free(why->detail);
			why->detail = detail;
		}
	}
	return fail_for_good(f, why);
}

/* Notes what the CA says of the current name. False: *ret_state says where it ends. */
static bool
note_authz(
    struct acme_flow *f, const struct wire_authz *wire, enum flow_state *ret_state)
{
	struct authz *a = &f->authz[f->current];
	const struct wire_challenge *c;

	if (!is_ordered(f, &wire->identifier)) {
		*ret_state = fail_for_good(f,
		    acme_result_new(ACME_RETRY, "authorize",
			"the CA wants a name authorized that was not ordered"));
		return false;
	}
	a->identifier = wire->identifier;
	a->seen = true;
	a->valid = wire->status == WIRE_VALID;
	if (a->valid)
		return true;
	if (wire->status != WIRE_PENDING) {
		*ret_state = authz_failed(f, wire);
		return false;
	}
	c = choose(f, wire);
	if (c == NULL &&
	    a->token != NULL) { /* ours has failed; smallstep stays pending */
		*ret_state = authz_failed(f, wire);
		return false;
	}
	if (c == NULL) {
		*ret_state = fail_for_good(f,
		    acme_result_new(ACME_GIVE_UP, "authorize",
			"the CA offers none of the challenges \"%s\" for %s",
			f->challenge_types, wire->identifier.value));
		return false;
	}
	if (take_challenge(f, a, c) < 0) {
		*ret_state = fail(f, NULL);
		return false;
	}
	return true;
}

static bool
read_authz(
    struct acme_flow *f, const struct acme_reply *reply, enum flow_state *ret_state)
{
	_cleanup_(wire_authz_freep) struct wire_authz *wire = NULL;

	if (reply->status != 200) {
		*ret_state = refused(f, reply, "authorize");
		return false;
	}
	if (reply->body == NULL ||
	    wire_authz_read(reply->body, reply->body_len, &wire) < 0) {
		*ret_state =
		    nonsense(f, "authorize", "an authorization that can't be read");
		return false;
	}
	if (!note_authz(f, wire, ret_state))
		return false;
	if (list_challenges(f) < 0) {
		*ret_state = fail(f, NULL);
		return false;
	}
	return true;
}

/* The first name, from the one after the current, that is (un)answered and not valid.
 */
static bool
find_pending(struct acme_flow *f, bool answered)
{
	for (size_t i = 1; i <= f->authz_count; i++) {
		size_t candidate = (f->current + i) % f->authz_count;

		if (!f->authz[candidate].valid &&
		    f->authz[candidate].answered == answered) {
			f->current = candidate;
			return true;
		}
	}
	return false;
}

static bool
all_fetched(const struct acme_flow *f)
{
	for (size_t i = 0; i < f->authz_count; i++)
		if (!f->authz[i].valid && !f->authz[i].fetched)
			return false;
	return true;
}

/* All is known of the names: tell the CA to look, wait for it, or go on. */
static enum flow_state
after_names(struct acme_flow *f)
{
	if (find_pending(f, false))
		return FLOW_CHALLENGE;
	if (find_pending(f, true)) {
		bool fetched = all_fetched(f);

		f->poll_delay = fetched ? POLL_MIN_MS : FIRST_POLL_MS;
		f->wait_until = f->now + (fetched ? FETCHED_POLL_MS : FIRST_POLL_MS);
		if (f->wait_until < f->obey_until)
			f->wait_until = f->obey_until;
		return FLOW_POLL;
	}
	if (f->finalize_url == NULL)
		return FLOW_ORDERED;
	return FLOW_FINALIZE;
}

static enum flow_state
got_authz(struct acme_flow *f, const struct acme_reply *reply)
{
	enum flow_state state;

	if (!read_authz(f, reply, &state))
		return state;
	if (++f->current < f->authz_count)
		return FLOW_AUTHORIZE;
	f->current = f->authz_count - 1;
	return after_names(f);
}

static void
ask_challenge(struct acme_flow *f, struct acme_request *ret)
{
	ret->action = ACME_ACTION_CHALLENGE;
	ret->url = f->authz[f->current].challenge_url;
	ret->payload = "{}"; /* RFC 8555 section 7.5.1 */
}

static enum flow_state
got_challenge(struct acme_flow *f, const struct acme_reply *reply)
{
	_cleanup_(acme_result_freep) struct acme_result *error = NULL;
	struct authz *a = &f->authz[f->current];
	enum wire_status status = WIRE_UNKNOWN;

	if (reply->status == 0 || reply->status >= 500 || reply->status == 429)
		return refused(f, reply, "authorize");
	a->answered = true;
	if (reply->status >= 400) {
		/* may only mean that it is valid by now: the authorization will tell */
		acme_result_free(f->complaint);
		f->complaint = wire_problem_read(reply, "authorize");
	} else if (reply->body != NULL &&
	    wire_challenge_read(reply->body, reply->body_len, &status, &error) == 0 &&
	    status == WIRE_VALID) {
		a->valid = true; /* RFC 8555 section 7.1.6: so is its authorization */
		if (list_challenges(f) < 0)
			return fail(f, NULL);
	}
	return after_names(f);
}

static enum flow_state
got_poll(struct acme_flow *f, const struct acme_reply *reply)
{
	enum flow_state state;

	if (!read_authz(f, reply, &state))
		return state;
	if (f->authz[f->current].valid) {
		if (find_pending(f, true))
			return FLOW_POLL;
		return f->finalize_url != NULL ? FLOW_FINALIZE : FLOW_ORDERED;
	}
	if (f->complaint != NULL)
		return fail_for_good(f, steal_ptr(f->complaint));
	if (f->now >= f->deadline)
		return fail_for_good(f,
		    acme_result_new(ACME_RETRY, "authorize",
			"%s: the CA has not finished its validation within 5 minutes",
			f->authz[f->current].identifier.value));
	wait_for(f, reply, f->poll_delay);
	slower(f);
	return FLOW_POLL;
}

/* ---- the certificate ---- */

static void
ask_finalize(struct acme_flow *f, struct acme_request *ret)
{
	_cleanup_free_ unsigned char *csr = NULL;
	size_t len;

	if (acme_csr_new(f->key, f->identifiers, f->identifier_count, f->must_staple,
		&csr, &len) < 0 ||
	    wire_finalize_write(csr, len, &f->payload) < 0)
		return;
	ret->action = ACME_ACTION_FINALIZE;
	ret->url = f->finalize_url;
	ret->payload = f->payload;
}

static enum flow_state
got_finalize(struct acme_flow *f, const struct acme_reply *reply)
{
	if (reply->status != 200) {
		struct acme_result *result = wire_problem_read(reply, "finalize");

		if (acme_result_is(result, "orderNotReady")) {
			/* a race at the CA, or finalized before a crash: the hub knows
			 */
			acme_result_free(result);
			wait_for(f, reply, MS);
			return FLOW_ORDERED;
		}
		acme_result_free(result);
		return refused(f, reply, "finalize");
	}
	return read_order(f, reply, "finalize");
}

static void
ask_certificate(struct acme_flow *f, struct acme_request *ret)
{
	ret->action = ACME_ACTION_CERTIFICATE;
	ret->url = f->certificate_url;
}

static enum flow_state
got_certificate(struct acme_flow *f, const struct acme_reply *reply)
{
	_cleanup_(acme_chain_freep) struct acme_chain *chain = NULL;
	const char *why = "no certificate";
	int r;

	if (reply->status != 200)
		return refused(f, reply, "download");
	r = reply->body != NULL
	    ? acme_chain_parse(reply->body, reply->body_len, &chain, &why)
	    : -EBADMSG;
	if (r == 0)
		r = acme_chain_check(
		    chain, f->key, f->identifiers, f->identifier_count, &why);
	if (r < 0)
		return fail_for_good(f,
		    acme_result_new(ACME_RETRY, "download",
			"what the CA sent as certificate was refused: %s", why));
	f->chain = steal_ptr(chain);
	return FLOW_ISSUED;
}

/* ---- the wheel ---- */

static void
enter(struct acme_flow *f, enum flow_state state)
{
	/* validation and processing have deadlines of their own */
	if (state == FLOW_FINALIZE || state == FLOW_NEW)
		f->deadline = 0;
	if (state == FLOW_ISSUED || state == FLOW_FAILED)
		clear_authz(f);
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
		    fail_for_good(f,
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
		    fail(f,
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

void
acme_flow_fetched(struct acme_flow *f, int64_t now, const char *token)
{
	int64_t soon = now + FETCHED_POLL_MS;

	for (size_t i = 0; i < f->authz_count; i++)
		if (f->authz[i].token != NULL && strcmp(f->authz[i].token, token) == 0)
			f->authz[i].fetched = true;
	if (f->state != FLOW_POLL || !all_fetched(f) || f->poll_delay != FIRST_POLL_MS)
		return; /* not waiting for it, or it has made us look already */
	if (soon < f->obey_until)
		soon = f->obey_until;
	if (soon < f->wait_until)
		f->wait_until = soon;
	f->poll_delay = POLL_MIN_MS;
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
