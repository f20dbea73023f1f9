/*
 * metrics.c - everything that is counted, as Prometheus reads it.
 *
 * Handler of /metrics. All samples of a metric stand together, so the inventory is
 * walked once for each that is about certificates, in pages.
 */
#include "platform/metrics.h"

#include "autoconf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>

#include "challenge/responder.h"
#include "control/facts.h"
#include "control/named.h"
#include "control/pages.h"
#include "control/routes.h"
#include "control/view.h"
#include "platform/clock.h"
#include "schedule/schedule.h"

typedef void family_fn(struct buffer *out, const struct facts *f, const struct view *v);

static family_fn write_not_before, write_not_after, write_renewal, write_last_success,
    write_failures, write_state, write_health, write_deployments, write_rolled_back;

/* What is about certificates. */
static const struct family {
	enum metric metric;
	enum facts_need need;
	family_fn *write;
} families[] = {
	{ METRIC_NOT_BEFORE, FACTS_ALL, write_not_before },
	{ METRIC_NOT_AFTER, FACTS_ALL, write_not_after },
	{ METRIC_RENEWAL, FACTS_ROW, write_renewal },
	{ METRIC_LAST_SUCCESS, FACTS_ROW, write_last_success },
	{ METRIC_FAILURES, FACTS_ROW, write_failures },
	{ METRIC_STATE, FACTS_ALL, write_state },
	{ METRIC_HEALTH, FACTS_ALL, write_health },
	{ METRIC_DEPLOYMENT_STATE, FACTS_ALL, write_deployments },
	{ METRIC_ROLLED_BACK, FACTS_ALL, write_rolled_back },
};

struct scrape {
	const struct service *service;
	struct buffer text;
	size_t family; /* the next is a page of this one */
	char *seen;    /* the last certificate of it */
	bool begun;    /* the daemon's own are said */
};

static void
scrape_free(void *arg)
{
	struct scrape *s = arg;

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
write_cb(const struct facts *f, void *arg)
{
	struct scrape *s = arg;
	const struct family *family = &families[s->family];
	struct view view = { 0 };

	if (family->need == FACTS_ALL)
		view_judge(f, &view);
	family->write(&s->text, f, &view);
	return s->text.failed ? -ENOMEM : 0;
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

/* The next page into s->text. */
static int
write_page(struct scrape *s)
{
	const struct family *family = &families[s->family];
	int r;

	if (!s->begun) {
		write_daemon(s->service, &s->text);
		s->begun = true;
		return 1;
	}
	if (s->seen == NULL)
		metrics_write_head(&s->text, family->metric);
	r = facts_walk(s->service, &s->seen, family->need, write_cb, s);
	if (r != 0)
		return r;
	free(s->seen);
	s->seen = NULL;
	return ++s->family < ELEMENTS(families);
}

static int
fill(struct evbuffer *page, void *arg)
{
	struct scrape *s = arg;
	int r = write_page(s);

	if (r >= 0 &&
	    (s->text.failed || evbuffer_add(page, s->text.data, s->text.len) < 0))
		r = -ENOMEM;
	buffer_clear(&s->text);
	return r;
}

void
metrics_show(struct call *call)
{
	static const struct pages_source source = {
		"text/plain; version=0.0.4; charset=utf-8", fill, scrape_free
	};
	struct scrape *s;

	if (call_unknown_parameter(call, ""))
		return;
	s = calloc(1, sizeof(*s));
	if (s != NULL)
		s->service = call->service;
	if (s == NULL || pages_send(call, &source, s) < 0) {
		named_refuse(call, 500, "no memory");
		if (s != NULL)
			scrape_free(s);
	}
}
