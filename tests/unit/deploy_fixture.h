/*
 * deploy_fixture.h - a loop, a folder, targets and requests, for the tests of deploy/.
 */
#ifndef DEPLOY_FIXTURE_H
#define DEPLOY_FIXTURE_H

#include "deploy/deploy.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "config/config.h"
#include "need_pidfd.h"
#include "platform/log.h"
#include "suite.h"

#define QUIET_MS 120
#define MOST_MS  400
#define LATE_MS  10000 /* a test that waits so long has failed */
#define NOBODY   65534

static const struct deploy_subject subject = {
	.certificate = "example.net",
	.domains = "example.net www.example.net",
	.bundle_dir = "/live/example.net",
	.serial = "04a1",
	.not_after = "2027-02-10T10:00:00Z",
};

/* One request, and what became of it. */
struct asked {
	struct fixture *f;
	struct deploy_request *request;
	int done;
	int at; /* the how manieth of all */
	bool ok;
	enum acme_class class;
	char stage[16];
	char detail[2048];
	struct asked *cancels; /* in the callback */
	bool again;            /* asks once more in the callback */
};

struct fixture {
	struct event_base *base;
	struct deploy *deploy;
	char dir[64];
	struct target_config targets[4];
	struct config config;
	int done;
	int wanted;
	int idle;
	bool reloading_at_done;
};

/* ---- the fixture ---- */

static inline const char *
in_dir(const struct fixture *f, const char *name)
{
	static char paths[8][128]; /* a few at a time */
	static unsigned next;
	char *path = paths[next++ % ELEMENTS(paths)];

	snprintf(path, sizeof(paths[0]), "%s/%s", f->dir, name);
	return path;
}

static inline void
write_file(const char *path, const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
	ck_assert_int_eq(chmod(path, mode), 0);
}

/* Of a file that may not be there yet. */
static inline const char *
read_all(const char *path)
{
	static char text[8192];
	FILE *file = fopen(path, "r");
	size_t n = 0;

	if (file != NULL) {
		n = fread(text, 1, sizeof(text) - 1, file);
		fclose(file);
	}
	text[n] = '\0';
	return text;
}

static inline int
count(const char *text, const char *what)
{
	int n = 0;

	for (; (text = strstr(text, what)) != NULL; text += strlen(what))
		n++;
	return n;
}

static inline void
idle_cb(void *arg)
{
	struct fixture *f = arg;

	ck_assert(!deploy_reloading(f->deploy));
	f->idle++;
}

static inline struct fixture *
fixture_new(void)
{
	struct fixture *f = calloc(1, sizeof(*f));

	ck_assert_ptr_nonnull(f);
	log_set_level(LOG_ERR);
	signal(SIGPIPE, SIG_IGN); /* as the daemon does */
	snprintf(f->dir, sizeof(f->dir), "/tmp/renewd-deploy-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(f->dir));
	f->base = event_base_new();
	f->config.targets = f->targets;
	ck_assert_int_eq(deploy_new(f->base, &f->deploy), 0);
	deploy_set_windows(f->deploy, QUIET_MS, MOST_MS);
	deploy_on_idle(f->deploy, idle_cb, f);
	return f;
}

static inline void
fixture_free(struct fixture *f)
{
	const char *const argv[] = { "rm", "-rf", f->dir, NULL };
	pid_t pid;

	ck_assert_ptr_null(deploy_free(f->deploy));
	event_base_free(f->base);
	for (size_t i = 0; i < ELEMENTS(f->targets); i++) {
		free(f->targets[i].command.v);
		free(f->targets[i].test_command.v);
	}
	pid = fork();
	if (pid == 0) {
		execvp("rm", (char *const *)argv);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
	free(f);
}

/* Lent words: not NULL-terminated, as in a real configuration. */
static inline struct words
words(const char *first, ...)
{
	struct words w = { .v = calloc(8, sizeof(*w.v)) };
	va_list ap;

	va_start(ap, first);
	for (const char *word = first; word != NULL; word = va_arg(ap, const char *)) {
		ck_assert_uint_lt(w.n, 7);
		w.v[w.n++] = (char *)word;
	}
	va_end(ap);
	w.v[w.n] = (char *)"past the end";
	return w;
}

static inline struct target_config *
target(struct fixture *f, enum target_type type, const char *name)
{
	struct target_config *t = &f->targets[f->config.target_count++];

	*t = (struct target_config){
		.name = (char *)name, .type = type, .timeout = { .seconds = 10 }
	};
	return t;
}

static inline void
configure(struct fixture *f)
{
	ck_assert_int_eq(deploy_configure(f->deploy, &f->config), 0);
}

/* A target that runs this script with a #!, and the directory as its argument. */
static inline struct target_config *
exec_target(struct fixture *f, const char *name, const char *script)
{
	struct target_config *t = target(f, TARGET_EXEC, name);

	t->command = words("/bin/sh", "-c", script, "sh", f->dir, NULL);
	return t;
}

static inline void
done_cb(const struct acme_result *failure, void *arg)
{
	struct asked *a = arg;
	struct fixture *f = a->f;

	a->done++;
	a->at = ++f->done;
	a->ok = failure == NULL;
	if (failure != NULL) {
		a->class = failure->class;
		snprintf(a->stage, sizeof(a->stage), "%s", failure->stage);
		snprintf(a->detail, sizeof(a->detail), "%s", failure->detail);
	}
	if (deploy_reloading(f->deploy))
		f->reloading_at_done = true;
	if (a->cancels != NULL)
		a->cancels->request = deploy_cancel(a->cancels->request);
	if (a->again) {
		a->again = false;
		ck_assert_int_eq(
		    deploy_start(f->deploy, "t", &subject, done_cb, a, &a->request), 0);
	}
	if (f->done >= f->wanted)
		event_base_loopbreak(f->base);
}

static inline void
ask_as(struct fixture *f, const char *name, const char *certificate, struct asked *a)
{
	struct deploy_subject s = subject;
	int before = f->done;

	a->f = f;
	s.certificate = certificate;
	ck_assert_int_eq(deploy_start(f->deploy, name, &s, done_cb, a, &a->request), 0);
	ck_assert_int_eq(f->done, before); /* never from there */
}

static inline void
ask(struct fixture *f, const char *name, struct asked *a)
{
	ask_as(f, name, subject.certificate, a);
}

static inline void
late_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	event_base_loopbreak(arg);
}

/* Runs the loop for this time, or until so many more done_cbs have come. */
static inline void
loop(struct fixture *f, int ms, int wanted)
{
	struct timeval most = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
	struct event *e = evtimer_new(f->base, late_cb, f->base);

	f->wanted = wanted > 0 ? f->done + wanted : 1 << 30;
	event_add(e, &most);
	event_base_dispatch(f->base);
	event_free(e);
}

static inline void
wait_for(struct fixture *f, int wanted)
{
	int before = f->done;

	loop(f, LATE_MS, wanted);
	ck_assert_int_eq(f->done - before, wanted);
}

static inline bool
contains(const char *text, const char *what)
{
	if (strstr(text, what) != NULL)
		return true;
	fprintf(stderr, "\"%s\" isn't in \"%s\"\n", what, text);
	return false;
}

static inline bool
failed_with(const struct asked *a, const char *what)
{
	ck_assert_int_eq(a->done, 1);
	ck_assert(!a->ok);
	ck_assert_int_eq(a->class, ACME_RETRY);
	ck_assert_str_eq(a->stage, "deploy");
	ck_assert_ptr_null(strchr(a->detail, '\n'));
	return contains(a->detail, what);
}

static inline double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* ---- servers that take signals ---- */

/* A script that notes each SIGHUP and SIGUSR2; its executable is that of sh. */
static inline pid_t
start_server(struct fixture *f, char ret_process[4096])
{
	const char *script =
	    "trap 'echo hup >>$0/signals' HUP; trap 'echo usr2 >>$0/signals' "
	    "USR2; echo $$ >$0/pid; while :; do sleep 0.02; done";
	char link[64];
	ssize_t n;
	pid_t pid = fork();

	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", script, f->dir, (char *)NULL);
		_exit(127);
	}
	WAIT_UNTIL(5, *read_all(in_dir(f, "pid")) != '\0');
	snprintf(link, sizeof(link), "/proc/%d/exe", pid);
	n = readlink(link, ret_process, 4095);
	ck_assert_int_gt(n, 0);
	ret_process[n] = '\0';
	return pid;
}

static inline void
stop_server(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* What the server noted, once it had time to. */
static inline const char *
signals(struct fixture *f, int expected)
{
	WAIT_UNTIL(3, count(read_all(in_dir(f, "signals")), "\n") >= expected);
	return read_all(in_dir(f, "signals"));
}

/* A target whose runs are counted: nginx with a test command that takes `pause`
 * seconds, and complains of any other that runs at the same time. */
static inline struct target_config *
counted_target(struct fixture *f, const char *name, const char *pause)
{
	static const char script[] =
	    "mkdir $0/lock || echo overlap >>$0/runs; sleep $1; "
	    "rmdir $0/lock; echo run >>$0/runs";
	struct target_config *t = target(f, TARGET_NGINX, name);

	t->test_command = words("sh", "-c", script, f->dir, pause, NULL);
	t->pidfile = strdup(in_dir(f, "pid"));
	return t;
}

static inline int
runs(struct fixture *f)
{
	const char *text = read_all(in_dir(f, "runs"));

	ck_assert_int_eq(count(text, "overlap"), 0);
	return count(text, "run\n");
}

#endif
