/*
 * renewal_info.c - what CAs suggest about the current certificates, and when they are
 * asked again. A row for each is made and taken away by issued.c.
 *
 * Written by renew/ari.c.
 */
#include <errno.h>

#include "inventory/inventory.h"
#include "inventory/statement.h"

int
renewal_info_due(struct store *s, int64_t now, int64_t *ret_ids, size_t max)
{
	struct statement *q = store_read(s,
	    "SELECT issued FROM renewal_info WHERE ask_at > 0 AND ask_at <= ?"
	    " ORDER BY ask_at LIMIT ?");

	bind_integer(q, now);
	return statement_ids(q, ret_ids, max);
}

int
renewal_info_next(struct store *s, int64_t *ret_at)
{
	struct statement *q = store_read(s,
	    "SELECT ask_at FROM renewal_info WHERE ask_at > 0 ORDER BY ask_at LIMIT 1");
	int r;

	r = statement_step(q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	*ret_at = column_integer(q);
	statement_reset(q);
	return 0;
}

static int
read_row(struct statement *q, struct renewal_info *i)
{
	int r;

	i->issued = column_integer(q);
	i->start = column_integer(q);
	i->end = column_integer(q);
	i->at = column_integer(q);
	i->ask_at = column_integer(q);
	i->asked_at = column_integer(q);
	i->failures = (unsigned)column_integer(q);
	i->certificate = column_integer(q);
	i->unwanted = column_integer(q) != 0;
	i->issued_at = column_integer(q);
	i->issued_before = column_integer(q);
	i->not_before = column_integer(q);
	i->not_after = column_integer(q);
	r = column_copy(q, &i->explanation);
	if (r == 0)
		r = column_copy(q, &i->problem);
	if (r == 0)
		r = column_copy(q, &i->name);
	if (r == 0)
		r = column_copy(q, &i->ca);
	if (r == 0)
		r = column_copy(q, &i->directory);
	if (r == 0)
		r = column_copy(q, &i->chain);
	return r;
}

int
renewal_info_get(struct store *s, int64_t issued, struct renewal_info **ret)
{
	_cleanup_(renewal_info_freep) struct renewal_info *i = calloc(1, sizeof(*i));
	struct statement *q = store_read(s,
	    "SELECT w.issued, w.window_start, w.window_end, w.suggested_at, w.ask_at,"
	    " w.asked_at, w.failures, c.id, c.removed_at OR i.revoked_at, i.issued_at,"
	    " coalesce((SELECT max(b.issued_at) FROM issued b"
	    "  WHERE b.certificate = i.certificate AND b.current = 0"
	    "  AND (b.key_type >= 3) = (i.key_type >= 3)), 0),"
	    " i.not_before, i.not_after, w.explanation, w.problem, c.name, i.ca,"
	    " a.directory, i.chain"
	    " FROM renewal_info w JOIN issued i ON i.id = w.issued"
	    " JOIN certificates c ON c.id = i.certificate"
	    " LEFT JOIN accounts a ON a.id = i.account WHERE w.issued = ?");
	int r;

	if (i == NULL)
		return -ENOMEM;
	bind_integer(q, issued);
	r = statement_step(q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	r = read_row(q, i);
	statement_reset(q);
	if (r < 0)
		return r;
	*ret = steal_ptr(i);
	return 0;
}

int
renewal_info_save(struct store *s, const struct renewal_info *i)
{
	struct statement *q = store_write(s,
	    "UPDATE renewal_info SET window_start = ?, window_end = ?, suggested_at = ?,"
	    " explanation = ?, ask_at = ?, asked_at = ?, failures = ?, problem = ?"
	    " WHERE issued = ?");

	bind_integer(q, i->start);
	bind_integer(q, i->end);
	bind_integer(q, i->at);
	bind_text(q, i->explanation);
	bind_integer(q, i->ask_at);
	bind_integer(q, i->asked_at);
	bind_integer(q, i->failures);
	bind_text(q, i->problem);
	bind_integer(q, i->issued);
	return statement_run(q);
}

struct renewal_info *
renewal_info_free(struct renewal_info *i)
{
	if (i == NULL)
		return NULL;
	free(i->explanation);
	free(i->problem);
	free(i->name);
	free(i->ca);
	free(i->directory);
	free(i->chain);
	free(i);
	return NULL;
}
