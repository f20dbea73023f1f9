/*
 * accounts.c - ACME accounts with their keys: a row for each CA, directory and key.
 */
#include "inventory/inventory.h"

#include <assert.h>
#include <errno.h>

#include "inventory/statement.h"

#define COLUMNS                                                                  \
  "id, ca, directory, key, thumbprint, url, contacts, terms, created_at, state," \
  " ended_at, next_key, next_thumbprint"

static_assert(ACCOUNT_VALID == 0 && ACCOUNT_ENDING == 1 && ACCOUNT_DEACTIVATED == 2,
    "stored in renewd.db");

static const char *const state_names[] = {
	[ACCOUNT_VALID] = "valid",
	[ACCOUNT_ENDING] = "ending",
	[ACCOUNT_DEACTIVATED] = "deactivated",
};

const char *
account_state_name(enum account_state state)
{
	return (size_t)state < ELEMENTS(state_names) ? state_names[state] : "unknown";
}

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
	if (r == 0)
		a->state = (enum account_state)column_integer(q);
	if (r == 0)
		a->ended_at = column_integer(q);
	if (r == 0)
		r = column_secret(q, &a->next_key.data, &a->next_key.len);
	if (r == 0)
		r = column_copy(q, &a->next_thumbprint);
	return r;
}

/* The one row of this statement. */
static int
read_one(struct statement *q, struct account **ret)
{
	_cleanup_(account_freep) struct account *a = calloc(1, sizeof(*a));
	int r;

	if (a == NULL) {
		statement_reset(q);
		return -ENOMEM;
	}
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
account_find(struct store *s, const char *ca, const char *directory,
    const char *thumbprint, struct account **ret)
{
	struct statement *q;

	q = store_read(s,
	    "SELECT " COLUMNS
	    " FROM accounts WHERE ca = ?1 COLLATE NOCASE AND directory = ?2"
	    " AND (?3 IS NULL OR thumbprint = ?3 OR next_thumbprint = ?3)"
	    " ORDER BY id DESC LIMIT 1");
	bind_text(q, ca);
	bind_text(q, directory);
	bind_text(q, thumbprint);
	return read_one(q, ret);
}

int
account_get(struct store *s, int64_t id, struct account **ret)
{
	struct statement *q =
	    store_read(s, "SELECT " COLUMNS " FROM accounts WHERE id = ?");

	bind_integer(q, id);
	return read_one(q, ret);
}

int
account_of_key(struct store *s, const char *thumbprint, struct account **ret)
{
	struct statement *q = store_read(s,
	    "SELECT " COLUMNS " FROM accounts WHERE thumbprint = ?1"
	    " OR next_thumbprint = ?1"
	    " OR id IN (SELECT account FROM account_keys WHERE thumbprint = ?1)"
	    " ORDER BY id DESC LIMIT 1");

	bind_text(q, thumbprint);
	return read_one(q, ret);
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

int
account_forgotten(struct store *s, int64_t id)
{
	struct statement *q =
	    store_write(s, "UPDATE accounts SET url = NULL WHERE id = ?");

	bind_integer(q, id);
	return statement_run(q);
}

int
account_set_contacts(struct store *s, int64_t id, const char *contacts)
{
	struct statement *q =
	    store_write(s, "UPDATE accounts SET contacts = ? WHERE id = ?");

	bind_text(q, contacts);
	bind_integer(q, id);
	return statement_run(q);
}

int
account_set_state(struct store *s, int64_t id, enum account_state state, int64_t now)
{
	struct statement *q =
	    store_write(s, "UPDATE accounts SET state = ?, ended_at = ? WHERE id = ?");

	bind_integer(q, state);
	bind_integer(q, state == ACCOUNT_DEACTIVATED ? now : 0);
	bind_integer(q, id);
	return statement_run(q);
}

/* ---- another key ---- */

int
account_set_next(
    struct store *s, int64_t id, const struct secret *key, const char *thumbprint)
{
	struct statement *q = store_write(
	    s, "UPDATE accounts SET next_key = ?, next_thumbprint = ? WHERE id = ?");

	if (key != NULL)
		bind_blob(q, key->data, key->len);
	else
		bind_text(q, NULL);
	bind_text(q, thumbprint);
	bind_integer(q, id);
	return statement_run(q);
}

/* "TOKEN TOKEN.THUMBPRINT" lines: no token has a point. */
static int
sign_challenges_anew(struct store *s, int64_t id)
{
	struct statement *q = store_write(s,
	    "UPDATE orders SET challenges = replace(challenges,"
	    " '.' || (SELECT thumbprint FROM accounts WHERE id = ?1),"
	    " '.' || (SELECT next_thumbprint FROM accounts WHERE id = ?1))"
	    " WHERE account = ?1 AND challenges IS NOT NULL");

	bind_integer(q, id);
	return statement_run(q);
}

static int
retire_key(struct store *s, int64_t id, int64_t now)
{
	struct statement *q = store_write(s,
	    "INSERT INTO account_keys (account, key, thumbprint, retired_at)"
	    " SELECT id, key, thumbprint, ? FROM accounts"
	    " WHERE id = ? AND next_key IS NOT NULL");
	int r;

	bind_integer(q, now);
	bind_integer(q, id);
	r = statement_run(q);
	if (r == 0 && store_changes(s) == 0)
		r = -ENOENT;
	return r;
}

int
account_take_next(struct store *s, int64_t id, int64_t now)
{
	struct statement *q;
	int r;

	r = retire_key(s, id, now);
	if (r == 0)
		r = sign_challenges_anew(s, id);
	if (r < 0)
		return r;
	q = store_write(s,
	    "UPDATE accounts SET key = next_key, thumbprint = next_thumbprint,"
	    " next_key = NULL, next_thumbprint = NULL WHERE id = ?");
	bind_integer(q, id);
	return statement_run(q);
}

/* ---- all of them ---- */

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
	secret_clear(&a->next_key);
	free(a->next_thumbprint);
	*a = (struct account){ 0 };
}

int
account_walk(struct store *s, int (*cb)(const struct account *a, void *arg), void *arg)
{
	struct statement *q =
	    store_read(s, "SELECT " COLUMNS " FROM accounts ORDER BY ca, id DESC");
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
