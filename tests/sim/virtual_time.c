/*
 * virtual_time.c - the clocks, epoll_wait() and getrandom() of the simulation.
 *
 * These functions have the names of the C library's, and win over them at link time.
 * Time passes only where the loop would wait: then it jumps to what it waits for.
 */
#include "virtual_time.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECOND      INT64_C(1000000)
#define THREADS_MAX 16
#define LOOKS       64 /* threads are few, and live long */

static int64_t *now_us;
static int64_t *wrong;
static int64_t *wrong_at;
static const int64_t *wrong_then;
static int64_t die_at;
static uint64_t chance;
static void (*each)(void);

void
virtual_time_use(int64_t *us)
{
	now_us = us;
}

void
virtual_time_wrong(int64_t *seconds, int64_t *at, const int64_t *then)
{
	wrong = seconds;
	wrong_at = at;
	wrong_then = then;
}

void
virtual_time_die_at(int64_t us)
{
	die_at = us;
}

int64_t
virtual_time_now(void)
{
	return *now_us / SECOND;
}

void
virtual_chance_seed(uint64_t seed)
{
	chance = seed;
}

void
virtual_time_each(void (*cb)(void))
{
	each = cb;
}

/* splitmix64 */
static uint64_t
next_chance(void)
{
	uint64_t z = chance += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

ssize_t
getrandom(void *buffer, size_t size, unsigned flags)
{
	unsigned char *bytes = buffer;

	(void)flags;
	for (size_t i = 0; i < size; i++)
		bytes[i] = (unsigned char)(next_chance() >> 24);
	return (ssize_t)size;
}

/* The clocks of a process or thread stay real: they measure work. */
int
clock_gettime(clockid_t id, struct timespec *ret)
{
	if (now_us == NULL || id == CLOCK_PROCESS_CPUTIME_ID ||
	    id == CLOCK_THREAD_CPUTIME_ID)
		return (int)syscall(SYS_clock_gettime, id, ret);
	ret->tv_sec = *now_us / SECOND;
	if (wrong != NULL && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		ret->tv_sec += *wrong;
	ret->tv_nsec = *now_us % SECOND * 1000;
	return 0;
}

int
gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
	struct timespec ts;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &ts);
	ret->tv_sec = ts.tv_sec;
	ret->tv_usec = ts.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *ret)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (ret != NULL)
		*ret = ts.tv_sec;
	return ts.tv_sec;
}

/* ---- what lives in real time: nothing jumps while it is at work ---- */

/* A child that runs, or isn't reaped. */
static bool
has_children(void)
{
	siginfo_t info;

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static int threads[THREADS_MAX]; /* their /proc/.../stat */
static size_t thread_count;
static unsigned looks;

static void
find_threads(void)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *entry;
	char path[64];

	while (thread_count > 0)
		close(threads[--thread_count]);
	while (d != NULL && (entry = readdir(d)) != NULL) {
		long tid = strtol(entry->d_name, NULL, 10);

		snprintf(path, sizeof(path), "/proc/self/task/%ld/stat", tid);
		if (tid != 0 && tid != getpid() && thread_count < THREADS_MAX)
			threads[thread_count++] = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (d != NULL)
		closedir(d);
}

/* A thread that has something to do: who was just woken runs, says the kernel. */
static bool
has_work(void)
{
	char text[128];

	if (looks++ % LOOKS == 0)
		find_threads();
	for (size_t i = 0; i < thread_count; i++) {
		ssize_t n = pread(threads[i], text, sizeof(text) - 1, 0);
		const char *end;

		text[n > 0 ? n : 0] = '\0';
		end = strrchr(text, ')');
		if (end == NULL)
			looks = 0; /* it has ended */
		else if (end[2] != 'S')
			return true;
	}
	return false;
}

int
epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
	int n;

	if (now_us != NULL && each != NULL)
		each();
	n = (int)syscall(SYS_epoll_wait, fd, events, max, now_us != NULL ? 0 : timeout);

	if (now_us == NULL || n != 0)
		return n;
	if (has_children() || has_work())
		return (int)syscall(SYS_epoll_wait, fd, events, max, 1);
	if (timeout < 0) /* nothing is planned: only something real can happen */
		return (int)syscall(SYS_epoll_wait, fd, events, max, 1);
	*now_us += timeout * INT64_C(1000);
	if (wrong_at != NULL && *wrong_at != 0 && *now_us / SECOND >= *wrong_at) {
		*wrong = *wrong_then;
		*wrong_at = 0;
	}
	if (die_at != 0 && *now_us >= die_at)
		_exit(EXIT_SUCCESS);
	return 0;
}
