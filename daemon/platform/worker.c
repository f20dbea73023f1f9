/*
 * worker.c - one thread for what is too slow for the loop.
 *
 * Called by the renewal code for making RSA keys, and by bundle/writer.c, which has one
 * of its own: a key takes seconds. Two queues under one lock: jobs to
 * do, and jobs done; an eventfd wakes the loop for the latter, so libevent needs no
 * locks. The thread must never touch libevent, the inventory or the log.
 */
#include "platform/worker.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/queue.h>

#include "scope.h"

struct job {
	STAILQ_ENTRY(job) entry;
	void (*run_cb)(void *arg);
	void (*done_cb)(void *arg);
	void *arg;
};

STAILQ_HEAD(jobs, job);

struct worker {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t change;
	struct jobs waiting; /* under lock, as the next three */
	struct jobs done;
	bool busy;
	bool stop;
	bool idle; /* runs when nobody else does */
	int wake_fd;
	struct event *wake_event;
	bool delivering;
};

/* The first of a queue, taken out; NULL where it is empty. Under lock. */
static struct job *
take(struct jobs *jobs)
{
	struct job *job = STAILQ_FIRST(jobs);

	if (job != NULL)
		STAILQ_REMOVE_HEAD(jobs, entry);
	return job;
}

/* What they hold is their own to free, keys among it. */
static void
drop(struct jobs *jobs)
{
	struct job *job;

	while ((job = take(jobs)) != NULL) {
		job->done_cb(job->arg);
		free(job);
	}
}

/* Waits for something to do; NULL: stop. Under lock. */
static struct job *
next_job(struct worker *w)
{
	while (!w->stop && STAILQ_EMPTY(&w->waiting))
		pthread_cond_wait(&w->change, &w->lock);
	return w->stop ? NULL : take(&w->waiting);
}

static void *
work(void *arg)
{
	struct worker *w = arg;
	struct job *job;

	/* of this thread alone; where that isn't allowed, it runs as the others do */
	if (w->idle)
		(void)sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){ 0 });
	pthread_mutex_lock(&w->lock);
	while ((job = next_job(w)) != NULL) {
		w->busy = true;
		pthread_mutex_unlock(&w->lock);
		job->run_cb(job->arg);
		pthread_mutex_lock(&w->lock);
		w->busy = false;
		STAILQ_INSERT_TAIL(&w->done, job, entry);
		eventfd_write(w->wake_fd, 1);
		pthread_cond_broadcast(&w->change);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static struct job *
take_done(struct worker *w)
{
	struct job *job;

	pthread_mutex_lock(&w->lock);
	job = take(&w->done);
	pthread_mutex_unlock(&w->lock);
	return job;
}

static void
wake_cb(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	struct job *job;
	eventfd_t count;

	(void)what;
	eventfd_read(fd, &count);
	w->delivering = true;
	while ((job = take_done(w)) != NULL) {
		job->done_cb(job->arg);
		free(job);
	}
	w->delivering = false;
}

/* Signals are the loop's. */
static int
start_thread(struct worker *w)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	r = -pthread_sigmask(SIG_SETMASK, &all, &before);
	if (r < 0)
		return r;
	r = -pthread_create(&w->thread, NULL, work, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

static int
open_wake(struct worker *w, struct event_base *base)
{
	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->wake_fd < 0)
		return -errno;
	w->wake_event = event_new(base, w->wake_fd, EV_READ | EV_PERSIST, wake_cb, w);
	if (w->wake_event == NULL || event_add(w->wake_event, NULL) < 0)
		return -ENOMEM;
	return 0;
}

/* All but the thread. */
static void
release(struct worker *w)
{
	if (w->wake_event != NULL)
		event_free(w->wake_event);
	if (w->wake_fd >= 0)
		close(w->wake_fd);
	drop(&w->done);
	drop(&w->waiting);
	pthread_cond_destroy(&w->change);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

static int
make(struct event_base *base, bool idle, struct worker **ret)
{
	struct worker *w;
	int r;

	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return -ENOMEM;
	w->idle = idle;
	STAILQ_INIT(&w->waiting);
	STAILQ_INIT(&w->done);
	pthread_mutex_init(&w->lock, NULL); /* with default attributes: can't fail */
	pthread_cond_init(&w->change, NULL);
	r = open_wake(w, base);
	if (r == 0)
		r = start_thread(w);
	if (r < 0) {
		release(w);
		return r;
	}
	*ret = w;
	return 0;
}

int
worker_new(struct event_base *base, struct worker **ret)
{
	return make(base, false, ret);
}

int
worker_new_idle(struct event_base *base, struct worker **ret)
{
	return make(base, true, ret);
}

struct worker *
worker_free(struct worker *w)
{
	if (w == NULL)
		return NULL;
	assert(!w->delivering);
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_broadcast(&w->change);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	release(w);
	return NULL;
}

void
worker_wait(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	while (w->busy || !STAILQ_EMPTY(&w->waiting))
		pthread_cond_wait(&w->change, &w->lock);
	pthread_mutex_unlock(&w->lock);
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
	pthread_mutex_lock(&w->lock);
	STAILQ_INSERT_TAIL(&w->waiting, job, entry);
	pthread_cond_broadcast(&w->change);
	pthread_mutex_unlock(&w->lock);
	return 0;
}
