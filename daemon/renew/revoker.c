/*
 * revoker.c - carries out what is to be revoked. look() is the hub: it reads the wishes
 * from the inventory and starts those that are due.
 *
 * A wish goes away only with the commit that says it is done, or refused for good; all
 * else is tried again. The CA may be told twice of the same: it answers that it was
 * done before.
 */
#include "renew/revoker.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "inventory/revocations.h"
#include "inventory/store.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "renew/due.h"
#include "renew/job.h"
#include "renew/revoke_send.h"
#include "renew/revoke_wait.h"
#include "schedule/wakeup.h"

#define AT_ONCE_MAX  4
#define LOOK_MAX_S   3600
#define STORE_WAIT_S 60

/* One wish at its CA, and until what came of it is on disk. */
struct attempt {
	struct revoker *revoker;
	struct revocation *wish; /* one row */
	struct revoke_send *send;
	struct acme_result *failure;
	bool final;
	TAILQ_ENTRY(attempt) entry;
};

struct revoker {
	struct renewals *renewals;
	struct event *timer;
	TAILQ_HEAD(attempts_head, attempt) attempts;
	size_t attempt_count;
	struct revoke_waits waits;
};

/* ---- what came of an attempt ---- */

static struct attempt *
attempt_free(struct attempt *t)
{
	if (t == NULL)
		return NULL;
	store_forget(t->revoker->renewals->means.store, t);
	revoke_send_free(t->send);
	revocation_free_all(t->wish, 1);
	acme_result_free(t->failure);
	free(t);
	return NULL;
}

static void
note(struct attempt *t, const char *kind, const char *ca)
{
	const struct acme_result *failure = t->failure;

	(void)history_add(t->revoker->renewals->means.store,
	    &(struct history_event){ .at = clock_now(),
		.kind = kind,
		.certificate = t->wish->name,
		.ca = ca,
		.detail = failure != NULL ? failure->detail
					  : acme_reason_name(t->wish->reason),
		.problem = failure != NULL ? failure->type : NULL });
}

/* The same failure again is no news. */
static void
say_failure(struct attempt *t, const char *ca, const char *before)
{
	const struct revocation *wish = t->wish;
	bool old = before != NULL && strcmp(before, t->failure->detail) == 0;
	char at[CLOCK_TEXT_SIZE];

	if (!old || t->final)
		note(t, "revoke-failed", ca);
	log_line(old && !t->final ? LOG_DEBUG : LOG_ERR,
	    &(struct log_fields){ .event = LOG_EVENT_REVOKE_FAILED,
		.certificate = wish->name,
		.ca = ca,
		.problem = t->failure->type,
		.retry_at = t->final ? 0 : wish->next_attempt },
	    t->final ? "not revoked (%s, serial %s): %s; not tried again%s"
		     : "not revoked yet (%s, serial %s): %s; next attempt at %s",
	    acme_reason_name(wish->reason), wish->serial, t->failure->detail,
	    t->final ? "" : clock_format(wish->next_attempt, at));
}

/* What was parked for this wish, and for no other reason since. */
static bool
is_parked_for_it(struct revoker *v, int64_t certificate)
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;

	return certificate_get_id(v->renewals->means.store, certificate, &c) == 0 &&
	    c->removed_at == 0 && c->parked && due_error_is(c, "stage", REVOKE_STAGE);
}

static bool
was_last(struct revoker *v, int64_t certificate)
{
	struct revocation *rows = NULL;
	size_t count = 1;

	if (revocation_list(v->renewals->means.store, certificate, &rows, &count) < 0)
		return false;
	revocation_free_all(rows, count);
	return count == 0;
}

/* Whoever wants it again meanwhile has ended its being parked, so it stays. */
static int
remove_it(struct revoker *v, const struct revocation *wish)
{
	struct store *store = v->renewals->means.store;
	int64_t now = clock_now();
	int r;

	r = certificate_set_removed(store, wish->certificate, now);
	if (r == 0)
		r = history_add(store,
		    &(struct history_event){ .at = now,
			.kind = "removed",
			.certificate = wish->name,
			.detail = "when it was revoked" });
	if (r == 0)
		renewals_changed(v->renewals, wish->certificate);
	return r;
}

/* It is done for this row: what follows for its certificate? */
static int
follow_up(struct revoker *v, const struct revocation *wish)
{
	char text[200];

	if (!is_parked_for_it(v, wish->certificate) || !was_last(v, wish->certificate))
		return 0;
	if (wish->removal)
		return remove_it(v, wish);
	snprintf(text, sizeof(text),
	    "it was revoked (%s); a renewal that is asked for orders another",
	    acme_reason_name(wish->reason));
	return revoke_park(v->renewals, wish->certificate, text);
}

/* Refused for good: it goes on as if nobody had asked. */
static int
unpark(struct revoker *v, const struct revocation *wish)
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;
	struct store *store = v->renewals->means.store;
	int r;

	if (!is_parked_for_it(v, wish->certificate) || !was_last(v, wish->certificate))
		return 0;
	r = certificate_get_id(store, wish->certificate, &c);
	if (r < 0)
		return r;
	c->parked = false;
	free(c->last_error);
	c->last_error = NULL;
	c->next_at = clock_now();
	r = certificate_save(store, c);
	renewals_changed(v->renewals, c->id);
	return r;
}

static int
store_done(struct attempt *t, const char *ca)
{
	struct store *store = t->revoker->renewals->means.store;
	int r;

	r = issued_set_revoked(store, t->wish->issued, clock_now());
	if (r == 0)
		r = revocation_delete(store, t->wish->issued);
	if (r < 0)
		return r;
	note(t, "revoked", ca);
	log_line(LOG_NOTICE,
	    &(struct log_fields){
		.event = LOG_EVENT_REVOKED, .certificate = t->wish->name, .ca = ca },
	    "certificate revoked (%s, serial %s)", acme_reason_name(t->wish->reason),
	    t->wish->serial);
	return follow_up(t->revoker, t->wish);
}

static int
store_failed(struct attempt *t, const char *ca)
{
	struct store *store = t->revoker->renewals->means.store;
	struct revocation *wish = t->wish;
	_cleanup_free_ char *before = steal_ptr(wish->detail);
	int64_t now = clock_now();
	int r;

	wish->failures++;
	wish->next_attempt =
	    wakeup_redeploy(now, wish->failures, clock_random(UINT32_MAX));
	if (wish->next_attempt < t->failure->not_before)
		wish->next_attempt = t->failure->not_before;
	wish->detail = strdup(t->failure->detail);
	if (t->final)
		r = revocation_delete(store, wish->issued);
	else
		r = revocation_save(store, wish);
	say_failure(t, ca, before);
	return r == 0 && t->final ? unpark(t->revoker, wish) : r;
}

/* It is on disk. */
static void
committed_cb(int r, void *arg)
{
	struct attempt *t = arg;
	struct revoker *v = t->revoker;
	struct revoke_outcome outcome = { .failure = t->failure, .final = t->final };

	TAILQ_REMOVE(&v->attempts, t, entry);
	v->attempt_count--;
	if (t->failure != NULL && !t->final)
		outcome.next_attempt = t->wish->next_attempt;
	if (r == 0)
		revoke_waits_tell(&v->waits, t->wish->issued, &outcome);
	attempt_free(t);
	if (r == 0)
		revoker_poke(v);
	else
		event_add(v->timer, &(struct timeval){ .tv_sec = STORE_WAIT_S });
}

static void
sent_cb(const struct revoke_sent *sent, void *arg)
{
	struct attempt *t = arg;
	struct store *store = t->revoker->renewals->means.store;
	int r;

	t->final = sent->final;
	t->failure = acme_result_copy(sent->failure);
	if (sent->failure == NULL)
		r = store_done(t, sent->ca);
	else
		r = t->failure != NULL ? store_failed(t, sent->ca) : -ENOMEM;
	t->send = revoke_send_free(t->send);
	if (r == 0)
		r = store_after_commit(store, committed_cb, t);
	if (r < 0)
		committed_cb(r, t);
}

/* ---- the hub ---- */

static bool
is_running(const struct revoker *v, int64_t issued)
{
	const struct attempt *t;

	TAILQ_FOREACH (t, &v->attempts, entry)
		if (t->wish->issued == issued)
			return true;
	return false;
}

/* Takes the row. */
static void
start(struct revoker *v, struct revocation *row)
{
	struct attempt *t = calloc(1, sizeof(*t));
	int r = -ENOMEM;

	if (t != NULL)
		t->wish = calloc(1, sizeof(*t->wish));
	if (t != NULL && t->wish != NULL) {
		t->revoker = v;
		*t->wish = *row;
		*row = (struct revocation){ 0 };
		r = revoke_send_start(v->renewals, t->wish->issued, t->wish->reason,
		    sent_cb, t, &t->send);
		if (r == 0) {
			TAILQ_INSERT_TAIL(&v->attempts, t, entry);
			v->attempt_count++;
			return;
		}
		attempt_free(t);
	} else {
		free(t);
	}
	log_line(
	    LOG_ERR, NULL, "cannot begin to revoke a certificate: %s", strerror(-r));
}

/* What has expired needs no revocation: to whoever waits, that is the same. */
static void
expire(struct revoker *v, const struct revocation *wish)
{
	if (revocation_delete(v->renewals->means.store, wish->issued) == 0 &&
	    follow_up(v, wish) == 0)
		revoke_waits_tell(
		    &v->waits, wish->issued, &(struct revoke_outcome){ 0 });
}

static void
start_due(struct revoker *v, int64_t now)
{
	struct revocation *rows = NULL;
	size_t count = 0;

	if (revocation_due(v->renewals->means.store, now, &rows, &count) < 0)
		return;
	for (size_t i = 0; i < count; i++) {
		if (is_running(v, rows[i].issued))
			continue;
		if (rows[i].not_after <= now)
			expire(v, &rows[i]);
		else if (v->attempt_count < AT_ONCE_MAX)
			start(v, &rows[i]);
	}
	revocation_free_all(rows, count);
}

static void
look_at_waiting(struct revoker *v, struct revocation *wish, int64_t now)
{
	struct revoke_outcome outcome = { 0 };
	struct acme_result *failure = NULL;

	if (wish->not_after <= now ||
	    replaced_everywhere(v->renewals, wish, &failure, &outcome.next_attempt)) {
		wish->waits = false;
		wish->next_attempt = now;
		(void)revocation_save(v->renewals->means.store, wish);
	} else if (failure != NULL) {
		outcome.failure = failure;
		revoke_waits_tell(&v->waits, wish->issued, &outcome);
	}
	acme_result_free(failure);
}

static void
look_at_all_waiting(struct revoker *v, int64_t now)
{
	struct revocation *rows = NULL;
	size_t count = 0;

	if (revocation_waiting(v->renewals->means.store, &rows, &count) < 0)
		return;
	for (size_t i = 0; i < count; i++)
		look_at_waiting(v, &rows[i], now);
	revocation_free_all(rows, count);
}

static void
arm(struct revoker *v, int64_t now)
{
	struct timeval delay = { 0 };
	int64_t at = 0;

	if (v->attempt_count > 0 || revocation_next(v->renewals->means.store, &at) < 0)
		return; /* the end of an attempt looks again */
	delay.tv_sec = at <= now ? 1 : at - now;
	if (delay.tv_sec > LOOK_MAX_S)
		delay.tv_sec = LOOK_MAX_S; /* the clock may jump */
	event_add(v->timer, &delay);
}

static void
look_cb(evutil_socket_t fd, short what, void *arg)
{
	struct revoker *v = arg;
	int64_t now = clock_now();

	(void)fd;
	(void)what;
	look_at_all_waiting(v, now);
	start_due(v, now);
	arm(v, now);
}

void
revoker_poke(struct revoker *v)
{
	if (v != NULL)
		event_add(v->timer, &(struct timeval){ 0 });
}

int
revoker_wait(struct revoker *v, const int64_t *ids, size_t count, revoke_done_cb *cb,
    void *arg, struct revoke_wait **ret)
{
	return revoke_waits_add(&v->waits, ids, count, cb, arg, ret);
}

int
revoker_new(struct renewals *r, struct revoker **ret)
{
	struct revoker *v = calloc(1, sizeof(*v));

	if (v == NULL)
		return -ENOMEM;
	v->renewals = r;
	TAILQ_INIT(&v->attempts);
	revoke_waits_init(&v->waits);
	v->timer = evtimer_new(r->means.base, look_cb, v);
	if (v->timer == NULL) {
		free(v);
		return -ENOMEM;
	}
	*ret = v;
	return 0;
}

struct revoker *
revoker_free(struct revoker *v)
{
	struct attempt *t;

	if (v == NULL)
		return NULL;
	while ((t = TAILQ_FIRST(&v->attempts)) != NULL) {
		TAILQ_REMOVE(&v->attempts, t, entry);
		attempt_free(t);
	}
	revoke_waits_clear(&v->waits);
	event_free(v->timer);
	free(v);
	return NULL;
}
