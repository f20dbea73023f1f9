/*
 * endpoint.c - makes, guards and removes the file of the control socket.
 *
 * Called at start, at reload and at the end. Paths come from the administrator's
 * configuration.
 */
#include "control/endpoint.h"

#include <errno.h>
#include <libgen.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "platform/file.h"

#define BACKLOG 1024 /* who connects without waiting isn't refused for a burst */

struct endpoint {
	char *path;
	dev_t device; /* of the file that we made */
	ino_t inode;
};

static int
fill_address(const char *path, struct sockaddr_un *ret)
{
	size_t len = strlen(path);

	if (len == 0)
		return -EINVAL;
	if (len >= sizeof(ret->sun_path))
		return -ENAMETOOLONG;
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret->sun_path, path, len + 1);
	return 0;
}

static int
make_parent(const char *path)
{
	_cleanup_free_ char *copy = strdup(path);

	if (copy == NULL)
		return -ENOMEM;
	return file_make_dirs(dirname(copy), 0755);
}

/* A full backlog (EAGAIN) means that somebody is there, too. */
static bool
somebody_listens(const struct sockaddr_un *address)
{
	_cleanup_close_ int fd = -1;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return true;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
		return true;
	return errno != ECONNREFUSED && errno != ENOENT;
}

/* What a renewd that was killed has left behind. */
static int
clear_path(const char *path, const struct sockaddr_un *address)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	if (somebody_listens(address))
		return -EADDRINUSE;
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

/* Linux takes the mode of the file from the socket, so it is never wider than this,
 * whatever the umask. */
static int
bind_and_listen(int fd, const struct sockaddr_un *address)
{
	if (fchmod(fd, 0600) < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		return -errno;
	if (chmod(address->sun_path, 0600) < 0 || listen(fd, BACKLOG) < 0) {
		int r = -errno;

		unlink(address->sun_path);
		return r;
	}
	return 0;
}

static struct endpoint *
remember(const char *path)
{
	struct endpoint *e;
	struct stat st;

	e = calloc(1, sizeof(*e));
	if (e == NULL)
		return NULL;
	e->path = strdup(path);
	if (e->path == NULL || lstat(path, &st) < 0) {
		free(e->path);
		free(e);
		return NULL;
	}
	e->device = st.st_dev;
	e->inode = st.st_ino;
	return e;
}

int
endpoint_open(const char *path, struct endpoint **ret, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_un address;
	struct endpoint *e;
	int r;

	r = fill_address(path, &address);
	if (r < 0)
		return r;
	r = make_parent(path);
	if (r < 0)
		return r;
	r = clear_path(path, &address);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	r = bind_and_listen(fd, &address);
	if (r < 0)
		return r;
	e = remember(path);
	if (e == NULL) {
		unlink(path);
		return -ENOMEM;
	}
	*ret = e;
	*ret_fd = steal_fd(fd);
	return 0;
}

const char *
endpoint_path(const struct endpoint *e)
{
	return e->path;
}

/* Shut, given away, opened: no step is wider than before and after. */
int
endpoint_allow(const struct endpoint *e, gid_t group, mode_t mode)
{
	if (chmod(e->path, 0600) < 0)
		return -errno;
	if (group != (gid_t)-1 && lchown(e->path, (uid_t)-1, group) < 0)
		return -errno;
	return chmod(e->path, mode) < 0 ? -errno : 0;
}

struct endpoint *
endpoint_close(struct endpoint *e)
{
	struct stat st;

	if (e == NULL)
		return NULL;
	if (lstat(e->path, &st) == 0 && st.st_dev == e->device && st.st_ino == e->inode)
		unlink(e->path);
	free(e->path);
	free(e);
	return NULL;
}
