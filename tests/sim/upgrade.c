/*
 * upgrade.c - see upgrade.h. After each cut the database is opened once more, and must
 * hold what it held.
 */
#include "upgrade.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../first_rows.h"
#include "faults.h"
#include "inventory/migrations.h"
#include "inventory/soundness.h"
#include "inventory/store.h"
#include "life.h"
#include "power.h"

static char dir[64];
static int64_t *points;

static void
run(sqlite3 *db, const char *sql)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
		fprintf(stderr, "%s: %s\n", sqlite3_errmsg(db), sql);
		exit(EXIT_FAILURE);
	}
}

static sqlite3 *
open_database(void)
{
	char path[128];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/renewd.db", dir);
	if (sqlite3_open(path, &db) != SQLITE_OK)
		life_fail(path);
	return db;
}

static void
make(size_t version)
{
	char sql[64];
	sqlite3 *db;

	snprintf(dir, sizeof(dir), "/dev/shm/renewd-sim-XXXXXX");
	if (mkdtemp(dir) == NULL)
		life_fail(dir);
	db = open_database();
	run(db, "PRAGMA journal_mode = WAL");
	for (size_t i = 0; i < version; i++) {
		run(db, migrations[i]);
		if (i == 0)
			run(db, first_rows);
	}
	snprintf(sql, sizeof(sql), "PRAGMA user_version = %zu", version);
	run(db, sql);
	sqlite3_close(db);
}

static const char *
open_store(void)
{
	struct store *s = NULL;
	char *why = NULL;

	if (store_open(NULL, dir, &s, &why) < 0)
		return why != NULL ? why : "it can't be opened";
	store_close(s);
	return NULL;
}

/* In a process of its own, which ends at that call. */
static void
migrate(int64_t at)
{
	pid_t pid = fork();

	if (pid < 0)
		life_fail("fork");
	if (pid == 0) {
		faults_arm(FAULT_POWER, points, at, at, dir);
		_exit(open_store() == NULL ? EXIT_SUCCESS : EXIT_FAILURE);
	}
	waitpid(pid, NULL, 0);
}

static const char *
check(void)
{
	static const char rows[] =
	    "SELECT (SELECT count(*) FROM accounts WHERE key = x'0102')"
	    " + (SELECT count(*) FROM issued WHERE key IN (x'aa', x'bb'))"
	    " + (SELECT count(*) FROM orders WHERE key = x'cc')"
	    " + (SELECT count(*) FROM deployments) + (SELECT count(*) FROM history)";
	const char *why = open_store();
	sqlite3_stmt *q;
	sqlite3 *db;
	int count;

	if (why != NULL)
		return why;
	if (store_check(dir) < 0)
		return "it is damaged";
	db = open_database();
	if (sqlite3_prepare_v2(db, rows, -1, &q, NULL) != SQLITE_OK ||
	    sqlite3_step(q) != SQLITE_ROW)
		return "it can't be read";
	count = sqlite3_column_int(q, 0);
	sqlite3_finalize(q);
	sqlite3_close(db);
	return count == 1 + 3 + 1 + 1 + 1 ? NULL : "something is lost";
}

/* False: the migration has no such call. */
static bool
cut(size_t version, int64_t at, enum power_disk disk)
{
	const char *why;
	bool reached;

	make(version);
	power_begin(dir);
	*points = 0;
	migrate(at);
	reached = *points >= at;
	power_cut(dir, disk, (uint64_t)at);
	why = check();
	if (why != NULL) {
		printf("from version %zu, cut at call %lld, disk %d: %s; see %s\n",
		    version, (long long)at, (int)disk, why, dir);
		exit(EXIT_FAILURE);
	}
	power_end(dir);
	life_remove(dir);
	return reached;
}

int
upgrade_all(void)
{
	int64_t cuts = 0;

	points = mmap(NULL, sizeof(*points), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (points == MAP_FAILED)
		life_fail("mmap");
	for (size_t version = 1; version < migration_count; version++)
		for (int disk = 0; disk < POWER_DISKS; disk++)
			for (int64_t at = 1; cut(version, at, (enum power_disk)disk);
			     at++)
				cuts++;
	printf("%lld cuts while migrating from %zu versions: all is there\n",
	    (long long)cuts, migration_count - 1);
	return EXIT_SUCCESS;
}
