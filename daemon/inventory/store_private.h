/*
 * store_private.h - inside inventory/: the database as store.c, which opens it and
 * commits, and statement.c share it.
 */
#ifndef STORE_PRIVATE_H
#define STORE_PRIVATE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inventory/store.h"

#define STATEMENTS_MAX 128
#define LISTENERS_MAX  4

struct event;

struct statement {
	struct store *store;
	const char *sql;
	sqlite3_stmt *handle;
	int next; /* parameter or column */
	bool stepped;
	int error;
};

struct waiter {
	store_committed_cb *cb;
	void *arg;
};

struct listener {
	void (*cb)(void *arg);
	void *arg;
};

struct store {
	sqlite3 *db;
	int lock_fd;
	struct event *commit_event; /* NULL without a loop */
	struct event *latest_event; /* the same, where that doesn't get its turn */
	bool in_transaction;
	int failed; /* a write of this turn failed: it can't be committed */
	struct waiter *waiters;
	size_t waiter_count;
	size_t waiter_size;
	struct waiter *running; /* whose callbacks are being called */
	size_t running_count;
	int64_t failed_at; /* a commit last failed; 0: they work */
	bool opened;
	bool damaged; /* said */
	void (*failure_cb)(int error, void *arg);
	void *failure_arg;
	struct listener listeners[LISTENERS_MAX];
	size_t listener_count;
	struct statement statements[STATEMENTS_MAX];
	size_t statement_count;
};

/* SQLite's result as negative errno; damage is said. */
int store_errno(struct store *s, int code);
/* The transaction of this turn is there. */
int store_begin(struct store *s);
/* To whoever has asked for it. */
void store_tell_failure(struct store *s, int r);

#endif
