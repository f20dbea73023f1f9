/*
 * store.c - renewd.db: opened, locked, migrated, and committed once a turn of the loop.
 *
 * Called by daemon.c and, through statement.h, by the files of queries beside it.
 * Nothing outside inventory/ includes sqlite3.h.
 */
#include "inventory/store.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "inventory/explain.h"
#include "inventory/migrations.h"
#include "inventory/statement.h"
#include "inventory/store_private.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "scope.h"

#define BUSY_MS         1000  /* sqlite3(1) in somebody's hands; the loop waits */
#define COMMIT_PRIORITY 2     /* after all else of this turn */
#define LATEST_US       20000 /* whatever else there always is to do */
#define QUIET_SECONDS   120   /* without a failure: it works again */

DEFINE_CLEANUP(struct store, store_close)

/* A damaged page may be met in any query, so it is said here; once. */
int
store_errno(struct store *s, int code)
{
	int r = explain_errno(s->db, code);

	if (r == -EUCLEAN && s->opened && !s->damaged) {
		s->damaged = true;
		log_line(LOG_CRIT, LOG_ABOUT(STORE_DAMAGED),
		    "the inventory, renewd.db, cannot be read: %s", store_explain(r));
	}
	return r;
}

static int
execute(struct store *s, const char *sql)
{
	return store_errno(s, sqlite3_exec(s->db, sql, NULL, NULL, NULL));
}

/* ---- commits ---- */

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
	r = execute(s, "BEGIN IMMEDIATE");
	if (r < 0) {
		store_tell_failure(s, r);
		return r;
	}
	s->in_transaction = true;
	s->failed = 0;
	commit_later(s);
	return 0;
}

static int
commit(struct store *s)
{
	int r = s->failed;

	if (!s->in_transaction)
		return 0;
	if (r == 0)
		r = execute(s, "COMMIT");
	if (r < 0 && !sqlite3_get_autocommit(s->db))
		execute(s, "ROLLBACK");
	s->in_transaction = false;
	s->failed = 0;
	return r;
}

int
store_flush(struct store *s)
{
	bool wrote = s->in_transaction;
	int r = commit(s);

	if (s->latest_event != NULL)
		event_del(s->latest_event);
	if (r < 0)
		store_tell_failure(s, r);
	if (r == 0 && wrote)
		tell_success(s);
	for (size_t i = 0; r == 0 && wrote && i < s->listener_count; i++)
		s->listeners[i].cb(s->listeners[i].arg);
	/* those who come while these run wait for the next commit */
	s->running = s->waiters;
	s->running_count = s->waiter_count;
	s->waiters = NULL;
	s->waiter_count = 0;
	s->waiter_size = 0;
	for (size_t i = 0; i < s->running_count; i++)
		if (s->running[i].cb != NULL)
			s->running[i].cb(r, s->running[i].arg);
	free(s->running);
	s->running = NULL;
	s->running_count = 0;
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
forget_in(struct waiter *waiters, size_t count, void *arg)
{
	for (size_t i = 0; i < count; i++)
		if (waiters[i].arg == arg)
			waiters[i].cb = NULL;
}

void
store_forget(struct store *s, void *arg)
{
	forget_in(s->waiters, s->waiter_count, arg);
	forget_in(s->running, s->running_count, arg);
	for (size_t i = s->listener_count; i-- > 0;)
		if (s->listeners[i].arg == arg)
			s->listeners[i] = s->listeners[--s->listener_count];
}

static void
commit_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	store_flush(arg);
}

int
store_after_commit(struct store *s, store_committed_cb *cb, void *arg)
{
	if (s->waiter_count == s->waiter_size) {
		size_t size = s->waiter_size * 2 + 16;
		struct waiter *grown = reallocarray(s->waiters, size, sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		s->waiters = grown;
		s->waiter_size = size;
	}
	s->waiters[s->waiter_count++] = (struct waiter){ cb, arg };
	commit_later(s);
	return 0;
}

/* ---- opening ---- */

static int
cannot_use(const char *path, int r, char **ret_why)
{
	if (asprintf(ret_why, "%s: %s", path, store_explain(r)) < 0)
		*ret_why = NULL;
	return r;
}

/* An advisory lock that a crash releases, on a file of its own, so that sqlite3(1) can
 * still look into the database. */
static int
lock(struct store *s, const char *state_dir, char **ret_why)
{
	_cleanup_free_ char *path = NULL;
	char pid[32] = "";
	ssize_t n;

	if (asprintf(&path, "%s/renewd.lock", state_dir) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock_fd < 0)
		return cannot_use(path, -errno, ret_why);
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		n = pread(s->lock_fd, pid, sizeof(pid) - 1, 0);
		if (asprintf(ret_why, "another renewd (pid %.*s) is using %s",
			n > 0 ? (int)strcspn(pid, "\n") : 1, n > 0 ? pid : "?",
			state_dir) < 0)
			*ret_why = NULL;
		return -EBUSY;
	}
	n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	if (ftruncate(s->lock_fd, 0) < 0 || pwrite(s->lock_fd, pid, (size_t)n, 0) != n)
		return cannot_use(path, errno != 0 ? -errno : -ENOSPC, ret_why);
	return 0;
}

static int
read_version(struct store *s, int64_t *ret)
{
	struct statement *q = store_read(s, "PRAGMA user_version");
	int r = statement_step(q);

	if (r < 0)
		return r;
	*ret = column_integer(q);
	statement_reset(q);
	return 0;
}

static int
migrate_step(struct store *s, size_t i)
{
	char version[64];
	int r;

	r = execute(s, "BEGIN IMMEDIATE");
	if (r == 0)
		r = execute(s, migrations[i]);
	snprintf(version, sizeof(version), "PRAGMA user_version = %zu", i + 1);
	if (r == 0)
		r = execute(s, version);
	if (r == 0)
		r = execute(s, "COMMIT");
	if (r < 0 && !sqlite3_get_autocommit(s->db))
		execute(s, "ROLLBACK");
	return r;
}

static int
migrate(struct store *s, const char *path, char **ret_why)
{
	int64_t version = 0;
	int r;

	r = read_version(s, &version);
	if (r < 0)
		return r;
	if (version < 0 || (uint64_t)version > migration_count) {
		if (asprintf(ret_why,
			"%s was written by a newer renewd (its version is %lld, this one knows %zu): "
			"install that one again, or put the database of before in its place",
			path, (long long)version, migration_count) < 0)
			*ret_why = NULL;
		return -EPROTONOSUPPORT;
	}
	for (size_t i = (size_t)version; i < migration_count && r == 0; i++)
		r = migrate_step(s, i);
	return r;
}

static int
configure(struct store *s)
{
	static const char *const pragmas[] = {
		"PRAGMA journal_mode = WAL",
		"PRAGMA synchronous = FULL",
		"PRAGMA foreign_keys = ON",
		"PRAGMA secure_delete = ON", /* keys are not left behind in free pages
					      */
		"PRAGMA cache_size = -1000",
		"PRAGMA trusted_schema = OFF",
	};
	int r = 0;

	sqlite3_busy_timeout(s->db, BUSY_MS);
	for (size_t i = 0; i < ELEMENTS(pragmas) && r == 0; i++)
		r = execute(s, pragmas[i]);
	return r;
}

/* Made with its mode before SQLite sees it; the WAL files take theirs from it. Closed
 * before, too: close(2) takes away all locks that this process has on the file, and
 * then the next program that looks into it would take the WAL away when it leaves. */
static int
make_file(const char *path)
{
	_cleanup_close_ int fd =
	    open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || fchmod(fd, 0600) < 0)
		return -errno;
	return 0;
}

static int
open_database(struct store *s, const char *path)
{
	int r;

	r = make_file(path);
	if (r < 0)
		return r;
	r = store_errno(s,
	    sqlite3_open_v2(
		path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL));
	if (r == 0)
		r = configure(s);
	return r;
}

int
store_open(
    struct event_base *base, const char *state_dir, struct store **ret, char **ret_why)
{
	_cleanup_(store_closep) struct store *s = NULL;
	_cleanup_free_ char *path = NULL;
	char *why = NULL;
	int r;

	s = calloc(1, sizeof(*s));
	if (s == NULL || asprintf(&path, "%s/renewd.db", state_dir) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	s->lock_fd = -1;
	if (base != NULL) {
		s->commit_event = event_new(base, -1, 0, commit_cb, s);
		s->latest_event = evtimer_new(base, commit_cb, s);
		if (s->commit_event == NULL || s->latest_event == NULL)
			return -ENOMEM;
		event_priority_set(s->commit_event, COMMIT_PRIORITY);
		event_priority_set(s->latest_event, 0);
	}
	r = lock(s, state_dir, &why);
	if (r == 0)
		r = open_database(s, path);
	if (r == 0)
		r = migrate(s, path, &why);
	if (r < 0) {
		if (why == NULL)
			cannot_use(path, r, &why);
		*ret_why = why;
		return r;
	}
	s->opened = true;
	*ret = steal_ptr(s);
	return 0;
}

struct store *
store_close(struct store *s)
{
	if (s == NULL)
		return NULL;
	if (s->in_transaction)
		(void)commit(s);
	for (size_t i = 0; i < s->statement_count; i++)
		sqlite3_finalize(s->statements[i].handle);
	sqlite3_close(s->db);
	if (s->commit_event != NULL)
		event_free(s->commit_event);
	if (s->latest_event != NULL)
		event_free(s->latest_event);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	free(s->waiters);
	free(s);
	return NULL;
}

int
store_check(struct store *s)
{
	struct statement *q = store_read(s, "PRAGMA quick_check(1)");
	const char *answer;
	int r = statement_step(q);

	if (r < 0)
		return r;
	answer = column_text(q);
	r = answer != NULL && strcmp(answer, "ok") == 0 ? 0 : -EUCLEAN;
	statement_reset(q);
	return r;
}
