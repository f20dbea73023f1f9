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
#include <string.h>

#include "buffer.h"
#include "result.h"

#define COMPOUND          "urn:ietf:params:acme:error:compound"
#define FIRST_POLL_MS     (3 * FLOW_SECOND) /* where the CA's request isn't seen here */
#define POLL_MIN_MS       250
#define VALIDATION_MAX_MS (300 * FLOW_SECOND)
#define OTHERS_MAX_MS     (30 * FLOW_SECOND) /* for the other names, after one failed */
#define ANSWERS_MAX       3 /* of a challenge that fails and stays open */
#define ANSWER_AGAIN_MS   (5 * FLOW_SECOND)

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

/* ---- what the CA says of a name ---- */

/* What its challenges say, or the one that we took. The order was taken, names and all:
 * so it is about what the CA has found there, and that may be mended. (smallstep says
 * rejectedIdentifier where another server has answered.) */
static void
note_error(struct flow_authz *a, const struct wire_authz *wire)
{
	const struct wire_challenge *ours = flow_challenge_ours(a, wire);
	const struct acme_result *error = ours != NULL ? ours->error : NULL;

	for (size_t i = 0; i < wire->challenge_count && error == NULL; i++)
		error = wire->challenges[i].error;
	if (error == NULL)
		return;
	acme_result_free(a->error);
	a->error = acme_result_copy(error);
	if (a->error != NULL && a->error->class == ACME_GIVE_UP)
		a->error->class = ACME_RETRY;
}

/* It won't become valid in this order. why (may be NULL: what the CA said before) is
 * taken. */
static void
give_up(struct flow_authz *a, struct acme_result *why)
{
	if (why != NULL) {
		acme_result_free(a->error);
		a->error = why;
	}
	if (a->error == NULL)
		a->error = acme_result_new(ACME_RETRY, "authorize",
		    "the CA did not authorize it and gave no reason");
	a->failed = true;
}

static struct acme_result *
no_challenge(const struct acme_flow *f, const struct wire_authz *wire)
{
	if (wire->bad_tokens)
		return acme_result_new(ACME_RETRY, "authorize",
		    "the CA sent a challenge whose token is not one");
	return acme_result_new(ACME_GIVE_UP, "authorize",
	    "the CA offers none of the challenges \"%s\"", f->challenge_types);
}

/* A name that is still pending: which challenge is ours, and has it failed alone, as at
 * smallstep's? Then the next kind is tried, where the CA offers one. */
static int
note_pending(struct acme_flow *f, struct flow_authz *a, const struct wire_authz *wire)
{
	const struct wire_challenge *ours = flow_challenge_ours(a, wire);
	const struct wire_challenge *next;

	a->open = ours != NULL && ours->status == WIRE_PENDING && ours->error != NULL;
	if (ours != NULL && ours->status != WIRE_INVALID)
		return 0;
	next = flow_challenge_choose(f, wire);
	if (next != NULL) {
		flow_challenge_drop(a);
		return flow_challenge_take(f, a, next);
	}
	give_up(a, a->challenge_url != NULL ? NULL : no_challenge(f, wire));
	return 0;
}

/* Notes what the CA says of the current name. False: *ret_state says where it ends. */
static bool
note_authz(struct acme_flow *f, struct wire_authz *wire, enum flow_state *ret_state)
{
	struct flow_authz *a = &f->authz[f->current];

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
	note_error(a, wire);
	if (wire->status != WIRE_PENDING) {
		give_up(a, NULL);
	} else if (note_pending(f, a, wire) < 0) {
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
	if (flow_challenge_list(f) < 0) {
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

		if (!f->authz[candidate].valid && !f->authz[candidate].failed &&
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
		if (!f->authz[i].valid && !f->authz[i].failed && !f->authz[i].fetched)
			return false;
	return true;
}

static bool
any_failed(const struct acme_flow *f)
{
	for (size_t i = 0; i < f->authz_count; i++)
		if (f->authz[i].failed)
			return true;
	return false;
}

static enum flow_state
wait_poll(struct acme_flow *f)
{
	bool fetched = all_fetched(f);

	f->poll_delay = fetched ? POLL_MIN_MS : FIRST_POLL_MS;
	f->wait_until = f->now +
	    (fetched ? patience_ms(f->patience, PATIENCE_VALIDATION) : FIRST_POLL_MS);
	f->first_look = fetched && f->wait_until >= f->obey_until;
	if (f->wait_until < f->obey_until)
		f->wait_until = f->obey_until;
	return FLOW_POLL;
}

/* With one failed the order is lost. The CA is told of no more names, but what it makes
 * of those that it looks at already is worth a moment: all that fail are said at once.
 */
static enum flow_state
after_failure(struct acme_flow *f)
{
	if (f->deadline > f->now + OTHERS_MAX_MS)
		f->deadline = f->now + OTHERS_MAX_MS;
	if (find_pending(f, true))
		return wait_poll(f);
	return flow_fail_for_good(f, flow_authz_failure(f));
}

/* All is known of the names: tell the CA to look, wait for it, or go on. */
static enum flow_state
after_names(struct acme_flow *f)
{
	if (any_failed(f))
		return after_failure(f);
	if (find_pending(f, false))
		return FLOW_CHALLENGE;
	if (find_pending(f, true))
		return wait_poll(f);
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
	a->answers++;
	(void)flow_obey(f, reply);
	if (reply->status >= 400) {
		/* may only mean that it is valid by now: the authorization will tell */
		acme_result_free(a->complaint);
		a->complaint = wire_problem_read(reply, "authorize");
	} else if (reply->body != NULL &&
	    wire_challenge_read(reply->body, reply->body_len, &status, &error) == 0 &&
	    status == WIRE_VALID) {
		a->valid = true; /* RFC 8555 section 7.1.6: so is its authorization */
		if (flow_challenge_list(f) < 0)
			return flow_fail(f, NULL);
	}
	return after_names(f);
}

/* The time is up: which of those that are still open is to blame? */
static enum flow_state
too_late(struct acme_flow *f)
{
	bool others = any_failed(f);

	for (size_t i = 0; i < f->authz_count && !others; i++) {
		struct flow_authz *a = &f->authz[i];

		if (!a->valid)
			give_up(a,
			    a->error != NULL
				? NULL
				: acme_result_new(ACME_RETRY, "authorize",
				      "the CA has not finished its validation within "
				      "5 minutes"));
	}
	return flow_fail_for_good(f, flow_authz_failure(f));
}

/* The CA has looked, found something wrong, and left the challenge open (smallstep): it
 * may be told to look again (RFC 8555 section 8.2), a few times. */
static enum flow_state
answer_again(struct acme_flow *f, const struct acme_reply *reply)
{
	struct flow_authz *a = &f->authz[f->current];

	if (a->answers >= ANSWERS_MAX || any_failed(f)) {
		give_up(a, NULL);
		return after_names(f);
	}
	a->answered = false;
	flow_wait_for(f, reply, ANSWER_AGAIN_MS * a->answers);
	return FLOW_CHALLENGE;
}

enum flow_state
flow_authz_got_poll(struct acme_flow *f, const struct acme_reply *reply)
{
	struct flow_authz *a = &f->authz[f->current];
	enum flow_state state;

	a->open = false;
	if (!read_authz(f, reply, &state))
		return state;
	flow_learn(f, PATIENCE_VALIDATION, a->valid || a->failed);
	if (!a->valid && !a->failed && a->complaint != NULL)
		give_up(a, steal_ptr(a->complaint));
	if (a->failed)
		return after_names(f);
	if (a->valid) {
		if (find_pending(f, true))
			return FLOW_POLL;
		return after_names(f);
	}
	if (!a->answered)
		return after_names(f); /* another challenge was taken */
	if (f->now >= f->deadline)
		return too_late(f);
	if (a->open)
		return answer_again(f, reply);
	flow_wait_for(f, reply, f->poll_delay);
	flow_slower(f);
	return FLOW_POLL;
}

/* ---- what is said of names that failed ---- */

static int
add_subproblem(struct acme_result *all, const struct flow_authz *a)
{
	struct acme_subproblem *sub = &all->subproblems[all->subproblem_count++];
	int r;

	r = flow_copy(a->error->type, &sub->type);
	if (r == 0)
		r = flow_copy(a->error->detail, &sub->detail);
	if (r == 0)
		r = flow_copy(a->identifier.value, &sub->identifier);
	return r;
}

/* The common type, or "compound" (RFC 8555 section 6.7.1); give-up only where all are.
 */
static int
summarize(const struct acme_flow *f, struct acme_result *all)
{
	const struct acme_result *first = NULL;
	bool same = true;
	int r = 0;

	all->class = ACME_GIVE_UP;
	for (size_t i = 0; i < f->authz_count && r == 0; i++) {
		const struct acme_result *error = f->authz[i].error;

		if (!f->authz[i].failed || error == NULL)
			continue;
		if (first == NULL)
			first = error;
		same = same && error->type != NULL && first->type != NULL &&
		    strcmp(error->type, first->type) == 0;
		if (error->class != ACME_GIVE_UP)
			all->class = ACME_RETRY;
		r = add_subproblem(all, &f->authz[i]);
	}
	if (r < 0 || first == NULL) /* what to say of it had no memory */
		return -ENOMEM;
	all->status = first->status;
	return flow_copy(
	    same || all->subproblem_count == 1 ? first->type : COMPOUND, &all->type);
}

struct acme_result *
flow_authz_failure(const struct acme_flow *f)
{
	_cleanup_(acme_result_freep) struct acme_result *all = NULL;
	_cleanup_(buffer_free) struct buffer text = { 0 };
	char *detail;

	all = acme_result_new(ACME_RETRY, "authorize", "%s", "");
	if (all == NULL)
		return NULL;
	all->subproblems = calloc(f->authz_count + 1, sizeof(*all->subproblems));
	if (all->subproblems == NULL || summarize(f, all) < 0)
		return NULL;
	for (size_t i = 0; i < all->subproblem_count; i++)
		buffer_printf(&text, "%s%s: %s", i > 0 ? "; " : "",
		    all->subproblems[i].identifier, all->subproblems[i].detail);
	detail = text.failed || text.data == NULL ? NULL : result_line(text.data);
	if (detail == NULL)
		return NULL;
	free(all->detail);
	all->detail = detail;
	return steal_ptr(all);
}

void
acme_flow_fetched(struct acme_flow *f, int64_t now, const char *token)
{
	int64_t soon = now + patience_ms(f->patience, PATIENCE_VALIDATION);

	for (size_t i = 0; i < f->authz_count; i++)
		if (f->authz[i].token != NULL && strcmp(f->authz[i].token, token) == 0)
			f->authz[i].fetched = true;
	if (f->state != FLOW_POLL || !all_fetched(f) || f->poll_delay != FIRST_POLL_MS)
		return; /* not waiting for it, or it has made us look already */
	f->first_look = soon >= f->obey_until;
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
		flow_challenge_free_issuers(&authz[i]);
		acme_result_free(authz[i].complaint);
		acme_result_free(authz[i].error);
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
