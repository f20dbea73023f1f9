/*
 * status.c - the daemon as a whole: what it counts, does and waits for.
 *
 * Handlers of /v1/status and /healthz. Counting reads every certificate, a page in each
 * turn of the loop, so that nothing else waits for it.
 */
#include "autoconf.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "control/call.h"
#include "control/facts.h"
#include "control/problem.h"
#include "control/routes.h"
#include "control/view.h"
#include "json.h"
#include "platform/clock.h"
#include "schedule/schedule.h"

#ifndef PACKAGE_VERSION
#  define PACKAGE_VERSION "0"
#endif

#define TICK_MAX_S 120

/* One answer to /v1/status that is being counted together. */
struct tally {
	struct call call; /* without query and name */
	struct event *next_page;
	char *after;
	size_t states[VIEW_STATES];
	size_t healths[VIEW_HEALTHS];
	size_t activities[VIEW_ACTIVITIES];
};

static void
tally_free(struct tally *t)
{
	if (t->next_page != NULL)
		event_free(t->next_page);
	free(t->after);
	free(t);
}

/* ---- what is written ---- */

static void
write_counts(struct json_writer *w, const struct tally *t)
{
	json_name(w, "counts");
	json_open_object(w);
	json_name(w, "state");
	json_open_object(w);
	for (unsigned i = 0; i < VIEW_STATES; i++)
		json_member_integer(w, view_state_name(i), (int64_t)t->states[i]);
	json_close_object(w);
	json_name(w, "health");
	json_open_object(w);
	for (unsigned i = 0; i < VIEW_HEALTHS; i++)
		json_member_integer(w, view_health_name(i), (int64_t)t->healths[i]);
	json_close_object(w);
	json_name(w, "activity");
	json_open_object(w);
	for (unsigned i = 0; i < VIEW_ACTIVITIES; i++)
		json_member_integer(
		    w, view_activity_name(i), (int64_t)t->activities[i]);
	json_close_object(w);
	json_close_object(w);
}

static void
write_jobs(struct json_writer *w, const struct renewals *renewals)
{
	size_t active;
	size_t queued;

	renewals_jobs(renewals, &active, &queued);
	json_name(w, "jobs");
	json_open_object(w);
	json_member_integer(w, "active", (int64_t)active);
	json_member_integer(w, "queued", (int64_t)queued);
	json_close_object(w);
}

/* Is it one of its targets that is due then, and what for? NULL: it isn't. */
static const char *
why_target(struct store *store, const char *name, int64_t at)
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;
	struct deployment *rows = NULL;
	size_t count = 0;
	const char *found = NULL;

	if (certificate_get(store, name, &c) < 0 ||
	    deployment_list(store, c->id, &rows, &count) < 0)
		return NULL;
	for (size_t i = 0; i < count; i++)
		if (rows[i].next_attempt == at)
			found =
			    rows[i].state == DEPLOYMENT_FAILED ? "deploy" : "verify";
	deployment_free_all(rows, count);
	return found;
}

static void
write_next(struct json_writer *w, struct store *store)
{
	_cleanup_free_ char *name = NULL;
	enum renew_reason why;
	const char *target;
	int64_t at;

	if (certificate_next(store, clock_now(), &at, &name, &why) < 0) {
		json_member_null(w, "next");
		return;
	}
	json_name(w, "next");
	json_open_object(w);
	json_member_string(w, "name", name);
	view_member_time(w, "at", at);
	target = why_target(store, name, at);
	json_member_string(w, "why",
	    target != NULL          ? target
		: why != RENEW_NONE ? renew_reason_name(why)
				    : NULL);
	json_close_object(w);
}

/* Numbers that have no limit are null. */
static void
member_limited(struct json_writer *w, const char *name, int64_t value, bool limited)
{
	if (limited)
		json_member_integer(w, name, value);
	else
		json_member_null(w, name);
}

static void
write_limits(struct json_writer *w, const struct ca_status *ca)
{
	bool limited = ca->order_interval > 0;

	json_name(w, "limits");
	json_open_object(w);
	member_limited(w, "max_requests", ca->max_requests, ca->max_requests > 0);
	member_limited(w, "order_burst", ca->order_burst, limited);
	member_limited(w, "order_interval", ca->order_interval, limited);
	member_limited(w, "orders_left", ca->orders_left, limited);
	member_limited(w, "ari_left", ca->ari_left, limited);
	json_member_integer(w, "max_orders", ca->max_orders);
	json_member_integer(w, "orders_active", ca->orders_active);
	json_member_integer(w, "waiting", ca->waiting);
	json_member_string(w, "waiting_for", ca->waiting_for);
	view_member_time(w, "done_at", ca->done_at);
	json_close_object(w);
}

static void
write_ca_cb(const struct ca_status *ca, void *arg)
{
	struct json_writer *w = arg;

	json_open_object(w);
	json_member_string(w, "name", ca->name);
	json_member_string(w, "directory", ca->directory);
	json_member_string(w, "terms", ca->terms);
	view_member_time(w, "not_before", ca->not_before);
	view_member_time(w, "unanswered_since", ca->unanswered_since);
	view_member_time(w, "next_attempt", ca->next_probe);
	write_limits(w, ca);
	json_member_string(w, "last_error", ca->last_error);
	json_close_object(w);
}

/* Why orders wait, whatever CA they are for. */
static void
write_self_test(struct json_writer *w, const struct renewals *renewals)
{
	int64_t since = 0;
	const char *why = renewals_held(renewals, &since);

	if (why == NULL) {
		json_member_null(w, "self_test");
		return;
	}
	json_name(w, "self_test");
	json_open_object(w);
	json_member_string(w, "detail", why);
	view_member_time(w, "since", since);
	json_close_object(w);
}

static void
send_status(struct tally *t)
{
	const struct service *s = t->call.service;
	struct json_writer *w = json_writer_new();

	json_open_object(w);
	json_member_string(w, "version", PACKAGE_VERSION);
	json_member_integer(w, "pid", getpid());
	view_member_time(w, "since", s->since);
	write_counts(w, t);
	write_jobs(w, s->means.renewals);
	write_next(w, s->means.store);
	write_self_test(w, s->means.renewals);
	json_name(w, "cas");
	json_open_array(w);
	renewals_walk_cas(s->means.renewals, write_ca_cb, w);
	json_close_array(w);
	json_name(w, "scheduler");
	json_open_object(w);
	view_member_time(w, "last_tick", schedule_last_tick(s->means.schedule));
	json_close_object(w);
	json_close_object(w);
	call_reply(&t->call, 200, w);
}

/* ---- counting ---- */

static int
count_cb(const struct facts *f, void *arg)
{
	struct tally *t = arg;
	struct view view;

	view_judge(f, &view);
	t->states[view.state]++;
	t->healths[view.health]++;
	t->activities[view.activity]++;
	return 0;
}

static void
finish(struct tally *t, int r)
{
	call_attend(t->call.http, NULL, NULL);
	if (r < 0)
		problem_send(t->call.http,
		    &(struct problem){
			.status = 500, .detail = "the inventory cannot be read" });
	else
		send_status(t);
	tally_free(t);
}

static void
count_page_cb(evutil_socket_t fd, short what, void *arg)
{
	struct tally *t = arg;
	const struct timeval soon = { 0 };
	int r;

	(void)fd;
	(void)what;
	r = facts_walk(t->call.service, &t->after, FACTS_ALL, count_cb, t);
	if (r > 0)
		event_add(t->next_page, &soon);
	else
		finish(t, r);
}

static void
closed_cb(struct evhttp_connection *connection, void *arg)
{
	struct tally *t = arg;

	(void)connection;
	call_abandon(t->call.http);
	tally_free(t);
}

void
status_show(struct call *call)
{
	struct tally *t;

	t = calloc(1, sizeof(*t));
	if (t != NULL)
		t->next_page = evtimer_new(call->service->means.base, count_page_cb, t);
	if (t == NULL || t->next_page == NULL) {
		free(t);
		problem_send(call->http,
		    &(struct problem){ .status = 500, .detail = "no memory" });
		return;
	}
	t->call = (struct call){ .service = call->service, .http = call->http };
	call_attend(call->http, closed_cb, t);
	count_page_cb(-1, 0, t);
}

/* For supervisors: a daemon whose scheduler stands still renews nothing, however well
 * it answers. */
void
status_health(struct call *call)
{
	int64_t last = schedule_last_tick(call->service->means.schedule);

	if (clock_now() - last < TICK_MAX_S)
		call_reply_text(call, 200, "ok\n");
	else
		call_reply_text(call, 503, "the scheduler stands still\n");
}
