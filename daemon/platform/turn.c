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

#include "platform/clock.h"

struct turn {
	uint64_t began_us; /* 0: in no turn */
	uint64_t longest_us;
	void (*longest_cb)(uint64_t us, void *arg);
	void *arg;
};

/* Of the thread that runs a loop here: epoll_wait() has no argument to find it by. */
static _Thread_local struct turn *turn;

static void
end_turn(void)
{
	uint64_t us;

	if (turn == NULL || turn->began_us == 0)
		return;
	us = clock_monotonic_us() - turn->began_us;
	if (us <= turn->longest_us)
		return;
	turn->longest_us = us;
	turn->longest_cb(us, turn->arg);
}

__attribute__((weak)) int
epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
	int n;

	end_turn();
	n = epoll_pwait(fd, events, max, timeout, NULL);
	if (turn != NULL)
		turn->began_us = clock_monotonic_us();
	return n;
}

int
turn_loop(
    struct event_base *base, void (*longest_cb)(uint64_t us, void *arg), void *arg)
{
	struct turn t = { .longest_cb = longest_cb, .arg = arg };
	int r;

	turn = &t;
	r = event_base_dispatch(base);
	turn = NULL;
	return r;
}
