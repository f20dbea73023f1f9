/*
 * faults.c - see faults.h. Only files under one folder count: a socket or the log is
 * never full.
 */
#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "power.h"

static enum fault armed;
static int64_t *counter;
static int64_t first_hit;
static int64_t last_hit;
static char folder[128];

void
faults_arm(
    enum fault fault, int64_t *count, int64_t first, int64_t last, const char *under)
{
	armed = fault;
	counter = count;
	first_hit = first;
	last_hit = last;
	snprintf(folder, sizeof(folder), "%s/", under);
	if (fault == FAULT_POWER)
		power_use(under);
}

static bool
ends(void)
{
	return armed == FAULT_CRASH || armed == FAULT_POWER;
}

/* True: the call fails, with errno set. */
static bool
hit(void)
{
	int64_t number;

	if (armed == FAULT_NONE)
		return false;
	/* threads may write, too */
	number = atomic_fetch_add((_Atomic int64_t *)counter, 1) + 1;
	if (number < first_hit || number > last_hit)
		return false;
	if (ends())
		_exit(EXIT_SUCCESS);
	errno = armed == FAULT_FULL ? ENOSPC : EIO;
	return true;
}

static bool
counts(int fd)
{
	char link[64];
	char path[512];
	ssize_t n;

	if (armed == FAULT_NONE)
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return false;
	path[n] = '\0';
	if (strncmp(path, folder, strlen(folder) - 1) == 0 &&
	    path[strlen(folder) - 1] == '\0')
		return true;
	return strncmp(path, folder, strlen(folder)) == 0 &&
	    strstr(path, "/log") == NULL;
}

ssize_t
write(int fd, const void *data, size_t len)
{
	if (counts(fd) && hit())
		return -1;
	return syscall(SYS_write, fd, data, len);
}

ssize_t
pwrite(int fd, const void *data, size_t len, off_t at)
{
	if (counts(fd) && hit())
		return -1;
	return syscall(SYS_pwrite64, fd, data, len, at);
}

ssize_t
pwrite64(int fd, const void *data, size_t len, off_t at)
{
	return pwrite(fd, data, len, at);
}

int
fsync(int fd)
{
	if (!counts(fd) || armed == FAULT_FULL)
		return 0; /* a folder in memory needs none */
	if (hit())
		return -1;
	power_synced(fd);
	return 0;
}

int
fdatasync(int fd)
{
	return fsync(fd);
}

/* Of the file system that this is on: more than the folder, which is what we keep. */
int
syncfs(int fd)
{
	if (!counts(fd) || armed == FAULT_FULL)
		return 0;
	if (hit())
		return -1;
	power_synced_all();
	return 0;
}

int
mkdirat(int dir, const char *path, mode_t mode)
{
	if (armed != FAULT_NONE && hit())
		return -1;
	return (int)syscall(SYS_mkdirat, dir, path, mode);
}

int
renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	if (armed != FAULT_NONE && hit())
		return -1;
	return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, 0);
}

int
symlinkat(const char *to, int dir, const char *path)
{
	if (armed != FAULT_NONE && hit())
		return -1;
	return (int)syscall(SYS_symlinkat, to, dir, path);
}

int
unlinkat(int dir, const char *path, int flags)
{
	if (ends() && hit())
		return -1;
	return (int)syscall(SYS_unlinkat, dir, path, flags);
}

int
unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int
ftruncate(int fd, off_t len)
{
	if (counts(fd) && ends() && hit())
		return -1;
	return (int)syscall(SYS_ftruncate, fd, len);
}

int
ftruncate64(int fd, off_t len)
{
	return ftruncate(fd, len);
}
