/*
 * waiting.c - CAs as they stand, and who waits for what they allow: for status.
 *
 * Part of renewal.c; called by control/. It only looks.
 */
#include "renew/renewal.h"

#include "inventory/inventory.h"
#include "platform/clock.h"
#include "renew/ca.h"
#include "renew/job.h"
#include "renew/selftest.h"
#include "schedule/limits.h"

/* What is waited for first, where somebody waits. */
static const char *
wait_reason(const struct renewals *r, const struct ca *ca, const struct ca_status *s)
{
	int64_t now = clock_monotonic_ms();

	if (s->waiting == 0)
		return NULL;
	if (!selftest_passes(r->selftest))
		return "self-test";
	if (s->unanswered_since != 0)
		return "answer";
	if (limits_forbidden(ca_limits(ca)) != 0)
		return "retry-after";
	if (!gate_has_slot(r, ca))
		return "slots";
	if (limits_order_at(ca_limits(ca), QUEUE_NEW, now) > now)
		return "orders";
	return gate_pace_at(r, ca) > now ? "pace" : NULL;
}

/* By what the CA allows: those who keep the pace are done later, and nobody minds. */
static int64_t
done_at(const struct renewals *r, const struct ca *ca, const struct ca_status *s)
{
	struct ca_limits *l = ca_limits(ca);
	int64_t now_ms = clock_monotonic_ms();
	int64_t ari = 0;
	int64_t first, last;

	if (s->waiting == 0 || s->unanswered_since != 0 || s->order_interval == 0)
		return 0;
	(void)queue_count_kind(r->means.store, ca_name(ca), QUEUE_ARI, &ari);
	last = limits_last_at(l, QUEUE_NEW, s->waiting - ari, now_ms);
	first = limits_last_at(l, QUEUE_ARI, ari, now_ms);
	return clock_now() + ((first > last ? first : last) - now_ms + 999) / 1000;
}

static void
add_limits(const struct renewals *r, const struct ca *ca, struct ca_status *s)
{
	struct ca_limits *l = ca_limits(ca);
	const struct limit_rates *rates = limits_rates(l);
	int64_t until = limits_forbidden(l);

	if (until > s->not_before)
		s->not_before = until;
	s->max_requests = rates->requests;
	s->order_burst = rates->burst;
	s->order_interval = rates->interval_ms / 1000;
	s->max_orders =
	    rates->max_orders > 0 ? rates->max_orders : r->config->renewd.max_orders;
	s->orders_left = limits_orders_left(l, QUEUE_NEW);
	s->ari_left = limits_orders_left(l, QUEUE_ARI);
	s->orders_active = limits_in_flight(l);
	(void)queue_count(r->means.store, ca_name(ca), &s->waiting);
	s->unanswered_since = limits_outage(l)->since;
	s->next_probe = s->unanswered_since != 0 ? limits_outage(l)->shown_at : 0;
	s->done_at = done_at(r, ca, s);
	s->waiting_for = wait_reason(r, ca, s);
}

struct renewals_wait
renewals_waits(const struct renewals *r, const struct certificate *c)
{
	const struct ca *ca =
	    c->queued_ca != NULL ? renewals_ca(r, c->queued_ca) : NULL;
	struct renewals_wait w = { 0 };
	const struct outage *o;

	if (ca == NULL)
		return w;
	w.until = limits_forbidden(ca_limits(ca));
	o = limits_outage(ca_limits(ca));
	if (o->since == 0)
		return w;
	w.since = o->since;
	w.unanswered = ca_last_failure(ca);
	if (o->shown_at > w.until)
		w.until = o->shown_at;
	return w;
}

void
renewals_walk_cas(const struct renewals *r,
    void (*cb)(const struct ca_status *ca, void *arg), void *arg)
{
	for (size_t i = 0; i < r->ca_count; i++) {
		struct ca_status status = ca_status(r->cas[i]);

		add_limits(r, r->cas[i], &status);
		if (ca_in_use(r->cas[i]))
			cb(&status, arg);
	}
}
