/*
 * issued.c - certificates that CAs have issued, with their keys. The current one of
 * each key type is what the bundle holds; older ones stay for history and revocation.
 */
#include <assert.h>
#include <errno.h>

#include "inventory/inventory.h"
#include "inventory/statement.h"

static_assert(ACME_KEY_ECDSA_P256 == 1 && ACME_KEY_ECDSA_P384 == 2 &&
	ACME_KEY_RSA_2048 == 3 && ACME_KEY_RSA_3072 == 4 && ACME_KEY_RSA_4096 == 5,
    "stored");

static int
retire(struct store *s, const struct issued *i)
{
	struct statement *q = store_write(s,
	    "UPDATE issued SET current = 0 WHERE certificate = ? AND current = 1"
	    " AND (key_type >= 3) = (? >= 3)"); /* one ECDSA, one RSA */

	bind_integer(q, i->certificate);
	bind_integer(q, i->key_type);
	return statement_run(q);
}

/* Its CA is asked about it from now on (RFC 9773 section 4.3), and no more about the
 * one that it replaces. */
static int
begin_renewal_info(struct store *s, const struct issued *i)
{
	struct statement *q = store_write(s,
	    "DELETE FROM renewal_info WHERE issued IN"
	    " (SELECT id FROM issued WHERE certificate = ? AND current = 0)");
	int r;

	bind_integer(q, i->certificate);
	r = statement_run(q);
	if (r < 0)
		return r;
	q = store_write(s, "INSERT INTO renewal_info (issued, ask_at) VALUES (?, ?)");
	bind_integer(q, i->id);
	bind_integer(q, i->issued_at);
	return statement_run(q);
}

static int
begin_ocsp(struct store *s, const struct issued *i)
{
	struct statement *q = store_write(s,
	    "DELETE FROM ocsp WHERE issued IN"
	    " (SELECT id FROM issued WHERE certificate = ? AND current = 0)");
	int r;

	bind_integer(q, i->certificate);
	r = statement_run(q);
	if (r < 0 || !i->responder)
		return r;
	q = store_write(s, "INSERT INTO ocsp (issued, ask_at) VALUES (?, ?)");
	bind_integer(q, i->id);
	bind_integer(q, i->issued_at);
	return statement_run(q);
}

int
issued_insert(struct store *s, struct issued *i)
{
	struct statement *q;
	int r;

	r = retire(s, i);
	if (r < 0)
		return r;
	q = store_write(s,
	    "INSERT INTO issued (certificate, key_type, current, ca, account, names,"
	    " profile, serial, fingerprint, issuer, top, not_before, not_after, issued_at,"
	    " key, chain, spki, wish, missing)"
	    " VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
	bind_integer(q, i->certificate);
	bind_integer(q, i->key_type);
	bind_text(q, i->ca);
	bind_integer(q, i->account);
	bind_text(q, i->names);
	bind_text(q, i->profile);
	bind_text(q, i->serial);
	bind_text(q, i->fingerprint);
	bind_text(q, i->issuer);
	bind_text(q, i->top);
	bind_integer(q, i->not_before);
	bind_integer(q, i->not_after);
	bind_integer(q, i->issued_at);
	bind_blob(q, i->key.data, i->key.len);
	bind_text(q, i->chain);
	bind_text(q, i->spki);
	bind_text(q, i->wish);
	bind_text(q, i->missing);
	r = statement_run(q);
	if (r < 0)
		return r;
	i->id = store_last_id(s);
	r = begin_renewal_info(s, i);
	return r < 0 ? r : begin_ocsp(s, i);
}

static int
read_row(struct statement *q, void *row)
{
	struct issued *i = row;
	int r;

	i->id = column_integer(q);
	i->certificate = column_integer(q);
	i->key_type = (enum acme_key_type)column_integer(q);
	i->account = column_integer(q);
	i->not_before = column_integer(q);
	i->not_after = column_integer(q);
	i->issued_at = column_integer(q);
	i->revoked_at = column_integer(q);
	i->suggested_at = column_integer(q);
	r = column_copy(q, &i->ca);
	if (r == 0)
		r = column_copy(q, &i->names);
	if (r == 0)
		r = column_copy(q, &i->profile);
	if (r == 0)
		r = column_copy(q, &i->serial);
	if (r == 0)
		r = column_copy(q, &i->fingerprint);
	if (r == 0)
		r = column_copy(q, &i->issuer);
	if (r == 0)
		r = column_copy(q, &i->top);
	if (r == 0)
		r = column_copy(q, &i->spki);
	if (r == 0)
		r = column_copy(q, &i->wish);
	if (r == 0)
		r = column_copy(q, &i->missing);
	i->compromised = column_integer(q) != 0;
	i->superseded = column_integer(q) != 0;
	i->ocsp_status = (int)column_integer(q);
	i->ocsp_next_update = column_integer(q);
	return r;
}

static int
read_secret_row(struct statement *q, void *row)
{
	struct issued *i = row;
	int r = read_row(q, row);

	if (r == 0)
		r = column_secret(q, &i->key.data, &i->key.len);
	return r == 0 ? column_copy(q, &i->chain) : r;
}

#define COLUMNS                                                                  \
  "i.id, certificate, key_type, account, not_before, not_after, issued_at,"      \
  " revoked_at,"                                                                 \
  " coalesce((SELECT suggested_at FROM renewal_info WHERE issued = i.id), 0),"   \
  " ca, names, profile, serial, fingerprint, issuer, top, spki, wish, missing,"  \
  " EXISTS (SELECT 1 FROM compromised_keys k WHERE k.spki = i.spki),"            \
  " EXISTS (SELECT 1 FROM revocations r WHERE r.issued = i.id AND r.waits = 1)," \
  " coalesce((SELECT status FROM ocsp o WHERE o.issued = i.id), 0),"             \
  " coalesce((SELECT next_update FROM ocsp o WHERE o.issued = i.id), 0)"
#define WHERE " FROM issued i WHERE certificate = ? AND current = 1"

/* By key type, within a certificate: two at most, so a sort costs less here than there.
 */
static void
order(struct issued *rows, size_t count)
{
	for (size_t k = 1; k < count; k++)
		if (rows[k - 1].certificate == rows[k].certificate &&
		    rows[k - 1].key_type > rows[k].key_type) {
			struct issued row = rows[k];

			rows[k] = rows[k - 1];
			rows[k - 1] = row;
		}
}

static int
take_all(struct statement *q, int (*read)(struct statement *q, void *row),
    struct issued **ret, size_t *ret_count)
{
	void *rows;
	size_t count;
	int r = statement_all(q, sizeof(struct issued), read, &rows, &count);

	if (r < 0) {
		issued_free_all(rows, count);
		return r;
	}
	*ret = rows;
	order(*ret, count);
	*ret_count = count;
	return 0;
}

int
issued_current(struct store *s, int64_t certificate, bool with_secrets,
    struct issued **ret, size_t *ret_count)
{
	struct statement *q = with_secrets
	    ? store_read(s, "SELECT " COLUMNS ", key, chain" WHERE)
	    : store_read(s, "SELECT " COLUMNS WHERE);

	bind_integer(q, certificate);
	return take_all(q, with_secrets ? read_secret_row : read_row, ret, ret_count);
}

int
issued_between(struct store *s, const char *first, const char *last,
    struct issued **ret, size_t *ret_count)
{
	struct statement *q = store_read(s,
	    "SELECT " COLUMNS " FROM certificates c"
	    " CROSS JOIN issued i ON i.certificate = c.id AND i.current = 1"
	    " WHERE c.name BETWEEN ? AND ? ORDER BY c.name");

	bind_text(q, first);
	bind_text(q, last);
	return take_all(q, read_row, ret, ret_count);
}

int
issued_get(struct store *s, int64_t id, struct issued **ret)
{
	struct statement *q =
	    store_read(s, "SELECT " COLUMNS ", key, chain FROM issued i WHERE id = ?");
	struct issued *row = calloc(1, sizeof(*row));
	int r;

	if (row == NULL)
		return -ENOMEM;
	bind_integer(q, id);
	r = statement_step(q);
	if (r == 1) {
		r = read_secret_row(q, row);
		statement_reset(q);
	} else if (r == 0) {
		r = -ENOENT;
	}
	if (r < 0) {
		issued_free_all(row, 1);
		return r;
	}
	*ret = row;
	return 0;
}

int
issued_find_serial(
    struct store *s, const char *serial, char **ret_name, bool *ret_current)
{
	struct statement *q = store_read(s,
	    /* the name is that of the row with the maximum; one row also of none */
	    "SELECT c.name, max(i.current) FROM issued i"
	    " JOIN certificates c ON c.id = i.certificate WHERE i.serial = ?");
	int r;

	bind_text(q, serial);
	r = statement_step(q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	r = column_copy(q, ret_name);
	*ret_current = column_integer(q) != 0;
	statement_reset(q);
	return r == 0 && *ret_name == NULL ? -ENOENT : r;
}

int
issued_set_revoked(struct store *s, int64_t id, int64_t now)
{
	struct statement *q =
	    store_write(s, "UPDATE issued SET revoked_at = ? WHERE id = ?");

	bind_integer(q, now);
	bind_integer(q, id);
	return statement_run(q);
}

void
issued_free_all(struct issued *rows, size_t count)
{
	for (size_t k = 0; k < count; k++) {
		free(rows[k].ca);
		free(rows[k].names);
		free(rows[k].profile);
		free(rows[k].serial);
		free(rows[k].fingerprint);
		free(rows[k].issuer);
		free(rows[k].top);
		free(rows[k].spki);
		secret_clear(&rows[k].key);
		free(rows[k].chain);
		free(rows[k].wish);
		free(rows[k].missing);
	}
	free(rows);
}

int
issued_nth(struct store *s, const char *ca, const char *names, int64_t now, unsigned n,
    int64_t *ret)
{
	struct statement *q = store_read(s,
	    "SELECT issued_at FROM issued"
	    " WHERE names = ? AND issued_at <= ? AND ca = ?"
	    " ORDER BY issued_at DESC LIMIT 1 OFFSET ?");
	int r;

	bind_text(q, names);
	bind_integer(q, now);
	bind_text(q, ca);
	bind_integer(q, (int64_t)n - 1);
	r = statement_step(q);
	if (r < 0)
		return r;
	*ret = r > 0 ? column_integer(q) : 0;
	statement_reset(q);
	return 0;
}

int
issued_load(struct store *s, const char *ca, int64_t short_life, double *ret_short,
    double *ret_long)
{
	/* in 1/s * 10^15, as columns are integers here */
	struct statement *q = store_read(s,
	    "SELECT ifnull(sum(CASE WHEN life < ?2 THEN part ELSE 0 END), 0),"
	    " ifnull(sum(CASE WHEN life < ?2 THEN 0 ELSE part END), 0)"
	    " FROM (SELECT not_after - not_before AS life,"
	    " 1000000000000000 / (not_after - not_before) AS part FROM issued"
	    " WHERE ca = ?1 AND current = 1 AND not_after > not_before)");
	int r;

	bind_text(q, ca);
	bind_integer(q, short_life);
	r = statement_step(q);
	if (r < 0)
		return r;
	*ret_short = (double)column_integer(q) / 1e15;
	*ret_long = (double)column_integer(q) / 1e15;
	statement_reset(q);
	return 0;
}
