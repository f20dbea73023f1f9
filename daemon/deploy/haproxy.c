/*
 * haproxy.c - HAProxy takes certificates over its runtime API, or reloads: asked for on
 * the master socket, by its unit, or by SIGUSR2.
 *
 * A row of types.c. haproxy_hot.c goes first, where there is a runtime API. From 2.7 on
 * `reload` answers with Success=0 or 1 and the log. Before, it answers nothing, the
 * socket refuses connections for a while, and then `show proc` tells: the master's
 * reloads have gone up, and either a new worker is there, or [failed:] isn't 0 and the
 * old worker stays. A reload counts as done only when it is seen to be.
 */
#include <errno.h>
#include <event2/event.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "deploy/haproxy_cli.h"
#include "deploy/haproxy_copy.h"
#include "deploy/haproxy_hot.h"
#include "deploy/run.h"
#include "platform/log.h"

#define PROCESS     "haproxy"
#define DEADLINE    30   /* seconds, for all of it */
#define LOOK_MS     3000 /* for one `show proc` */
#define AGAIN_MS    50
#define FIRST_TRIES 40 /* somebody else's reload may be going on: 2 s */
#define ROW_SIZE    256
#define NAME_SIZE   64
#define WHY_SIZE    1024

/* What `show proc` says. */
struct procs {
	long master;  /* pid */
	long reloads; /* of the master since it was started */
	long failed;  /* reloads in a row that failed; 0 also where it isn't said */
	long worker;  /* pid of the one that the last reload started, 0: none */
};

struct reload {
	struct run *run;
	struct haproxy_copy *copy;
	struct haproxy_hot *hot;
	struct haproxy_cli *cli;
	struct event *again_event;
	struct event *deadline_event;
	struct procs before;
	bool asked; /* `reload` was sent */
	unsigned tries;
};

static void look(struct reload *l);

static void
parse_row(const char *row, bool old_layout, struct procs *p)
{
	long pid, reloads;
	const char *failed;
	char type[16];

	if (sscanf(row, old_layout ? "%9ld %15s %*s %9ld" : "%9ld %15s %9ld", &pid,
		type, &reloads) != 3)
		return;
	if (strcmp(type, "worker") == 0 && reloads == 0)
		p->worker = pid;
	if (strcmp(type, "master") != 0)
		return;
	p->master = pid;
	p->reloads = reloads;
	failed = strstr(row, "[failed: ");
	if (failed != NULL)
		p->failed = strtol(failed + strlen("[failed: "), NULL, 10);
}

/* False where it isn't an answer to `show proc`: such an answer names the master. Up to
 * 2.4 there was a column more. */
static bool
parse_procs(const char *text, struct procs *ret)
{
	bool old_layout = strstr(text, "<relative PID>") != NULL;
	struct procs p = { 0 };
	char row[ROW_SIZE];

	while (*text != '\0') {
		size_t len = strcspn(text, "\n");

		snprintf(row, sizeof(row), "%.*s",
		    (int)(len < ROW_SIZE ? len : ROW_SIZE - 1), text);
		if (row[0] != '#' && row[0] != '\0')
			parse_row(row, old_layout, &p);
		text += len + (text[len] == '\n');
	}
	if (p.master == 0)
		return false;
	*ret = p;
	return true;
}

static void
stop_asking(struct reload *l)
{
	l->cli = haproxy_cli_free(l->cli);
	event_del(l->again_event);
	event_del(l->deadline_event);
}

static void
succeed(struct reload *l)
{
	stop_asking(l);
	run_succeeded(l->run);
}

/* Its words: whole into the log, as the failure's text has a limit. */
static void
refused(struct reload *l, const char *command, const char *answer)
{
	stop_asking(l);
	run_say_all(l->run, answer);
	run_failed(l->run, "HAProxy answers \"%s\" with: %s", command, answer);
}

static const char *
user_name(uid_t uid, char ret[NAME_SIZE])
{
	const struct passwd *user = getpwuid(uid);

	if (user != NULL)
		snprintf(ret, NAME_SIZE, "%s", user->pw_name);
	else
		snprintf(ret, NAME_SIZE, "%u", (unsigned)uid);
	return ret;
}

static const char *
group_name(gid_t gid, char ret[NAME_SIZE])
{
	const struct group *group = getgrgid(gid);

	if (group != NULL)
		snprintf(ret, NAME_SIZE, "%s", group->gr_name);
	else
		snprintf(ret, NAME_SIZE, "%u", (unsigned)gid);
	return ret;
}

/* Who may not open what, and what helps. */
static void
explain_denied(const char *path, char why[WHY_SIZE])
{
	char us[NAME_SIZE], owner[NAME_SIZE], group[NAME_SIZE];
	struct stat st;

	user_name(geteuid(), us);
	if (stat(path, &st) < 0)
		snprintf(why, WHY_SIZE,
		    "user %s may not look into a directory of %s: let it, or its group",
		    us, path);
	else
		snprintf(why, WHY_SIZE,
		    "user %s may not open %s, which belongs to user %s and group %s with "
		    "mode %04o: start HAProxy with \"-S %s,mode,660,group,GROUP\" and put "
		    "user %s into that group, or name its systemd unit as unit",
		    us, path, user_name(st.st_uid, owner), group_name(st.st_gid, group),
		    (unsigned)st.st_mode & 07777, path, us);
}

static void
explain_unreachable(const char *path, int error, char why[WHY_SIZE])
{
	if (error == -EACCES || error == -EPERM)
		explain_denied(path, why);
	else if (error == -ENOENT)
		snprintf(why, WHY_SIZE,
		    "there is no master socket %s: is HAProxy running with -W and -S?",
		    path);
	else
		snprintf(why, WHY_SIZE, "can't use the master socket %s: %s", path,
		    strerror(-error));
}

static void
send_signal(struct run *r, const char *first)
{
	const char *process = r->target->process;

	signal_finish(r, first, process != NULL ? process : PROCESS, SIGUSR2);
}

/* Nothing was asked yet, so there may be another way. */
static void
unreachable(struct reload *l, int error)
{
	const struct target_config *t = l->run->target;
	char why[WHY_SIZE];

	stop_asking(l);
	explain_unreachable(t->master_socket, error, why);
	if (t->unit == NULL && t->pidfile == NULL) {
		run_failed(l->run, "%s", why);
		return;
	}
	log_line(LOG_NOTICE,
	    (&(struct log_fields){ .event = LOG_EVENT_OTHER_WAY, .target = t->name }),
	    "reloading HAProxy by %s: %s", t->unit != NULL ? t->unit : "pidfile", why);
	if (t->unit != NULL)
		unit_finish(l->run, UNIT_RELOAD);
	else
		send_signal(l->run, why);
}

static void
again(struct reload *l)
{
	const struct timeval pause = { .tv_usec = AGAIN_MS * 1000 };

	event_add(l->again_event, &pause);
}

static void
again_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	look(arg);
}

/* After `reload`, the deadline ends this. Before, what a reload of somebody else's
 * looks like is waited for. */
static void
look_failed(struct reload *l, int error)
{
	bool reloading =
	    error == -ECONNREFUSED || error == -ECONNRESET || error == -EAGAIN;

	if (l->asked || (reloading && l->tries++ < FIRST_TRIES))
		again(l);
	else
		unreachable(l, error);
}

static void
reloaded_cb(int r, const char *answer, void *arg)
{
	struct reload *l = arg;

	l->cli = haproxy_cli_free(l->cli);
	if (r < 0 || *answer == '\0')
		again(l); /* up to 2.6: the master is starting itself anew */
	else if (strncmp(answer, "Success=1", strlen("Success=1")) == 0)
		succeed(l);
	else
		refused(l, "reload", answer);
}

static int
ask(struct reload *l, const char *command, int timeout_ms, haproxy_cli_cb *answer_cb)
{
	const struct haproxy_question q = {
		.socket = l->run->target->master_socket,
		.command = command,
	};

	return haproxy_cli_ask(l->run->base, &q, timeout_ms, answer_cb, l, &l->cli);
}

static void
ask_reload(struct reload *l)
{
	int r;

	r = ask(l, "reload", DEADLINE * 1000, reloaded_cb);
	if (r < 0)
		look_failed(l, r);
	else
		l->asked = true;
}

/* A master with another pid was started after we asked. */
static void
judge(struct reload *l, const struct procs *now)
{
	if (now->master == l->before.master && now->reloads <= l->before.reloads)
		again(l);
	else if (now->failed > 0) {
		stop_asking(l);
		run_failed(l->run,
		    "HAProxy failed to reload (%ld times by now) and goes on as it was; its "
		    "own log says why, as does \"haproxy -c\"",
		    now->failed);
	} else if (now->worker != 0 && now->worker != l->before.worker)
		succeed(l);
	else
		again(l);
}

static void
looked_cb(int r, const char *answer, void *arg)
{
	struct reload *l = arg;
	struct procs now;

	l->cli = haproxy_cli_free(l->cli);
	if (r == 0 && *answer == '\0')
		r = -ECONNRESET; /* the master went away for a reload */
	if (r < 0)
		look_failed(l, r);
	else if (!parse_procs(answer, &now))
		refused(l, "show proc", answer);
	else if (l->asked)
		judge(l, &now);
	else {
		l->before = now;
		ask_reload(l);
	}
}

static void
look(struct reload *l)
{
	int r;

	r = ask(l, "show proc", LOOK_MS, looked_cb);
	if (r < 0)
		look_failed(l, r);
}

static void
deadline_cb(evutil_socket_t fd, short what, void *arg)
{
	struct reload *l = arg;

	(void)fd, (void)what;
	stop_asking(l);
	run_failed(l->run,
	    "HAProxy %s in time on its master socket %s; its own log may say why",
	    l->asked ? "was asked to reload, but didn't show a new worker"
		     : "didn't answer",
	    l->run->target->master_socket);
}

/* The section has no key for this. A shorter time for programs counts here, too. */
static struct timeval
deadline(const struct run *r)
{
	unsigned seconds = run_timeout(r);

	return (struct timeval){ .tv_sec = seconds < DEADLINE ? seconds : DEADLINE };
}

/* Without its master socket. */
static int
reload_outside(struct run *r)
{
	if (r->target->unit != NULL)
		unit_finish(r, UNIT_RELOAD);
	else if (r->target->pidfile != NULL)
		send_signal(r, "");
	else
		return -EINVAL; /* the configuration was checked for this */
	return 0;
}

static int
reload(struct reload *l)
{
	const struct timeval most = deadline(l->run);

	if (l->run->target->master_socket == NULL)
		return reload_outside(l->run);
	if (event_add(l->deadline_event, &most) < 0)
		return -ENOMEM;
	look(l);
	return 0;
}

static bool
can_reload(const struct target_config *t)
{
	return t->master_socket != NULL || t->unit != NULL || t->pidfile != NULL;
}

/* The files were switched before, so that a reload gives HAProxy all that it lacks. */
static void
hot_cb(const char *why, void *arg)
{
	struct reload *l = arg;
	struct run *r = l->run;
	int error;

	if (why == NULL) {
		run_succeeded(r);
		return;
	}
	if (!can_reload(r->target)) {
		run_failed(r, "%s", why);
		return;
	}
	log_line(LOG_NOTICE,
	    (&(struct log_fields){
		.event = LOG_EVENT_OTHER_WAY, .target = r->target->name }),
	    "reloading HAProxy: %s", why);
	error = reload(l);
	if (error < 0)
		run_failed(r, "HAProxy can't be reloaded: %s", strerror(-error));
}

static int
tell(struct reload *l)
{
	struct run *r = l->run;

	if (r->target->sockets.n == 0)
		return reload(l);
	return haproxy_hot_start(r, can_reload(r->target), hot_cb, l, &l->hot);
}

static void
copied_cb(void *arg)
{
	struct reload *l = arg;
	int error = tell(l);

	if (error < 0)
		run_failed(
		    l->run, "HAProxy can't be told of them: %s", strerror(-error));
}

static int
start(struct run *r)
{
	struct reload *l = r->state = calloc(1, sizeof(*l));

	if (l == NULL)
		return -ENOMEM;
	l->run = r;
	l->again_event = evtimer_new(r->base, again_cb, l);
	l->deadline_event = evtimer_new(r->base, deadline_cb, l);
	if (l->again_event == NULL || l->deadline_event == NULL)
		return -ENOMEM;
	if (r->target->bundle_path == NULL)
		return tell(l);
	return haproxy_copy_start(r, copied_cb, l, &l->copy);
}

static void
stop(struct run *r)
{
	struct reload *l = r->state;

	if (l == NULL)
		return;
	haproxy_copy_free(l->copy);
	haproxy_hot_free(l->hot);
	haproxy_cli_free(l->cli);
	if (l->again_event != NULL)
		event_free(l->again_event);
	if (l->deadline_event != NULL)
		event_free(l->deadline_event);
	free(l);
	r->state = NULL;
}

const struct deploy_type haproxy_type = {
	.name = "haproxy",
	.signal = SIGUSR2,
	.by_pidfile = send_signal,
	.whole = true,
	.staples = true,
	.reads = READS_STAPLES,
	.start = start,
	.stop = stop,
	.repair = haproxy_copy_repair,
};
