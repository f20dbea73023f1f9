/*
 * exec.c - a command of the administrator's, once for each certificate.
 *
 * A row of types.c. What the certificate is stands in the environment, and as JSON on
 * standard input; what the command says goes to the log line by line. It must never
 * hand over a key: the command reads the files.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "buffer.h"

#include "deploy/run.h"
#include "json.h"
#include "platform/child.h"

#define VARIABLES  8
#define TOLD_LINES 3   /* of a failed command's last ones */
#define TOLD_BYTES 600 /* of them, at most */

static void
line_cb(const char *line, void *arg)
{
	run_say(arg, line);
}

/* Where the line before `end` begins, blank ones left out; NULL: there is none. */
static const char *
line_before(const char *text, const char *end, size_t *ret_len)
{
	const char *begin;

	while (end > text && strchr(" \t\r\n", end[-1]) != NULL)
		end--;
	for (begin = end; begin > text && begin[-1] != '\n';)
		begin--;
	*ret_len = (size_t)(end - begin);
	return end > text ? begin : NULL;
}

/* The last lines as one, "" where nothing was said; NULL without memory. */
static char *
last_lines(const char *output)
{
	const char *lines[TOLD_LINES], *end = output + strlen(output);
	size_t lens[TOLD_LINES], n = 0, room = TOLD_BYTES;
	_cleanup_(buffer_free) struct buffer text = { 0 };
	char *ret = NULL;

	while (n < TOLD_LINES && (lines[n] = line_before(output, end, &lens[n]))) {
		end = lines[n];
		lens[n] = lens[n] < room ? lens[n] : room;
		room -= lens[n++];
	}
	buffer_puts(&text, "");
	for (size_t i = n; i-- > 0;)
		if (lens[i] > 0) {
			buffer_puts(&text, text.len > 0 ? " / " : "");
			buffer_add(&text, lines[i], lens[i]);
		}
	return buffer_steal(&text, &ret, NULL) == 0 ? ret : NULL;
}

static void
done_cb(int status, const char *output, void *arg)
{
	_cleanup_free_ char *text = last_lines(output);
	const char *said = text != NULL ? text : "";
	char how[CHILD_EXPLAIN_SIZE];
	struct run *r = arg;

	if (status == 0)
		run_succeeded(r);
	else
		run_failed(r, "command %s %s%s%s", r->target->command.v[0],
		    child_explain(status, how), *said != '\0' ? ": " : "", said);
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
		/* as certbot tells its deploy hooks */
		{ "RENEWED_LINEAGE", r->subject->bundle_dir },
		{ "RENEWED_DOMAINS", r->subject->domains },
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
is_file(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* "files":{"cert.pem":"/.../cert.pem",...} */
static void
write_files(struct json_writer *w, const char *dir)
{
	struct dirent **entries = NULL;
	int n = scandir(dir, &entries, is_file, alphasort);

	json_name(w, "files");
	json_open_object(w);
	for (int i = 0; i < n; i++) {
		_cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%s/%s", dir, entries[i]->d_name) >= 0)
			json_member_string(w, entries[i]->d_name, path);
		free(entries[i]);
	}
	free(entries);
	json_close_object(w);
}

/* What the API says of the certificate, and behind it target, bundle_dir and files. */
static int
make_input(const struct run *r, char **ret)
{
	const char *json = r->subject->json;
	size_t len = strlen(json);
	_cleanup_(buffer_free) struct buffer text = { 0 };
	struct json_writer *w = json_writer_new();
	_cleanup_free_ char *more = NULL;
	int error;

	json_open_object(w);
	json_member_string(w, "target", r->target->name);
	json_member_string(w, "bundle_dir", r->subject->bundle_dir);
	write_files(w, r->subject->bundle_dir);
	json_close_object(w);
	error = json_writer_steal(w, &more, NULL);
	json_writer_free(w);
	if (error < 0)
		return error;
	if (len > 2 && json[len - 1] == '}') {
		buffer_add(&text, json, len - 1);
		buffer_puts(&text, ",");
		buffer_puts(&text, more + 1);
	} else
		buffer_puts(&text, more);
	buffer_puts(&text, "\n");
	return buffer_steal(&text, ret, NULL);
}

static int
start(struct run *r)
{
	_cleanup_(free_environment) struct environment environment = { 0 };
	_cleanup_free_ char *input = NULL;
	const struct target_config *t = r->target;
	struct child *child = NULL;
	int error;

	if (t->command.n == 0)
		return -EINVAL; /* the configuration was checked for this */
	error = make_environment(r, &environment);
	if (error == 0)
		error = make_input(r, &input);
	if (error == 0)
		error = child_run_fed(r->base, t->command.v, environment.v, input,
		    run_timeout(r), line_cb, done_cb, r, &child);
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
	.json = true,
	.start = start,
	.stop = stop,
};
