/*
 * child.h - programs run with arguments of their own, a deadline and bounded output.
 *
 * Used by deploy targets. No shell is ever involved. The child gets a clean environment
 * (PATH, LANG and what is given), what is given or nothing as standard input, a process
 * group of its own that is killed whole at the deadline, default signal handling and no
 * open descriptor of renewd's.
 */
#ifndef CHILD_H
#define CHILD_H

#include <stddef.h>

struct event_base;
struct child;

/* status as from waitpid(); -ETIME where it was killed at the deadline,
 * -EFBIG where it was for writing more than 16 MiB; another
 * negative errno where it couldn't be started. output: what it wrote to standard output
 * and error, the last 4 KiB of it, NUL-terminated, lent for the call. */
typedef void child_done_cb(int status, const char *output, void *arg);

/* Starts argv[0] (found in PATH unless it has a slash) with the environment given as
 * NULL-terminated "NAME=value" strings. line_cb (may be NULL) gets each line of output
 * as it comes. done_cb is called once, from the loop, never from here. -ENOENT etc.
 * where it can't be started. */
typedef void child_line_cb(const char *line, void *arg);
int child_run(struct event_base *base, char *const argv[], char *const environment[],
    unsigned timeout_seconds, child_line_cb *line_cb, child_done_cb *done_cb, void *arg,
    struct child **ret);
/* The same with a text as standard input; NULL: none. */
int child_run_fed(struct event_base *base, char *const argv[],
    char *const environment[], const char *input, unsigned timeout_seconds,
    child_line_cb *line_cb, child_done_cb *done_cb, void *arg, struct child **ret);
/* Frees it; to be called for each child, also after done_cb, and fine within both
 * callbacks. What still runs is killed, and done_cb isn't called. */
struct child *child_free(struct child *c);

/* A status as given to done_cb, in words that follow the program's name: "ended with
 * exit status 1". Returns ret. */
#define CHILD_EXPLAIN_SIZE 96
const char *child_explain(int status, char ret[CHILD_EXPLAIN_SIZE]);

#endif
