/*
 * commit.c - what was written in one turn of the loop is one commit, and a thread
 * brings it to the disk; who waits for that goes on then.
 *
 * Used by store.c and statement.c. A commit writes SQLite's log, without waiting for
 * the disk. The thread syncs the log, for all commits that there were since it did so
 * last: while it waits for the disk the loop doesn't, and the longer that takes the
 * more share it. Whenever the log has grown it also copies that into the database, over
 * a connection of its own. The log begins anew where all of it was copied, so while
 * there always is more the loop has to copy the last of it some time, and wait for the
 * disk twice.
 */
#include "inventory/store.h"

#include <errno.h>
#include <event2/event.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "inventory/statement.h"
#include "inventory/store_private.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "platform/worker.h"

#define LATEST_US     20000 /* whatever else there always is to do */
#define QUIET_SECONDS 120   /* without a failure: it works again */
#define LOG_PAGES     1000  /* with so many more the log is copied */
#define LOG_LONG      8000  /* the loop sees to it that it begins anew: 32 MiB */

void
store_tell_failure(struct store *s, int r)
{
	s->failed_at = clock_now();
	if (s->failure_cb != NULL)
		s->failure_cb(r, s->failure_arg);
}

/* On a full disk a small commit may work between large ones that don't: that is not the
 * end of it. */
static void
tell_success(struct store *s)
{
	if (s->failed_at == 0 || clock_now() - s->failed_at < QUIET_SECONDS)
		return;
	s->failed_at = 0;
	if (s->failure_cb != NULL)
		s->failure_cb(0, s->failure_arg);
}

/* When this turn is over, or the loop turns without ever having nothing else to do. */
static void
commit_later(struct store *s)
{
	static const struct timeval latest = { .tv_usec = LATEST_US };

	if (s->commit_event == NULL)
		return;
	event_active(s->commit_event, EV_TIMEOUT, 0);
	if (!evtimer_pending(s->latest_event, NULL))
		event_add(s->latest_event, &latest);
}

int
store_begin(struct store *s)
{
	int r;

	if (s->in_transaction)
		return s->failed;
	r = statement_run(store_read(s, "BEGIN IMMEDIATE"));
	if (r < 0) {
		store_tell_failure(s, r);
		return r;
	}
	s->in_transaction = true;
	s->failed = 0;
	commit_later(s);
	return 0;
}

int
store_commit(struct store *s)
{
	int r = s->failed;

	if (!s->in_transaction)
		return 0;
	if (r == 0)
		r = statement_run(store_read(s, "COMMIT"));
	if (r < 0 && !sqlite3_get_autocommit(s->db))
		store_execute(s, "ROLLBACK");
	s->in_transaction = false;
	s->failed = 0;
	return r;
}

/* ---- on disk ---- */

static int
sync_log(int fd)
{
	return fdatasync(fd) < 0 ? -errno : 0;
}

/* What the kernel could not write it doesn't try again: the log may have a hole there,
 * and whatever comes behind it would be lost. All of it goes into the database itself,
 * and the log begins anew. */
static int
rewrite(struct store *s, int r)
{
	int all = 0, done = -1;

	if (r < 0)
		log_line(LOG_DEBUG, NULL, "cannot sync the inventory's log: %s",
		    strerror(-r));
	if (sqlite3_wal_checkpoint_v2(
		s->db, NULL, SQLITE_CHECKPOINT_RESTART, &all, &done) != SQLITE_OK ||
	    done < all) {
		s->broken = true;
		return r < 0 ? r : -EIO;
	}
	s->broken = false;
	return 0;
}

/* Those who come while their callbacks run wait for the next commit. */
static void
tell(struct store *s, struct waiters *w, int r)
{
	s->running = *w;
	*w = (struct waiters){ 0 };
	if (r < 0)
		store_tell_failure(s, r);
	if (r == 0 && s->running.wrote)
		tell_success(s);
	for (size_t i = 0; r == 0 && s->running.wrote && i < s->listener_count; i++)
		s->listeners[i].cb(s->listeners[i].arg);
	for (size_t i = 0; i < s->running.count; i++)
		if (s->running.v[i].cb != NULL)
			s->running.v[i].cb(r, s->running.v[i].arg);
	free(s->running.v);
	s->running = (struct waiters){ 0 };
}

/* There is room for so many more. */
static int
reserve(struct waiters *w, size_t more)
{
	size_t size = w->count + more;
	struct waiter *grown;

	if (size <= w->size)
		return 0;
	size = size * 2 + 16;
	grown = reallocarray(w->v, size, sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	w->v = grown;
	w->size = size;
	return 0;
}

/* Commits. Whoever waits for that waits for the disk from now on. */
static int
commit(struct store *s)
{
	bool wrote = s->in_transaction;
	int r = store_commit(s);

	s->committed.wrote |= r == 0 && wrote;
	if (r == 0)
		r = reserve(&s->committed, s->waiting.count);
	for (size_t i = 0; r == 0 && i < s->waiting.count; i++)
		s->committed.v[s->committed.count++] = s->waiting.v[i];
	if (r == 0)
		s->waiting.count = 0;
	else
		tell(s, &s->waiting, r);
	return r;
}

static int
committed_cb(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct store *s = arg;

	(void)db, (void)name;
	if (pages < s->log_pages) /* it has begun anew */
		s->copied_pages = 0;
	s->log_pages = pages;
	return SQLITE_OK;
}

int
store_open_copier(struct store *s, const char *path)
{
	int r = sqlite3_open_v2(
	    path, &s->copier, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

	/* only who has looked into it knows of the log */
	if (r == SQLITE_OK)
		r = sqlite3_exec(
		    s->copier, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
	if (r == SQLITE_OK)
		sqlite3_wal_hook(s->db, committed_cb, s);
	return store_errno(s, r);
}

/* Where nothing was committed while the thread copied, the log begins anew by itself.
 * What was is little, but the disk may take its time: only where the log is too long
 * that is done here, between two transactions. */
static void
copy_rest(struct store *s)
{
	/* a transaction that was begun before goes on with the log as it is */
	bool begins_anew = s->log_pages == s->copied_pages && !s->in_transaction;

	if (s->log_pages < LOG_LONG || begins_anew || commit(s) < 0)
		return;
	(void)sqlite3_wal_checkpoint_v2(
	    s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

static void
sync_cb(void *arg)
{
	struct store *s = arg;

	s->sync_result = sync_log(s->log_fd);
	if (s->copying && s->sync_result == 0)
		(void)sqlite3_wal_checkpoint_v2(
		    s->copier, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

static void sync_start(struct store *s);

static void
synced_cb(void *arg)
{
	struct store *s = arg;
	int r = s->sync_result;

	if (s->closing)
		return;
	if (r < 0 || s->broken) {
		(void)commit(s); /* it can't be rewritten in a transaction */
		r = rewrite(s, r);
	} else if (s->copying) {
		copy_rest(s);
	}
	s->sync_running = false;
	tell(s, &s->syncing, r);
	sync_start(s);
}

/* For all that was committed since the last one began. */
static void
sync_start(struct store *s)
{
	if (s->sync_running || (s->committed.count == 0 && !s->committed.wrote))
		return;
	s->syncing = s->committed;
	s->committed = (struct waiters){ 0 };
	if (!s->syncing.wrote) {
		tell(s, &s->syncing, s->broken ? -EIO : 0);
		return;
	}
	s->sync_running = true;
	s->copying = s->copier != NULL && s->log_pages - s->copied_pages >= LOG_PAGES;
	if (s->copying)
		s->copied_pages = s->log_pages;
	if (worker_run(s->worker, sync_cb, synced_cb, s) < 0) {
		s->sync_result = sync_log(s->log_fd);
		synced_cb(s);
	}
}

/* The end of a turn that has written. */
static void
commit_turn(struct store *s)
{
	event_del(s->latest_event);
	(void)commit(s);
	sync_start(s);
}

int
store_flush(struct store *s)
{
	bool wrote = s->in_transaction || s->committed.wrote || s->sync_running;
	int r = store_commit(s);

	if (s->latest_event != NULL)
		event_del(s->latest_event);
	if (r == 0 && wrote) {
		r = sync_log(s->log_fd);
		if (r < 0 || s->broken)
			r = rewrite(s, r);
	}
	s->waiting.wrote = wrote;
	tell(s, &s->waiting, r);
	return r;
}

void
store_roll_back(struct store *s)
{
	if (s->in_transaction)
		s->failed = -ECANCELED;
	(void)store_flush(s);
}

void
store_on_failure(struct store *s, void (*cb)(int error, void *arg), void *arg)
{
	s->failure_cb = cb;
	s->failure_arg = arg;
}

void
store_on_commit(struct store *s, void (*cb)(void *arg), void *arg)
{
	if (s->listener_count == LISTENERS_MAX)
		abort(); /* a bug: modules are fewer */
	s->listeners[s->listener_count++] = (struct listener){ cb, arg };
}

static void
forget_in(struct waiters *w, void *arg)
{
	for (size_t i = 0; i < w->count; i++)
		if (w->v[i].arg == arg)
			w->v[i].cb = NULL;
}

void
store_forget(struct store *s, void *arg)
{
	forget_in(&s->waiting, arg);
	forget_in(&s->committed, arg);
	forget_in(&s->syncing, arg);
	forget_in(&s->running, arg);
	for (size_t i = s->listener_count; i-- > 0;)
		if (s->listeners[i].arg == arg)
			s->listeners[i] = s->listeners[--s->listener_count];
}

void
store_commit_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	commit_turn(arg);
}

int
store_after_commit(struct store *s, store_committed_cb *cb, void *arg)
{
	int r = reserve(&s->waiting, 1);

	if (r < 0)
		return r;
	s->waiting.v[s->waiting.count++] = (struct waiter){ cb, arg };
	commit_later(s);
	return 0;
}
