/*
 * test_turn.c - turn.c: what it measures is the work between two waits, all of it, and
 * not the waits.
 */
#include "platform/turn.h"

#include <event2/event.h>

#include "suite.h"

#define LONG_US 30000

struct seen {
	struct event_base *base;
	uint64_t longest;
	uint64_t cpu;
	uint64_t waits;
	unsigned calls;
};

static void
longest_cb(const struct turn_cost *cost, void *arg)
{
	struct seen *s = arg;

	ck_assert_uint_gt(cost->us, s->longest);
	s->longest = cost->us;
	s->cpu = cost->cpu_us;
	s->waits = cost->waits;
	s->calls++;
}

static void
work_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	usleep(LONG_US); /* what is measured */
}

static void
end_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	event_base_loopbreak(arg);
}

/* `works` callbacks in one turn, after 20 ms; after 200 ms more of waiting it ends. */
static struct seen
run(size_t works)
{
	static const struct timeval soon = { .tv_usec = 20000 };
	static const struct timeval end = { .tv_usec = 500000 };
	struct seen s = { .base = event_base_new() };

	for (size_t i = 0; i < works; i++)
		event_base_once(s.base, -1, EV_TIMEOUT, work_cb, NULL, &soon);
	event_base_once(s.base, -1, EV_TIMEOUT, end_cb, s.base, &end);
	ck_assert_int_eq(turn_loop(s.base, longest_cb, &s), 0);
	event_base_free(s.base);
	return s;
}

/* The upper bounds are for a machine that does something else meanwhile: the waits are
 * ten times as long. */
START_TEST(waits_do_not_count)
{
	struct seen s = run(0);

	ck_assert_uint_lt(s.longest, 100000);
}
END_TEST

START_TEST(work_counts)
{
	struct seen s = run(1);

	ck_assert_uint_ge(s.longest, LONG_US);
	ck_assert_uint_lt(s.longest, LONG_US + 100000);
	ck_assert_uint_lt(s.cpu, LONG_US); /* it slept */
	ck_assert_uint_ge(s.waits, 1);
	ck_assert_uint_ge(s.calls, 1);
}
END_TEST

START_TEST(all_of_one_turn_counts)
{
	struct seen s = run(3);

	ck_assert_uint_ge(s.longest, 3 * LONG_US);
	ck_assert_uint_lt(s.longest, 3 * LONG_US + 100000);
}
END_TEST

SUITE("turn", waits_do_not_count, work_counts, all_of_one_turn_counts)
