/*
 * turn.c - see turn.h.
 *
 * libevent has hooks around its wait from 2.2 on (evwatch). In 2.1 nothing tells when a
 * wait has ended: its cached time is as coarse as the kernel's ticks, and no event is
 * active in every turn. So the one function that it waits in is here: the program's own
 * epoll_wait() is found before the C library's. It does the same, and notes the time.
 * It is weak, as the simulation has one that doesn't wait.
 */
#include "platform/turn.h"

#include <event2/event.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "platform/clock.h"

struct turn {
	uint64_t began_us; /* 0: in no turn */
	struct rusage began;
	uint64_t longest_us;
	void (*longest_cb)(const struct turn_cost *cost, void *arg);
	void *arg;
};

/* Of the thread that runs a loop here: epoll_wait() has no argument to find it by. */
static _Thread_local struct turn *turn;

static void
begin_turn(void)
{
	if (turn == NULL)
		return;
	turn->began_us = clock_monotonic_us();
	(void)getrusage(RUSAGE_THREAD, &turn->began);
}

static uint64_t
cpu_us(const struct rusage *r)
{
	return (uint64_t)(r->ru_utime.tv_sec + r->ru_stime.tv_sec) * 1000000 +
	    (uint64_t)(r->ru_utime.tv_usec + r->ru_stime.tv_usec);
}

static void
end_turn(void)
{
	const struct rusage *began;
	struct rusage now;
	uint64_t us;

	if (turn == NULL || turn->began_us == 0)
		return;
	began = &turn->began;
	us = clock_monotonic_us() - turn->began_us;
	if (us <= turn->longest_us || getrusage(RUSAGE_THREAD, &now) < 0)
		return;
	turn->longest_us = us;
	turn->longest_cb(
	    &(struct turn_cost){ .us = us,
		.cpu_us = cpu_us(&now) - cpu_us(began),
		.waits = (uint64_t)(now.ru_nvcsw - began->ru_nvcsw),
		.preemptions = (uint64_t)(now.ru_nivcsw - began->ru_nivcsw),
		.reads = (uint64_t)(now.ru_majflt - began->ru_majflt) },
	    turn->arg);
}

__attribute__((weak)) int
epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
	int n;

	end_turn();
	n = epoll_pwait(fd, events, max, timeout, NULL);
	begin_turn();
	return n;
}

int
turn_loop(struct event_base *base,
    void (*longest_cb)(const struct turn_cost *cost, void *arg), void *arg)
{
	struct turn t = { .longest_cb = longest_cb, .arg = arg };
	int r;

	turn = &t;
	r = event_base_dispatch(base);
	turn = NULL;
	return r;
}
