/*
 * store.h - the inventory's database: one SQLite file, and commits that are shared by
 * all that is written in one turn of the loop.
 *
 * Opened by daemon.c; the files of queries beside it write through it. A first write
 * begins a transaction; it is committed when the loop has run what was ready. What must
 * not leave before it is on disk waits with store_after_commit().
 */
#ifndef STORE_H
#define STORE_H

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct store;

/* Opens state_dir/renewd.db (0600), making or migrating it. The event base must have
 * two priorities; commits run at the lower one. base NULL: store_flush() only (tests).
 * On failure *ret_why (to be freed) is one sentence for people: another renewd runs,
 * written by a newer version, damaged, no permission ... */
int store_open(
    struct event_base *base, const char *state_dir, struct store **ret, char **ret_why);
struct store *store_close(struct store *s);

/* r 0: all that was written before the call is on disk. Negative: it is not, everything
 * since the last commit was rolled back. Called from the loop, never from here. */
typedef void store_committed_cb(int r, void *arg);
int store_after_commit(struct store *s, store_committed_cb *cb, void *arg);
/* Callbacks with this arg are forgotten. */
void store_forget(struct store *s, void *arg);
/* Called whenever a commit failed and what was written since the last is gone; and,
 * with 0, when they have worked again for a while. NULL: not any more. */
void store_on_failure(struct store *s, void (*cb)(int error, void *arg), void *arg);
/* Called after each commit that has written something, until store_forget(). */
void store_on_commit(struct store *s, void (*cb)(void *arg), void *arg);
/* Commits now, and runs the callbacks. */
int store_flush(struct store *s);
/* Gives up what was written since the last commit; for callers that have only just
 * begun, as those of others in this turn of the loop lose theirs, and hear so. */
void store_roll_back(struct store *s);
/* A negative errno of the inventory's as a sentence for people. */
const char *store_explain(int error);

#endif
