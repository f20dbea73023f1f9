/*
 * ocsp.c - asks responders about certificates; see ocsp.h.
 *
 * Who is to be asked about when is in the inventory (struct ocsp_row), and one timer
 * for the earliest is enough, as in ari.c. Before half of a response's time is over the
 * next is fetched; a responder that fails is asked less and less often, and never
 * before it wants to be.
 */
#include "renew/ocsp.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "inventory/ocsp.h"
#include "inventory/store.h"
#include "platform/clock.h"
#include "platform/https.h"
#include "platform/log.h"
#include "renew/job.h"
#include "renew/ocsp_response.h"
#include "renew/restaple.h"
#include "renew/revoke.h"
#include "schedule/schedule.h"

#define ASKS_MAX      2                   /* at a time */
#define GAP_MS        250                 /* at most, between two */
#define TICK_SECONDS  60                  /* a clock that was set is noticed by then */
#define LOOKS_MAX     64                  /* in a turn of the loop */
#define LATER_SECONDS (6 * INT64_C(3600)) /* where a response says no time */
#define LEAST_SECONDS INT64_C(10)         /* between two questions, whatever it says */
#define MOST_SECONDS  (7 * INT64_C(86400))
#define WARN_FAILURES 3

static const int64_t retries[] = { 60, 300, 900, 3600, 4 * 3600 };

/* One question on its way. */
struct ask {
	struct ocsp *ocsp;
	int64_t issued;
	struct https_request *request;
	TAILQ_ENTRY(ask) entry;
};

struct ocsp {
	struct renewals *renewals;
	struct event *timer;
	bool gap; /* what the timer waits for */
	TAILQ_HEAD(ask_list, ask) asks;
	size_t ask_count;
};

static void tick_cb(evutil_socket_t fd, short what, void *arg);

int
ocsp_new(struct renewals *r, struct ocsp **ret)
{
	_cleanup_(ocsp_freep) struct ocsp *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return -ENOMEM;
	o->renewals = r;
	TAILQ_INIT(&o->asks);
	o->timer = evtimer_new(r->means.base, tick_cb, o);
	if (o->timer == NULL)
		return -ENOMEM;
	*ret = steal_ptr(o);
	return 0;
}

static void
drop(struct ask *q)
{
	TAILQ_REMOVE(&q->ocsp->asks, q, entry);
	q->ocsp->ask_count--;
	https_cancel(q->request);
	free(q);
}

struct ocsp *
ocsp_free(struct ocsp *o)
{
	if (o == NULL)
		return NULL;
	while (!TAILQ_EMPTY(&o->asks))
		drop(TAILQ_FIRST(&o->asks));
	if (o->timer != NULL)
		event_free(o->timer);
	free(o);
	return NULL;
}

/* ---- what an answer comes to ---- */

/* Before half of the response's time is over; not all at once. */
static int64_t
refresh_at(const struct ocsp_answer *a, int64_t now)
{
	int64_t life =
	    a->next_update != 0 ? a->next_update - a->this_update : 2 * LATER_SECONDS;
	int64_t from = a->next_update != 0 ? a->this_update : now;
	int64_t half = life / 2 < MOST_SECONDS ? life / 2 : MOST_SECONDS;
	int64_t at = from + half - (int64_t)clock_random((uint64_t)half / 10 + 1);

	return at > now + LEAST_SECONDS ? at : now + LEAST_SECONDS;
}

static void
set_problem(struct ocsp_row *row, const char *why)
{
	free(row->problem);
	row->problem = why != NULL ? strdup(why) : NULL;
}

static void
note_failure(
    struct ocsp_row *row, const struct acme_reply *reply, const char *why, int64_t now)
{
	size_t i =
	    row->failures < ELEMENTS(retries) ? row->failures : ELEMENTS(retries) - 1;
	int64_t asked = acme_retry_at(reply);

	row->failures++;
	row->ask_at =
	    now + retries[i] + (int64_t)clock_random((uint64_t)retries[i] / 5);
	if (asked > now + MOST_SECONDS)
		asked = now + MOST_SECONDS;
	if (asked > row->ask_at)
		row->ask_at = asked;
	set_problem(row, why);
	/* one that is asked too soon after an issue knows nothing yet: no news */
	if (row->failures == WARN_FAILURES)
		log_line(LOG_WARNING,
		    (&(struct log_fields){ .event = LOG_EVENT_OCSP_FAILED,
			.certificate = row->name,
			.retry_at = row->ask_at }),
		    "its OCSP responder is of no use: %s", why);
}

static void
note_revoked(
    struct renewals *r, const struct ocsp_row *row, const struct ocsp_answer *a)
{
	char detail[160];

	snprintf(detail, sizeof(detail), "%s, says its CA's OCSP responder",
	    *a->reason != '\0' ? a->reason : "no reason given");
	log_line(LOG_WARNING,
	    (&(struct log_fields){
		.event = LOG_EVENT_FOUND_REVOKED, .certificate = row->name }),
	    "it was revoked (%s), and is replaced now", detail);
	(void)history_add(r->means.store,
	    &(struct history_event){ .at = clock_now(),
		.kind = "found-revoked",
		.certificate = row->name,
		.detail = detail });
	(void)renewals_found_revoked(
	    r, row->certificate, row->issued, a->key_compromise);
}

static int
keep(struct ocsp_row *row, const struct acme_reply *reply)
{
	char *copy = malloc(reply->body_len + 1);

	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, reply->body, reply->body_len);
	free(row->response);
	row->response = copy;
	row->response_len = reply->body_len;
	return 0;
}

/* False: it is of no use, and `why` says so. */
static bool
take_answer(struct renewals *r, struct ocsp_row *row, const struct acme_reply *reply,
    const char **why)
{
	int64_t now = clock_now();
	struct ocsp_answer a;
	bool news, first = row->response_len == 0;

	if (ocsp_read(row->chain, reply->body, reply->body_len, now, &a, why) < 0)
		return false;
	if (a.status == OCSP_UNKNOWN) {
		*why = "it doesn't know this certificate";
		return false;
	}
	news = row->response_len != reply->body_len || row->response == NULL ||
	    memcmp(row->response, reply->body, reply->body_len) != 0;
	if (a.status == OCSP_GOOD && a.next_update == 0)
		news = false; /* what has no end isn't stapled by anybody */
	if (news && a.status == OCSP_GOOD)
		restaple_plan(row, now);
	if (keep(row, reply) < 0) {
		*why = "out of memory";
		return false;
	}
	row->status = (int)a.status;
	row->this_update = a.this_update;
	row->next_update = a.next_update;
	row->failures = 0;
	set_problem(row, NULL);
	/* what is revoked stays so, but for certificateHold, which no CA of ACME's has
	 */
	row->ask_at = a.status == OCSP_REVOKED ? 0 : refresh_at(&a, now);
	(void)ocsp_save(r->means.store, row);
	if (a.status == OCSP_REVOKED)
		note_revoked(r, row, &a);
	if (news)
		restaple_publish(r, row, first && a.status == OCSP_GOOD);
	return true;
}

static void
reply_cb(const struct acme_reply *reply, void *arg)
{
	struct ask *q = arg;
	struct ocsp *o = q->ocsp;
	struct renewals *r = o->renewals;
	_cleanup_(ocsp_row_freep) struct ocsp_row *row = NULL;
	char text[64];
	const char *why = text;

	q->request = NULL;
	snprintf(text, sizeof(text), "it answers with status %d", reply->status);
	if (ocsp_get(r->means.store, q->issued, &row) == 0 && !row->unwanted) {
		bool taken = reply->status == 200 && take_answer(r, row, reply, &why);

		if (!taken) {
			note_failure(row, reply,
			    reply->status == 0 ? reply->error : why, clock_now());
			(void)ocsp_save(r->means.store, row);
		}
	}
	drop(q);
	ocsp_poke(o);
}

/* ---- asking ---- */

static int
send_question(struct ask *q, const char *url)
{
	static const struct https_options options = { .plain = true,
		.max_body = OCSP_RESPONSE_MAX };
	const struct acme_message message = {
		.method = "GET", .url = url, .accept = "application/ocsp-response"
	};

	return https_send(q->ocsp->renewals->means.https, &options, &message, reply_cb,
	    q, &q->request);
}

static int
start(struct ocsp *o, const struct ocsp_row *row, const char *url)
{
	struct ask *q = calloc(1, sizeof(*q));
	int r;

	if (q == NULL)
		return -ENOMEM;
	q->ocsp = o;
	q->issued = row->issued;
	TAILQ_INSERT_TAIL(&o->asks, q, entry);
	o->ask_count++;
	r = send_question(q, url);
	if (r < 0)
		drop(q);
	return r;
}

static void
put_off(struct ocsp *o, struct ocsp_row *row, int64_t at)
{
	row->ask_at = at;
	(void)ocsp_save(o->renewals->means.store, row);
}

/* True: a question was begun. */
static bool
look(struct ocsp *o, struct ocsp_row *row)
{
	_cleanup_free_ char *url = NULL;
	int64_t now = clock_now();
	int r;

	if (row->unwanted || row->not_after <= now) {
		put_off(o, row, 0);
		return false;
	}
	r = ocsp_url(row->chain, &url);
	if (r == -ENOENT) {
		(void)ocsp_delete(o->renewals->means.store, row->issued);
		return false;
	}
	if (r == 0)
		r = start(o, row, url);
	if (r < 0)
		put_off(o, row, now + retries[0]);
	return r == 0;
}

static bool
is_asked(const struct ocsp *o, int64_t issued)
{
	const struct ask *q;

	TAILQ_FOREACH (q, &o->asks, entry)
		if (q->issued == issued)
			return true;
	return false;
}

/* True: a question was begun, or enough was looked at for this turn. */
static bool
begin_one(struct ocsp *o, int64_t now)
{
	struct store *store = o->renewals->means.store;
	int64_t ids[LOOKS_MAX + ASKS_MAX];
	int count = ocsp_due(store, now, ids, ELEMENTS(ids));

	for (int i = 0; i < count; i++) {
		_cleanup_(ocsp_row_freep) struct ocsp_row *row = NULL;

		if (!is_asked(o, ids[i]) && ocsp_get(store, ids[i], &row) == 0 &&
		    look(o, row))
			return true;
	}
	return count == ELEMENTS(ids);
}

static void
sleep_ms(struct ocsp *o, int64_t ms)
{
	struct timeval delay = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	event_add(o->timer, &delay);
}

static void
sleep_until_next(struct ocsp *o, int64_t now)
{
	int64_t at = now + TICK_SECONDS;

	if (ocsp_next(o->renewals->means.store, &at) < 0 || at > now + TICK_SECONDS)
		at = now + TICK_SECONDS;
	/* one that is being asked about is due until it is answered: that pokes */
	sleep_ms(o, (at > now ? at - now : TICK_SECONDS) * 1000);
}

static void
tick_cb(evutil_socket_t fd, short what, void *arg)
{
	struct ocsp *o = arg;
	int64_t now = clock_now();

	(void)fd, (void)what;
	o->gap = false;
	if (o->renewals->stalled_until <= now)
		restaple_due(o->renewals, now);
	if (o->renewals->stalled_until > now || o->ask_count >= ASKS_MAX) {
		sleep_ms(o, TICK_SECONDS * 1000);
		return;
	}
	o->gap = begin_one(o, now);
	if (o->gap)
		sleep_ms(o, (int64_t)clock_random(GAP_MS + 1));
	else
		sleep_until_next(o, now);
}

void
ocsp_poke(struct ocsp *o)
{
	if (!o->gap)
		sleep_ms(o, 0);
}
