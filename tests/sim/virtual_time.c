/*
 * virtual_time.c - the clocks, epoll_wait() and getrandom() of the simulation.
 *
 * These functions have the names of the C library's, and win over them at link time.
 * Time passes only where the loop would wait: then it jumps to what it waits for.
 */
#include "virtual_time.h"

#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND INT64_C(1000000)

static int64_t *now_us;
static int64_t *wrong;
static int64_t *wrong_at;
static const int64_t *wrong_then;
static int64_t die_at;
static uint64_t chance;

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

int
epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
	int n =
	    (int)syscall(SYS_epoll_wait, fd, events, max, now_us != NULL ? 0 : timeout);

	if (now_us == NULL || n != 0)
		return n;
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
