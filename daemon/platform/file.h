/*
 * file.h - files that are replaced whole or not at all, also at a power cut.
 *
 * Used wherever renewd writes files that others read. Paths are relative to dirfd
 * unless absolute. Modes are set from creation, whatever the umask.
 */
#ifndef FILE_H
#define FILE_H

#include <stddef.h>
#include <sys/types.h>

/* Whole file, NUL-terminated; -EFBIG over max bytes. ret_len may be NULL. The content
 * may be a key: free it with acme_wipe_free(). */
int file_read(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len);
/* A new file with this content and mode (gid (gid_t)-1: as it comes), fsynced; -EEXIST.
 */
int file_create(
    int dirfd, const char *path, const void *data, size_t len, mode_t mode, gid_t gid);
/* The same, in place of what is there: temporary file, fsync, rename, fsync of the
 * directory. */
int file_replace(
    int dirfd, const char *path, const void *data, size_t len, mode_t mode, gid_t gid);
/* The same with an owner, (uid_t)-1: as it comes. */
int file_replace_owned(int dirfd, const char *path, const void *data, size_t len,
    mode_t mode, uid_t uid, gid_t gid);
/* A symbolic link in place of whatever link is there, by one rename; directory fsynced.
 */
int file_link(int dirfd, const char *path, const char *to);
/* The same two without any fsync, for what can be made again: after a power cut it may
 * be missing or empty. */
int file_create_quick(
    int dirfd, const char *path, const void *data, size_t len, mode_t mode, gid_t gid);
int file_link_quick(int dirfd, const char *path, const char *to);
/* mkdir -p; those made get this mode. */
int file_make_dirs(const char *path, mode_t mode);
/* Removes a directory and all in it. No error where it isn't there. */
int file_remove_tree(int dirfd, const char *path);
int file_sync_dir(int dirfd, const char *path);

#endif
