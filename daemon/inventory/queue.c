/*
 * queue.c - certificates that wait for the limits of a CA, in the order in which they
 * are to be had.
 *
 * They are columns of their rows, set by certificate_save(); schedule and renew/ ask
 * here who is next. Only one CA's part of an index is ever read.
 */
#include <errno.h>

#include "inventory/inventory.h"
#include "inventory/statement.h"

int
queue_read(struct store *s, const char *ca, enum queue_kind kind, int64_t now,
    double calm_share, struct queue_place *ret, size_t max)
{
	struct statement *q = store_read(s,
	    "SELECT id, CASE queued_life WHEN 0 THEN 200000"
	    " ELSE (queued_end - ?3) * 1000000 / queued_life END AS millionths"
	    " FROM certificates WHERE queued_ca = ?1 AND queued_kind = ?2"
	    " ORDER BY millionths, queued_at, id LIMIT ?4");
	int count = 0;
	int r;

	bind_text(q, ca);
	bind_integer(q, kind);
	bind_integer(q, now);
	bind_integer(q, (int64_t)max);
	while ((r = statement_step(q)) == 1) {
		ret[count].id = column_integer(q);
		ret[count++].calm = (double)column_integer(q) > calm_share * 1e6;
	}
	return r < 0 ? r : count;
}

static int
take_count(struct statement *q, int64_t *ret)
{
	int r = statement_step(q);

	if (r < 0)
		return r;
	*ret = column_integer(q);
	statement_reset(q);
	return 0;
}

int
queue_count(struct store *s, const char *ca, int64_t *ret)
{
	struct statement *q =
	    store_read(s, "SELECT count(*) FROM certificates WHERE queued_ca = ?");

	bind_text(q, ca);
	return take_count(q, ret);
}

int
queue_count_kind(struct store *s, const char *ca, enum queue_kind kind, int64_t *ret)
{
	struct statement *q = store_read(s,
	    "SELECT count(*) FROM certificates WHERE queued_ca = ? AND queued_kind = ?");

	bind_text(q, ca);
	bind_integer(q, kind);
	return take_count(q, ret);
}

int
queue_count_all(struct store *s, int64_t *ret)
{
	return take_count(
	    store_read(
		s, "SELECT count(*) FROM certificates WHERE queued_ca IS NOT NULL"),
	    ret);
}

int
queue_leave(struct store *s, int64_t certificate)
{
	struct statement *q =
	    store_write(s, "UPDATE certificates SET queued_ca = NULL WHERE id = ?");

	bind_integer(q, certificate);
	return statement_run(q);
}

int
queue_dissolve(struct store *s, const char *ca, int64_t now)
{
	struct statement *q = store_write(s,
	    "UPDATE certificates SET queued_ca = NULL, next_at = ? WHERE queued_ca = ?");

	bind_integer(q, now);
	bind_text(q, ca);
	return statement_run(q);
}

int
queue_walk_cas(struct store *s, int (*cb)(const char *ca, void *arg), void *arg)
{
	/* from one CA's part of the index to the next */
	struct statement *q = store_read(s,
	    "WITH RECURSIVE cas (ca) AS ("
	    "SELECT min(queued_ca) FROM certificates WHERE queued_ca IS NOT NULL"
	    " UNION ALL SELECT (SELECT min(queued_ca) FROM certificates"
	    " WHERE queued_ca > ca) FROM cas WHERE ca IS NOT NULL)"
	    " SELECT ca FROM cas WHERE ca IS NOT NULL");
	int r;

	while ((r = statement_step(q)) == 1) {
		r = cb(column_text(q), arg);
		if (r < 0) {
			statement_reset(q);
			return r;
		}
	}
	return r;
}

int
certificate_walk_planned(struct store *s, int64_t from, int64_t to,
    int (*cb)(int64_t renew_at, void *arg), void *arg)
{
	/* in this order: the first bound is where the index is entered; from 0 all that
	 * are planned before would be passed, each time */
	struct statement *q = store_read(s,
	    "SELECT renew_at FROM certificates"
	    " WHERE renew_at >= ? AND renew_at < ? AND renew_at > 0");
	int r;

	bind_integer(q, from);
	bind_integer(q, to);
	while ((r = statement_step(q)) == 1) {
		r = cb(column_integer(q), arg);
		if (r < 0) {
			statement_reset(q);
			return r;
		}
	}
	return r;
}
