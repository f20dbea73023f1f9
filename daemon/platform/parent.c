/*
 * parent.c - walks to the directory of a file, one step after the other.
 *
 * Called by deploy/. Each step is opened without following it and looked at then, so
 * that nobody who may write to a directory on the way leads renewd, and a private key,
 * elsewhere by a link. It must never trust a path as a whole.
 */
#include "platform/parent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/file.h"
#include "scope.h"

#define LINKS_MAX 16
#define STEP      (O_PATH | O_NOFOLLOW | O_CLOEXEC)

struct walk {
	int fd; /* where we are */
	bool make;
	unsigned links;
	char rest[PATH_MAX]; /* what is still to go */
};

static int
move_to(struct walk *w, int fd)
{
	if (fd < 0)
		return -errno;
	closep(&w->fd);
	w->fd = fd;
	return 0;
}

/* A link is as good as who made it. */
static int
follow(struct walk *w, int link, const struct stat *st)
{
	char to[PATH_MAX], rest[PATH_MAX];
	ssize_t n;

	if ((st->st_uid != 0 && st->st_uid != geteuid()) || ++w->links > LINKS_MAX)
		return -ELOOP;
	n = readlinkat(link, "", to, sizeof(to));
	if (n < 0)
		return -errno;
	if (snprintf(rest, sizeof(rest), "%.*s/%s", (int)n, to, w->rest) >=
	    (int)sizeof(rest))
		return -ENAMETOOLONG;
	memcpy(w->rest, rest, sizeof(rest));
	return rest[0] == '/' ? move_to(w, open("/", STEP | O_DIRECTORY)) : 0;
}

static int
make_dir(const struct walk *w, const char *name)
{
	if (mkdirat(w->fd, name, 0700) < 0)
		return errno == EEXIST ? 0 : -errno;
	/* Not through the umask. */
	if (fchmodat(w->fd, name, 0755, 0) < 0)
		return -errno;
	return file_sync_dir(w->fd, ".");
}

static int
step(struct walk *w, const char *name)
{
	_cleanup_close_ int fd = openat(w->fd, name, STEP);
	struct stat st;
	int r;

	if (fd < 0 && errno == ENOENT && w->make) {
		r = make_dir(w, name);
		if (r < 0)
			return r;
		fd = openat(w->fd, name, STEP);
	}
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode))
		return follow(w, fd, &st);
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	r = move_to(w, fd);
	fd = -1;
	return r;
}

/* Takes the first name off what is still to go; false: there is none. */
static bool
take(struct walk *w, char name[NAME_MAX + 1], int *error)
{
	char *begin = w->rest + strspn(w->rest, "/");
	size_t len = strcspn(begin, "/");

	*error = len > NAME_MAX ? -ENAMETOOLONG : 0;
	if (len == 0 || *error < 0)
		return false;
	memcpy(name, begin, len);
	name[len] = '\0';
	memmove(w->rest, begin + len, strlen(begin + len) + 1);
	return true;
}

static int
walk(const char *path, bool make, int *ret_fd, const char **ret_name)
{
	struct walk w = { .fd = -1, .make = make };
	const char *slash = strrchr(path, '/');
	char name[NAME_MAX + 1];
	int r = 0;

	if (path[0] != '/' || slash[1] == '\0')
		return -EINVAL;
	if ((size_t)(slash - path) >= sizeof(w.rest))
		return -ENAMETOOLONG;
	snprintf(w.rest, sizeof(w.rest), "%.*s", (int)(slash - path), path);
	r = move_to(&w, open("/", STEP | O_DIRECTORY));
	while (r == 0 && take(&w, name, &r))
		r = step(&w, name);
	if (r < 0) {
		closep(&w.fd);
		return r;
	}
	*ret_fd = w.fd;
	*ret_name = slash + 1;
	return 0;
}

int
parent_open(const char *path, int *ret_fd, const char **ret_name)
{
	return walk(path, true, ret_fd, ret_name);
}

int
parent_find(const char *path, int *ret_fd, const char **ret_name)
{
	return walk(path, false, ret_fd, ret_name);
}
