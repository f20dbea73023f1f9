/*
 * accounts.c - ACME accounts with their keys: a row for each CA, directory and key.
 */
#include "inventory/inventory.h"

#include <errno.h>

#include "inventory/statement.h"

void
secret_clear(struct secret *s)
{
	acme_wipe_free(s->data, s->len);
	*s = (struct secret){ 0 };
}

static int
read_row(struct statement *q, struct account *a)
{
	int r;

	a->id = column_integer(q);
	r = column_copy(q, &a->ca);
	if (r == 0)
		r = column_copy(q, &a->directory);
	if (r == 0)
		r = column_secret(q, &a->key.data, &a->key.len);
	if (r == 0)
		r = column_copy(q, &a->thumbprint);
	if (r == 0)
		r = column_copy(q, &a->url);
	if (r == 0)
		r = column_copy(q, &a->contacts);
	if (r == 0)
		r = column_copy(q, &a->terms);
	if (r == 0)
		a->created_at = column_integer(q);
	return r;
}

int
account_find(struct store *s, const char *ca, const char *directory,
    const char *thumbprint, struct account **ret)
{
	_cleanup_(account_freep) struct account *a = calloc(1, sizeof(*a));
	struct statement *q;
	int r;

	if (a == NULL)
		return -ENOMEM;
	q = store_read(s,
	    "SELECT id, ca, directory, key, thumbprint, url, contacts, terms, created_at"
	    " FROM accounts WHERE ca = ? AND directory = ?"
	    " AND thumbprint = ifnull(?, thumbprint) ORDER BY id DESC LIMIT 1");
	bind_text(q, ca);
	bind_text(q, directory);
	bind_text(q, thumbprint);
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

int
account_insert(struct store *s, struct account *a)
{
	struct statement *q = store_write(s,
	    "INSERT INTO accounts (ca, directory, key, thumbprint, url, contacts, terms,"
	    " created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
	int r;

	bind_text(q, a->ca);
	bind_text(q, a->directory);
	bind_blob(q, a->key.data, a->key.len);
	bind_text(q, a->thumbprint);
	bind_text(q, a->url);
	bind_text(q, a->contacts);
	bind_text(q, a->terms);
	bind_integer(q, a->created_at);
	r = statement_run(q);
	if (r == 0)
		a->id = store_last_id(s);
	return r;
}

int
account_registered(struct store *s, int64_t id, const char *url, const char *contacts,
    const char *terms)
{
	struct statement *q = store_write(
	    s, "UPDATE accounts SET url = ?, contacts = ?, terms = ? WHERE id = ?");

	bind_text(q, url);
	bind_text(q, contacts);
	bind_text(q, terms);
	bind_integer(q, id);
	return statement_run(q);
}

static void
clear(struct account *a)
{
	free(a->ca);
	free(a->directory);
	secret_clear(&a->key);
	free(a->thumbprint);
	free(a->url);
	free(a->contacts);
	free(a->terms);
	*a = (struct account){ 0 };
}

int
account_walk(struct store *s, int (*cb)(const struct account *a, void *arg), void *arg)
{
	struct statement *q = store_read(s,
	    "SELECT id, ca, directory, key, thumbprint, url, contacts, terms, created_at"
	    " FROM accounts ORDER BY ca, id DESC");
	struct account a = { 0 };
	int r;

	while ((r = statement_step(q)) == 1) {
		r = read_row(q, &a);
		if (r == 0)
			r = cb(&a, arg);
		clear(&a);
		if (r < 0) {
			statement_reset(q);
			return r;
		}
	}
	return r;
}

struct account *
account_free(struct account *a)
{
	if (a == NULL)
		return NULL;
	clear(a);
	free(a);
	return NULL;
}
