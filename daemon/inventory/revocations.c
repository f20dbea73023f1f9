/*
 * revocations.c - queries about what is to be revoked, and about compromised keys.
 */
#include "inventory/revocations.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "inventory/statement.h"

#define DUE_MAX 16

static_assert(ACME_REASON_UNSPECIFIED == 0 && ACME_REASON_KEY_COMPROMISE == 1 &&
	ACME_REASON_SUPERSEDED == 4 && ACME_REASON_CESSATION_OF_OPERATION == 5,
    "stored");

#define COLUMNS                                                             \
  "r.issued, r.reason, r.waits, r.removal, r.asked_at, r.failures,"         \
  " r.next_attempt, r.detail, i.certificate, c.name, i.key_type, i.serial," \
  " i.not_after"
#define SELECT                                                             \
  "SELECT " COLUMNS " FROM revocations r JOIN issued i ON i.id = r.issued" \
  " JOIN certificates c ON c.id = i.certificate "

int
revocation_ask(struct store *s, const struct revocation *r)
{
	struct statement *q = store_write(s,
	    "INSERT INTO revocations (issued, reason, waits, removal, asked_at, failures,"
	    " next_attempt) VALUES (?1, ?2, ?3, ?4, ?5, 0, ?5)"
	    " ON CONFLICT (issued) DO UPDATE SET"
	    " reason = iif(reason = 1, 1, excluded.reason),"
	    " waits = iif(reason = 1, 0, excluded.waits),"
	    " removal = max(removal, excluded.removal),"
	    " failures = 0, next_attempt = excluded.next_attempt");

	bind_integer(q, r->issued);
	bind_integer(q, r->reason);
	bind_integer(q, r->waits);
	bind_integer(q, r->removal);
	bind_integer(q, r->asked_at);
	return statement_run(q);
}

static int
read_row(struct statement *q, void *row)
{
	struct revocation *r = row;
	int e;

	r->issued = column_integer(q);
	r->reason = (enum acme_reason)column_integer(q);
	r->waits = column_integer(q) != 0;
	r->removal = column_integer(q) != 0;
	r->asked_at = column_integer(q);
	r->failures = (unsigned)column_integer(q);
	r->next_attempt = column_integer(q);
	e = column_copy(q, &r->detail);
	r->certificate = column_integer(q);
	if (e == 0)
		e = column_copy(q, &r->name);
	r->key_type = (enum acme_key_type)column_integer(q);
	if (e == 0)
		e = column_copy(q, &r->serial);
	r->not_after = column_integer(q);
	return e;
}

void
revocation_free_all(struct revocation *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(rows[i].detail);
		free(rows[i].name);
		free(rows[i].serial);
	}
	free(rows);
}

/* All rows of a statement that is ready to run. */
static int
take_all(struct statement *q, struct revocation **ret, size_t *ret_count)
{
	void *rows;
	size_t count;
	int r = statement_all(q, sizeof(struct revocation), read_row, &rows, &count);

	if (r < 0) {
		revocation_free_all(rows, count);
		return r;
	}
	*ret = rows;
	*ret_count = count;
	return 0;
}

int
revocation_list(
    struct store *s, int64_t certificate, struct revocation **ret, size_t *ret_count)
{
	struct statement *q =
	    store_read(s, SELECT "WHERE i.certificate = ? ORDER BY i.id");

	bind_integer(q, certificate);
	return take_all(q, ret, ret_count);
}

int
revocation_between(struct store *s, const char *first, const char *last,
    struct revocation **ret, size_t *ret_count)
{
	struct statement *q = store_read(s,
	    "SELECT " COLUMNS " FROM certificates c"
	    " CROSS JOIN issued i ON i.certificate = c.id"
	    " CROSS JOIN revocations r ON r.issued = i.id"
	    " WHERE c.name BETWEEN ? AND ? ORDER BY c.name, i.id");

	bind_text(q, first);
	bind_text(q, last);
	return take_all(q, ret, ret_count);
}

int
revocation_due(struct store *s, int64_t now, struct revocation **ret, size_t *ret_count)
{
	struct statement *q = store_read(s,
	    SELECT "WHERE r.waits = 0 AND r.next_attempt <= ?"
		   " ORDER BY r.next_attempt, r.issued LIMIT ?");

	bind_integer(q, now);
	bind_integer(q, DUE_MAX);
	return take_all(q, ret, ret_count);
}

int
revocation_waiting(struct store *s, struct revocation **ret, size_t *ret_count)
{
	return take_all(store_read(s, SELECT "WHERE r.waits = 1 ORDER BY r.issued"),
	    ret, ret_count);
}

int
revocation_next(struct store *s, int64_t *ret_at)
{
	struct statement *q = store_read(s,
	    "SELECT next_attempt FROM revocations WHERE waits = 0"
	    " ORDER BY next_attempt LIMIT 1");
	int r = statement_step(q);

	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	*ret_at = column_integer(q);
	statement_reset(q);
	return 0;
}

int
revocation_save(struct store *s, const struct revocation *r)
{
	struct statement *q = store_write(s,
	    "UPDATE revocations SET waits = ?, failures = ?, next_attempt = ?, detail = ?"
	    " WHERE issued = ?");

	bind_integer(q, r->waits);
	bind_integer(q, r->failures);
	bind_integer(q, r->next_attempt);
	bind_text(q, r->detail);
	bind_integer(q, r->issued);
	return statement_run(q);
}

int
revocation_delete(struct store *s, int64_t issued)
{
	struct statement *q =
	    store_write(s, "DELETE FROM revocations WHERE issued = ?");

	bind_integer(q, issued);
	return statement_run(q);
}

/* ---- keys ---- */

/* Rows of before fingerprints were kept. */
static int
name_old_rows(struct store *s, const char *spki, const struct secret *der)
{
	struct statement *q =
	    store_write(s, "UPDATE issued SET spki = ? WHERE spki IS NULL AND key = ?");

	bind_text(q, spki);
	bind_blob(q, der->data, der->len);
	return statement_run(q);
}

static int
drop_spare(struct store *s, const char *spki)
{
	struct statement *q = store_write(s, "DELETE FROM spare_keys WHERE spki = ?");

	bind_text(q, spki);
	return statement_run(q);
}

int
compromised_add(
    struct store *s, const char *spki, const struct secret *der, int64_t now)
{
	struct statement *q;
	int r;

	r = name_old_rows(s, spki, der);
	if (r == 0)
		r = drop_spare(s, spki);
	if (r < 0)
		return r;
	q = store_write(
	    s, "INSERT OR IGNORE INTO compromised_keys (spki, at) VALUES (?, ?)");
	bind_text(q, spki);
	bind_integer(q, now);
	return statement_run(q);
}

int
compromised_has(struct store *s, const char *spki)
{
	struct statement *q =
	    store_read(s, "SELECT 1 FROM compromised_keys WHERE spki = ?");
	int r;

	bind_text(q, spki);
	r = statement_step(q);
	if (r == 1)
		statement_reset(q);
	return r;
}

static int
read_compromised(struct statement *q, void *row)
{
	struct compromised_row *c = row;

	c->issued = column_integer(q);
	c->certificate = column_integer(q);
	c->current = column_integer(q) != 0;
	c->revocable = column_integer(q) != 0;
	return 0;
}

int
compromised_rows(struct store *s, const char *spki, int64_t now,
    struct compromised_row **ret, size_t *ret_count)
{
	struct statement *q = store_read(s,
	    "SELECT id, certificate, current, revoked_at = 0 AND not_after > ?"
	    " FROM issued WHERE spki = ? ORDER BY id");
	_cleanup_free_ void *rows = NULL;
	int r;

	bind_integer(q, now);
	bind_text(q, spki);
	r = statement_all(
	    q, sizeof(struct compromised_row), read_compromised, &rows, ret_count);
	if (r == 0)
		*ret = steal_ptr(rows);
	return r;
}
