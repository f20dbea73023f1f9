/*
 * parent.h - the directory of a file that is to be written outside of renewd's own.
 *
 * Used by deploy/ where the administrator names paths in directories of others.
 */
#ifndef PARENT_H
#define PARENT_H

/* Opens the directory of an absolute path; those that are missing are made, 0755.
 * *ret_name is the rest, inside path. Symbolic links are followed where root or our own
 * user has made them; -ELOOP for one of anybody else's, or too many. */
int parent_open(const char *path, int *ret_fd, const char **ret_name);
/* The same, but none is made: -ENOENT. */
int parent_find(const char *path, int *ret_fd, const char **ret_name);

#endif
