/*
 * metrics.c - everything that is counted, as Prometheus reads it.
 *
 * Handler of /metrics. All samples of a metric stand together, so the inventory is
 * walked once for each that is about certificates; a page in each turn of the loop, the
 * next when the client has read the one before.
 */
#include "platform/metrics.h"

#include "autoconf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/event.h>

#include "challenge/responder.h"
#include "control/facts.h"
#include "control/named.h"
#include "control/routes.h"
#include "control/view.h"
#include "platform/clock.h"
#include "schedule/schedule.h"

#define PAGE 200

typedef void family_fn(struct buffer *out, const struct facts *f, const struct view *v);

static family_fn write_not_before, write_not_after, write_renewal, write_last_success,
    write_failures, write_state, write_health, write_deployments, write_rolled_back;

/* What is about certificates. */
static const struct family {
	enum metric metric;
	bool row_only; /* needs nothing but the certificate's row */
	family_fn *write;
} families[] = {
	{ METRIC_NOT_BEFORE, false, write_not_before },
	{ METRIC_NOT_AFTER, false, write_not_after },
	{ METRIC_RENEWAL, true, write_renewal },
	{ METRIC_LAST_SUCCESS, true, write_last_success },
	{ METRIC_FAILURES, true, write_failures },
	{ METRIC_STATE, false, write_state },
	{ METRIC_HEALTH, false, write_health },
	{ METRIC_DEPLOYMENT_STATE, false, write_deployments },
	{ METRIC_ROLLED_BACK, false, write_rolled_back },
};

struct scrape {
	const struct service *service;
	struct evhttp_request *http;
	struct event *again;
	struct buffer text;
	size_t family;
	char *seen; /* the last certificate of this family */
	size_t looked;
};

static void
scrape_free(struct scrape *s)
{
	if (s->again != NULL)
		event_free(s->again);
	buffer_free(&s->text);
	free(s->seen);
	free(s);
}

/* ---- certificates ---- */

static void
sample(struct buffer *out, enum metric metric, double value, const char *name,
    const char *second, const char *third)
{
	metrics_write_sample(out, metric, value,
	    (const char *const[METRIC_LABELS_MAX]){ name, second, third });
}

static void
write_not_before(struct buffer *out, const struct facts *f, const struct view *v)
{
	for (size_t i = 0; i < v->row_count; i++)
		sample(out, METRIC_NOT_BEFORE, (double)v->rows[i]->not_before,
		    f->certificate->name, acme_key_type_name(v->rows[i]->key_type),
		    NULL);
}

static void
write_not_after(struct buffer *out, const struct facts *f, const struct view *v)
{
	for (size_t i = 0; i < v->row_count; i++)
		sample(out, METRIC_NOT_AFTER, (double)v->rows[i]->not_after,
		    f->certificate->name, acme_key_type_name(v->rows[i]->key_type),
		    NULL);
}

static void
write_renewal(struct buffer *out, const struct facts *f, const struct view *v)
{
	(void)v;
	if (f->certificate->renew_at != 0)
		sample(out, METRIC_RENEWAL, (double)f->certificate->renew_at,
		    f->certificate->name, NULL, NULL);
}

static void
write_last_success(struct buffer *out, const struct facts *f, const struct view *v)
{
	(void)v;
	if (f->certificate->last_success != 0)
		sample(out, METRIC_LAST_SUCCESS, (double)f->certificate->last_success,
		    f->certificate->name, NULL, NULL);
}

static void
write_failures(struct buffer *out, const struct facts *f, const struct view *v)
{
	(void)v;
	sample(out, METRIC_FAILURES, f->certificate->failures, f->certificate->name,
	    NULL, NULL);
}

static void
write_state(struct buffer *out, const struct facts *f, const struct view *v)
{
	for (unsigned i = 0; i < VIEW_STATES; i++)
		sample(out, METRIC_STATE, v->state == i, f->certificate->name,
		    view_state_name(i), NULL);
}

static void
write_health(struct buffer *out, const struct facts *f, const struct view *v)
{
	for (unsigned i = 0; i < VIEW_HEALTHS; i++)
		sample(out, METRIC_HEALTH, v->health == i, f->certificate->name,
		    view_health_name(i), NULL);
}

static void
write_deployments(struct buffer *out, const struct facts *f, const struct view *v)
{
	static const enum deployment_state states[] = { DEPLOYMENT_PENDING,
		DEPLOYMENT_DEPLOYED, DEPLOYMENT_SERVED, DEPLOYMENT_FAILED };

	(void)v;
	for (size_t i = 0; i < f->deployment_count; i++)
		for (size_t k = 0; k < ELEMENTS(states); k++)
			sample(out, METRIC_DEPLOYMENT_STATE,
			    f->deployments[i].state == states[k], f->certificate->name,
			    f->deployments[i].target, deployment_state_name(states[k]));
}

/* Of those alone: mostly there is none. */
static void
write_rolled_back(struct buffer *out, const struct facts *f, const struct view *v)
{
	(void)v;
	if (f->rollback != NULL)
		sample(out, METRIC_ROLLED_BACK, 1, f->certificate->name, NULL, NULL);
}

static int
remember(struct scrape *s, const char *name)
{
	free(s->seen);
	s->seen = strdup(name);
	return s->seen != NULL ? 0 : -ENOMEM;
}

static int
row_cb(const struct certificate *c, void *arg)
{
	struct scrape *s = arg;
	const struct family *family = &families[s->family];
	struct facts facts = { .certificate = c, .now = clock_now() };
	struct view view = { 0 };
	int r = 0;

	s->looked++;
	if (!family->row_only)
		r = facts_load(&facts, s->service->means.store, s->service->config,
		    s->service->means.renewals, c, facts.now);
	if (r == 0 && !family->row_only)
		view_judge(&facts, &view);
	if (r == 0)
		family->write(&s->text, &facts, &view);
	if (!family->row_only)
		facts_clear(&facts);
	return r == 0 ? remember(s, c->name) : r;
}

/* ---- the daemon ---- */

static void
set_daemon(struct metrics *m, enum metric metric, double value, const char *label)
{
	metrics_set(m, metric, value,
	    (const char *const[METRIC_LABELS_MAX]){ label, NULL, NULL });
}

static void
write_limit_cb(const struct ca_status *ca, void *arg)
{
	if (ca->not_before > clock_now())
		metrics_set(arg, METRIC_RATE_LIMITED_UNTIL, (double)ca->not_before,
		    (const char *const[METRIC_LABELS_MAX]){ ca->name, "orders", NULL });
}

/* What is known elsewhere is read when it is asked for. */
static void
gather(const struct service *s)
{
	const struct responder_counts *counts = responder_counts(s->means.responder);
	struct metrics *m = s->means.metrics;
	size_t active;
	size_t queued;

	renewals_jobs(s->means.renewals, &active, &queued);
	set_daemon(m, METRIC_ORDERS_ACTIVE, (double)active, NULL);
	set_daemon(m, METRIC_ORDERS_QUEUED, (double)queued, NULL);
	set_daemon(m, METRIC_CHALLENGES, (double)counts->served, "served");
	set_daemon(m, METRIC_CHALLENGES, (double)counts->unknown, "unknown");
	set_daemon(m, METRIC_CHALLENGES, (double)counts->other, "other");
	set_daemon(m, METRIC_CHALLENGES, (double)counts->refused, "refused");
	set_daemon(
	    m, METRIC_LAST_TICK, (double)schedule_last_tick(s->means.schedule), NULL);
	set_daemon(m, METRIC_BUILD_INFO, 1, PACKAGE_VERSION);
	metrics_forget(m, METRIC_RATE_LIMITED_UNTIL);
	renewals_walk_cas(s->means.renewals, write_limit_cb, m);
}

static void
write_daemon(const struct service *s, struct buffer *out)
{
	gather(s);
	for (unsigned i = METRIC_RENEWALS; i < METRICS; i++) {
		metrics_write_head(out, i);
		metrics_write(s->means.metrics, i, out);
	}
}

/* ---- page after page ---- */

/* The next page into s->text; nothing is left in it where all is said. */
static int
fill_page(struct scrape *s)
{
	int r;

	if (s->family == ELEMENTS(families))
		return 0;
	if (s->seen == NULL)
		metrics_write_head(&s->text, families[s->family].metric);
	s->looked = 0;
	r = certificate_walk(s->service->means.store, s->seen, PAGE, row_cb, s);
	if (r < 0 || s->text.failed)
		return r < 0 ? r : -ENOMEM;
	if (s->looked < PAGE) {
		s->family++;
		free(s->seen);
		s->seen = NULL;
	}
	return 0;
}

static void
finish(struct scrape *s)
{
	call_attend(s->http, NULL, NULL);
	evhttp_send_reply_end(s->http);
	scrape_free(s);
}

static void page_sent_cb(struct evhttp_connection *connection, void *arg);

static void
send_page(struct scrape *s)
{
	static const struct timeval soon = { 0 };
	struct evbuffer *page = evbuffer_new();

	if (page == NULL || evbuffer_add(page, s->text.data, s->text.len) < 0) {
		if (page != NULL)
			evbuffer_free(page);
		finish(s); /* it ends early: the scraper has what there was */
		return;
	}
	if (s->text.len > 0)
		evhttp_send_reply_chunk_with_cb(s->http, page, page_sent_cb, s);
	else
		event_add(s->again, &soon);
	evbuffer_free(page);
	buffer_free(&s->text);
	s->text = (struct buffer){ 0 };
}

static void
go_on(struct scrape *s)
{
	if (s->family == ELEMENTS(families) || fill_page(s) < 0)
		finish(s);
	else
		send_page(s);
}

static void
page_sent_cb(struct evhttp_connection *connection, void *arg)
{
	(void)connection;
	go_on(arg);
}

static void
again_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	go_on(arg);
}

static void
closed_cb(struct evhttp_connection *connection, void *arg)
{
	struct scrape *s = arg;

	(void)connection;
	call_abandon(s->http);
	scrape_free(s);
}

void
metrics_show(struct call *call)
{
	struct scrape *s;

	if (call_unknown_parameter(call, ""))
		return;
	s = calloc(1, sizeof(*s));
	if (s != NULL)
		s->again = evtimer_new(call->service->means.base, again_cb, s);
	if (s == NULL || s->again == NULL) {
		free(s);
		named_refuse(call, 500, "no memory");
		return;
	}
	s->service = call->service;
	s->http = call->http;
	write_daemon(s->service, &s->text);
	evhttp_add_header(evhttp_request_get_output_headers(s->http), "Content-Type",
	    "text/plain; version=0.0.4; charset=utf-8");
	call_attend(s->http, closed_cb, s);
	evhttp_send_reply_start(s->http, 200, "OK");
	send_page(s);
}
