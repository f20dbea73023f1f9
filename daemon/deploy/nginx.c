/*
 * nginx.c - nginx: the configuration is tested where a command for that is given, then
 * systemd is asked for a reload, or the main process gets SIGHUP.
 *
 * A row of types.c. nginx doesn't tell whether a reload went well: with a bundle that
 * it can't use it goes on with the old one. So a test that fails must stop the signal,
 * and its workers are watched, whoever has sent it the signal: a reload counts as done
 * only when there are new ones and the old ones drain. Why not, its error log says.
 */
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "deploy/run.h"
#include "platform/child.h"
#include "platform/process.h"
#include "platform/unit_job.h"

#define PROCESS      "nginx"
#define DRAINING     "is shutting down" /* what nginx calls such workers */
#define LOOK_MS      50
#define LOOKS        600 /* 30 s: it may have thousands of bundles to read */
#define CHILDREN_MAX 1024
#define LOG_MAX      65536
#define REASON_MAX   1024
#define PID_SECONDS  10 /* for systemd to say which process it is */

struct reload {
	struct run *run;
	struct child *test;
	struct unit_job *find_pid;
	struct event *look_event;
	unsigned looks;
	pid_t master;
	pid_t before[CHILDREN_MAX];
	size_t count;
	int log; /* -1: it can't be read */
	off_t log_at;
};

/* ---- did it take? ---- */

/* Where one bundle is to blame, the others only failed with it. One that lacks its OCSP
 * response isn't bad: it comes. */
static void
fail_all(struct run *r, const char *reason)
{
	bool waits = strstr(reason, ".ocsp") != NULL;

	for (size_t i = 0; i < r->subject_count; i++) {
		static const char text[] = "nginx goes on as it was: ";

		if (!waits && strstr(reason, r->subjects[i].it->bundle_dir) != NULL)
			run_subject_refused(r, i, "%s%s", text, reason);
		else
			run_subject_failed(r, i, "%s%s", text, reason);
	}
	run_succeeded(r); /* each has failed for itself */
}

/* What the main process has written of it since: "[emerg] PID#TID: reason". */
static bool
find_reason(const struct reload *l, char ret[REASON_MAX])
{
	char mark[32];
	char *text = calloc(1, LOG_MAX + 1);
	const char *found, *reason;
	ssize_t n =
	    text != NULL && l->log >= 0 ? pread(l->log, text, LOG_MAX, l->log_at) : 0;

	snprintf(mark, sizeof(mark), "[emerg] %d#", l->master);
	found = n > 0 ? strstr(text, mark) : NULL;
	if (found != NULL && strchr(found, '\n') == NULL)
		found = NULL; /* not written to its end yet */
	reason = found != NULL ? strchr(found, ' ') : NULL;
	if (reason != NULL)
		reason = strchr(reason + 1, ' ');
	if (reason != NULL)
		snprintf(ret, REASON_MAX, "%.*s", (int)strcspn(reason + 1, "\n"),
		    reason + 1);
	free(text);
	return reason != NULL;
}

static bool
was_there(const struct reload *l, pid_t pid)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->before[i] == pid)
			return true;
	return false;
}

/* New workers, and none of the old ones that isn't draining. */
static bool
has_taken(const struct reload *l)
{
	pid_t now[CHILDREN_MAX];
	ssize_t count = process_children(l->master, now, CHILDREN_MAX);
	bool fresh = false;

	for (ssize_t i = 0; i < count; i++)
		if (!was_there(l, now[i]))
			fresh = true;
		else if (!process_is_titled(now[i], DRAINING))
			return false;
	return fresh;
}

static void
look_again(struct reload *l)
{
	static const struct timeval pause = { .tv_usec = LOOK_MS * 1000 };

	event_add(l->look_event, &pause);
}

static void
look_cb(evutil_socket_t fd, short what, void *arg)
{
	struct reload *l = arg;
	char reason[REASON_MAX];

	(void)fd, (void)what;
	if (has_taken(l))
		run_succeeded(l->run);
	else if (find_reason(l, reason))
		fail_all(l->run, reason);
	else if (++l->looks < LOOKS)
		look_again(l);
	else
		run_failed(l->run,
		    "nginx was told to reload, but has no new workers; its error log says "
		    "why, as does \"nginx -t\"");
}

static void
remember(struct reload *l)
{
	ssize_t count = process_children(l->master, l->before, CHILDREN_MAX);
	struct stat st;

	l->count = count > 0 ? (size_t)count : 0;
	if (l->log >= 0)
		close(l->log);
	l->log = process_open_stderr(l->master);
	l->log_at = l->log >= 0 && fstat(l->log, &st) == 0 ? st.st_size : 0;
}

/* Where its children can't be seen, nobody knows more than that it was told. */
static void
watch(struct run *r)
{
	struct reload *l = r->state;

	if (l->count > 0)
		look_again(l);
	else
		run_succeeded(r);
}

/* ---- telling ---- */

static const char *
name_of(const struct run *r)
{
	return r->target->process != NULL ? r->target->process : PROCESS;
}

static void
send_signal(struct run *r, const char *first)
{
	const char *process = name_of(r);
	struct reload *l = r->state;

	if (!signal_send(r, first, process, 0, &l->master))
		return;
	remember(l);
	if (signal_send(r, first, process, SIGHUP, &l->master))
		watch(r);
}

/* Of a unit whose main process is another program, such as a container's, nobody knows
 * the workers. What is wrong with the bus, the reload will say. */
static void
found_cb(enum unit_outcome outcome, const char *why, void *arg)
{
	struct reload *l = arg;

	(void)why;
	l->master = outcome == UNIT_DONE ? unit_job_pid(l->find_pid) : 0;
	l->find_pid = unit_job_free(l->find_pid);
	if (l->master > 0 && process_is(l->master, name_of(l->run)))
		remember(l);
	unit_finish(l->run, UNIT_RELOAD);
}

static void
reload(struct reload *l)
{
	struct run *r = l->run;

	if (r->target->unit == NULL)
		send_signal(r, "");
	else if (unit_job_find_pid(r->base, r->target->unit, PID_SECONDS, found_cb, l,
		     &l->find_pid) < 0)
		unit_finish(r, UNIT_RELOAD);
}

static void
line_cb(const char *line, void *arg)
{
	struct reload *l = arg;

	run_say(l->run, line);
}

static void
tested_cb(int status, const char *output, void *arg)
{
	char how[CHILD_EXPLAIN_SIZE];
	struct reload *l = arg;

	if (status == 0)
		reload(l);
	else
		run_failed(l->run, "not reloaded, as test_command %s: %s",
		    child_explain(status, how), output);
}

static int
start(struct run *r)
{
	const struct target_config *t = r->target;
	struct reload *l = calloc(1, sizeof(*l));
	int error;

	if (l == NULL)
		return -ENOMEM;
	r->state = l;
	l->run = r;
	l->log = -1;
	l->look_event = evtimer_new(r->base, look_cb, l);
	if (l->look_event == NULL)
		return -ENOMEM;
	if (t->unit == NULL && t->pidfile == NULL)
		return -EINVAL; /* the configuration was checked for this */
	if (t->test_command.n == 0) {
		reload(l);
		return 0;
	}
	error = child_run(r->base, t->test_command.v, NULL, run_timeout(r), line_cb,
	    tested_cb, l, &l->test);
	if (error < 0)
		run_failed(r, "not reloaded, as test_command %s can't be started: %s",
		    t->test_command.v[0], strerror(-error));
	return 0;
}

static void
stop(struct run *r)
{
	struct reload *l = r->state;

	if (l == NULL)
		return;
	child_free(l->test);
	unit_job_free(l->find_pid);
	if (l->look_event != NULL)
		event_free(l->look_event);
	if (l->log >= 0)
		close(l->log);
	free(l);
	r->state = NULL;
}

const struct deploy_type nginx_type = {
	.name = "nginx",
	.signal = SIGHUP,
	.by_pidfile = send_signal,
	.unit_done = watch,
	.whole = true,
	.reads = READS_STAPLES_WANTED, /* by ssl_stapling_file */
	.start = start,
	.stop = stop,
};
