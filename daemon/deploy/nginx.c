/*
 * nginx.c - nginx: the configuration is tested where a command for that is given, then
 * systemd is asked for a reload, or the main process gets SIGHUP.
 *
 * A row of types.c. nginx doesn't tell whether a reload went well: with a bundle that
 * it can't use it goes on with the old one. So a test that fails must stop the signal.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "deploy/run.h"
#include "platform/child.h"

#define PROCESS "nginx"

static void
reload(struct run *r)
{
	const char *process = r->target->process;

	if (r->target->unit != NULL)
		unit_finish(r, UNIT_RELOAD);
	else
		signal_finish(r, "", process != NULL ? process : PROCESS, SIGHUP);
}

static void
line_cb(const char *line, void *arg)
{
	run_say(arg, line);
}

static void
tested_cb(int status, const char *output, void *arg)
{
	char how[CHILD_EXPLAIN_SIZE];
	struct run *r = arg;

	if (status == 0)
		reload(r);
	else
		run_failed(r, "not reloaded, as test_command %s: %s",
		    child_explain(status, how), output);
}

static int
start(struct run *r)
{
	const struct target_config *t = r->target;
	struct child *child;
	int error;

	if (t->unit == NULL && t->pidfile == NULL)
		return -EINVAL; /* the configuration was checked for this */
	if (t->test_command.n == 0) {
		reload(r);
		return 0;
	}
	error = child_run(r->base, t->test_command.v, NULL, run_timeout(r), line_cb,
	    tested_cb, r, &child);
	if (error < 0) {
		run_failed(r, "not reloaded, as test_command %s can't be started: %s",
		    t->test_command.v[0], strerror(-error));
		return 0;
	}
	r->state = child;
	return 0;
}

static void
stop(struct run *r)
{
	r->state = child_free(r->state);
}

const struct deploy_type nginx_type = {
	.name = "nginx",
	.signal = SIGHUP,
	.whole = true,
	.start = start,
	.stop = stop,
};
