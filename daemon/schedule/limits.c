/*
 * limits.c - see limits.h.
 *
 * What is asked all the time is in memory, on a clock that isn't set; the inventory has
 * the same on the wall's clock. What is about single names is in the inventory alone.
 */
#include "schedule/limits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "platform/clock.h"
#include "schedule/bucket.h"
#include "scope.h"

#define ARI_BURST       10
#define ARI_INTERVAL_MS 500
#define HOUR_MS         INT64_C(3600000)
#define FAILED_AN_HOUR  4   /* authorizations that failed, of one name */
#define UNSAID_SECONDS  60  /* where a CA limits, and doesn't say for how long */
#define WHAT_SIZE       300 /* a kind, and an identifier of 253 bytes */
#define PRUNE_MS        HOUR_MS

/* Times are monotonic, ms. */
struct ca_limits {
	struct limits *all;
	char *ca;
	char *directory;
	struct limit_rates rates;
	struct bucket orders[QUEUE_KINDS];
	int64_t no_orders; /* before */
	int64_t nothing;   /* before, not even a nonce */
	unsigned in_flight;
	int64_t *sent; /* when the last requests were, a ring of rates.requests */
	size_t sent_next;
	LIST_ENTRY(ca_limits) entry;
};

struct limits {
	struct store *store;
	LIST_HEAD(ca_limits_list, ca_limits) list;
	int64_t pruned_at;
};

static const char *const bucket_names[QUEUE_KINDS] = {
	[QUEUE_NEW] = "orders",
	[QUEUE_ARI] = "ari",
};
#define NO_ORDERS "no orders"
#define NOTHING   "nothing"

static int64_t
later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t
wall_ms(void)
{
	return clock_now() * 1000;
}

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

static void
prune(struct limits *all)
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

static void
load(struct ca_limits *l)
{
	l->no_orders = load_time(l, NO_ORDERS);
	l->nothing = load_time(l, NOTHING);
	for (size_t k = 0; k < QUEUE_KINDS; k++)
		l->orders[k].full_at = load_time(l, bucket_names[k]);
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

static void
forbid_name(struct ca_limits *l, const char *kind, const char *name, int64_t until)
{
	_cleanup_free_ char *what = NULL;

	prune(l->all);
	if (asprintf(&what, "%s %s", kind, name) >= 0)
		(void)limit_put(
		    l->all->store, l->ca, l->directory, what, until * 1000, wall_ms());
}

/* One of FAILED_AN_HOUR; the number at its end is only there to tell them apart. */
static void
count_failed(struct ca_limits *l, const char *name)
{
	_cleanup_free_ char *what = NULL;
	int64_t now = wall_ms();

	prune(l->all);
	if (asprintf(&what, "failed %s %lld", name, (long long)clock_monotonic_ms()) >=
	    0)
		(void)limit_put(
		    l->all->store, l->ca, l->directory, what, now + HOUR_MS, now);
}

/* Names that a CA could not validate. */
static void
heed_failed(struct ca_limits *l, const struct acme_result *failure)
{
	for (size_t i = 0; i < failure->subproblem_count; i++) {
		const char *name = failure->subproblems[i].identifier;

		if (name != NULL && *name != '\0')
			count_failed(l, name);
	}
}

void
limits_heed(struct ca_limits *l, const struct acme_result *failure, const char *names)
{
	int64_t until = failure->not_before;

	if (strcmp(failure->stage, "authorize") == 0 && failure->class != ACME_LATER &&
	    l->rates.interval_ms > 0)
		heed_failed(l, failure);
	if (failure->status < 400 || (failure->class != ACME_LATER && until == 0))
		return;
	if (until == 0)
		until = clock_now() + UNSAID_SECONDS;
	switch (failure->scope) {
	case ACME_SCOPE_UNKNOWN:
		forbid(l, NO_ORDERS, &l->no_orders, until);
		break;
	case ACME_SCOPE_IDENTIFIER:
		forbid_name(l, "name", failure->scope_name, until);
		for (size_t i = 1; i < failure->subproblem_count; i++)
			forbid_name(
			    l, "name", failure->subproblems[i].identifier, until);
		break;
	case ACME_SCOPE_DOMAIN:
		forbid_name(l, "domain", failure->scope_name, until);
		break;
	case ACME_SCOPE_NAMES:
		if (names != NULL)
			forbid_name(l, "names", names, until);
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

/* ---- of single names ---- */

static int64_t
name_until(struct ca_limits *l, const char *kind, const char *name)
{
	_cleanup_free_ char *what = NULL;
	int64_t now = wall_ms();
	int64_t until, said_at;

	if (asprintf(&what, "%s %s", kind, name) < 0 ||
	    limit_get(l->all->store, l->ca, l->directory, what, &until, &said_at) < 0 ||
	    until <= now || said_at > now)
		return 0;
	return (until + 999) / 1000;
}

static int64_t
failed_until(struct ca_limits *l, const char *name)
{
	char prefix[WHAT_SIZE];
	int64_t count = 0, first = 0;

	snprintf(prefix, sizeof(prefix), "failed %s ", name);
	if (limit_count(l->all->store, l->ca, l->directory, prefix, wall_ms(), &count,
		&first) < 0 ||
	    count < FAILED_AN_HOUR)
		return 0;
	return (first + 999) / 1000;
}

/* Is there anything about names at all? Mostly not. */
static bool
knows_names(struct ca_limits *l)
{
	static const char *const kinds[] = { "name", "domain", "failed" };
	int64_t count = 0, first;

	for (size_t i = 0; i < ELEMENTS(kinds) && count == 0; i++)
		(void)limit_count(l->all->store, l->ca, l->directory, kinds[i],
		    wall_ms(), &count, &first);
	return count > 0;
}

static int64_t
identifier_until(struct ca_limits *l, const char *name)
{
	const char *domain = strncmp(name, "*.", 2) == 0 ? name + 2 : name;
	int64_t until = later(name_until(l, "name", name), failed_until(l, domain));

	if (domain != name)
		until = later(until, name_until(l, "name", domain));
	/* a domain's limit is that of all under it */
	for (const char *d = domain; d != NULL; d = strchr(d, '.')) {
		d += *d == '.';
		until = later(until, name_until(l, "domain", d));
	}
	return until;
}

int64_t
limits_names_forbidden(struct ca_limits *l, const struct acme_identifier *identifiers,
    size_t count, const char *names)
{
	int64_t until = 0;

	if (!knows_names(l))
		return 0;
	for (size_t i = 0; i < count; i++)
		until = later(until, identifier_until(l, identifiers[i].value));
	return names != NULL ? later(until, name_until(l, "names", names)) : until;
}
