/*
 * statement.c - prepared statements, kept for the next time; see statement.h.
 *
 * Used by all files of queries, and by store.c.
 */
#include "inventory/statement.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "inventory/store_private.h"

#define PARAMETER_FIRST 1

static struct statement *
prepare(struct store *s, const char *sql)
{
	struct statement *q;

	for (size_t i = 0; i < s->statement_count; i++)
		if (s->statements[i].sql == sql) {
			q = &s->statements[i];
			q->next = PARAMETER_FIRST;
			q->error = q->handle != NULL ? 0 : -EIO;
			q->stepped = false;
			return q;
		}
	if (s->statement_count == STATEMENTS_MAX)
		abort(); /* a bug: statements are constants, and fewer than that */
	q = &s->statements[s->statement_count];
	*q = (struct statement){ .store = s, .sql = sql, .next = PARAMETER_FIRST };
	q->error = store_errno(s,
	    sqlite3_prepare_v3(
		s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &q->handle, NULL));
	if (q->error == 0)
		s->statement_count++;
	return q;
}

struct statement *
store_read(struct store *s, const char *sql)
{
	return prepare(s, sql);
}

struct statement *
store_write(struct store *s, const char *sql)
{
	int r = store_begin(s);
	struct statement *q = prepare(s, sql);

	if (r < 0 && q->error == 0)
		q->error = r;
	return q;
}

static void
note(struct statement *q, int code)
{
	if (q->error == 0)
		q->error = store_errno(q->store, code);
}

void
bind_integer(struct statement *q, int64_t value)
{
	if (q->error == 0)
		note(q, sqlite3_bind_int64(q->handle, q->next++, value));
}

void
bind_text(struct statement *q, const char *text)
{
	if (q->error == 0)
		note(q,
		    sqlite3_bind_text(
			q->handle, q->next++, text, -1, SQLITE_TRANSIENT));
}

void
bind_blob(struct statement *q, const void *data, size_t len)
{
	if (q->error == 0)
		note(q,
		    sqlite3_bind_blob64(q->handle, q->next++, data != NULL ? data : "",
			len, SQLITE_TRANSIENT));
}

void
statement_reset(struct statement *q)
{
	if (q->handle != NULL) {
		sqlite3_reset(q->handle);
		sqlite3_clear_bindings(q->handle);
	}
	q->next = PARAMETER_FIRST;
	q->stepped = false;
}

int
statement_step(struct statement *q)
{
	int code;
	int r;

	if (q->error < 0) {
		r = q->error;
		statement_reset(q);
		return r;
	}
	code = sqlite3_step(q->handle);
	q->next = 0;
	q->stepped = true;
	if (code == SQLITE_ROW)
		return 1;
	r = store_errno(q->store, code);
	/* a constraint undoes its own statement; anything else may have undone more */
	if (r < 0 && r != -EEXIST && q->store->in_transaction &&
	    !sqlite3_stmt_readonly(q->handle)) {
		q->store->failed = r;
		store_tell_failure(q->store, r);
	}
	statement_reset(q);
	return r;
}

int
statement_run(struct statement *q)
{
	int r = statement_step(q);

	if (r == 1) {
		statement_reset(q);
		return 0;
	}
	return r;
}

int
statement_ids(struct statement *q, int64_t *ret_ids, size_t max)
{
	int count = 0;
	int r;

	bind_integer(q, (int64_t)max);
	while ((r = statement_step(q)) == 1)
		ret_ids[count++] = column_integer(q);
	return r < 0 ? r : count;
}

/* The next one, or NULL where there is no memory; room doubles. */
static void *
add_row(void **rows, size_t count, size_t size)
{
	char *grown = *rows;

	if ((count & (count - 1)) == 0) /* 0, or a power of 2: it is full */
		grown = reallocarray(*rows, count > 0 ? count * 2 : 1, size);
	if (grown == NULL)
		return NULL;
	*rows = grown;
	return memset(grown + count * size, 0, size);
}

int
statement_all(struct statement *q, size_t size,
    int (*read)(struct statement *q, void *row), void **ret, size_t *ret_count)
{
	void *rows = NULL;
	size_t count = 0;
	int r;

	while ((r = statement_step(q)) == 1) {
		void *row = add_row(&rows, count, size);

		r = row != NULL ? 0 : -ENOMEM;
		if (r == 0) {
			count++;
			r = read(q, row);
		}
		if (r < 0) {
			statement_reset(q);
			break;
		}
	}
	*ret = rows;
	*ret_count = count;
	return r;
}

int64_t
column_integer(struct statement *q)
{
	return sqlite3_column_int64(q->handle, q->next++);
}

const char *
column_text(struct statement *q)
{
	return (const char *)sqlite3_column_text(q->handle, q->next++);
}

int
column_copy(struct statement *q, char **field)
{
	const char *text = column_text(q);

	free(*field);
	*field = NULL;
	if (text == NULL)
		return 0;
	*field = strdup(text);
	return *field != NULL ? 0 : -ENOMEM;
}

int
column_secret(struct statement *q, unsigned char **ret, size_t *ret_len)
{
	const void *data = sqlite3_column_blob(q->handle, q->next);
	size_t len = (size_t)sqlite3_column_bytes(q->handle, q->next++);
	unsigned char *copy = malloc(len + 1);

	if (copy == NULL)
		return -ENOMEM;
	if (len > 0)
		memcpy(copy, data, len);
	*ret = copy;
	*ret_len = len;
	return 0;
}

int64_t
store_last_id(struct store *s)
{
	return sqlite3_last_insert_rowid(s->db);
}

int
store_changes(struct store *s)
{
	return sqlite3_changes(s->db);
}
