/*
 * test_worker.c - worker.c: order, threads, and leaving in the middle.
 */
#include "platform/worker.h"

#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "suite.h"

#define JOBS 50

struct job {
	struct event_base *base;
	pthread_t loop;
	int ran;  /* written by the thread */
	int done; /* written by the loop */
	bool elsewhere;
	bool signals_blocked;
	int *order;
	bool last;
	unsigned us;
};

static void
run_cb(void *arg)
{
	struct job *j = arg;
	sigset_t mask;

	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	j->signals_blocked = sigismember(&mask, SIGTERM) &&
	    sigismember(&mask, SIGCHLD) && sigismember(&mask, SIGHUP);
	j->elsewhere = !pthread_equal(pthread_self(), j->loop);
	usleep(j->us); /* the work */
	j->ran++;
}

static void
done_cb(void *arg)
{
	struct job *j = arg;

	j->done = ++*j->order;
	ck_assert(pthread_equal(pthread_self(), j->loop));
	if (j->last)
		event_base_loopbreak(j->base);
}

static void
late_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	event_base_loopbreak(arg);
}

static void
loop(struct event_base *base, int ms)
{
	struct timeval most = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	event_base_once(base, -1, EV_TIMEOUT, late_cb, base, &most);
	event_base_dispatch(base);
}

START_TEST(test_in_order)
{
	struct event_base *base = event_base_new();
	struct job jobs[JOBS] = { 0 };
	struct worker *w;
	int order = 0;
	sigset_t mask;

	ck_assert_int_eq(worker_new(base, &w), 0);
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	ck_assert(!sigismember(&mask, SIGTERM));
	for (int i = 0; i < JOBS; i++) {
		jobs[i] = (struct job){ .base = base,
			.loop = pthread_self(),
			.order = &order,
			.last = i == JOBS - 1 };
		ck_assert_int_eq(worker_run(w, run_cb, done_cb, &jobs[i]), 0);
		ck_assert_int_eq(jobs[i].done, 0);
	}
	loop(base, 5000);
	for (int i = 0; i < JOBS; i++) {
		ck_assert_int_eq(jobs[i].ran, 1);
		ck_assert_int_eq(jobs[i].done, i + 1);
		ck_assert(jobs[i].elsewhere && jobs[i].signals_blocked);
	}
	ck_assert_ptr_null(worker_free(w));
	event_base_free(base);
}
END_TEST

START_TEST(test_free_waits_for_one)
{
	struct event_base *base = event_base_new();
	struct job jobs[3] = { 0 };
	struct worker *w;
	int order = 0;

	ck_assert_int_eq(worker_new(base, &w), 0);
	for (int i = 0; i < 3; i++) {
		jobs[i] = (struct job){ .base = base,
			.loop = pthread_self(),
			.order = &order,
			.us = 200000 };
		ck_assert_int_eq(worker_run(w, run_cb, done_cb, &jobs[i]), 0);
	}
	usleep(50000); /* the first has begun */
	worker_free(w);
	loop(base, 20);
	ck_assert_int_eq(jobs[0].ran, 1);
	ck_assert_int_eq(jobs[1].ran + jobs[2].ran, 0);
	ck_assert_int_eq(order, 3); /* each may free what it holds */
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(jobs[i].done, i + 1);
	event_base_free(base);
}
END_TEST

START_TEST(test_free_idle)
{
	struct event_base *base = event_base_new();
	struct worker *w;

	ck_assert_int_eq(worker_new(base, &w), 0);
	worker_free(w);
	ck_assert_ptr_null(worker_free(NULL));
	event_base_free(base);
}
END_TEST

SUITE("worker", test_in_order, test_free_waits_for_one, test_free_idle)
