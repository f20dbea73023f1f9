/*
 * limits.c - what CAs have forbidden until when, and what was taken of what they allow:
 * a time for each thing that it is about.
 *
 * Written and read by schedule/limits.c, which gives the rows their meaning.
 */
#include <errno.h>

#include "inventory/inventory.h"
#include "inventory/statement.h"

int
limit_put(struct store *s, const char *ca, const char *directory, const char *what,
    int64_t until, int64_t said_at)
{
	struct statement *q = store_write(s,
	    "INSERT OR REPLACE INTO limits (ca, directory, what, until, said_at)"
	    " VALUES (?, ?, ?, ?, ?)");

	bind_text(q, ca);
	bind_text(q, directory);
	bind_text(q, what);
	bind_integer(q, until);
	bind_integer(q, said_at);
	return statement_run(q);
}

int
limit_get(struct store *s, const char *ca, const char *directory, const char *what,
    int64_t *ret_until, int64_t *ret_said_at)
{
	struct statement *q = store_read(s,
	    "SELECT until, said_at FROM limits"
	    " WHERE ca = ? AND directory = ? AND what = ?");
	int r;

	bind_text(q, ca);
	bind_text(q, directory);
	bind_text(q, what);
	r = statement_step(q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	*ret_until = column_integer(q);
	*ret_said_at = column_integer(q);
	statement_reset(q);
	return 0;
}

int
limit_count(struct store *s, const char *ca, const char *directory, const char *prefix,
    int64_t now, int64_t *ret_count, int64_t *ret_first)
{
	/* what was said in the future was said by a clock that was wrong */
	struct statement *q = store_read(s,
	    "SELECT count(*), ifnull(min(until), 0) FROM limits"
	    " WHERE ca = ? AND directory = ? AND what >= ?3 AND what < ?3 || char(127)"
	    " AND until > ?4 AND said_at <= ?4");
	int r;

	bind_text(q, ca);
	bind_text(q, directory);
	bind_text(q, prefix);
	bind_integer(q, now);
	r = statement_step(q);
	if (r < 0)
		return r;
	*ret_count = column_integer(q);
	*ret_first = column_integer(q);
	statement_reset(q);
	return 0;
}

int
limit_prune(struct store *s, int64_t now)
{
	struct statement *q = store_write(s, "DELETE FROM limits WHERE until <= ?");

	bind_integer(q, now);
	return statement_run(q);
}
