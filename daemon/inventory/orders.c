/*
 * orders.c - orders in flight: the key made for each, its URL once the CA has said it,
 * and the challenges that the CA may be asking for. One for a certificate and key type.
 */
#include <errno.h>

#include "inventory/inventory.h"
#include "inventory/statement.h"

#define COLUMNS                                                                   \
  "id, certificate, key_type, ca, account, names, profile, url, key, challenges," \
  " reason, created_at, wish, missing"

static int
read_row(struct statement *q, struct order_row *o)
{
	int r;

	o->id = column_integer(q);
	o->certificate = column_integer(q);
	o->key_type = (enum acme_key_type)column_integer(q);
	r = column_copy(q, &o->ca);
	o->account = column_integer(q);
	if (r == 0)
		r = column_copy(q, &o->names);
	if (r == 0)
		r = column_copy(q, &o->profile);
	if (r == 0)
		r = column_copy(q, &o->url);
	if (r == 0)
		r = column_secret(q, &o->key.data, &o->key.len);
	if (r == 0)
		r = column_copy(q, &o->challenges);
	if (r == 0) {
		o->reason = (enum renew_reason)column_integer(q);
		o->created_at = column_integer(q);
		r = column_copy(q, &o->wish);
	}
	if (r == 0)
		r = column_copy(q, &o->missing);
	return r;
}

int
order_find(struct store *s, int64_t certificate, enum acme_key_type key_type,
    struct order_row **ret)
{
	_cleanup_(order_row_freep) struct order_row *o = calloc(1, sizeof(*o));
	struct statement *q;
	int r;

	if (o == NULL)
		return -ENOMEM;
	q = store_read(
	    s, "SELECT " COLUMNS " FROM orders WHERE certificate = ? AND key_type = ?");
	bind_integer(q, certificate);
	bind_integer(q, key_type);
	r = statement_step(q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	r = read_row(q, o);
	statement_reset(q);
	if (r < 0)
		return r;
	*ret = steal_ptr(o);
	return 0;
}

int
order_insert(struct store *s, struct order_row *o)
{
	struct statement *q = store_write(s,
	    "INSERT INTO orders (certificate, key_type, ca, account, names, profile, url,"
	    " key, challenges, reason, created_at, wish, missing)"
	    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
	int r;

	bind_integer(q, o->certificate);
	bind_integer(q, o->key_type);
	bind_text(q, o->ca);
	bind_integer(q, o->account);
	bind_text(q, o->names);
	bind_text(q, o->profile);
	bind_text(q, o->url);
	bind_blob(q, o->key.data, o->key.len);
	bind_text(q, o->challenges);
	bind_integer(q, o->reason);
	bind_integer(q, o->created_at);
	bind_text(q, o->wish);
	bind_text(q, o->missing);
	r = statement_run(q);
	if (r == 0)
		o->id = store_last_id(s);
	return r;
}

int
order_save(struct store *s, const struct order_row *o)
{
	struct statement *q = store_write(
	    s, "UPDATE orders SET url = ?, challenges = ?, missing = ? WHERE id = ?");

	bind_text(q, o->url);
	bind_text(q, o->challenges);
	bind_text(q, o->missing);
	bind_integer(q, o->id);
	return statement_run(q);
}

int
order_delete(struct store *s, int64_t id)
{
	struct statement *q = store_write(s, "DELETE FROM orders WHERE id = ?");

	bind_integer(q, id);
	return statement_run(q);
}

int
order_walk(struct store *s, int (*cb)(const struct order_row *o, void *arg), void *arg)
{
	struct statement *q =
	    store_read(s, "SELECT " COLUMNS " FROM orders ORDER BY id");
	int r;

	while ((r = statement_step(q)) == 1) {
		_cleanup_(order_row_freep) struct order_row *o = calloc(1, sizeof(*o));

		r = o != NULL ? read_row(q, o) : -ENOMEM;
		if (r == 0)
			r = cb(o, arg);
		if (r < 0) {
			statement_reset(q);
			return r;
		}
	}
	return r;
}

struct order_row *
order_row_free(struct order_row *o)
{
	if (o == NULL)
		return NULL;
	free(o->ca);
	free(o->names);
	free(o->profile);
	free(o->url);
	secret_clear(&o->key);
	free(o->challenges);
	free(o->wish);
	free(o->missing);
	free(o);
	return NULL;
}
