/*
 * inline_worker.c - worker.h without a thread, for the simulation: a job runs when the
 * loop comes to it, so that a run with the same seed is the same run.
 *
 * These functions win over those of platform/worker.c at link time.
 */
#include "platform/worker.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/queue.h>

struct job {
	STAILQ_ENTRY(job) entry;
	void (*run_cb)(void *arg);
	void (*done_cb)(void *arg);
	void *arg;
};

struct worker {
	struct event *event;
	STAILQ_HEAD(jobs, job) jobs;
};

static struct job *
take(struct worker *w)
{
	struct job *job = STAILQ_FIRST(&w->jobs);

	if (job != NULL)
		STAILQ_REMOVE_HEAD(&w->jobs, entry);
	return job;
}

/* One a turn, as if it took its time. */
static void
turn_cb(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	struct job *job = take(w);

	(void)fd, (void)what;
	if (!STAILQ_EMPTY(&w->jobs))
		event_active(w->event, EV_TIMEOUT, 0);
	job->run_cb(job->arg);
	job->done_cb(job->arg);
	free(job);
}

int
worker_new(struct event_base *base, struct worker **ret)
{
	struct worker *w = calloc(1, sizeof(*w));

	assert(w != NULL);
	STAILQ_INIT(&w->jobs);
	w->event = event_new(base, -1, 0, turn_cb, w);
	assert(w->event != NULL);
	*ret = w;
	return 0;
}

int
worker_new_idle(struct event_base *base, struct worker **ret)
{
	return worker_new(base, ret);
}

struct worker *
worker_free(struct worker *w)
{
	struct job *job;

	if (w == NULL)
		return NULL;
	while ((job = take(w)) != NULL) {
		job->done_cb(job->arg);
		free(job);
	}
	event_free(w->event);
	free(w);
	return NULL;
}

/* What waits here touches nothing until its turn. */
void
worker_wait(struct worker *w)
{
	(void)w;
}

int
worker_run(
    struct worker *w, void (*run_cb)(void *arg), void (*done_cb)(void *arg), void *arg)
{
	struct job *job = calloc(1, sizeof(*job));

	if (job == NULL)
		return -ENOMEM;
	job->run_cb = run_cb;
	job->done_cb = done_cb;
	job->arg = arg;
	STAILQ_INSERT_TAIL(&w->jobs, job, entry);
	event_active(w->event, EV_TIMEOUT, 0);
	return 0;
}
