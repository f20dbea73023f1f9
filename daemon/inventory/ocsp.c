/*
 * ocsp.c - what responders say of current certificates. A row for each is made by
 * issued.c, and taken away where nobody is to be asked.
 *
 * Written by renew/ocsp.c.
 */
#include "inventory/ocsp.h"

#include <errno.h>

#include "inventory/inventory.h"
#include "inventory/statement.h"

int
ocsp_due(struct store *s, int64_t now, int64_t *ret_ids, size_t max)
{
	struct statement *q = store_read(s,
	    "SELECT issued FROM ocsp WHERE ask_at > 0 AND ask_at <= ?"
	    " ORDER BY ask_at LIMIT ?");

	bind_integer(q, now);
	return statement_ids(q, ret_ids, max);
}

int
ocsp_to_reload(struct store *s, int64_t now, int64_t *ret_ids, size_t max)
{
	struct statement *q = store_read(s,
	    "SELECT issued FROM ocsp WHERE reload_at > 0 AND reload_at <= ?"
	    " ORDER BY reload_at LIMIT ?");

	bind_integer(q, now);
	return statement_ids(q, ret_ids, max);
}

int
ocsp_next(struct store *s, int64_t *ret_at)
{
	struct statement *q = store_read(s,
	    "SELECT min(coalesce((SELECT ask_at FROM ocsp WHERE ask_at > 0"
	    " ORDER BY ask_at LIMIT 1), 1 << 62),"
	    " coalesce((SELECT reload_at FROM ocsp WHERE reload_at > 0"
	    " ORDER BY reload_at LIMIT 1), 1 << 62))");
	int64_t at;
	int r;

	r = statement_step(q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	at = column_integer(q);
	statement_reset(q);
	if (at == INT64_C(1) << 62)
		return -ENOENT;
	*ret_at = at;
	return 0;
}

static int
read_row(struct statement *q, struct ocsp_row **ret)
{
	_cleanup_(ocsp_row_freep) struct ocsp_row *o = calloc(1, sizeof(*o));
	int r;

	if (o == NULL)
		return -ENOMEM;
	o->issued = column_integer(q);
	o->ask_at = column_integer(q);
	o->this_update = column_integer(q);
	o->next_update = column_integer(q);
	o->written_at = column_integer(q);
	o->reload_at = column_integer(q);
	o->status = (int)column_integer(q);
	o->failures = (unsigned)column_integer(q);
	o->certificate = column_integer(q);
	o->unwanted = column_integer(q) != 0;
	o->rsa = column_integer(q) != 0;
	o->not_after = column_integer(q);
	r = column_copy(q, &o->problem);
	if (r == 0)
		r = column_copy(q, &o->name);
	if (r == 0)
		r = column_copy(q, &o->chain);
	if (r == 0)
		r = column_secret(q, (unsigned char **)&o->response, &o->response_len);
	if (r == 0)
		*ret = steal_ptr(o);
	return r;
}

#define SELECT                                                             \
  "SELECT o.issued, o.ask_at, o.this_update, o.next_update, o.written_at," \
  " o.reload_at, o.status, o.failures,"                                    \
  " c.id, c.removed_at OR i.revoked_at OR NOT i.current, i.key_type >= 3," \
  " i.not_after, o.problem, c.name, i.chain, o.response"                   \
  " FROM ocsp o JOIN issued i ON i.id = o.issued"                          \
  " JOIN certificates c ON c.id = i.certificate"

int
ocsp_get(struct store *s, int64_t issued, struct ocsp_row **ret)
{
	struct statement *q = store_read(s, SELECT " WHERE o.issued = ?");
	int r;

	bind_integer(q, issued);
	r = statement_step(q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	r = read_row(q, ret);
	statement_reset(q);
	return r;
}

int
ocsp_current(
    struct store *s, int64_t certificate, struct ocsp_row *ret[2], size_t *ret_count)
{
	struct statement *q = store_read(s,
	    SELECT " WHERE i.certificate = ? AND i.current = 1"
		   " AND length(o.response) > 0 LIMIT 2");
	size_t n = 0;
	int r;

	bind_integer(q, certificate);
	while ((r = statement_step(q)) == 1) {
		r = read_row(q, &ret[n]);
		if (r < 0) {
			statement_reset(q);
			break;
		}
		n++;
	}
	*ret_count = n;
	return r;
}

int
ocsp_save(struct store *s, const struct ocsp_row *o)
{
	struct statement *q = store_write(s,
	    "UPDATE ocsp SET ask_at = ?, this_update = ?, next_update = ?, written_at = ?,"
	    " reload_at = ?, status = ?, failures = ?, problem = ?, response = ?"
	    " WHERE issued = ?");

	bind_integer(q, o->ask_at);
	bind_integer(q, o->this_update);
	bind_integer(q, o->next_update);
	bind_integer(q, o->written_at);
	bind_integer(q, o->reload_at);
	bind_integer(q, o->status);
	bind_integer(q, o->failures);
	bind_text(q, o->problem);
	bind_blob(q, o->response_len > 0 ? o->response : NULL, o->response_len);
	bind_integer(q, o->issued);
	return statement_run(q);
}

int
ocsp_delete(struct store *s, int64_t issued)
{
	struct statement *q = store_write(s, "DELETE FROM ocsp WHERE issued = ?");

	bind_integer(q, issued);
	return statement_run(q);
}

struct ocsp_row *
ocsp_row_free(struct ocsp_row *o)
{
	if (o == NULL)
		return NULL;
	free(o->problem);
	free(o->name);
	free(o->chain);
	free(o->response);
	free(o);
	return NULL;
}
