/*
 * limits.c - see limits.h.
 *
 * What is asked all the time is in memory, on a clock that isn't set; the inventory has
 * the same on the wall's clock. What is about single names is in limits_names.c.
 */
#include "schedule/limits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "platform/clock.h"
#include "schedule/limits_private.h"
#include "scope.h"

#define ARI_BURST       10
#define ARI_INTERVAL_MS 500
#define PRUNE_MS        INT64_C(3600000)
#define PACE_DEBT_MS    INT64_C(3600000)
#define UNSAID_SECONDS  60 /* where a CA limits, and doesn't say for how long */

static const char *const bucket_names[QUEUE_KINDS] = {
	[QUEUE_NEW] = "orders",
	[QUEUE_ARI] = "ari",
};
#define NO_ORDERS "no orders"
#define NOTHING   "nothing"
#define OUTAGE    "outage"

/* ---- stored ---- */

/* A time on the clock that isn't set becomes one of the wall's. */
static void
store_time(struct ca_limits *l, const char *what, int64_t at)
{
	int64_t now = wall_ms();

	(void)limit_put(l->all->store, l->ca, l->directory, what,
	    now + at - clock_monotonic_ms(), now);
}

/* And the other way. What was said in the future was said by a clock that was wrong:
 * it lasts as long as it was to last, from now. */
static int64_t
load_time(const struct ca_limits *l, const char *what)
{
	int64_t now = wall_ms();
	int64_t until, said_at, left;

	if (limit_get(l->all->store, l->ca, l->directory, what, &until, &said_at) < 0)
		return 0;
	left = until - (said_at > now ? said_at : now);
	return left > 0 ? clock_monotonic_ms() + left : 0;
}

void
limits_prune(struct limits *all)
{
	int64_t now = clock_monotonic_ms();

	if (all->pruned_at != 0 && now - all->pruned_at < PRUNE_MS)
		return;
	all->pruned_at = now;
	(void)limit_prune(all->store, wall_ms());
}

/* ---- making and finding ---- */

int
limits_new(struct store *store, struct limits **ret)
{
	struct limits *all = calloc(1, sizeof(*all));

	if (all == NULL)
		return -ENOMEM;
	all->store = store;
	LIST_INIT(&all->list);
	*ret = all;
	return 0;
}

static void
free_one(struct ca_limits *l)
{
	free(l->ca);
	free(l->directory);
	free(l->sent);
	free(l);
}

struct limits *
limits_free(struct limits *all)
{
	struct ca_limits *l;

	if (all == NULL)
		return NULL;
	while ((l = LIST_FIRST(&all->list)) != NULL) {
		LIST_REMOVE(l, entry);
		free_one(l);
	}
	free(all);
	return NULL;
}

/* A start is a reason to try it, with one order. */
static void
load_outage(struct ca_limits *l)
{
	int64_t until, said_at;

	if (limit_get(l->all->store, l->ca, l->directory, OUTAGE, &until, &said_at) <
		0 ||
	    until == 0)
		return;
	l->outage.since = said_at / 1000;
	l->outage.shown_at = clock_now();
}

static void
load(struct ca_limits *l)
{
	l->no_orders = load_time(l, NO_ORDERS);
	l->nothing = load_time(l, NOTHING);
	for (size_t k = 0; k < QUEUE_KINDS; k++)
		l->orders[k].full_at = load_time(l, bucket_names[k]);
	load_outage(l);
}

struct ca_limits *
limits_of(struct limits *all, const char *ca, const char *directory)
{
	struct ca_limits *l;

	LIST_FOREACH (l, &all->list, entry)
		if (strcasecmp(l->ca, ca) == 0 && strcmp(l->directory, directory) == 0)
			return l;
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return NULL;
	l->all = all;
	l->ca = strdup(ca);
	l->directory = strdup(directory);
	if (l->ca == NULL || l->directory == NULL) {
		free_one(l);
		return NULL;
	}
	load(l);
	LIST_INSERT_HEAD(&all->list, l, entry);
	return l;
}

/* As many slots as requests in a second; what was sent in the last one is forgotten
 * only where they become more or fewer. */
static void
set_ring(struct ca_limits *l, unsigned requests)
{
	int64_t *sent;

	if (requests == l->rates.requests)
		return;
	sent = requests > 0 ? calloc(requests, sizeof(*sent)) : NULL;
	if (requests > 0 && sent == NULL)
		return; /* goes on by the old one */
	for (unsigned i = 0; i < requests; i++)
		sent[i] = INT64_MIN / 2;
	free(l->sent);
	l->sent = sent;
	l->sent_next = 0;
	l->rates.requests = requests;
}

void
limits_set(struct ca_limits *l, const struct limit_rates *rates)
{
	int64_t now = clock_monotonic_ms();

	set_ring(l, rates->requests);
	l->rates.burst = rates->burst;
	l->rates.interval_ms = rates->interval_ms;
	l->rates.max_orders = rates->max_orders;
	l->orders[QUEUE_NEW].burst = rates->burst;
	l->orders[QUEUE_NEW].interval = rates->interval_ms;
	l->orders[QUEUE_ARI].burst = ARI_BURST;
	l->orders[QUEUE_ARI].interval = rates->interval_ms > 0 ? ARI_INTERVAL_MS : 0;
	for (size_t k = 0; k < QUEUE_KINDS; k++)
		bucket_restore(&l->orders[k], l->orders[k].full_at, now);
}

const struct limit_rates *
limits_rates(const struct ca_limits *l)
{
	return &l->rates;
}

/* ---- new orders ---- */

int64_t
limits_order_at(struct ca_limits *l, enum queue_kind kind, int64_t now_ms)
{
	int64_t at = bucket_at(&l->orders[kind], now_ms);

	if (l->outage.since != 0)
		at = later(at, l->outage.probe_at);
	return later(later(at, l->no_orders), l->nothing);
}

int64_t
limits_no_orders(const struct ca_limits *l)
{
	return l->no_orders;
}

void
limits_take_order(struct ca_limits *l, enum queue_kind kind)
{
	struct bucket *b = &l->orders[kind];

	if (b->interval <= 0)
		return;
	bucket_take(b, clock_monotonic_ms());
	store_time(l, bucket_names[kind], b->full_at);
}

int64_t
limits_last_at(struct ca_limits *l, enum queue_kind kind, int64_t count, int64_t now_ms)
{
	int64_t at = limits_order_at(l, kind, now_ms);
	int64_t left = bucket_left(&l->orders[kind], at);

	return count > left ? at + (count - left) * l->orders[kind].interval : at;
}

unsigned
limits_orders_left(struct ca_limits *l, enum queue_kind kind)
{
	return bucket_left(&l->orders[kind], clock_monotonic_ms());
}

void
limits_enter(struct ca_limits *l)
{
	l->in_flight++;
}

void
limits_leave(struct ca_limits *l)
{
	l->in_flight--;
}

unsigned
limits_in_flight(const struct ca_limits *l)
{
	return l->in_flight;
}

/* ---- the pace ---- */

int64_t
limits_pace_at(const struct ca_limits *l, int64_t now_ms)
{
	return bucket_at(&l->pace, now_ms);
}

void
limits_take_pace(struct ca_limits *l)
{
	int64_t now = clock_monotonic_ms();

	if (l->pace.full_at < now + PACE_DEBT_MS)
		bucket_take(&l->pace, now);
}

/* Not stored: a restart lets no more than a burst through. */
void
limits_set_pace(struct ca_limits *l, int64_t interval_ms, unsigned burst)
{
	int64_t now = clock_monotonic_ms();

	l->pace.interval = interval_ms;
	l->pace.burst = burst;
	l->pace_set_at = now;
	if (l->pace.full_at > now + PACE_DEBT_MS)
		l->pace.full_at = now + PACE_DEBT_MS;
}

int64_t
limits_pace_set_at(const struct ca_limits *l)
{
	return l->pace_set_at;
}

/* ---- when it doesn't answer ---- */

static void
tell_outage(struct ca_limits *l)
{
	if (l->all->outage_cb != NULL)
		l->all->outage_cb(l, l->all->outage_arg);
}

/* Stored once: when the next probe is isn't kept over a restart. */
bool
limits_unanswered(struct ca_limits *l, int64_t not_before)
{
	const int64_t for_good = INT64_MAX / 2;
	bool was = l->outage.since != 0;
	bool news = outage_note(&l->outage, clock_monotonic_ms(), clock_now(),
	    not_before, clock_random(UINT32_MAX));

	if (!was) {
		(void)limit_put(l->all->store, l->ca, l->directory, OUTAGE, for_good,
		    l->outage.since * 1000);
		tell_outage(l);
	}
	return news;
}

bool
limits_answered(struct ca_limits *l)
{
	if (!outage_end(&l->outage))
		return false;
	(void)limit_put(l->all->store, l->ca, l->directory, OUTAGE, 0, 0);
	limits_prune(l->all);
	tell_outage(l);
	return true;
}

const struct outage *
limits_outage(const struct ca_limits *l)
{
	return &l->outage;
}

void
limits_probe(struct ca_limits *l)
{
	l->outage.probe_at = 0;
}

void
limits_on_outage(
    struct limits *all, void (*cb)(struct ca_limits *l, void *arg), void *arg)
{
	all->outage_cb = cb;
	all->outage_arg = arg;
}

/* ---- requests ---- */

int64_t
limits_send_at(struct ca_limits *l, int64_t now_ms)
{
	int64_t at = later(now_ms, l->nothing);

	return l->sent != NULL ? later(at, l->sent[l->sent_next] + 1000) : at;
}

void
limits_take_request(struct ca_limits *l, int64_t now_ms)
{
	if (l->sent == NULL)
		return;
	l->sent[l->sent_next] = now_ms;
	l->sent_next = (l->sent_next + 1) % l->rates.requests;
}

/* ---- what is forbidden ---- */

/* Not shorter than what was said before. */
static void
forbid(struct ca_limits *l, const char *what, int64_t *field, int64_t until)
{
	int64_t at = clock_monotonic_ms() + (until - clock_now()) * 1000;

	if (at <= *field)
		return;
	*field = at;
	store_time(l, what, at);
}

void
limits_heed(struct ca_limits *l, const struct acme_result *failure, const char *names)
{
	int64_t until = failure->not_before;

	if (strcmp(failure->stage, "authorize") == 0 && failure->class != ACME_LATER &&
	    l->rates.interval_ms > 0)
		limits_heed_failed(l, failure);
	if (failure->status < 400 || (failure->class != ACME_LATER && until == 0))
		return;
	if (until == 0)
		until = clock_now() + UNSAID_SECONDS;
	switch (failure->scope) {
	case ACME_SCOPE_UNKNOWN:
		forbid(l, NO_ORDERS, &l->no_orders, until);
		break;
	case ACME_SCOPE_IDENTIFIER:
		limits_forbid_name(l, "name", failure->scope_name, until);
		for (size_t i = 1; i < failure->subproblem_count; i++)
			limits_forbid_name(
			    l, "name", failure->subproblems[i].identifier, until);
		break;
	case ACME_SCOPE_DOMAIN:
		limits_forbid_name(l, "domain", failure->scope_name, until);
		break;
	case ACME_SCOPE_NAMES:
		if (names != NULL)
			limits_forbid_name(l, "names", names, until);
		break;
	}
}

void
limits_silence(struct ca_limits *l, int64_t until)
{
	forbid(l, NOTHING, &l->nothing, until);
}

int64_t
limits_forbidden(struct ca_limits *l)
{
	int64_t left = later(l->no_orders, l->nothing) - clock_monotonic_ms();

	return left > 0 ? clock_now() + (left + 999) / 1000 : 0;
}
