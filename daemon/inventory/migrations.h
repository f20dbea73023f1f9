/*
 * migrations.h - inside inventory/: the schema of renewd.db as a list of steps.
 */
#ifndef MIGRATIONS_H
#define MIGRATIONS_H

#include <stddef.h>

/* PRAGMA user_version counts how many of them a database has seen. */
extern const char *const migrations[];
extern const size_t migration_count;

#endif
