/*
 * process.c - signals for the process that a pidfile names, and for no other.
 *
 * Called by the deploy targets. The pidfd is opened first and the executable looked at
 * next: if the process ends in between, the signal reaches nobody. It must never use
 * kill(), and never block on what stands in the pidfile's place.
 */
#include "platform/process.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>

#include "scope.h"

#define PIDFILE_SIZE 64
#define PID_DIGITS   9
#define COMM_SIZE    16 /* TASK_COMM_LEN */
#define DELETED      " (deleted)"

/* What the kernel says of a process is at most this long. */
#define PROC_PATH_SIZE 64

/* Whoever owns the directory can put a FIFO there: O_NONBLOCK, and regular files only.
 */
static int
read_text(const char *path, char *ret, size_t size)
{
	_cleanup_close_ int fd =
	    open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;
	n = read(fd, ret, size - 1);
	if (n < 0)
		return -errno;
	ret[n] = '\0';
	return 0;
}

/* The number on the first line; nothing but blanks may stand around it. */
static int
parse_pid(const char *text, pid_t *ret)
{
	size_t digits;
	const char *end;

	text += strspn(text, " \t");
	digits = strspn(text, "0123456789");
	if (digits == 0 || digits > PID_DIGITS)
		return -EBADMSG;
	end = text + digits + strspn(text + digits, " \t\r");
	if (*end != '\n' && *end != '\0')
		return -EBADMSG;
	*ret = strtol(text, NULL, 10);
	return *ret > 0 ? 0 : -EBADMSG;
}

static int
read_pid(const char *pidfile, pid_t *ret)
{
	char text[PIDFILE_SIZE];
	int r;

	r = read_text(pidfile, text, sizeof(text));
	if (r < 0)
		return r;
	return parse_pid(text, ret);
}

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* A package upgrade replaces the file while the server runs on. */
static void
cut_deleted(char *exe, size_t len)
{
	size_t end = strlen(DELETED);

	if (len > end && strcmp(exe + len - end, DELETED) == 0)
		exe[len - end] = '\0';
}

static bool
is_executable(const char *exe, const char *process)
{
	char real[PATH_MAX];

	if (strchr(process, '/') == NULL)
		return strcmp(base_name(exe), process) == 0;
	return strcmp(exe, process) == 0 ||
	    (realpath(process, real) != NULL && strcmp(exe, real) == 0);
}

static int
compare_exe(pid_t pid, const char *process)
{
	char path[PROC_PATH_SIZE], exe[PATH_MAX];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	n = readlink(path, exe, sizeof(exe) - 1);
	if (n < 0)
		return -errno;
	exe[n] = '\0';
	cut_deleted(exe, n);
	return is_executable(exe, process) ? 0 : -EXDEV;
}

/* The kernel cuts command names. */
static int
compare_comm(pid_t pid, const char *process)
{
	char path[PROC_PATH_SIZE], comm[COMM_SIZE + 1];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	r = read_text(path, comm, sizeof(comm));
	if (r < 0)
		return r;
	comm[strcspn(comm, "\n")] = '\0';
	return strncmp(comm, base_name(process), COMM_SIZE - 1) == 0 ? 0 : -EXDEV;
}

/* True of a zombie as well, which would swallow a signal without an error. */
static bool
has_ended(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

static int
compare(int pidfd, pid_t pid, const char *process)
{
	int r;

	r = compare_exe(pid, process);
	if (r < 0 && r != -EXDEV)
		r = compare_comm(pid, process);
	if (has_ended(pidfd))
		return -ESRCH;
	if (r == 0 || r == -EXDEV)
		return r;
	return -EPERM; /* it lives, but /proc hides it (hidepid=, ProtectProc=) */
}

int
process_signal(const char *pidfile, const char *process, int signal, pid_t *ret_pid)
{
	_cleanup_close_ int pidfd = -1;
	pid_t pid;
	int r;

	r = read_pid(pidfile, &pid);
	if (r < 0)
		return r;
	pidfd = pidfd_open(pid, 0);
	if (pidfd < 0) /* EINVAL, ENOENT: the number of a thread */
		return errno == EINVAL || errno == ENOENT ? -ESRCH : -errno;
	r = compare(pidfd, pid, process);
	if (r < 0)
		return r;
	if (pidfd_send_signal(pidfd, signal, NULL, 0) < 0)
		return -errno;
	*ret_pid = pid;
	return 0;
}

bool
process_is(pid_t pid, const char *process)
{
	_cleanup_close_ int pidfd = pidfd_open(pid, 0);

	return pidfd >= 0 && compare(pidfd, pid, process) == 0;
}

/* ---- what becomes of it ---- */

#define CHILDREN_SIZE 16384
#define TITLE_SIZE    256

ssize_t
process_children(pid_t pid, pid_t *ret, size_t max)
{
	char path[PROC_PATH_SIZE], text[CHILDREN_SIZE];
	char *at = text, *end;
	size_t count = 0;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	r = read_text(path, text, sizeof(text));
	if (r < 0)
		return r;
	for (; count < max; at = end) {
		long child = strtol(at, &end, 10);

		if (end == at)
			break;
		ret[count++] = (pid_t)child;
	}
	return (ssize_t)count;
}

bool
process_is_titled(pid_t pid, const char *text)
{
	char path[PROC_PATH_SIZE], title[TITLE_SIZE];

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	return read_text(path, title, sizeof(title)) == 0 &&
	    strstr(title, text) != NULL;
}

int
process_open_stderr(pid_t pid)
{
	_cleanup_close_ int fd = -1;
	char path[PROC_PATH_SIZE];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/fd/2", pid);
	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode)) /* opening a pipe of others would be felt */
		return -EBADMSG;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd < 0 ? -errno : steal_fd(fd);
}
