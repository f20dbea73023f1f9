/*
 * certificates.c - the certificates to manage: what is wanted, and when to look next.
 *
 * Written by daemon.c (what the configuration says) and renew/ (how it goes).
 */
#include "inventory/inventory.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "inventory/statement.h"

static_assert(ORIGIN_CONFIG == 1 && ORIGIN_API == 2 && ORIGIN_ORDER == 3, "stored");
static_assert(QUEUE_NEW == 0 && QUEUE_ARI == 1, "stored");
static_assert(RENEW_NONE == 0 && RENEW_NEW == 1 && RENEW_LIFETIME == 2 &&
	RENEW_ARI == 3 && RENEW_FORCED == 4 && RENEW_CHANGED == 5 &&
	RENEW_REVOKED == 6 && RENEW_KEY_COMPROMISE == 7,
    "stored");

#define COLUMNS                                                                      \
  "id, name, origin, spec, created_at, removed_at, paused, parked, forced, next_at," \
  " renew_at, renew_reason, failures, next_attempt, last_error, last_success,"       \
  " bundled, placeholder_since, failing_since, queued_ca, queued_kind,"              \
  " queued_at, queued_end, queued_life, previous"

const char *
certificate_origin_name(enum certificate_origin origin)
{
	switch (origin) {
	case ORIGIN_CONFIG:
		return "config";
	case ORIGIN_API:
		return "api";
	case ORIGIN_ORDER:
		return "order";
	}
	return "config";
}

const char *
renew_reason_name(enum renew_reason reason)
{
	switch (reason) {
	case RENEW_NONE:
		return NULL;
	case RENEW_NEW:
		return "new";
	case RENEW_LIFETIME:
		return "lifetime";
	case RENEW_ARI:
		return "ari";
	case RENEW_FORCED:
		return "forced";
	case RENEW_CHANGED:
		return "changed";
	case RENEW_REVOKED:
		return "revoked";
	case RENEW_KEY_COMPROMISE:
		return "key-compromise";
	}
	return NULL;
}

static int
read_row(struct statement *q, void *row)
{
	struct certificate *c = row;
	int r;

	c->id = column_integer(q);
	r = column_copy(q, &c->name);
	c->origin = (enum certificate_origin)column_integer(q);
	if (r == 0)
		r = column_copy(q, &c->spec);
	if (r < 0)
		return r;
	c->created_at = column_integer(q);
	c->removed_at = column_integer(q);
	c->paused = column_integer(q) != 0;
	c->parked = column_integer(q) != 0;
	c->forced = column_integer(q);
	c->next_at = column_integer(q);
	c->renew_at = column_integer(q);
	c->renew_reason = (enum renew_reason)column_integer(q);
	c->failures = (unsigned)column_integer(q);
	c->next_attempt = column_integer(q);
	r = column_copy(q, &c->last_error);
	c->last_success = column_integer(q);
	if (r == 0)
		r = column_copy(q, &c->bundled);
	c->placeholder_since = column_integer(q);
	c->failing_since = column_integer(q);
	if (r == 0)
		r = column_copy(q, &c->queued_ca);
	c->queued_kind = (enum queue_kind)column_integer(q);
	c->queued_at = column_integer(q);
	c->queued_end = column_integer(q);
	c->queued_life = column_integer(q);
	if (r == 0)
		r = column_copy(q, &c->previous);
	return r;
}

static void
clear(struct certificate *c)
{
	free(c->name);
	free(c->spec);
	free(c->last_error);
	free(c->bundled);
	free(c->previous);
	free(c->queued_ca);
	*c = (struct certificate){ 0 };
}

struct certificate *
certificate_free(struct certificate *c)
{
	if (c != NULL)
		clear(c);
	free(c);
	return NULL;
}

void
certificate_free_all(struct certificate *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		clear(&rows[i]);
	free(rows);
}

/* The one row of a statement that is ready to run. */
static int
take_one(struct statement *q, struct certificate **ret)
{
	_cleanup_(certificate_freep) struct certificate *c = calloc(1, sizeof(*c));
	int r;

	if (c == NULL)
		return -ENOMEM;
	r = statement_step(q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	r = read_row(q, c);
	statement_reset(q);
	if (r < 0)
		return r;
	*ret = steal_ptr(c);
	return 0;
}

int
certificate_get(struct store *s, const char *name, struct certificate **ret)
{
	struct statement *q =
	    store_read(s, "SELECT " COLUMNS " FROM certificates WHERE name = ?");

	bind_text(q, name);
	return take_one(q, ret);
}

int
certificate_get_id(struct store *s, int64_t id, struct certificate **ret)
{
	struct statement *q =
	    store_read(s, "SELECT " COLUMNS " FROM certificates WHERE id = ?");

	bind_integer(q, id);
	return take_one(q, ret);
}

int
certificate_insert(struct store *s, const char *name, enum certificate_origin origin,
    const char *spec, int64_t now, int64_t *ret_id)
{
	struct statement *q = store_write(s,
	    "INSERT INTO certificates (name, origin, spec, created_at, next_at)"
	    " VALUES (?, ?, ?, ?, ?)");
	int r;

	bind_text(q, name);
	bind_integer(q, origin);
	bind_text(q, spec);
	bind_integer(q, now);
	bind_integer(q, now);
	r = statement_run(q);
	if (r == 0 && ret_id != NULL)
		*ret_id = store_last_id(s);
	return r;
}

int
certificate_set_spec(struct store *s, int64_t id, enum certificate_origin origin,
    const char *spec, int64_t now)
{
	struct statement *q = store_write(s,
	    "UPDATE certificates SET origin = ?, spec = ?, next_at = ?, removed_at = 0,"
	    " parked = 0, failures = 0, next_attempt = 0, last_error = NULL WHERE id = ?");
	int r;

	bind_integer(q, origin);
	bind_text(q, spec);
	bind_integer(q, now);
	bind_integer(q, id);
	r = statement_run(q);
	return r == 0 ? spare_key_drop(s, id) : r;
}

int
certificate_set_removed(struct store *s, int64_t id, int64_t now)
{
	struct statement *q = store_write(
	    s, "UPDATE certificates SET removed_at = ?, next_at = ? WHERE id = ?");
	int r;

	bind_integer(q, now);
	bind_integer(q, now);
	bind_integer(q, id);
	r = statement_run(q);
	return r == 0 ? spare_key_drop(s, id) : r;
}

int
certificate_delete(struct store *s, int64_t id)
{
	struct statement *q = store_write(s, "DELETE FROM certificates WHERE id = ?");

	bind_integer(q, id);
	return statement_run(q);
}

int
certificate_save(struct store *s, const struct certificate *c)
{
	struct statement *q = store_write(s,
	    "UPDATE certificates SET paused = ?, parked = ?, forced = ?, next_at = ?,"
	    " renew_at = ?, renew_reason = ?, failures = ?, next_attempt = ?,"
	    " last_error = ?, last_success = ?, bundled = ?, placeholder_since = ?,"
	    " failing_since = ?, queued_ca = ?, queued_kind = ?, queued_at = ?,"
	    " queued_end = ?, queued_life = ?, previous = ? WHERE id = ?");

	bind_integer(q, c->paused);
	bind_integer(q, c->parked);
	bind_integer(q, c->forced);
	bind_integer(q, c->next_at);
	bind_integer(q, c->renew_at);
	bind_integer(q, c->renew_reason);
	bind_integer(q, c->failures);
	bind_integer(q, c->next_attempt);
	bind_text(q, c->last_error);
	bind_integer(q, c->last_success);
	bind_text(q, c->bundled);
	bind_integer(q, c->placeholder_since);
	bind_integer(q, c->failing_since);
	bind_text(q, c->queued_ca);
	bind_integer(q, c->queued_kind);
	bind_integer(q, c->queued_at);
	bind_integer(q, c->queued_end);
	bind_integer(q, c->queued_life);
	bind_text(q, c->previous);
	bind_integer(q, c->id);
	return statement_run(q);
}

int
certificate_walk_specs(struct store *s, enum certificate_origin origin,
    int (*cb)(
	int64_t id, const char *name, const char *spec, int64_t removed_at, void *arg),
    void *arg)
{
	struct statement *q = store_read(s,
	    "SELECT id, name, spec, removed_at FROM certificates WHERE origin = ?"
	    " ORDER BY name");
	int r;

	bind_integer(q, origin);
	while ((r = statement_step(q)) == 1) {
		int64_t id = column_integer(q);
		const char *name = column_text(q);
		const char *spec = column_text(q);

		r = cb(id, name, spec, column_integer(q), arg);
		if (r < 0) {
			statement_reset(q);
			return r;
		}
	}
	return r;
}

int
certificate_due(struct store *s, int64_t now, int64_t *ret_ids, size_t max)
{
	struct statement *q = store_read(s,
	    "SELECT id FROM certificates WHERE next_at > 0 AND next_at <= ?"
	    " ORDER BY next_at, id LIMIT ?");

	bind_integer(q, now);
	return statement_ids(q, ret_ids, max);
}

int
certificate_count_due(struct store *s, int64_t now, int64_t *ret)
{
	struct statement *q = store_read(
	    s, "SELECT count(*) FROM certificates WHERE next_at > 0 AND next_at <= ?");
	int r;

	bind_integer(q, now);
	r = statement_step(q);
	if (r < 0)
		return r;
	*ret = column_integer(q);
	statement_reset(q);
	return 0;
}

int
certificate_count(struct store *s, int64_t *ret_all, int64_t *ret_failing)
{
	struct statement *q = store_read(s,
	    "SELECT (SELECT count(*) FROM certificates)"
	    " - (SELECT count(*) FROM certificates WHERE removed_at > 0),"
	    " (SELECT count(*) FROM certificates"
	    " WHERE (failures > 0 OR parked) AND removed_at = 0)");
	int r;

	r = statement_step(q);
	if (r < 0)
		return r;
	*ret_all = column_integer(q);
	*ret_failing = column_integer(q);
	statement_reset(q);
	return 0;
}

int
certificate_next(struct store *s, int64_t after, int64_t *ret_at, char **ret_name,
    enum renew_reason *ret_reason)
{
	/* in this order: the first bound is where the index is entered; from 0 all that
	 * are due would be passed, each time */
	struct statement *q = store_read(s,
	    "SELECT next_at, name, renew_reason FROM certificates"
	    " WHERE next_at > ? AND next_at > 0 AND removed_at = 0"
	    " ORDER BY next_at, id LIMIT 1");
	int64_t at;
	int r;

	bind_integer(q, after);
	r = statement_step(q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	at = column_integer(q);
	if (ret_name != NULL) {
		*ret_name = NULL;
		r = column_copy(q, ret_name);
	}
	if (ret_reason != NULL)
		*ret_reason = (enum renew_reason)column_integer(q);
	statement_reset(q);
	if (r < 0)
		return r;
	*ret_at = at;
	return 0;
}

int
certificate_unbundled(
    struct store *s, int64_t after, struct certificate_pick *ret, size_t max)
{
	struct statement *q = store_read(s,
	    "SELECT id, EXISTS (SELECT 1 FROM issued WHERE certificate = c.id"
	    " AND current = 1) FROM certificates c"
	    " WHERE bundled IS NULL AND removed_at = 0 AND id > ? ORDER BY id LIMIT ?");
	int count = 0;
	int r;

	bind_integer(q, after);
	bind_integer(q, (int64_t)max);
	while ((r = statement_step(q)) == 1) {
		ret[count].id = column_integer(q);
		ret[count++].issued = column_integer(q) != 0;
	}
	return r < 0 ? r : count;
}

int
certificate_bundled(struct store *s, int64_t after, int64_t before,
    struct certificate_pick *ret, size_t max)
{
	struct statement *q = store_read(s,
	    "SELECT id FROM certificates WHERE bundled IS NOT NULL AND removed_at = 0"
	    " AND placeholder_since < ? AND id > ? ORDER BY id LIMIT ?");
	int count = 0;
	int r;

	bind_integer(q, before);
	bind_integer(q, after);
	bind_integer(q, (int64_t)max);
	while ((r = statement_step(q)) == 1)
		ret[count++] = (struct certificate_pick){ .id = column_integer(q) };
	return r < 0 ? r : count;
}

int
certificate_walk(
    struct store *s, int (*cb)(const struct certificate *c, void *arg), void *arg)
{
	struct statement *q = store_read(s,
	    "SELECT " COLUMNS " FROM certificates WHERE removed_at = 0 ORDER BY name");
	struct certificate c = { 0 };
	int r;

	while ((r = statement_step(q)) == 1) {
		r = read_row(q, &c);
		if (r == 0)
			r = cb(&c, arg);
		clear(&c);
		if (r < 0) {
			statement_reset(q);
			return r;
		}
	}
	return r;
}

int
certificate_page(struct store *s, const char *after, size_t limit,
    struct certificate **ret, size_t *ret_count)
{
	struct statement *q = store_read(s,
	    "SELECT " COLUMNS
	    " FROM certificates WHERE name > ? ORDER BY name LIMIT ?");
	void *rows;
	size_t count;
	int r;

	bind_text(q, after != NULL ? after : "");
	bind_integer(q, (int64_t)limit);
	r = statement_all(q, sizeof(struct certificate), read_row, &rows, &count);
	if (r < 0) {
		certificate_free_all(rows, count);
		return r;
	}
	*ret = rows;
	*ret_count = count;
	return 0;
}
