/*
 * gate.c - may a certificate be ordered now, and at which of its CAs?
 *
 * Asked by job_order.c before each order, and by queue.c. It judges by what the CAs
 * have said and what they allow; who has to wait isn't a failure.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "platform/clock.h"
#include "renew/ca.h"
#include "renew/due.h"
#include "renew/job.h"
#include "renew/queue.h"
#include "renew/selftest.h"
#include "result.h"
#include "schedule/limits.h"
#include "schedule/wakeup.h"

#define WEEK              (INT64_C(7) * 24 * 3600)
#define A_WEEK            5 /* certificates of one set of names */
#define NO_MEMORY_SECONDS 60
#define PACE_SECONDS      3600 /* so often is it looked at again */
#define SHORT_LIFE        (INT64_C(10) * 24 * 3600)

/* ---- orders in flight ---- */

static bool
is_failing(const struct ca *ca)
{
	struct ca_status status = ca_status(ca);

	return status.unreachable;
}

/* CAs in use that have nothing in flight: a slot is kept for each. */
static size_t
count_idle(const struct renewals *r, const struct ca *but)
{
	size_t count = 0;

	for (size_t i = 0; i < r->ca_count; i++)
		if (r->cas[i] != but && ca_in_use(r->cas[i]) &&
		    limits_in_flight(ca_limits(r->cas[i])) == 0)
			count++;
	return count;
}

/* Beside `all` orders of which `own` are at this CA. `spare` slots aren't for it. */
static bool
has_slot(
    const struct renewals *r, const struct ca *ca, size_t all, size_t own, size_t spare)
{
	size_t max = r->config->renewd.max_orders;
	size_t most = limits_rates(ca_limits(ca))->max_orders;

	if (most > 0 && own >= most)
		return false;
	if (limits_outage(ca_limits(ca))->since != 0 && own > 0)
		return false; /* one is enough to see whether it answers */
	if (own == 0)
		return all + spare < max || all == 0;
	/* one that doesn't answer holds its orders for long */
	if (is_failing(ca) && own >= (max < 8 ? 1 : max / 4))
		return false;
	return all + spare + count_idle(r, ca) < max;
}

bool
gate_has_slot(const struct renewals *r, const struct ca *ca)
{
	return has_slot(r, ca, r->ordering, limits_in_flight(ca_limits(ca)), 0);
}

/* Those that have failed before leave a quarter to the others: they may hang. */
bool
gate_has_room(const struct job *j, const struct ca *ca)
{
	const struct renewals *r = j->renewals;
	struct ca_limits *l = ca_limits(ca);
	size_t all = r->ordering - (j->ordering ? 1 : 0);
	size_t own = limits_in_flight(l) - (j->at == l ? 1 : 0);

	return has_slot(r, ca, all, own,
	    j->row->failures > 0 ? r->config->renewd.max_orders / 4 : 0);
}

void
gate_enter(struct job *j, const struct ca *ca)
{
	gate_leave(j);
	j->at = ca_limits(ca);
	limits_enter(j->at);
}

void
gate_leave(struct job *j)
{
	if (j->at != NULL)
		limits_leave(j->at);
	j->at = NULL;
}

/* ---- when ---- */

/* Orders for the same names that this CA has in hand, of other certificates. */
static unsigned
count_twins(const struct job *j, const struct ca *ca)
{
	const struct job *other;
	unsigned count = 0;

	TAILQ_FOREACH (other, &j->renewals->jobs, entry)
		if (other != j && other->at == ca_limits(ca) &&
		    strcmp(other->names, j->names) == 0)
			count++;
	return count;
}

/* So many for these names were issued in the last week, or are about to be. */
static int64_t
week_until(const struct job *j, const struct ca *ca, int64_t now)
{
	unsigned twins = count_twins(j, ca);
	int64_t at = 0;

	if (twins >= A_WEEK)
		return now + NO_MEMORY_SECONDS;
	if (issued_nth(j->renewals->means.store, ca_name(ca), j->names, now,
		A_WEEK - twins, &at) < 0 ||
	    at == 0 || at + WEEK <= now)
		return 0;
	return at + WEEK;
}

/* What is about this certificate alone; 0: nothing. */
static int64_t
own_until(const struct job *j, const struct ca *ca, int64_t now)
{
	struct ca_limits *l = ca_limits(ca);
	int64_t names = limits_names_forbidden(
	    l, j->spec->identifiers, j->spec->identifier_count, j->names);
	/* a CA without limits has none of these, either */
	int64_t week = limits_rates(l)->interval_ms > 0 ? week_until(j, ca, now) : 0;

	return names > week ? names : week;
}

/* Where a CA doesn't answer one order at a time goes there: the queue's, at its time.
 * Others go there only if nobody waits for that, or somebody has asked for it. */
static int64_t
outage_until(const struct job *j, const struct ca *ca, int64_t now)
{
	struct ca_limits *l = ca_limits(ca);
	const struct outage *o = limits_outage(l);
	bool first = !j->order_begun && (j->handed || j->invited);

	if (o->since == 0 || first || j->at == l)
		return 0;
	if (!j->order_begun && o->probe_at <= clock_monotonic_ms() &&
	    limits_in_flight(l) == 0 &&
	    queue_is_empty(j->renewals->queue, ca, QUEUE_NEW) &&
	    queue_is_empty(j->renewals->queue, ca, QUEUE_ARI))
		return 0;
	return o->shown_at > now ? o->shown_at : now + 1;
}

/* For all certificates: what it has said, or that it says nothing. */
static int64_t
closed_until(const struct job *j, const struct ca *ca, int64_t now)
{
	int64_t forbidden = limits_forbidden(ca_limits(ca));
	int64_t outage = outage_until(j, ca, now);

	return forbidden > outage ? forbidden : outage;
}

int64_t
gate_until(const struct job *j)
{
	int64_t now = clock_now();
	int64_t first = 0;

	for (size_t i = 0; i < j->spec->cas.n; i++) {
		const struct ca *ca = renewals_ca(j->renewals, j->spec->cas.v[i]);
		int64_t own, all, until;

		if (ca == NULL)
			continue;
		own = own_until(j, ca, now);
		all = limits_forbidden(ca_limits(ca));
		until = own > all ? own : all;
		if (until <= now)
			return 0;
		if (first == 0 || until < first)
			first = until;
	}
	return first;
}

/* ---- the queue ---- */

/* As queue_read() judges: by the certificate of which the least is left. */
static void
set_urgency(struct job *j, enum renew_reason reason, int64_t now)
{
	struct certificate *c = j->row;
	double least = 0;

	c->queued_life = 0;
	c->queued_end = 0;
	if (reason == RENEW_REVOKED || reason == RENEW_KEY_COMPROMISE) {
		c->queued_life = 1;
		c->queued_end = now;
		return;
	}
	for (size_t i = 0; i < j->issued_count; i++) {
		const struct issued *row = &j->issued[i];
		int64_t life = row->not_after - row->not_before;
		double left;

		if (life <= 0)
			continue;
		left = (double)(row->not_after - now) / (double)life;
		if (c->queued_life == 0 || left < least) {
			c->queued_life = life;
			c->queued_end = row->not_after;
			least = left;
		}
	}
	/* what somebody wants now is as urgent as what is new */
	if ((reason == RENEW_FORCED || reason == RENEW_CHANGED ||
		reason == RENEW_NEW) &&
	    least > 0.2)
		c->queued_life = 0;
}

static enum gate_answer
enqueue(struct job *j, const struct ca *ca, enum queue_kind kind,
    enum renew_reason reason, int64_t now)
{
	struct certificate *c = j->row;

	free(c->queued_ca);
	c->queued_ca = strdup(ca_name(ca));
	if (c->queued_ca == NULL) {
		c->next_attempt = now + NO_MEMORY_SECONDS;
		return GATE_LATER;
	}
	c->queued_kind = kind;
	if (c->queued_at == 0 || c->queued_at > now)
		c->queued_at = now;
	set_urgency(j, reason, now);
	j->handed = false;
	queue_note(j->renewals->queue, ca, kind);
	return GATE_QUEUED;
}

/* ---- what stands against it here ---- */

#define STAGE "self-test"

/* Shown as long as it waits; what a CA has said stays what is shown. */
static void
show_why(struct job *j)
{
	struct certificate *c = j->row;
	struct acme_result *why;
	const char *text;
	int64_t since = 0;

	text = selftest_why(j->renewals->selftest, &since);
	if (c->failures > 0 || text == NULL)
		return;
	why = acme_result_new(
	    ACME_LATER, STAGE, "%s; it goes on when that is mended", text);
	free(c->last_error);
	c->last_error = job_describe(why, since);
	acme_result_free(why);
}

static void
forget_why(struct job *j)
{
	if (!due_error_is(j->row, "stage", STAGE))
		return;
	free(j->row->last_error);
	j->row->last_error = NULL;
}

/* ---- the answer ---- */

/* The first from j->ca on that isn't forbidden; else that at which it may be the
 * earliest, and *ret_until is when. NULL: none is configured. */
static struct ca *
choose(struct job *j, bool begun, int64_t now, int64_t *ret_until, bool *ret_own)
{
	struct ca *first = NULL;
	int64_t first_until = 0;
	size_t first_index = j->ca;

	for (size_t i = j->ca; i < j->spec->cas.n; i++) {
		struct ca *ca = renewals_ca(j->renewals, j->spec->cas.v[i]);
		int64_t own, all, until;

		if (ca == NULL)
			continue;
		if (begun) {
			*ret_until = outage_until(j, ca, now);
			return ca;
		}
		own = own_until(j, ca, now);
		all = closed_until(j, ca, now);
		until = own > all ? own : all;
		if (first == NULL || until < first_until) {
			first = ca;
			first_until = until;
			first_index = i;
			*ret_own = own >= all;
		}
		if (until <= now)
			break;
	}
	j->ca = first_index;
	*ret_until = first_until;
	return first;
}

/* The pace follows from how many certificates there are, and how long they live. */
static int64_t
pace_at(const struct renewals *r, const struct ca *ca, int64_t now_ms)
{
	struct ca_limits *l = ca_limits(ca);
	double short_lives, long_lives;
	int64_t set_at = limits_pace_set_at(l);
	int64_t interval;
	unsigned burst;

	if (limits_rates(l)->interval_ms <= 0)
		return now_ms; /* one without limits bears any load */
	if ((set_at == 0 || now_ms - set_at >= PACE_SECONDS * 1000) &&
	    issued_load(r->means.store, ca_name(ca), SHORT_LIFE, &short_lives,
		&long_lives) == 0) {
		wakeup_pace(short_lives, long_lives, &interval, &burst);
		limits_set_pace(l, interval, burst);
	}
	return limits_pace_at(l, now_ms);
}

int64_t
gate_pace_at(const struct renewals *r, const struct ca *ca)
{
	return pace_at(r, ca, clock_monotonic_ms());
}

/* Is it renewed for its age alone, and has time? */
static bool
is_calm(const struct job *j, enum renew_reason reason, int64_t now)
{
	if (reason != RENEW_LIFETIME || j->invited)
		return false;
	for (size_t i = 0; i < j->issued_count; i++) {
		const struct issued *row = &j->issued[i];

		if ((double)(row->not_after - now) <=
		    WAKEUP_URGENT * (double)(row->not_after - row->not_before))
			return false;
	}
	return true;
}

void
gate_wait(struct job *j, enum renew_reason reason)
{
	enum queue_kind kind = reason == RENEW_ARI ? QUEUE_ARI : QUEUE_NEW;
	int64_t now = clock_now();
	int64_t until;
	struct ca *ca;
	bool own;

	j->ca = 0;
	j->handed = j->invited = false;
	ca = choose(j, false, now, &until, &own);
	if (ca != NULL)
		(void)enqueue(j, ca, kind, reason, now);
}

/* Nobody goes before those who wait, nor faster than is good for all. */
static bool
must_wait(struct job *j, const struct ca *ca, enum queue_kind kind, bool calm)
{
	int64_t now_ms = clock_monotonic_ms();

	if (limits_order_at(ca_limits(ca), kind, now_ms) > now_ms)
		return true;
	if (j->handed)
		return false;
	return (!j->invited && !queue_is_empty(j->renewals->queue, ca, kind)) ||
	    (calm && pace_at(j->renewals, ca, now_ms) > now_ms);
}

enum gate_answer
gate_ask(struct job *j, bool begun, enum renew_reason reason, struct ca **ret)
{
	int64_t now = clock_now();
	enum queue_kind kind = reason == RENEW_ARI ? QUEUE_ARI : QUEUE_NEW;
	bool calm = is_calm(j, reason, now);
	bool own = false;
	int64_t until = 0;
	struct ca *ca = choose(j, begun, now, &until, &own);

	if (ca == NULL)
		return GATE_NO_CA;
	if (until > now && own) {
		j->row->next_attempt = until;
		return GATE_LATER;
	}
	if (!selftest_passes(j->renewals->selftest)) {
		show_why(j);
		return enqueue(j, ca, kind, reason, now);
	}
	forget_why(j);
	if (until > now || !gate_has_room(j, ca) ||
	    (!begun && must_wait(j, ca, kind, calm)))
		return enqueue(j, ca, kind, reason, now);
	if (!begun)
		limits_take_order(ca_limits(ca), kind);
	if (!begun && reason == RENEW_LIFETIME)
		limits_take_pace(ca_limits(ca));
	j->handed = true; /* another key of it is part of this turn */
	*ret = ca;
	return GATE_GO;
}
