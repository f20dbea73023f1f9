/*
 * authorizations.c - queries about authorizations at the CAs, and who still needs them.
 */
#include "inventory/authorizations.h"

#include <errno.h>
#include <string.h>

#include "inventory/statement.h"

int
authorization_add(struct store *s, const struct authorization *a)
{
	struct statement *q = store_write(s,
	    "INSERT INTO authorizations (account, identifier, url, expires)"
	    " VALUES (?, ?, ?, ?) ON CONFLICT (url) DO UPDATE SET"
	    " expires = excluded.expires, failures = 0, next_attempt = 0");

	bind_integer(q, a->account);
	bind_text(q, a->identifier);
	bind_text(q, a->url);
	bind_integer(q, a->expires);
	return statement_run(q);
}

static int
release_name(struct store *s, int64_t account, const char *name, int64_t now)
{
	struct statement *q = store_write(s,
	    "UPDATE authorizations SET failures = 0, next_attempt = ?"
	    " WHERE account = ? AND identifier = ?");

	bind_integer(q, now);
	bind_integer(q, account);
	bind_text(q, name);
	return statement_run(q);
}

static int
release_names(struct store *s, int64_t account, const char *names, int64_t now)
{
	int r = 0;

	while (r == 0 && *(names += strspn(names, " ")) != '\0') {
		size_t len = strcspn(names, " ");
		_cleanup_free_ char *name = strndup(names, len);

		r = name != NULL ? release_name(s, account, name, now) : -ENOMEM;
		names += len;
	}
	return r;
}

int
authorization_release(struct store *s, int64_t certificate, int64_t now)
{
	struct statement *q = store_read(
	    s, "SELECT DISTINCT account, names FROM issued WHERE certificate = ?");
	int r;

	bind_integer(q, certificate);
	while ((r = statement_step(q)) == 1) {
		int64_t account = column_integer(q);

		r = release_names(s, account, column_text(q), now);
		if (r < 0) {
			statement_reset(q);
			break;
		}
	}
	return r;
}

static int
read_row(struct statement *q, struct authorization *a)
{
	int r;

	a->id = column_integer(q);
	a->account = column_integer(q);
	r = column_copy(q, &a->identifier);
	if (r == 0)
		r = column_copy(q, &a->url);
	a->expires = column_integer(q);
	a->failures = (unsigned)column_integer(q);
	a->next_attempt = column_integer(q);
	return r;
}

int
authorization_next(struct store *s, struct authorization **ret)
{
	struct statement *q = store_read(s,
	    "SELECT id, account, identifier, url, expires, failures, next_attempt"
	    " FROM authorizations WHERE next_attempt > 0 ORDER BY next_attempt LIMIT 1");
	_cleanup_(authorization_freep) struct authorization *a = calloc(1, sizeof(*a));
	int r;

	if (a == NULL)
		return -ENOMEM;
	r = statement_step(q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	r = read_row(q, a);
	statement_reset(q);
	if (r < 0)
		return r;
	*ret = steal_ptr(a);
	return 0;
}

/* What is configured counts before anything is issued for it, at whichever CA. */
int
authorization_wanted(struct store *s, const struct authorization *a)
{
	struct statement *q = store_read(s,
	    "SELECT EXISTS (SELECT 1 FROM issued WHERE current = 1 AND account = ?1"
	    "  AND instr(' ' || names || ' ', ' ' || ?2 || ' ') > 0)"
	    " OR EXISTS (SELECT 1 FROM orders WHERE account = ?1"
	    "  AND instr(' ' || names || ' ', ' ' || ?2 || ' ') > 0)"
	    " OR EXISTS (SELECT 1 FROM certificates WHERE removed_at = 0 AND"
	    "  (instr(' ' || replace(spec, char(10), ' ') || ' ', ' ' || ?2 || ' ') > 0"
	    "   OR (name = ?2 AND instr(spec, 'domains') = 0)))");
	int r;

	bind_integer(q, a->account);
	bind_text(q, a->identifier);
	r = statement_step(q);
	if (r == 1) {
		r = column_integer(q) != 0;
		statement_reset(q);
	}
	return r;
}

int
authorization_save(struct store *s, const struct authorization *a)
{
	struct statement *q = store_write(
	    s, "UPDATE authorizations SET failures = ?, next_attempt = ? WHERE id = ?");

	bind_integer(q, a->failures);
	bind_integer(q, a->next_attempt);
	bind_integer(q, a->id);
	return statement_run(q);
}

int
authorization_delete(struct store *s, int64_t id)
{
	struct statement *q = store_write(s, "DELETE FROM authorizations WHERE id = ?");

	bind_integer(q, id);
	return statement_run(q);
}

int
authorization_delete_waiting(struct store *s, int64_t account)
{
	struct statement *q = store_write(
	    s, "DELETE FROM authorizations WHERE account = ? AND next_attempt > 0");

	bind_integer(q, account);
	return statement_run(q);
}

int
authorization_prune(struct store *s, int64_t now)
{
	struct statement *q =
	    store_write(s, "DELETE FROM authorizations WHERE expires <= ?");

	bind_integer(q, now);
	return statement_run(q);
}

struct authorization *
authorization_free(struct authorization *a)
{
	if (a == NULL)
		return NULL;
	free(a->identifier);
	free(a->url);
	free(a);
	return NULL;
}
