/*
 * flow_authz.c - the names of an order on their way to being valid (RFC 8555
 * section 7.5).
 *
 * The states AUTHORIZE (read each authorization), CHALLENGE (have the CA look) and POLL
 * (until all are valid) of flow.c's table. Authorizations come in any order, may be
 * valid already, and may offer challenges that nobody knows.
 */
#include "flow.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "result.h"

#define FIRST_POLL_MS     (3 * FLOW_SECOND) /* where the CA's request isn't seen here */
#define FETCHED_POLL_MS   150               /* where it is */
#define POLL_MIN_MS       250
#define VALIDATION_MAX_MS (300 * FLOW_SECOND)

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
		const struct flow_authz *a = &f->authz[i];

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
authorize_key(struct acme_flow *f, struct flow_authz *a)
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
take_challenge(
    struct acme_flow *f, struct flow_authz *a, const struct wire_challenge *c)
{
	int r;

	if (a->token != NULL)
		return 0;
	r = flow_copy(c->url, &a->challenge_url);
	if (r == 0)
		r = flow_copy(c->type, &a->type);
	if (r == 0)
		r = flow_copy(c->token, &a->token);
	if (r == 0)
		r = authorize_key(f, a);
	a->answered = c->status == WIRE_PROCESSING;
	return r;
}

enum flow_state
flow_authz_begin(struct acme_flow *f, struct wire_order *order)
{
	if (order->authorization_count == 0)
		return flow_nonsense(
		    f, "order", "a pending order without authorizations");
	flow_authz_clear(f);
	f->authz = calloc(order->authorization_count, sizeof(*f->authz));
	if (f->authz == NULL)
		return flow_fail(f, NULL);
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

/* ---- the names ---- */

void
flow_authz_ask(struct acme_flow *f, struct acme_request *ret)
{
	ret->action = ACME_ACTION_AUTHORIZATION;
	ret->url = f->authz[f->current].url;
}

/* Is this name one that we ordered? (RFC 8555 section 7.1.4: without its "*.") */
static bool
is_ordered(const struct acme_flow *f, const struct acme_identifier *identifier)
{
	for (size_t i = 0; i < f->identifier_count; i++) {
		const struct acme_identifier *ours = &f->identifiers[i];
		size_t skip = strncmp(ours->value, "*.", 2) == 0 ? 2 : 0;

		if (ours->type == identifier->type &&
		    strcmp(ours->value + skip, identifier->value) == 0)
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
	return flow_fail_for_good(f, why);
}

/* Notes what the CA says of the current name. False: *ret_state says where it ends. */
static bool
note_authz(struct acme_flow *f, struct wire_authz *wire, enum flow_state *ret_state)
{
	struct flow_authz *a = &f->authz[f->current];
	const struct wire_challenge *c;

	if (!is_ordered(f, &wire->identifier)) {
		*ret_state = flow_fail_for_good(f,
		    acme_result_new(ACME_RETRY, "authorize",
			"the CA wants a name authorized that was not ordered"));
		return false;
	}
	a->identifier = wire->identifier;
	a->wildcard = wire->wildcard;
	free(a->expires);
	a->expires = steal_ptr(wire->expires);
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
		*ret_state = flow_fail_for_good(f,
		    acme_result_new(ACME_GIVE_UP, "authorize",
			"the CA offers none of the challenges \"%s\" for %s",
			f->challenge_types, wire->identifier.value));
		return false;
	}
	if (take_challenge(f, a, c) < 0) {
		*ret_state = flow_fail(f, NULL);
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
		*ret_state = flow_refused(f, reply, "authorize");
		return false;
	}
	if (reply->body == NULL ||
	    wire_authz_read(reply->body, reply->body_len, &wire) < 0) {
		*ret_state = flow_nonsense(
		    f, "authorize", "an authorization that can't be read");
		return false;
	}
	if (!note_authz(f, wire, ret_state))
		return false;
	if (list_challenges(f) < 0) {
		*ret_state = flow_fail(f, NULL);
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

enum flow_state
flow_authz_got(struct acme_flow *f, const struct acme_reply *reply)
{
	enum flow_state state;

	if (!read_authz(f, reply, &state))
		return state;
	if (++f->current < f->authz_count)
		return FLOW_AUTHORIZE;
	f->current = f->authz_count - 1;
	return after_names(f);
}

void
flow_authz_ask_challenge(struct acme_flow *f, struct acme_request *ret)
{
	ret->action = ACME_ACTION_CHALLENGE;
	ret->url = f->authz[f->current].challenge_url;
	ret->payload = "{}"; /* RFC 8555 section 7.5.1 */
}

enum flow_state
flow_authz_got_challenge(struct acme_flow *f, const struct acme_reply *reply)
{
	_cleanup_(acme_result_freep) struct acme_result *error = NULL;
	struct flow_authz *a = &f->authz[f->current];
	enum wire_status status = WIRE_UNKNOWN;

	if (reply->status == 0 || reply->status >= 500 || reply->status == 429)
		return flow_refused(f, reply, "authorize");
	a->answered = true;
	if (reply->status >= 400) {
		/* may only mean that it is valid by now: the authorization will tell */
		acme_result_free(a->complaint);
		a->complaint = wire_problem_read(reply, "authorize");
	} else if (reply->body != NULL &&
	    wire_challenge_read(reply->body, reply->body_len, &status, &error) == 0 &&
	    status == WIRE_VALID) {
		a->valid = true; /* RFC 8555 section 7.1.6: so is its authorization */
		if (list_challenges(f) < 0)
			return flow_fail(f, NULL);
	}
	return after_names(f);
}

enum flow_state
flow_authz_got_poll(struct acme_flow *f, const struct acme_reply *reply)
{
	enum flow_state state;

	if (!read_authz(f, reply, &state))
		return state;
	if (f->authz[f->current].valid) {
		if (find_pending(f, true))
			return FLOW_POLL;
		return f->finalize_url != NULL ? FLOW_FINALIZE : FLOW_ORDERED;
	}
	if (f->authz[f->current].complaint != NULL)
		return flow_fail_for_good(f, steal_ptr(f->authz[f->current].complaint));
	if (f->now >= f->deadline)
		return flow_fail_for_good(f,
		    acme_result_new(ACME_RETRY, "authorize",
			"%s: the CA has not finished its validation within 5 minutes",
			f->authz[f->current].identifier.value));
	flow_wait_for(f, reply, f->poll_delay);
	flow_slower(f);
	return FLOW_POLL;
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

void
flow_authz_free_all(struct flow_authz *authz, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(authz[i].url);
		free(authz[i].expires);
		free(authz[i].challenge_url);
		free(authz[i].type);
		free(authz[i].token);
		free(authz[i].key_authorization);
		acme_result_free(authz[i].complaint);
	}
	free(authz);
}

void
flow_authz_clear(struct acme_flow *f)
{
	flow_authz_free_all(f->authz, f->authz_count);
	f->authz = NULL;
	f->authz_count = 0;
	free(f->challenges);
	f->challenges = NULL;
	f->challenge_count = 0;
}
