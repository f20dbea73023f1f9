/*
 * rollbacks.c - certificates whose files hold the generation before the current one,
 * and why.
 */
#include <errno.h>

#include "inventory/inventory.h"
#include "inventory/statement.h"

#define COLUMNS "r.certificate, went_to, went_from, r.at, r.target, r.detail, r.seen_at"

static int
read_row(struct statement *q, void *data)
{
	struct rollback *row = data;
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
	struct statement *q =
	    store_read(s, "SELECT " COLUMNS " FROM rollbacks r WHERE certificate = ?");
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
rollback_between(struct store *s, const char *first, const char *last,
    struct rollback **ret, size_t *ret_count)
{
	struct statement *q = store_read(s,
	    "SELECT " COLUMNS " FROM certificates c"
	    " CROSS JOIN rollbacks r ON r.certificate = c.id"
	    " WHERE c.name BETWEEN ? AND ? ORDER BY c.name");
	void *rows;
	size_t count;
	int r;

	bind_text(q, first);
	bind_text(q, last);
	r = statement_all(q, sizeof(struct rollback), read_row, &rows, &count);
	if (r < 0) {
		rollback_free_all(rows, count);
		return r;
	}
	*ret = rows;
	*ret_count = count;
	return 0;
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

void
rollback_free_all(struct rollback *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(rows[i].to);
		free(rows[i].from);
		free(rows[i].target);
		free(rows[i].detail);
	}
	free(rows);
}

struct rollback *
rollback_free(struct rollback *row)
{
	rollback_free_all(row, row != NULL);
	return NULL;
}
