/*
 * test_store.c - the database: its files are private, nobody opens it twice, commits
 * are shared, its log stays short, a failure loses the turn and says so.
 */
#include "inventory/store.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

#include "inventory/soundness.h"
#include "platform/clock.h"
#include "store_fixture.h"

START_TEST(files_are_private)
{
	static const char *const files[] = { "renewd.db", "renewd.db-wal",
		"renewd.lock" };
	struct store *s;
	struct stat st;
	char path[256];

	make_dir();
	s = open_store(NULL);
	add_certificate(s, "a", 1);
	ck_assert_int_eq(store_flush(s), 0);
	for (size_t i = 0; i < ELEMENTS(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		ck_assert_int_eq(stat(path, &st), 0);
		ck_assert_int_eq(st.st_mode & 07777, 0600);
	}
	store_close(s);
	file_remove_tree(AT_FDCWD, dir);
}
END_TEST

START_TEST(opens_once)
{
	struct store *s;
	struct store *second;
	char *why = NULL;
	char pid[32];

	make_dir();
	s = open_store(NULL);
	ck_assert_int_eq(store_open(NULL, dir, &second, &why), -EBUSY);
	ck_assert_ptr_nonnull(strstr(why, "another renewd"));
	snprintf(pid, sizeof(pid), "pid %ld", (long)getpid());
	ck_assert_ptr_nonnull(strstr(why, pid));
	free(why);
	store_close(s);
	store_close(open_store(NULL));
	file_remove_tree(AT_FDCWD, dir);
}
END_TEST

/* Asked as of another process, which a lock of the open file is for the kernel. fd
 * stays open till the store is closed: closing it would end the locks of this process.
 */
static bool
is_locked(int fd)
{
	struct flock lock = { .l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = 0x40000002, /* sqlite.org/fileformat.html, lock-byte page */
		.l_len = 510 };

	ck_assert_int_eq(fcntl(fd, F_OFD_GETLK, &lock), 0);
	return lock.l_type != F_UNLCK;
}

/* Without this lock sqlite3(1), or whoever looks into the database, takes itself for
 * the last to leave, and takes the WAL along with all that is committed from then on.
 */
START_TEST(others_see_that_it_is_in_use)
{
	struct store *s;
	char path[256];
	int fd;

	make_dir();
	store_close(open_store(NULL));
	snprintf(path, sizeof(path), "%s/renewd.db", dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert(!is_locked(fd));
	s = open_store(NULL); /* one that was there already */
	add_certificate(s, "a", 1);
	ck_assert_int_eq(store_flush(s), 0);
	ck_assert(is_locked(fd));
	store_close(s);
	close(fd);
	file_remove_tree(AT_FDCWD, dir);
}
END_TEST

static void
set_version(int version)
{
	sqlite3 *db;
	char path[256];
	char sql[64];

	snprintf(path, sizeof(path), "%s/renewd.db", dir);
	snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", version);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

START_TEST(refuses_the_future)
{
	struct store *s;
	char *why = NULL;

	make_dir();
	store_close(open_store(NULL));
	set_version(999);
	ck_assert_int_eq(store_open(NULL, dir, &s, &why), -EPROTONOSUPPORT);
	ck_assert_ptr_nonnull(strstr(why, "newer renewd"));
	free(why);
	file_remove_tree(AT_FDCWD, dir);
}
END_TEST

START_TEST(refuses_what_is_no_database)
{
	struct store *s;
	char *why = NULL;
	char path[256];

	make_dir();
	snprintf(path, sizeof(path), "%s/renewd.db", dir);
	ck_assert_int_eq(file_create(AT_FDCWD, path,
			     "this is not a database, not at all", 34, 0600, (gid_t)-1),
	    0);
	ck_assert_int_lt(store_open(NULL, dir, &s, &why), 0);
	ck_assert_ptr_nonnull(strstr(why, "/renewd.db: it is damaged; with renewd"));
	free(why);
	file_remove_tree(AT_FDCWD, dir);
}
END_TEST

static void
count_commit_cb(void *arg)
{
	++*(unsigned *)arg;
}

START_TEST(commits_are_told)
{
	struct certificate *c = NULL;
	unsigned count = 0, other = 0;
	struct store *s;

	make_dir();
	s = open_store(NULL);
	store_on_commit(s, count_commit_cb, &other);
	store_on_commit(s, count_commit_cb, &count);
	ck_assert_int_eq(store_flush(s), 0);
	ck_assert_uint_eq(count, 0); /* nothing was written */
	add_certificate(s, "a", 1);
	ck_assert_int_eq(store_flush(s), 0);
	ck_assert_uint_eq(count, 1);
	add_certificate(s, "b", 1);
	store_roll_back(s);
	ck_assert_uint_eq(count, 1);
	ck_assert_int_eq(certificate_get(s, "b", &c), -ENOENT);
	store_roll_back(s); /* nothing to give up */
	store_forget(s, &count);
	add_certificate(s, "c", 1);
	ck_assert_int_eq(store_flush(s), 0);
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(other, 2);
	store_close(s);
	file_remove_tree(AT_FDCWD, dir);
}
END_TEST

static int committed[3];
static unsigned committed_count;
static struct event_base *loop;

/* A store whose commits come by themselves. */
static struct store *
begin_loop(void)
{
	make_dir();
	loop = event_base_new();
	ck_assert_int_eq(event_base_priority_init(loop, 3), 0);
	return open_store(loop);
}

static void
end_loop(struct store *s)
{
	store_close(s);
	event_base_free(loop);
	file_remove_tree(AT_FDCWD, dir);
}

static void
committed_cb(int r, void *arg)
{
	committed[committed_count++] = r;
	ck_assert_ptr_eq(arg, committed);
	event_base_loopbreak(loop);
}

static void
never_cb(int r, void *arg)
{
	(void)r;
	(void)arg;
	ck_abort_msg("a forgotten callback was called");
}

/* All of a turn is one commit, and nobody is told before it. */
START_TEST(commits_are_shared)
{
	struct store *s;
	struct store *other;

	committed_count = 0;
	s = begin_loop();
	add_certificate(s, "a", 1);
	ck_assert_int_eq(store_after_commit(s, committed_cb, committed), 0);
	add_certificate(s, "b", 1);
	ck_assert_int_eq(store_after_commit(s, never_cb, &other), 0);
	store_forget(s, &other);
	ck_assert_uint_eq(committed_count, 0);
	event_base_dispatch(loop);
	ck_assert_uint_eq(committed_count, 1);
	ck_assert_int_eq(committed[0], 0);
	end_loop(s);
}
END_TEST

static off_t
size_of(const char *name)
{
	_cleanup_free_ char *path = NULL;
	struct stat st;

	ck_assert_int_ge(asprintf(&path, "%s/%s", dir, name), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	return st.st_size;
}

#define LONG_TEXT  (64 * 1024) /* 16 pages of the log */
#define WRITES     400         /* six times as many as the log has room for */
#define LOG_MAX    (3 * 1000 * 4096)
#define TEXTS_LEFT ((off_t)WRITES * LONG_TEXT - LOG_MAX)

static size_t writes;
static off_t longest_log;

/* As cb does, which comes with each commit, until it has the loop end. */
static void
write_on(struct store *s, void (*cb)(int r, void *arg))
{
	writes = 0;
	longest_log = 0;
	cb(0, s);
	event_base_dispatch(loop);
}

static void
write_cb(int r, void *arg)
{
	struct store *s = arg;
	static char text[LONG_TEXT];
	char name[32];
	off_t size = size_of("renewd.db-wal");

	ck_assert_int_eq(r, 0);
	longest_log = size > longest_log ? size : longest_log;
	if (writes++ == WRITES) {
		event_base_loopbreak(loop);
		return;
	}
	memset(text, 'x', sizeof(text) - 1);
	snprintf(name, sizeof(name), "c%zu", writes);
	ck_assert_int_eq(certificate_insert(s, name, ORIGIN_API, text, 1000, NULL), 0);
	ck_assert_int_eq(store_after_commit(s, write_cb, s), 0);
}

/* However much is written without a pause, what has become old in the log goes into the
 * database, and the log begins anew. */
START_TEST(the_log_stays_short)
{
	struct store *s;
	int64_t all, failing;

	s = begin_loop();
	write_on(s, write_cb);
	ck_assert_int_lt(longest_log, LOG_MAX);
	ck_assert_int_gt(size_of("renewd.db"), TEXTS_LEFT);
	store_close(s);
	s = open_store(NULL);
	ck_assert_int_eq(certificate_count(s, &all, &failing), 0);
	ck_assert_int_eq(all, WRITES);
	end_loop(s);
}
END_TEST

#define BUSY_TEXT   (1024 * 1024) /* 256 pages of the log */
#define BUSY_WRITES 100           /* three times what makes the log too long */
#define BUSY_MAX    ((8000 + 3 * 1000) * 4096)

/* There is another commit while the thread copies. */
static void
meanwhile_cb(evutil_socket_t fd, short what, void *arg)
{
	char name[32];

	(void)fd, (void)what;
	snprintf(name, sizeof(name), "m%zu", writes);
	ck_assert_int_eq(certificate_insert(arg, name, ORIGIN_API, "", 1000, NULL), 0);
}

static void
busy_write_cb(int r, void *arg)
{
	static const struct timeval now = { 0 };
	struct store *s = arg;
	off_t size = size_of("renewd.db-wal");
	char *text;
	char name[32];

	ck_assert_int_eq(r, 0);
	longest_log = size > longest_log ? size : longest_log;
	if (writes++ == BUSY_WRITES) {
		event_base_loopbreak(loop);
		return;
	}
	text = calloc(1, BUSY_TEXT);
	ck_assert_ptr_nonnull(text);
	memset(text, 'x', BUSY_TEXT - 1);
	snprintf(name, sizeof(name), "c%zu", writes);
	ck_assert_int_eq(certificate_insert(s, name, ORIGIN_API, text, 1000, NULL), 0);
	free(text);
	ck_assert_int_eq(store_after_commit(s, busy_write_cb, s), 0);
	event_base_once(loop, -1, EV_TIMEOUT, meanwhile_cb, s, &now);
}

/* Where the thread never finds all of it to be old, too. */
START_TEST(the_log_of_a_busy_loop_begins_anew)
{
	struct store *s;

	s = begin_loop();
	write_on(s, busy_write_cb);
	ck_assert_int_lt(longest_log, BUSY_MAX);
	end_loop(s);
}
END_TEST

static struct event *busy;

static void
busy_cb(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval now = { 0 };

	(void)fd, (void)what, (void)arg;
	if (committed_count == 0)
		event_add(busy, &now);
}

/* Something of higher priority always wants the loop: a commit doesn't wait for ever.
 */
START_TEST(commits_come_on_a_busy_loop)
{
	struct store *s;

	committed_count = 0;
	s = begin_loop();
	busy = evtimer_new(loop, busy_cb, NULL);
	busy_cb(-1, 0, NULL);
	add_certificate(s, "a", 1);
	ck_assert_int_eq(store_after_commit(s, committed_cb, committed), 0);
	event_base_dispatch(loop); /* for ever, where it does */
	ck_assert_uint_eq(committed_count, 1);
	event_free(busy);
	end_loop(s);
}
END_TEST

static int failure;

static void
failure_cb(int error, void *arg)
{
	(void)arg;
	failure = error;
}

/* A disk that is full: the turn is lost whole, who waits is told, and it goes on after.
 */
START_TEST(a_failed_commit_loses_the_turn)
{
	struct certificate *c;
	struct store *s;
	sqlite3 *db;
	char path[256];
	int r;

	committed_count = 0;
	clock_freeze(1000);
	s = begin_loop();
	store_on_failure(s, failure_cb, NULL);
	add_certificate(s, "kept", 1);
	ck_assert_int_eq(store_flush(s), 0);
	/* somebody else holds the write lock for longer than we wait */
	snprintf(path, sizeof(path), "%s/renewd.db", dir);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(
	    sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	r = certificate_insert(s, "lost", ORIGIN_CONFIG, "", 1, NULL);
	ck_assert_int_eq(r, -EBUSY);
	ck_assert_int_eq(failure, -EBUSY);
	sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	sqlite3_close(db);
	/* one that works is not the end of it yet */
	add_certificate(s, "later", 1);
	ck_assert_int_eq(store_flush(s), 0);
	ck_assert_int_eq(failure, -EBUSY);
	clock_advance(121);
	add_certificate(s, "latest", 1);
	ck_assert_int_eq(store_flush(s), 0);
	ck_assert_int_eq(failure, 0);
	failure = 1;
	clock_advance(121);
	add_certificate(s, "last", 1);
	ck_assert_int_eq(store_flush(s), 0);
	ck_assert_int_eq(failure, 1);
	clock_thaw();
	ck_assert_int_eq(certificate_get(s, "lost", &c), -ENOENT);
	ck_assert_int_eq(certificate_get(s, "later", &c), 0);
	certificate_free(c);
	end_loop(s);
}
END_TEST

/* A page in the middle is overwritten while it is open: what is in it can't be read,
 * and that is told apart from a failing disk. */
START_TEST(damage_is_damage)
{
	static char junk[4096 * 48];
	struct stat st;
	char path[256], name[32];
	struct certificate *c;
	struct store *s;
	int fd, r = 0;

	make_dir();
	s = open_store(NULL);
	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "certificate%d", i);
		add_certificate(s, name, 1);
	}
	ck_assert_int_eq(store_flush(s), 0);
	store_close(s);
	snprintf(path, sizeof(path), "%s/renewd.db", dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	memset(junk, 0x5a, sizeof(junk));
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(
	    pwrite(fd, junk, sizeof(junk), st.st_size / 8192 * 4096), sizeof(junk));
	close(fd);
	s = open_store(NULL);
	for (int i = 0; i < 2000 && r == 0; i++) {
		r = certificate_get_id(s, i + 1, &c);
		if (r == 0)
			certificate_free(c);
	}
	ck_assert_int_eq(r, -EUCLEAN);
	ck_assert(store_is_damaged(s));
	ck_assert_int_eq(store_check(dir), -EUCLEAN);
	store_close(s);
	file_remove_tree(AT_FDCWD, dir);
}
END_TEST

static const struct {
	int error;
	const char *sentence;
} explained[] = {
	{ -ENOSPC, "there is no room left on its disk" },
	{ -EROFS, "it or its file system is read-only" },
	{ -EBUSY, "another program has locked it" },
	{ -EACCES, "Permission denied" },
	{ -ENOMEM, "Cannot allocate memory" },
};

START_TEST(errors_have_sentences)
{
	for (size_t i = 0; i < ELEMENTS(explained); i++)
		ck_assert_str_eq(
		    store_explain(explained[i].error), explained[i].sentence);
}
END_TEST

SUITE("store", files_are_private, opens_once, others_see_that_it_is_in_use,
    refuses_the_future, refuses_what_is_no_database, commits_are_told,
    commits_are_shared, the_log_stays_short, the_log_of_a_busy_loop_begins_anew,
    commits_come_on_a_busy_loop, a_failed_commit_loses_the_turn, damage_is_damage,
    errors_have_sentences)
