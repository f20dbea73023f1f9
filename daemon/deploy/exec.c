/*
 * exec.c - a command of the administrator's, once for each certificate.
 *
 * A row of types.c. What the certificate is stands in the environment; what the command
 * says goes to the log line by line. It must never hand over a key: the command reads
 * the files.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "deploy/run.h"
#include "platform/child.h"

#define VARIABLES 6

static void
line_cb(const char *line, void *arg)
{
	run_say(arg, line);
}

/* The last line that isn't empty, or "". */
static const char *
last_line(char *output)
{
	size_t len = strlen(output);
	char *newline;

	while (len > 0 && (output[len - 1] == '\n' || output[len - 1] == '\r'))
		output[--len] = '\0';
	newline = strrchr(output, '\n');
	return newline != NULL ? newline + 1 : output;
}

static void
done_cb(int status, const char *output, void *arg)
{
	_cleanup_free_ char *text = strdup(output);
	const char *line = text != NULL ? last_line(text) : "";
	char how[CHILD_EXPLAIN_SIZE];
	struct run *r = arg;

	if (status == 0)
		run_succeeded(r);
	else
		run_failed(r, "command %s %s%s%s", r->target->command.v[0],
		    child_explain(status, how), *line != '\0' ? ": " : "", line);
}

struct environment {
	char *v[VARIABLES + 1]; /* "NAME=value", then NULL */
};

static void
free_environment(struct environment *e)
{
	for (size_t i = 0; i < VARIABLES; i++)
		free(e->v[i]);
}

static int
make_environment(const struct run *r, struct environment *ret)
{
	const struct {
		const char *name, *value;
	} variables[VARIABLES] = {
		{ "RENEWD_CERTIFICATE", r->subject->certificate },
		{ "RENEWD_DOMAINS", r->subject->domains },
		{ "RENEWD_BUNDLE_DIR", r->subject->bundle_dir },
		{ "RENEWD_SERIAL", r->subject->serial },
		{ "RENEWD_NOT_AFTER", r->subject->not_after },
		{ "RENEWD_TARGET", r->target->name },
	};

	for (size_t i = 0; i < VARIABLES; i++)
		if (asprintf(&ret->v[i], "%s=%s", variables[i].name,
			variables[i].value) < 0) {
			ret->v[i] = NULL;
			return -ENOMEM;
		}
	return 0;
}

static int
start(struct run *r)
{
	_cleanup_(free_environment) struct environment environment = { 0 };
	const struct target_config *t = r->target;
	struct child *child = NULL;
	int error;

	if (t->command.n == 0)
		return -EINVAL; /* the configuration was checked for this */
	error = make_environment(r, &environment);
	if (error == 0)
		error = child_run(r->base, t->command.v, environment.v, run_timeout(r),
		    line_cb, done_cb, r, &child);
	if (error < 0)
		run_failed(r, "command %s can't be started: %s", t->command.v[0],
		    strerror(-error));
	else
		r->state = child;
	return 0;
}

static void
stop(struct run *r)
{
	r->state = child_free(r->state);
}

const struct deploy_type exec_type = {
	.name = "exec",
	.whole = false,
	.start = start,
	.stop = stop,
};
