/*
 * room.c - see room.h.
 *
 * Modes alone don't say it: root passes by them, and a quota, a mount option or a
 * security module may stand behind them. So a file is made, one that has no name: a
 * crash leaves nothing behind.
 */
#include "platform/room.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "scope.h"

#define BLOCK       4096
#define FILES_LEAST 16

static int
write_block(int dirfd)
{
	static const char block[BLOCK];
	_cleanup_close_ int fd =
	    openat(dirfd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	ssize_t n;

	if (fd < 0 && errno == EOPNOTSUPP) /* as NFS: by what the modes say */
		return faccessat(dirfd, ".", W_OK | X_OK, AT_EACCESS) < 0 ? -errno : 0;
	if (fd < 0)
		return -errno;
	n = pwrite(fd, block, sizeof(block), 0);
	if (n < 0)
		return -errno;
	return n == BLOCK ? 0 : -ENOSPC;
}

int
room_look(int dirfd, uint64_t bytes)
{
	struct statvfs st;
	int r = write_block(dirfd);

	if (r < 0)
		return r;
	if (fstatvfs(dirfd, &st) < 0)
		return -errno;
	if ((uint64_t)st.f_bavail * st.f_frsize < bytes ||
	    (st.f_files != 0 && st.f_favail < FILES_LEAST))
		return -ENOSPC;
	return 0;
}

int
room_look_at(const char *path, uint64_t bytes)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : room_look(fd, bytes);
}
