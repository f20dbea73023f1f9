/*
 * history.c - what happened to each certificate: an event a row, never changed.
 */
#include <errno.h>

#include "inventory/inventory.h"
#include "inventory/statement.h"

int
history_add(struct store *s, const struct history_event *e)
{
	struct statement *q = store_write(s,
	    "INSERT INTO history (at, kind, certificate, ca, target, detail, problem)"
	    " VALUES (?, ?, ?, ?, ?, ?, ?)");

	bind_integer(q, e->at);
	bind_text(q, e->kind);
	bind_text(q, e->certificate);
	bind_text(q, e->ca);
	bind_text(q, e->target);
	bind_text(q, e->detail);
	bind_text(q, e->problem);
	return statement_run(q);
}

static void
read_row(struct statement *q, struct history_event *e)
{
	e->id = column_integer(q);
	e->at = column_integer(q);
	e->kind = column_text(q);
	e->certificate = column_text(q);
	e->ca = column_text(q);
	e->target = column_text(q);
	e->detail = column_text(q);
	e->problem = column_text(q);
}

int
history_walk(struct store *s, const char *certificate, int64_t after, size_t limit,
    int (*cb)(const struct history_event *e, void *arg), void *arg)
{
	struct statement *q;
	int r;

	q = certificate != NULL
	    ? store_read(s,
		  "SELECT id, at, kind, certificate, ca, target, detail, problem"
		  " FROM history WHERE id > ? AND certificate = ? ORDER BY id LIMIT ?")
	    : store_read(s,
		  "SELECT id, at, kind, certificate, ca, target, detail, problem"
		  " FROM history WHERE id > ? ORDER BY id LIMIT ?");
	bind_integer(q, after);
	if (certificate != NULL)
		bind_text(q, certificate);
	bind_integer(q, limit > 0 ? (int64_t)limit : -1);
	while ((r = statement_step(q)) == 1) {
		struct history_event e;

		read_row(q, &e);
		r = cb(&e, arg);
		if (r < 0) {
			statement_reset(q);
			return r;
		}
	}
	return r;
}

int
history_last(struct store *s, int64_t *ret)
{
	struct statement *q = store_read(s, "SELECT ifnull(max(id), 0) FROM history");
	int r = statement_step(q);

	if (r < 0)
		return r;
	*ret = column_integer(q);
	statement_reset(q);
	return 0;
}

int
history_forget(struct store *s, const char *certificate)
{
	struct statement *q =
	    store_write(s, "DELETE FROM history WHERE certificate = ?");

	bind_text(q, certificate);
	return statement_run(q);
}
