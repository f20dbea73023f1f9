/*
 * explain.h - inside inventory/: SQLite's errors as errno.
 */
#ifndef EXPLAIN_H
#define EXPLAIN_H

#include <sqlite3.h>

/* A result code of this database (may be NULL) as negative errno; 0 where it is none.
 */
int explain_errno(sqlite3 *db, int code);

#endif
