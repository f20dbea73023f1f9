/*
 * soundness.h - is the database whole? For the self-test.
 */
#ifndef SOUNDNESS_H
#define SOUNDNESS_H

#include <stdbool.h>

struct store;

/* Reads all of state_dir/renewd.db, by a connection of its own: any thread may, while
 * the store is used. 0, -EUCLEAN where it is damaged, or why it can't be read. */
int store_check(const char *state_dir);
/* Has a query met a damaged page? That was said then. */
bool store_is_damaged(const struct store *s);

#endif
