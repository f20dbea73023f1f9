/*
 * store.c - renewd.db: opened, locked, migrated. What is written in it is committed in
 * commit.c.
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
#include "platform/worker.h"
#include "scope.h"

#define BUSY_MS         1000 /* sqlite3(1) in somebody's hands; the loop waits */
#define COMMIT_PRIORITY 2    /* after all else of this turn */

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

int
store_execute(struct store *s, const char *sql)
{
	return store_errno(s, sqlite3_exec(s->db, sql, NULL, NULL, NULL));
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

	r = store_execute(s, "BEGIN IMMEDIATE");
	if (r == 0)
		r = store_execute(s, migrations[i]);
	snprintf(version, sizeof(version), "PRAGMA user_version = %zu", i + 1);
	if (r == 0)
		r = store_execute(s, version);
	if (r == 0)
		r = store_execute(s, "COMMIT");
	if (r < 0 && !sqlite3_get_autocommit(s->db))
		store_execute(s, "ROLLBACK");
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
		"PRAGMA synchronous = NORMAL", /* the log is synced by us: sync_log() */
		"PRAGMA foreign_keys = ON",
		"PRAGMA secure_delete = ON", /* keys are not left behind in free pages
					      */
		"PRAGMA cache_size = -1000",
		"PRAGMA trusted_schema = OFF",
	};
	int r = 0;

	sqlite3_busy_timeout(s->db, BUSY_MS);
	/* Plans don't depend on what is bound: where one might, as with partial
	 * indexes, it would be made anew for each execution. */
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_QPSG, 1, NULL);
	for (size_t i = 0; i < ELEMENTS(pragmas) && r == 0; i++)
		r = store_execute(s, pragmas[i]);
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

/* It is there as long as the database is open: a reader has made it. */
static int
open_log(struct store *s, const char *database)
{
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%s-wal", database) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	s->log_fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	return s->log_fd < 0 ? -errno : 0;
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
	s->lock_fd = s->log_fd = -1;
	if (base != NULL) {
		s->commit_event = event_new(base, -1, 0, store_commit_cb, s);
		s->latest_event = evtimer_new(base, store_commit_cb, s);
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
	if (r == 0)
		r = open_log(s, path);
	if (r == 0 && base != NULL)
		r = store_open_copier(s, path);
	if (r == 0 && base != NULL)
		r = worker_new(base, &s->worker);
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
		(void)store_commit(s);
	s->closing = true;
	worker_free(s->worker);
	for (size_t i = 0; i < s->statement_count; i++)
		sqlite3_finalize(s->statements[i].handle);
	sqlite3_close(s->copier);
	sqlite3_close(s->db);
	if (s->commit_event != NULL)
		event_free(s->commit_event);
	if (s->latest_event != NULL)
		event_free(s->latest_event);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	closep(&s->log_fd);
	free(s->waiting.v);
	free(s->committed.v);
	free(s->syncing.v);
	free(s);
	return NULL;
}
