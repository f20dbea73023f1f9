/*
 * ari.c - asks CAs about the renewal of their certificates; see ari.h.
 *
 * Who is to be asked about when is in the inventory (struct renewal_info), so nothing
 * is lost at a restart, and one timer for the earliest is enough. Where many are due,
 * as after a long downtime, questions begin one after the other with random gaps, so
 * that the CA sees a trickle and not a burst.
 */
#include "renew/ari.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/queue.h>

#include "inventory/store.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "renew/ari_news.h"
#include "renew/ca.h"
#include "renew/job.h"
#include "schedule/schedule.h"
#include "schedule/wakeup.h"

#define ASKS_MAX     4   /* at a time */
#define GAP_MS       120 /* at most, between two; 16 a second on average */
#define TICK_SECONDS 60  /* a clock that was set is noticed by then */
#define ANEW_SECONDS 60  /* so often may an administrator have it asked */
#define LOOK_SECONDS                                                                 \
  86400                    /* until one that can't be asked about is looked at again \
			    */
#define LOOKS_MAX      64  /* of such in a turn of the loop */
#define CLOSED_SECONDS 600 /* nobody else waits for a CA that doesn't answer */

/* One question on its way. */
struct ask {
	struct ari *ari;
	int64_t issued;
	int64_t certificate;
	struct ca *ca;
	struct ca_request *request;
	char *id;
	TAILQ_ENTRY(ask) entry;
};

struct waiter {
	int64_t certificate;
	ari_told_cb *cb;
	void *arg;
	TAILQ_ENTRY(waiter) entry;
};

struct ari {
	struct renewals *renewals;
	struct event *timer;
	bool gap; /* what the timer waits for */
	TAILQ_HEAD(asks_head, ask) asks;
	size_t ask_count;
	TAILQ_HEAD(waiters_head, waiter) waiters;
	struct ari_news *news;
};

/* ---- making, freeing ---- */

static void tick_cb(evutil_socket_t fd, short what, void *arg);
static ca_ready_cb ready_cb;

int
ari_new(struct renewals *r, struct ari **ret)
{
	_cleanup_(ari_freep) struct ari *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return -ENOMEM;
	a->renewals = r;
	TAILQ_INIT(&a->asks);
	TAILQ_INIT(&a->waiters);
	a->news = ari_news_new(r->means.store);
	a->timer = evtimer_new(r->means.base, tick_cb, a);
	if (a->timer == NULL || a->news == NULL)
		return -ENOMEM;
	*ret = steal_ptr(a);
	return 0;
}

static void
drop(struct ask *q)
{
	TAILQ_REMOVE(&q->ari->asks, q, entry);
	q->ari->ask_count--;
	ca_forget(q->ca, q);
	ca_cancel(q->request);
	ca_unref(q->ca);
	free(q->id);
	free(q);
}

void
ari_forget(struct ari *a, void *arg)
{
	struct waiter *w;
	struct waiter *next;

	for (w = TAILQ_FIRST(&a->waiters); w != NULL; w = next) {
		next = TAILQ_NEXT(w, entry);
		if (w->arg == arg) {
			TAILQ_REMOVE(&a->waiters, w, entry);
			free(w);
		}
	}
}

struct ari *
ari_free(struct ari *a)
{
	struct waiter *w;

	if (a == NULL)
		return NULL;
	while (!TAILQ_EMPTY(&a->asks))
		drop(TAILQ_FIRST(&a->asks));
	while ((w = TAILQ_FIRST(&a->waiters)) != NULL) {
		TAILQ_REMOVE(&a->waiters, w, entry);
		free(w);
	}
	if (a->timer != NULL)
		event_free(a->timer);
	ari_news_free(a->news);
	free(a);
	return NULL;
}

/* ---- the end of a question ---- */

static struct ask *
find_ask(const struct ari *a, int64_t issued)
{
	struct ask *q;

	TAILQ_FOREACH (q, &a->asks, entry)
		if (q->issued == issued)
			return q;
	return NULL;
}

static bool
is_asked_about(const struct ari *a, int64_t certificate)
{
	const struct ask *q;

	TAILQ_FOREACH (q, &a->asks, entry)
		if (q->certificate == certificate)
			return true;
	return false;
}

static struct waiter *
find_waiter(const struct ari *a, int64_t certificate)
{
	struct waiter *w;

	TAILQ_FOREACH (w, &a->waiters, entry)
		if (w->certificate == certificate)
			return w;
	return NULL;
}

/* Whoever is called may wait anew, or be forgotten with others. */
static void
tell(struct ari *a, int64_t certificate)
{
	struct waiter *w;

	while (!is_asked_about(a, certificate) &&
	    (w = find_waiter(a, certificate)) != NULL) {
		TAILQ_REMOVE(&a->waiters, w, entry);
		w->cb(w->arg);
		free(w);
	}
}

/* When it is renewed is another time by now; one that is at work hears of it after. */
static void
replan(struct renewals *r, int64_t certificate)
{
	_cleanup_(job_freep) struct job *j = NULL;
	struct job *running = renewals_job(r, certificate);

	if (running != NULL) {
		running->again = true;
		return;
	}
	if (job_load(r, certificate, &j) < 0)
		return;
	job_replan(j);
	schedule_poke(r->means.schedule);
}

static void
finish(struct ask *q)
{
	struct ari *a = q->ari;
	int64_t certificate = q->certificate;

	drop(q);
	tell(a, certificate);
	ari_poke(a);
}

/* A CA that hasn't answered one often enough isn't waited for by all the others. */
static void
note_reachable(struct ari_news *n, const char *ca, enum ari_outcome outcome,
    const struct acme_reply *reply)
{
	if (reply->status != 0 && reply->status < 500)
		ari_news_close(n, ca, 0);
	else if (outcome == ARI_FAILED)
		ari_news_close(n, ca, clock_now() + CLOSED_SECONDS);
}

/* A certificate that was replaced while it was asked about has no row any more. */
static void
take(struct ask *q, const struct acme_reply *reply)
{
	struct renewals *r = q->ari->renewals;
	_cleanup_(renewal_info_freep) struct renewal_info *before = NULL;
	_cleanup_(renewal_info_freep) struct renewal_info *row = NULL;
	enum ari_outcome outcome;

	if (renewal_info_get(r->means.store, q->issued, &before) == 0 &&
	    renewal_info_get(r->means.store, q->issued, &row) == 0) {
		outcome = ari_answer(row, reply, clock_now(), clock_random(UINT64_MAX));
		note_reachable(q->ari->news, row->ca, outcome, reply);
		ari_news_tell(q->ari->news, outcome, before, row);
		(void)renewal_info_save(r->means.store, row);
		if (outcome == ARI_MOVED)
			replan(r, row->certificate);
	}
	finish(q);
}

static void
reply_cb(const struct acme_reply *reply, void *arg)
{
	struct ask *q = arg;

	q->request = NULL;
	take(q, reply);
}

/* ---- asking ---- */

/* Not now: it can't be asked about, or its CA doesn't answer. */
static void
put_off(struct ari *a, struct renewal_info *row, int64_t at)
{
	row->ask_at = at;
	(void)renewal_info_save(a->renewals->means.store, row);
}

static int64_t
in_a_day(void)
{
	return clock_now() + LOOK_SECONDS + (int64_t)clock_random(LOOK_SECONDS / 10);
}

static void
has_none(struct ask *q)
{
	_cleanup_(renewal_info_freep) struct renewal_info *row = NULL;

	if (renewal_info_get(q->ari->renewals->means.store, q->issued, &row) == 0)
		put_off(q->ari, row, in_a_day());
	finish(q);
}

/* The CA's directory is known. */
static void
ready_cb(const struct acme_result *failure, void *arg)
{
	struct ask *q = arg;
	struct acme_request request = { .action = ACME_ACTION_RENEWAL_INFO };
	_cleanup_free_ char *url = NULL;
	int r;

	if (failure != NULL) {
		take(q, &(struct acme_reply){ .error = failure->detail });
		return;
	}
	r = ca_renewal_info_url(q->ca, q->id, &url);
	if (r == -ENOTSUP) {
		has_none(q);
		return;
	}
	request.url = url;
	if (r == 0)
		r = ca_send(q->ca, &request, reply_cb, q, &q->request);
	if (r < 0)
		take(q, &(struct acme_reply){ .error = strerror(-r) });
}

/* Begins from the loop: who waits for the CA may be told at once. */
static int
start(struct ari *a, const struct renewal_info *row, struct ca *ca, const char *id)
{
	struct ask *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return -ENOMEM;
	q->ari = a;
	q->issued = row->issued;
	q->certificate = row->certificate;
	q->ca = ca_ref(ca);
	q->id = strdup(id);
	TAILQ_INSERT_TAIL(&a->asks, q, entry);
	a->ask_count++;
	if (q->id == NULL) {
		drop(q);
		return -ENOMEM;
	}
	ca_when_directory(ca, ready_cb, q);
	return 0;
}

/* The CA that has issued it, where it is configured still and is the same server. */
static struct ca *
issuer_of(const struct ari *a, const struct renewal_info *row)
{
	struct ca *ca = renewals_ca(a->renewals, row->ca);

	if (ca == NULL || row->directory == NULL ||
	    strcmp(ca_status(ca).directory, row->directory) != 0)
		return NULL;
	return ca;
}

/* Asks about this one, unless there is a reason not to. True: a question was begun. */
static bool
look(struct ari *a, struct renewal_info *row, bool by_hand)
{
	_cleanup_free_ char *id = NULL;
	struct ca *ca = issuer_of(a, row);
	int64_t now = clock_now();
	int64_t closed = ari_news_closed(a->news, row->ca);
	int r;

	if (closed > now + CLOSED_SECONDS)
		closed = 0; /* the clock was set back */

	if (row->not_after <= now)
		put_off(a, row, 0); /* RFC 9773 section 4.3: MUST stop */
	else if (row->unwanted || ca == NULL)
		put_off(a, row, in_a_day());
	else if ((r = ari_id(row->chain, &id)) < 0) /* -ENOENT: it never has one */
		put_off(a, row, r == -ENOENT ? 0 : in_a_day());
	else if (closed > now && !by_hand)
		put_off(a, row, closed + (int64_t)clock_random(CLOSED_SECONDS));
	else if (closed <= now)
		return start(a, row, ca, id) == 0;
	return false;
}

/* The first of those that are due and not being asked about. True: a question was
 * begun, or enough was looked at for this turn. */
static bool
begin_one(struct ari *a, int64_t now)
{
	int64_t ids[LOOKS_MAX + ASKS_MAX];
	int count = renewal_info_due(a->renewals->means.store, now, ids, ELEMENTS(ids));

	for (int i = 0; i < count; i++) {
		_cleanup_(renewal_info_freep) struct renewal_info *row = NULL;

		if (find_ask(a, ids[i]) == NULL &&
		    renewal_info_get(a->renewals->means.store, ids[i], &row) == 0 &&
		    look(a, row, false))
			return true;
	}
	return count == ELEMENTS(ids);
}

static void
sleep_ms(struct ari *a, int64_t ms)
{
	struct timeval delay = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	event_add(a->timer, &delay);
}

static void
sleep_until_next(struct ari *a, int64_t now)
{
	int64_t at = now + TICK_SECONDS;

	if (renewal_info_next(a->renewals->means.store, &at) < 0 ||
	    at > now + TICK_SECONDS)
		at = now + TICK_SECONDS;
	/* one that is being asked about is due until it is answered: that pokes */
	sleep_ms(a, (at > now ? at - now : TICK_SECONDS) * 1000);
}

static void
tick_cb(evutil_socket_t fd, short what, void *arg)
{
	struct ari *a = arg;
	int64_t now = clock_now();

	(void)fd;
	(void)what;
	a->gap = false;
	if (a->renewals->stalled_until > now || a->ask_count >= ASKS_MAX) {
		sleep_ms(a, TICK_SECONDS * 1000);
		return;
	}
	a->gap = begin_one(a, now);
	if (a->gap)
		sleep_ms(a, (int64_t)clock_random(GAP_MS + 1));
	else
		sleep_until_next(a, now);
}

void
ari_poke(struct ari *a)
{
	if (!a->gap)
		sleep_ms(a, 0);
}

bool
ari_ask(struct ari *a, int64_t certificate, ari_told_cb *cb, void *arg)
{
	struct store *store = a->renewals->means.store;
	struct issued *rows = NULL;
	struct waiter *w = calloc(1, sizeof(*w));
	size_t count = 0;

	if (w == NULL || issued_current(store, certificate, false, &rows, &count) < 0) {
		free(w);
		return false;
	}
	w->certificate = certificate;
	w->cb = cb;
	w->arg = arg;
	for (size_t i = 0; i < count; i++) {
		_cleanup_(renewal_info_freep) struct renewal_info *row = NULL;

		if (find_ask(a, rows[i].id) == NULL &&
		    renewal_info_get(store, rows[i].id, &row) == 0 &&
		    clock_now() - row->asked_at >= ANEW_SECONDS)
			(void)look(a, row, true);
	}
	issued_free_all(rows, count);
	if (!is_asked_about(a, certificate)) {
		free(w);
		return false;
	}
	TAILQ_INSERT_TAIL(&a->waiters, w, entry);
	return true;
}
