/*
 * deploy.c - who asked for which target, and when a target's next run starts.
 *
 * Called by renew/renewal.c. A request waits in its target until a run takes it; a run
 * that reloads a whole server takes all that wait, others one. A target has one run at
 * most. It must never start a run or call done_cb but from the loop, nor know a type.
 */
#include "deploy/deploy.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "config/config.h"
#include "deploy/run.h"
#include "deploy/target.h"
#include "platform/log.h"
#include "platform/worker.h"

#define QUIET_MS 5000
#define MOST_MS  30000

struct deploy_request {
	TAILQ_ENTRY(deploy_request) entry;
	struct target *target;
	struct requests
	    *list; /* that it is in; NULL while its done_cb is being called */
	struct deploy_subject *subject;
	size_t index; /* among the run's subjects */
	deploy_done_cb *done_cb;
	void *arg;
};

TAILQ_HEAD(requests, deploy_request);

struct target {
	TAILQ_ENTRY(target) entry;
	struct deploy *deploy;
	struct target_config *config;
	bool removed; /* not in the configuration any more: goes when idle */
	struct requests waiting;
	struct event *quiet_event; /* no request came for a while */
	struct event *most_event;  /* the first one has waited long enough */
	bool due;                  /* either has happened */
	struct requests served;    /* by the run */
	struct run *run;
	bool busy; /* from a run's start until its last done_cb has returned */
};

TAILQ_HEAD(targets, target);

struct deploy {
	struct event_base *base;
	struct targets targets;
	struct timeval quiet;
	struct timeval most;
	struct worker *worker; /* the runs' */
	unsigned reloading;    /* runs that make a server read all bundles */
	void (*idle_cb)(void *arg);
	void *idle_arg;
};

static void
free_requests(struct requests *requests)
{
	struct deploy_request *q;

	while ((q = TAILQ_FIRST(requests)) != NULL) {
		TAILQ_REMOVE(requests, q, entry);
		target_subject_free(q->subject);
		free(q);
	}
}

static struct target *
free_target(struct target *t)
{
	if (t == NULL)
		return NULL;
	run_free(t->run);
	free_requests(&t->waiting);
	free_requests(&t->served);
	if (t->quiet_event != NULL)
		event_free(t->quiet_event);
	if (t->most_event != NULL)
		event_free(t->most_event);
	target_free(t->config);
	free(t);
	return NULL;
}

DEFINE_CLEANUP(struct target, free_target)

static bool
is_idle(const struct target *t)
{
	return !t->busy && TAILQ_EMPTY(&t->waiting);
}

/* Where the last request has gone, so has what it waited for. */
static void
settle(struct target *t)
{
	if (TAILQ_EMPTY(&t->waiting)) {
		t->due = false;
		event_del(t->quiet_event);
		event_del(t->most_event);
	}
	if (t->removed && is_idle(t)) {
		TAILQ_REMOVE(&t->deploy->targets, t, entry);
		free_target(t);
	}
}

static void
deliver(struct target *t, const struct acme_result *failure)
{
	struct deploy_request *q;

	while ((q = TAILQ_FIRST(&t->served)) != NULL) {
		const struct acme_result *own = failure;

		if (own == NULL)
			own = t->run->subjects[q->index].failure;
		TAILQ_REMOVE(&t->served, q, entry);
		q->list = NULL;
		q->done_cb(own, q->arg);
		target_subject_free(q->subject);
		free(q);
	}
}

/* Requests that came during a run wait for their time, or it has come already. */
static void
resume(struct target *t)
{
	bool waits = event_pending(t->quiet_event, EV_TIMEOUT, NULL);

	if (!TAILQ_EMPTY(&t->waiting) && (t->due || !waits))
		event_active(t->quiet_event, 0, 0);
}

/* May free the target. */
static void
finish(struct target *t, const struct acme_result *failure)
{
	deliver(t, failure);
	t->run = run_free(t->run);
	t->busy = false;
	resume(t);
	settle(t);
}

static void
run_done_cb(const struct acme_result *failure, void *arg)
{
	struct target *t = arg;
	struct deploy *d = t->deploy;
	bool whole = t->run->type->whole;

	if (whole)
		d->reloading--;
	finish(t, failure);
	if (whole && d->reloading == 0 && d->idle_cb != NULL)
		d->idle_cb(d->idle_arg);
}

/* Moves what the next run serves: all, or the first. Returns how many. */
static size_t
take(struct target *t, bool whole)
{
	struct deploy_request *q;
	size_t n = 0;

	while ((q = TAILQ_FIRST(&t->waiting)) != NULL && (whole || n == 0)) {
		TAILQ_REMOVE(&t->waiting, q, entry);
		TAILQ_INSERT_TAIL(&t->served, q, entry);
		q->list = &t->served;
		q->index = n++;
	}
	return n;
}

/* Of the requests that a run serves: theirs from now on. NULL without memory. */
static struct run_subject *
take_subjects(struct target *t, size_t n)
{
	struct run_subject *subjects = calloc(n, sizeof(*subjects));
	struct deploy_request *q;

	if (subjects == NULL)
		return NULL;
	TAILQ_FOREACH (q, &t->served, entry)
		subjects[q->index].it = steal_ptr(q->subject);
	return subjects;
}

static void
log_reload(const struct target *t, size_t n)
{
	log_line(LOG_INFO, (&(struct log_fields){ .target = t->config->name }),
	    "telling the server of changed certificates: %zu", n);
}

static void
begin(struct target *t)
{
	bool whole = types_get(t->config->type)->whole;
	size_t n = take(t, whole);
	struct run_subject *subjects;
	int r;

	t->busy = true;
	t->due = false;
	event_del(t->most_event);
	event_del(t->quiet_event);
	if (whole)
		log_reload(t, n);
	subjects = take_subjects(t, n);
	r = subjects == NULL ? -ENOMEM
			     : run_new(t->deploy->base, &t->deploy->worker, t->config,
				   subjects, n, run_done_cb, t, &t->run);
	if (r == 0)
		t->deploy->reloading += whole;
	else
		finish(t, &run_no_memory);
}

static void
due_cb(evutil_socket_t fd, short what, void *arg)
{
	struct target *t = arg;

	(void)fd, (void)what;
	t->due = true;
	if (!t->busy && !TAILQ_EMPTY(&t->waiting))
		begin(t);
}

static int
new_target(struct deploy *d, const struct target_config *config, struct target **ret)
{
	_cleanup_(free_targetp) struct target *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return -ENOMEM;
	TAILQ_INIT(&t->waiting);
	TAILQ_INIT(&t->served);
	t->deploy = d;
	t->config = target_copy(config);
	t->quiet_event = evtimer_new(d->base, due_cb, t);
	t->most_event = evtimer_new(d->base, due_cb, t);
	if (t->config == NULL || t->quiet_event == NULL || t->most_event == NULL)
		return -ENOMEM;
	*ret = steal_ptr(t);
	return 0;
}

static struct target *
find(const struct targets *targets, const char *name)
{
	struct target *t;

	TAILQ_FOREACH (t, targets, entry)
		if (strcasecmp(t->config->name, name) == 0)
			return t;
	return NULL;
}

static void
free_targets(struct targets *targets)
{
	struct target *t;

	while ((t = TAILQ_FIRST(targets)) != NULL) {
		TAILQ_REMOVE(targets, t, entry);
		free_target(t);
	}
}

int
deploy_new(struct event_base *base, struct deploy **ret)
{
	struct deploy *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return -ENOMEM;
	d->base = base;
	TAILQ_INIT(&d->targets);
	deploy_set_windows(d, QUIET_MS, MOST_MS);
	*ret = d;
	return 0;
}

struct deploy *
deploy_free(struct deploy *d)
{
	struct target *t;

	if (d == NULL)
		return NULL;
	TAILQ_FOREACH (t, &d->targets, entry)
		if (t->run != NULL)
			t->run->closing = true;
	worker_free(d->worker);
	free_targets(&d->targets);
	free(d);
	return NULL;
}

static struct timeval
milliseconds(unsigned ms)
{
	return (struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
}

void
deploy_set_windows(struct deploy *d, unsigned quiet_ms, unsigned most_ms)
{
	d->quiet = milliseconds(quiet_ms);
	d->most = milliseconds(most_ms);
}

/* The old targets, under their new settings if they still have some. */
static void
swap_targets(struct deploy *d, struct targets *fresh)
{
	struct target *old, *next, *t;

	for (old = TAILQ_FIRST(&d->targets); old != NULL; old = next) {
		next = TAILQ_NEXT(old, entry);
		t = find(fresh, old->config->name);
		old->removed = t == NULL;
		if (t != NULL) {
			struct target_config *config = old->config;

			old->config = t->config;
			t->config = config;
			TAILQ_REMOVE(fresh, t, entry);
			free_target(t);
		} else
			settle(old);
	}
	TAILQ_CONCAT(&d->targets, fresh, entry);
}

/* All that can fail comes first, so a configuration is taken over whole or not at all.
 */
int
deploy_configure(struct deploy *d, const struct config *config)
{
	_cleanup_(free_targets) struct targets fresh = TAILQ_HEAD_INITIALIZER(fresh);
	struct target *t;
	int r;

	for (size_t i = 0; i < config->target_count; i++) {
		r = new_target(d, &config->targets[i], &t);
		if (r < 0)
			return r;
		TAILQ_INSERT_TAIL(&fresh, t, entry);
	}
	swap_targets(d, &fresh);
	return 0;
}

/* Plans the run that will take a request which has just come. */
static void
plan(struct target *t)
{
	const struct deploy *d = t->deploy;

	if (!types_get(t->config->type)->whole) {
		event_active(t->quiet_event, 0, 0);
		return;
	}
	event_add(t->quiet_event, &d->quiet); /* anew each time */
	if (!event_pending(t->most_event, EV_TIMEOUT, NULL) && !t->due)
		event_add(t->most_event, &d->most);
}

int
deploy_start(struct deploy *d, const char *target, const struct deploy_subject *subject,
    deploy_done_cb *done_cb, void *arg, struct deploy_request **ret)
{
	struct target *t = find(&d->targets, target);
	struct deploy_request *q;

	if (t == NULL || t->removed)
		return -ENOENT;
	q = calloc(1, sizeof(*q));
	if (q == NULL)
		return -ENOMEM;
	q->subject = target_subject_copy(subject);
	if (q->subject == NULL) {
		free(q);
		return -ENOMEM;
	}
	q->target = t;
	q->list = &t->waiting;
	q->done_cb = done_cb;
	q->arg = arg;
	TAILQ_INSERT_TAIL(&t->waiting, q, entry);
	plan(t);
	*ret = q;
	return 0;
}

struct deploy_request *
deploy_cancel(struct deploy_request *q)
{
	struct target *t;

	if (q == NULL || q->list == NULL)
		return NULL;
	t = q->target;
	TAILQ_REMOVE(q->list, q, entry);
	target_subject_free(q->subject);
	free(q);
	settle(t);
	return NULL;
}

int
deploy_repair(
    const struct target_config *target, const char *certificate, const char *bundle_dir)
{
	const struct deploy_type *type = types_get(target->type);

	return type->repair != NULL ? type->repair(target, certificate, bundle_dir) : 0;
}

bool
deploy_reloading(const struct deploy *d)
{
	return d->reloading > 0;
}

void
deploy_on_idle(struct deploy *d, void (*idle_cb)(void *arg), void *arg)
{
	d->idle_cb = idle_cb;
	d->idle_arg = arg;
}
