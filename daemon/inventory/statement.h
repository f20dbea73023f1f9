/*
 * statement.h - inside inventory/: prepared statements, bound and read in order.
 *
 * store_read() gives a statement that is kept for the next time; it ends the need
 * for error checks at each step: bindings and columns advance by themselves, and
 * statement_run() or statement_step() report the first thing that went wrong.
 */
#ifndef STATEMENT_H
#define STATEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;
struct statement;

/* sql must be a string constant: it is compared by address. */
struct statement *store_read(struct store *s, const char *sql);
/* The same, and begins the transaction of this turn. */
struct statement *store_write(struct store *s, const char *sql);

void bind_integer(struct statement *q, int64_t value);
void bind_text(struct statement *q, const char *text); /* NULL: NULL */
void bind_blob(struct statement *q, const void *data, size_t len);

/* 1: a row, 0: no more, negative: failed (-ENOSPC disk full, -EEXIST a constraint,
 * -EIO). After 0 or less the statement is reset. */
int statement_step(struct statement *q);
/* To the end, without rows. */
int statement_run(struct statement *q);
/* To the end: the first column of at most max rows; its last parameter, a LIMIT, is
 * bound to that here. How many, or negative. */
int statement_ids(struct statement *q, int64_t *ret_ids, size_t max);
/* All rows of a statement that is ready to run, each of `size` bytes and zeroed before
 * `read` fills it. Where that fails, too, *ret has those that there are, to be freed.
 */
int statement_all(struct statement *q, size_t size,
    int (*read)(struct statement *q, void *row), void **ret, size_t *ret_count);
/* Leaves a statement before its end. */
void statement_reset(struct statement *q);

int64_t column_integer(struct statement *q);
/* Lent until the next step; NULL for NULL. */
const char *column_text(struct statement *q);
/* A copy into *field; a NULL column gives NULL. -ENOMEM. */
int column_copy(struct statement *q, char **field);
int column_secret(struct statement *q, unsigned char **ret, size_t *ret_len);

int64_t store_last_id(struct store *s);
int store_changes(struct store *s);

#endif
