/*
 * rollbacks.c - certificates whose files hold the generation before the current one,
 * and why.
 */
#include <errno.h>

#include "inventory/inventory.h"
#include "inventory/statement.h"

static int
read_row(struct statement *q, struct rollback *row)
{
	int r;

	row->certificate = column_integer(q);
	r = column_copy(q, &row->to);
	if (r == 0)
		r = column_copy(q, &row->from);
	row->at = column_integer(q);
	if (r == 0)
		r = column_copy(q, &row->target);
	if (r == 0)
		r = column_copy(q, &row->detail);
	row->seen_at = column_integer(q);
	return r;
}

int
rollback_get(struct store *s, int64_t certificate, struct rollback **ret)
{
	_cleanup_(rollback_freep) struct rollback *row = calloc(1, sizeof(*row));
	struct statement *q = store_read(s,
	    "SELECT certificate, went_to, went_from, at, target, detail, seen_at"
	    " FROM rollbacks WHERE certificate = ?");
	int r;

	if (row == NULL)
		return -ENOMEM;
	bind_integer(q, certificate);
	r = statement_step(q);
	if (r != 1)
		return r < 0 ? r : -ENOENT;
	r = read_row(q, row);
	statement_reset(q);
	if (r == 0)
		*ret = steal_ptr(row);
	return r;
}

int
rollback_save(struct store *s, const struct rollback *row)
{
	struct statement *q = store_write(s,
	    "INSERT OR REPLACE INTO rollbacks (certificate, went_to, went_from, at,"
	    " target, detail, seen_at) VALUES (?, ?, ?, ?, ?, ?, ?)");

	bind_integer(q, row->certificate);
	bind_text(q, row->to);
	bind_text(q, row->from);
	bind_integer(q, row->at);
	bind_text(q, row->target);
	bind_text(q, row->detail != NULL ? row->detail : "");
	bind_integer(q, row->seen_at);
	return statement_run(q);
}

int
rollback_delete(struct store *s, int64_t certificate)
{
	struct statement *q =
	    store_write(s, "DELETE FROM rollbacks WHERE certificate = ?");

	bind_integer(q, certificate);
	return statement_run(q);
}

struct rollback *
rollback_free(struct rollback *row)
{
	if (row == NULL)
		return NULL;
	free(row->to);
	free(row->from);
	free(row->target);
	free(row->detail);
	free(row);
	return NULL;
}
