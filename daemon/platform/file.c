/*
 * file.c - reading files whole, and replacing them so that readers see the old content
 * or the new, never a part, also after a power cut.
 *
 * Used by bundle/, inventory/ and daemon.c. A file has its group and mode before the
 * first byte of its content; nothing is ever written in place.
 */
#include "platform/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "platform/clock.h"
#include "scope.h"

#define FIRST_SIZE 4096
#define TREE_DEPTH 16
#define TEMP_TRIES 16

/* Content that may be a key, in memory that is wiped before it is given back. */
struct content {
	char *data;
	size_t len;
	size_t size;
};

static void
wipe(struct content *c)
{
	if (c->data != NULL)
		explicit_bzero(c->data, c->size);
	free(c->data);
}

/* realloc() would leave a copy behind. */
static int
grow(struct content *c, size_t size)
{
	char *data = malloc(size);

	if (data == NULL)
		return -ENOMEM;
	if (c->len > 0)
		memcpy(data, c->data, c->len);
	wipe(c);
	c->data = data;
	c->size = size;
	return 0;
}

/* Up to and with the end of the file; the size that fstat() told is only a hint, as
 * files in /proc have none and others may grow meanwhile. Where that much was read, and
 * less than there was room for, the end was met. */
static int
read_all(int fd, size_t max, size_t hint, struct content *c)
{
	size_t asked;

	for (;;) {
		ssize_t n;
		int r;

		if (c->len + 1 >= c->size) {
			r = grow(c, c->size * 2);
			if (r < 0)
				return r;
		}
		asked = c->size - c->len - 1;
		n = read(fd, c->data + c->len, asked);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		c->len += (size_t)n;
		if (c->len > max)
			return -EFBIG;
		if (n == 0 || (hint > 0 && c->len >= hint && (size_t)n < asked))
			return 0;
	}
}

int
file_read(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len)
{
	_cleanup_(wipe) struct content c = { 0 };
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	/* Non-blocking: a FIFO without a writer would stop us for ever. */
	fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	if ((uintmax_t)st.st_size > max)
		return -EFBIG;
	r = grow(&c, st.st_size > 0 ? (size_t)st.st_size + 2 : FIRST_SIZE);
	if (r < 0)
		return r;
	r = read_all(fd, max, (size_t)st.st_size, &c);
	if (r < 0)
		return r;
	c.data[c.len] = '\0';
	if (ret_len != NULL)
		*ret_len = c.len;
	*ret = steal_ptr(c.data);
	return 0;
}

static int
write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int
fill(int fd, const void *data, size_t len, mode_t mode, uid_t uid, gid_t gid, bool sync)
{
	int r;

	/* In this order: with the mode first, the wrong group could read for a moment;
	 * and chown clears set-id bits. */
	if ((gid != (gid_t)-1 || uid != (uid_t)-1) && fchown(fd, uid, gid) < 0)
		return -errno;
	if (fchmod(fd, mode) < 0)
		return -errno;
	r = write_all(fd, data, len);
	if (r < 0 || !sync)
		return r;
	return fsync(fd) < 0 ? -errno : 0;
}

static int
create(int dirfd, const char *path, const void *data, size_t len, mode_t mode,
    uid_t uid, gid_t gid, bool sync)
{
	_cleanup_close_ int fd = -1;
	int r;

	fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	    mode & 0600);
	if (fd < 0)
		return -errno;
	r = fill(fd, data, len, mode, uid, gid, sync);
	if (r < 0)
		unlinkat(dirfd, path, 0);
	return r;
}

int
file_create(
    int dirfd, const char *path, const void *data, size_t len, mode_t mode, gid_t gid)
{
	return create(dirfd, path, data, len, mode, (uid_t)-1, gid, true);
}

int
file_create_quick(
    int dirfd, const char *path, const void *data, size_t len, mode_t mode, gid_t gid)
{
	return create(dirfd, path, data, len, mode, (uid_t)-1, gid, false);
}

/* ".NAME.XXXXXX" beside path, so that a rename stays in one file system. */
static int
temp_name(const char *path, char ret[PATH_MAX])
{
	static const char letters[] =
	    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	const char *slash = strrchr(path, '/');
	const char *name = slash == NULL ? path : slash + 1;
	char random[7] = "";
	int n;

	if (*name == '\0')
		return -EINVAL;
	for (size_t i = 0; i < sizeof(random) - 1; i++)
		random[i] = letters[clock_random(sizeof(letters) - 1)];
	/* A name may have 255 bytes already: the temporary one must not have more. */
	n = snprintf(ret, PATH_MAX, "%.*s.%.*s.%s", (int)(name - path), path,
	    NAME_MAX - 8, name, random);
	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* The directory in which path stands. */
static int
sync_parent(int dirfd, const char *path)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir = NULL;

	if (slash == NULL)
		return file_sync_dir(dirfd, ".");
	dir = strndup(path, slash == path ? 1 : (size_t)(slash - path));
	if (dir == NULL)
		return -ENOMEM;
	return file_sync_dir(dirfd, dir);
}

static int
move_in(int dirfd, const char *temp, const char *path)
{
	if (renameat(dirfd, temp, dirfd, path) < 0) {
		int r = -errno;

		unlinkat(dirfd, temp, 0);
		return r;
	}
	return 0;
}

int
file_replace(
    int dirfd, const char *path, const void *data, size_t len, mode_t mode, gid_t gid)
{
	return file_replace_owned(dirfd, path, data, len, mode, (uid_t)-1, gid);
}

int
file_replace_owned(int dirfd, const char *path, const void *data, size_t len,
    mode_t mode, uid_t uid, gid_t gid)
{
	char temp[PATH_MAX];
	int r = -EEXIST;

	for (int i = 0; i < TEMP_TRIES && r == -EEXIST; i++) {
		r = temp_name(path, temp);
		if (r < 0)
			return r;
		r = create(dirfd, temp, data, len, mode, uid, gid, true);
	}
	if (r == 0)
		r = move_in(dirfd, temp, path);
	return r < 0 ? r : sync_parent(dirfd, path);
}

int
file_link(int dirfd, const char *path, const char *to)
{
	int r = file_link_quick(dirfd, path, to);

	return r < 0 ? r : sync_parent(dirfd, path);
}

int
file_link_quick(int dirfd, const char *path, const char *to)
{
	char temp[PATH_MAX];
	struct stat st;
	int r = -EEXIST;

	if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISLNK(st.st_mode))
		return -EEXIST;
	for (int i = 0; i < TEMP_TRIES && r == -EEXIST; i++) {
		r = temp_name(path, temp);
		if (r < 0)
			return r;
		r = symlinkat(to, dirfd, temp) < 0 ? -errno : 0;
	}
	return r < 0 ? r : move_in(dirfd, temp, path);
}

static int
make_dir(const char *path, mode_t mode)
{
	struct stat st;
	int r;

	if (mkdir(path, mode & 0700) == 0) {
		/* Not through the umask. */
		if (chmod(path, mode) < 0)
			return -errno;
		return sync_parent(AT_FDCWD, path);
	}
	r = -errno;
	/* Where it is there already, it doesn't matter why we couldn't have made it:
	 * its parent may be read-only or somebody else's. */
	if (stat(path, &st) < 0)
		return r;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int
file_make_dirs(const char *path, mode_t mode)
{
	_cleanup_free_ char *copy = strdup(path);

	if (copy == NULL)
		return -ENOMEM;
	if (*copy == '\0')
		return -ENOENT;
	/* Each prefix that ends before a slash, then the whole. */
	for (char *s = copy + 1; *s != '\0'; s++) {
		int r;

		if (*s != '/' || s[-1] == '/')
			continue;
		*s = '\0';
		r = make_dir(copy, mode);
		if (r < 0)
			return r;
		*s = '/';
	}
	return copy[strlen(copy) - 1] == '/' ? 0 : make_dir(copy, mode);
}

static int remove_inside(int fd, int depth);

static int
remove_entry(int dirfd, const char *name, int depth)
{
	_cleanup_close_ int fd = -1;
	int r;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR)
		return -errno;
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = remove_inside(fd, depth + 1);
	if (r < 0)
		return r;
	return unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

static void
close_dirp(DIR **d)
{
	if (*d != NULL)
		closedir(*d);
}

/* fd stays the caller's. */
static int
remove_inside(int fd, int depth)
{
	_cleanup_(close_dirp) DIR *d = NULL;
	struct dirent *entry;
	_cleanup_close_ int copy = -1;
	int r;

	if (depth > TREE_DEPTH)
		return -ELOOP;
	copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = copy < 0 ? NULL : fdopendir(copy);
	if (d == NULL)
		return -errno;
	copy = -1; /* closedir() closes it */
	while ((entry = readdir(d)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		r = remove_entry(fd, entry->d_name, depth);
		if (r < 0)
			return r;
	}
	return 0;
}

int
file_remove_tree(int dirfd, const char *path)
{
	_cleanup_close_ int fd = -1;
	int r;

	fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	r = remove_inside(fd, 0);
	if (r < 0)
		return r;
	return unlinkat(dirfd, path, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

int
file_sync_dir(int dirfd, const char *path)
{
	_cleanup_close_ int fd = -1;

	fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return fsync(fd) < 0 ? -errno : 0;
}
