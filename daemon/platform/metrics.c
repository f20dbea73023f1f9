/*
 * metrics.c - the table of metrics, and the series that are kept of them.
 *
 * Called from all over daemon/. There are as many series as CAs and kinds of events,
 * never as many as certificates, so a list will do.
 */
#include "platform/metrics.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scope.h"

#define SERIES_MAX 2000 /* labels come from the configuration, but one never knows */

/* clang-format off */
static const struct metric_row rows[METRICS] = {
	[METRIC_NOT_BEFORE] = { "renewd_certificate_not_before_timestamp_seconds", "gauge",
	  { "name", "key" }, "When the current certificate begins" },
	[METRIC_NOT_AFTER] = { "renewd_certificate_not_after_timestamp_seconds", "gauge",
	  { "name", "key" }, "When the current certificate ends" },
	[METRIC_RENEWAL] = { "renewd_certificate_renewal_timestamp_seconds", "gauge",
	  { "name" }, "When it is planned to be renewed" },
	[METRIC_LAST_SUCCESS] = { "renewd_certificate_last_success_timestamp_seconds",
	  "gauge", { "name" }, "When it was last issued" },
	[METRIC_FAILURES] = { "renewd_certificate_failures", "gauge", { "name" },
	  "Attempts that have failed since it was last issued" },
	[METRIC_STATE] = { "renewd_certificate_state", "gauge", { "name", "state" },
	  "1 for the state that it is in" },
	[METRIC_HEALTH] = { "renewd_certificate_health", "gauge", { "name", "health" },
	  "1 for how it is" },
	[METRIC_DEPLOYMENT_STATE] = { "renewd_deployment_state", "gauge",
	  { "name", "target", "state" }, "1 for how far it has got at a target" },
	[METRIC_ROLLED_BACK] = { "renewd_certificate_rolled_back", "gauge", { "name" },
	  "1: its files hold the certificate of before" },
	[METRIC_RENEWALS] = { "renewd_renewals_total", "counter", { "result", "reason" },
	  "Attempts to get a certificate" },
	[METRIC_REQUESTS] = { "renewd_acme_requests_total", "counter",
	  { "ca", "action", "status" }, "Requests to CAs; status 0: no answer" },
	[METRIC_REQUEST_DURATION] = { "renewd_acme_request_duration_seconds", "histogram",
	  { "ca" }, "How long CAs take to answer" },
	[METRIC_NONCE_RETRIES] = { "renewd_acme_nonce_retries_total", "counter", { "ca" },
	  "Requests repeated because the CA didn't like the nonce" },
	[METRIC_ROLLBACKS] = { "renewd_rollbacks_total", "counter", { "target", "result" },
	  "Certificates that went back to the one of before" },
	[METRIC_RATE_LIMITED_UNTIL] = { "renewd_rate_limited_until_timestamp_seconds",
	  "gauge", { "ca", "scope" }, "Until when a CA wants no requests" },
	[METRIC_CHALLENGES] = { "renewd_challenge_requests_total", "counter", { "result" },
	  "Requests to the http-01 listener" },
	[METRIC_ORDERS_ACTIVE] = { "renewd_orders_active", "gauge", { NULL },
	  "Certificates at work" },
	[METRIC_ORDERS_QUEUED] = { "renewd_orders_queued", "gauge", { NULL },
	  "Certificates that are due and wait for room" },
	[METRIC_LAST_TICK] = { "renewd_scheduler_last_tick_timestamp_seconds", "gauge",
	  { NULL }, "When the scheduler last looked for what is due" },
	[METRIC_LOOP_TURN] = { "renewd_loop_turn_max_seconds", "gauge", { NULL },
	  "The longest turn of the event loop since the start" },
	[METRIC_BUILD_INFO] = { "renewd_build_info", "gauge", { "version" },
	  "1, with the version" },
};
/* clang-format on */

static const double bounds[] = { 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30 };

struct series {
	enum metric metric;
	char *labels[METRIC_LABELS_MAX];
	double value; /* of a histogram: the sum */
	uint64_t count;
	uint64_t *buckets; /* one for each bound, each with those below it */
	struct series *next;
};

struct metrics {
	struct series *first;
	size_t count;
};

const struct metric_row *
metric_row(enum metric metric)
{
	return &rows[metric];
}

struct metrics *
metrics_new(void)
{
	return calloc(1, sizeof(struct metrics));
}

static void
series_free(struct series *s)
{
	for (size_t i = 0; i < METRIC_LABELS_MAX; i++)
		free(s->labels[i]);
	free(s->buckets);
	free(s);
}

struct metrics *
metrics_free(struct metrics *m)
{
	struct series *s;

	if (m == NULL)
		return NULL;
	while ((s = m->first) != NULL) {
		m->first = s->next;
		series_free(s);
	}
	free(m);
	return NULL;
}

/* ---- counting ---- */

static bool
is_same(const struct series *s, enum metric metric, const char *const labels[])
{
	if (s->metric != metric)
		return false;
	for (size_t i = 0; i < METRIC_LABELS_MAX && rows[metric].labels[i] != NULL; i++)
		if (strcmp(s->labels[i], labels[i]) != 0)
			return false;
	return true;
}

static struct series *
series_new(enum metric metric, const char *const labels[])
{
	struct series *s = calloc(1, sizeof(*s));
	bool whole = s != NULL;

	if (s == NULL)
		return NULL;
	s->metric = metric;
	for (size_t i = 0; i < METRIC_LABELS_MAX && rows[metric].labels[i] != NULL;
	     i++) {
		s->labels[i] = strdup(labels[i]);
		whole = whole && s->labels[i] != NULL;
	}
	if (strcmp(rows[metric].type, "histogram") == 0) {
		s->buckets = calloc(ELEMENTS(bounds), sizeof(*s->buckets));
		whole = whole && s->buckets != NULL;
	}
	if (whole)
		return s;
	series_free(s);
	return NULL;
}

/* In the order in which they came. */
static struct series *
find(struct metrics *m, enum metric metric, const char *const labels[])
{
	struct series **at;

	if (m == NULL)
		return NULL;
	for (at = &m->first; *at != NULL; at = &(*at)->next)
		if (is_same(*at, metric, labels))
			return *at;
	if (m->count == SERIES_MAX)
		return NULL;
	*at = series_new(metric, labels);
	m->count += *at != NULL;
	return *at;
}

void
metrics_add(
    struct metrics *m, enum metric metric, double by, const char *const labels[])
{
	struct series *s = find(m, metric, labels);

	if (s != NULL)
		s->value += by;
}

void
metrics_set(
    struct metrics *m, enum metric metric, double value, const char *const labels[])
{
	struct series *s = find(m, metric, labels);

	if (s != NULL)
		s->value = value;
}

void
metrics_observe(
    struct metrics *m, enum metric metric, double value, const char *const labels[])
{
	struct series *s = find(m, metric, labels);

	if (s == NULL || s->buckets == NULL)
		return;
	s->value += value;
	s->count++;
	for (size_t i = 0; i < ELEMENTS(bounds); i++)
		s->buckets[i] += value <= bounds[i];
}

void
metrics_forget(struct metrics *m, enum metric metric)
{
	struct series **at = &m->first;

	while (*at != NULL) {
		struct series *s = *at;

		if (s->metric != metric) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		m->count--;
		series_free(s);
	}
}

/* ---- writing ---- */

/* A backslash, quote or line end in a value is escaped. */
static void
write_value(struct buffer *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\' || *text == '"')
			buffer_printf(out, "\\%c", *text);
		else if (*text == '\n')
			buffer_puts(out, "\\n");
		else
			buffer_add(out, text, 1);
	}
}

/* Whole numbers, as times are, without exponent. */
static void
write_number(struct buffer *out, double value)
{
	if (value > -1e15 && value < 1e15 && value == (double)(int64_t)value)
		buffer_printf(out, " %.0f\n", value);
	else
		buffer_printf(out, " %.9g\n", value);
}

static void
write_name(struct buffer *out, enum metric metric, const char *suffix,
    const char *const labels[], const char *bound)
{
	const struct metric_row *row = &rows[metric];
	size_t i;

	buffer_printf(out, "%s%s", row->name, suffix);
	for (i = 0; i < METRIC_LABELS_MAX && row->labels[i] != NULL; i++) {
		buffer_printf(out, "%s%s=\"", i == 0 ? "{" : ",", row->labels[i]);
		write_value(out, labels[i]);
		buffer_puts(out, "\"");
	}
	if (bound != NULL)
		buffer_printf(out, "%sle=\"%s\"", i++ == 0 ? "{" : ",", bound);
	if (i > 0)
		buffer_puts(out, "}");
}

void
metrics_write_head(struct buffer *out, enum metric metric)
{
	const struct metric_row *row = &rows[metric];

	buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help,
	    row->name, row->type);
}

void
metrics_write_sample(
    struct buffer *out, enum metric metric, double value, const char *const labels[])
{
	write_name(out, metric, "", labels, NULL);
	write_number(out, value);
}

static void
write_histogram(struct buffer *out, const struct series *s)
{
	const char *const *labels = (const char *const *)s->labels;
	char bound[32];

	for (size_t i = 0; i < ELEMENTS(bounds); i++) {
		snprintf(bound, sizeof(bound), "%g", bounds[i]);
		write_name(out, s->metric, "_bucket", labels, bound);
		write_number(out, (double)s->buckets[i]);
	}
	write_name(out, s->metric, "_bucket", labels, "+Inf");
	write_number(out, (double)s->count);
	write_name(out, s->metric, "_sum", labels, NULL);
	write_number(out, s->value);
	write_name(out, s->metric, "_count", labels, NULL);
	write_number(out, (double)s->count);
}

void
metrics_write(const struct metrics *m, enum metric metric, struct buffer *out)
{
	for (const struct series *s = m->first; s != NULL; s = s->next) {
		if (s->metric != metric)
			continue;
		if (s->buckets != NULL)
			write_histogram(out, s);
		else
			metrics_write_sample(
			    out, metric, s->value, (const char *const *)s->labels);
	}
}
