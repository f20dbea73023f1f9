/*
 * explain.c - what is the matter with the database, in words for people.
 *
 * Errors of SQLite become errno here, and those sentences. Called by store.c, and by
 * whoever says that something could not be read or written.
 */
#include "inventory/explain.h"

#include <errno.h>
#include <sqlite3.h>
#include <string.h>

#include "inventory/store.h"
#include "scope.h"

static const struct {
	int code; /* SQLite's, without its details */
	int error;
} codes[] = {
	{ SQLITE_OK, 0 },
	{ SQLITE_ROW, 0 },
	{ SQLITE_DONE, 0 },
	{ SQLITE_FULL, -ENOSPC },
	{ SQLITE_CONSTRAINT, -EEXIST },
	{ SQLITE_NOMEM, -ENOMEM },
	{ SQLITE_READONLY, -EROFS },
	{ SQLITE_PERM, -EROFS },
	{ SQLITE_BUSY, -EBUSY },
	{ SQLITE_LOCKED, -EBUSY },
	{ SQLITE_CORRUPT, -EUCLEAN },
	{ SQLITE_NOTADB, -EUCLEAN },
};

/* What the system said, where SQLite only knows that something failed: the file beside
 * the database that processes share has no room, say. */
static int
system_error(sqlite3 *db)
{
	switch (db != NULL ? sqlite3_system_errno(db) : 0) {
	case ENOSPC:
	case EDQUOT:
		return -ENOSPC;
	case EROFS:
		return -EROFS;
	case EACCES:
		return -EACCES;
	}
	return -EIO;
}

int
explain_errno(sqlite3 *db, int code)
{
	for (size_t i = 0; i < ELEMENTS(codes); i++)
		if (codes[i].code == (code & 0xff))
			return codes[i].error;
	return system_error(db);
}

static const struct {
	int error;
	const char *sentence;
} sentences[] = {
	{ -ENOSPC, "there is no room left on its disk" },
	{ -EROFS, "it or its file system is read-only" },
	{ -EBUSY, "another program has locked it" },
	{ -EUCLEAN,
	    "it is damaged; with renewd stopped, put one from a backup in its place, or what "
	    "\"sqlite3 renewd.db .recover\" still finds" },
	{ -EIO, "its disk cannot be read or written; the kernel's log may say more" },
	{ -ECANCELED, "something else in the same step could not be written" },
};

const char *
store_explain(int error)
{
	for (size_t i = 0; i < ELEMENTS(sentences); i++)
		if (sentences[i].error == error)
			return sentences[i].sentence;
	return strerror(-error);
}
