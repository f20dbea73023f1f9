/*
 * store_private.h - inside inventory/: the database as store.c, which opens it,
 * commit.c and statement.c share it.
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
struct worker;

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

/* Who waits for the same. */
struct waiters {
	struct waiter *v;
	size_t count;
	size_t size;
	bool wrote; /* there is something that has to be on disk */
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
	int failed;             /* a write of this turn failed: it can't be committed */
	struct waiters waiting; /* for this turn's commit */
	struct waiters committed; /* for the next sync */
	struct waiters syncing;   /* for the one that runs */
	struct waiters running;   /* whose callbacks are being called */
	struct worker *worker;    /* syncs the log; NULL without a loop */
	int log_fd;
	sqlite3 *copier; /* the thread's own connection; NULL without a loop */
	int log_pages;
	int copied_pages; /* of them, by the thread; or it is at it */
	bool copying;     /* the thread copies the log, too, this time */
	bool sync_running;
	int sync_result; /* the thread's, until it is done */
	bool broken;     /* the log may have a hole */
	bool closing;
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
int store_execute(struct store *s, const char *sql);

/* ---- commit.c ---- */

/* The transaction of this turn is there. */
int store_begin(struct store *s);
/* To whoever has asked for it. */
void store_tell_failure(struct store *s, int r);
/* It is over; not on disk yet. */
int store_commit(struct store *s);
/* The log goes into the database as copier does it, no more in the commit that makes it
 * too long. */
int store_open_copier(struct store *s, const char *path);
/* The end of a turn that has written; an event callback, with the store. */
void store_commit_cb(int fd, short what, void *arg);

#endif
