/*
 * spare_keys.c - RSA keys made ahead of renewals, and the certificates that could do
 * with one.
 *
 * Filled by renew/spare.c, emptied by the orders of renew/order_begin.c.
 */
#include <errno.h>

#include "inventory/inventory.h"
#include "inventory/statement.h"

int
spare_key_insert(struct store *s, const struct spare_key *k)
{
	struct statement *q = store_write(s,
	    "INSERT INTO spare_keys (certificate, key_type, key, spki, made_at)"
	    " VALUES (?, ?, ?, ?, ?)");

	bind_integer(q, k->certificate);
	bind_integer(q, k->key_type);
	bind_blob(q, k->key.data, k->key.len);
	bind_text(q, k->spki);
	bind_integer(q, k->made_at);
	return statement_run(q);
}

int
spare_key_find(struct store *s, int64_t certificate, struct spare_key *ret)
{
	struct statement *q = store_read(
	    s, "SELECT key_type, made_at, key FROM spare_keys WHERE certificate = ?");
	struct spare_key k = { .certificate = certificate };
	int r;

	bind_integer(q, certificate);
	r = statement_step(q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	k.key_type = (enum acme_key_type)column_integer(q);
	k.made_at = column_integer(q);
	r = column_secret(q, &k.key.data, &k.key.len);
	statement_reset(q);
	if (r == 0)
		*ret = k;
	return r;
}

int
spare_key_drop(struct store *s, int64_t certificate)
{
	struct statement *q =
	    store_write(s, "DELETE FROM spare_keys WHERE certificate = ?");

	bind_integer(q, certificate);
	return statement_run(q);
}

int
spare_key_count(struct store *s, int64_t *ret)
{
	struct statement *q = store_read(s, "SELECT count(*) FROM spare_keys");
	int r = statement_step(q);

	if (r < 0)
		return r;
	*ret = column_integer(q);
	statement_reset(q);
	return 0;
}

int
spare_key_places(struct store *s, const struct renewal_place *after, int64_t until,
    struct renewal_place *ret, size_t max)
{
	struct statement *q = store_read(s,
	    "SELECT renew_at, id, EXISTS (SELECT 1 FROM issued"
	    " WHERE certificate = c.id AND current = 1 AND key_type >= 3)"
	    " AND NOT EXISTS (SELECT 1 FROM spare_keys WHERE certificate = c.id)"
	    " FROM certificates c WHERE (renew_at, id) > (?, ?) AND renew_at <= ?"
	    " AND renew_at > 0 ORDER BY renew_at, id LIMIT ?");
	int count = 0;
	int r;

	bind_integer(q, after->at);
	bind_integer(q, after->id);
	bind_integer(q, until);
	bind_integer(q, (int64_t)max);
	while ((r = statement_step(q)) == 1) {
		ret[count].at = column_integer(q);
		ret[count].id = column_integer(q);
		ret[count++].bare = column_integer(q) != 0;
	}
	return r < 0 ? r : count;
}
