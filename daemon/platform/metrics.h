/*
 * metrics.h - what is counted: one row for each metric, and the series that have been
 * counted so far.
 *
 * Made by daemon.c and handed to those who count. control/metrics.c shows them, and
 * what it reads itself under the same rows. (Prometheus text format 0.0.4.)
 */
#ifndef METRICS_H
#define METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

enum metric {
	/* read from the inventory when they are asked for */
	METRIC_NOT_BEFORE,
	METRIC_NOT_AFTER,
	METRIC_RENEWAL,
	METRIC_LAST_SUCCESS,
	METRIC_FAILURES,
	METRIC_STATE,
	METRIC_HEALTH,
	METRIC_DEPLOYMENT_STATE,
	METRIC_ROLLED_BACK,
	/* counted as things happen */
	METRIC_RENEWALS,
	METRIC_REQUESTS,
	METRIC_REQUEST_DURATION,
	METRIC_NONCE_RETRIES,
	METRIC_ROLLBACKS,
	/* set when they are asked for */
	METRIC_RATE_LIMITED_UNTIL,
	METRIC_CHALLENGES,
	METRIC_ORDERS_ACTIVE,
	METRIC_ORDERS_QUEUED,
	METRIC_LAST_TICK,
	METRIC_LOOP_TURN,
	METRIC_BUILD_INFO,
	METRICS, /* how many */
};

#define METRIC_LABELS_MAX 3

struct metric_row {
	const char *name;
	const char *type; /* counter, gauge or histogram */
	const char *labels[METRIC_LABELS_MAX];
	const char *help;
};
const struct metric_row *metric_row(enum metric metric);

struct metrics;

struct metrics *metrics_new(void); /* NULL: no memory */
struct metrics *metrics_free(struct metrics *m);
/* The values of the row's labels in its order, NULL for those that it hasn't. A series
 * that can't be kept (no memory, too many) isn't counted. m NULL: nothing is. */
void metrics_add(
    struct metrics *m, enum metric metric, double by, const char *const labels[]);
void metrics_set(
    struct metrics *m, enum metric metric, double value, const char *const labels[]);
/* Adds to a histogram. */
void metrics_observe(
    struct metrics *m, enum metric metric, double value, const char *const labels[]);
/* Series of this row that aren't true any more. */
void metrics_forget(struct metrics *m, enum metric metric);

/* # HELP and # TYPE. */
void metrics_write_head(struct buffer *out, enum metric metric);
/* One sample. */
void metrics_write_sample(
    struct buffer *out, enum metric metric, double value, const char *const labels[]);
/* All series that are kept of this row. */
void metrics_write(const struct metrics *m, enum metric metric, struct buffer *out);

#endif
