/*
 * soundness.c - see soundness.h.
 */
#include "inventory/soundness.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "inventory/explain.h"
#include "inventory/store_private.h"
#include "scope.h"

#define BUSY_MS 10000 /* no loop waits for it */

static int
note_answer(void *arg, int count, char **values, char **names)
{
	bool *sound = arg;

	(void)names;
	*sound = count > 0 && values[0] != NULL && strcmp(values[0], "ok") == 0;
	return 0;
}

int
store_check(const char *state_dir)
{
	_cleanup_free_ char *path = NULL;
	sqlite3 *db = NULL;
	bool sound = false;
	int r;

	if (asprintf(&path, "%s/renewd.db", state_dir) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	r = explain_errno(db,
	    sqlite3_open_v2(
		path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL));
	if (r == 0) {
		sqlite3_busy_timeout(db, BUSY_MS);
		r = explain_errno(db,
		    sqlite3_exec(
			db, "PRAGMA quick_check(1)", note_answer, &sound, NULL));
	}
	sqlite3_close(db);
	if (r < 0)
		return r;
	return sound ? 0 : -EUCLEAN;
}

bool
store_is_damaged(const struct store *s)
{
	return s->damaged;
}
