/*
 * streams.c - the verbs whose answer is printed as it comes: list, history, events,
 * bundle, metrics, polkit.
 *
 * Called through the table of verbs. Lines are shown one by one, so that memory doesn't
 * grow with the inventory, or its history.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "ctl/client.h"
#include "ctl/verbs.h"
#include "json.h"
#include "scope.h"

static const struct json_limits line_limits = { 256 * 1024, 8, 1000 };

/* ---- events ---- */

/* Elsewhere than on a terminal: AT KIND CERTIFICATE CA TARGET DETAIL PROBLEM. */
static const char *const fields[] = { "at", "kind", "certificate", "ca", "target",
	"detail", "problem" };

static void
show_event(const struct show *s, const struct json *event)
{
	_cleanup_(buffer_free) struct buffer b = { 0 };

	for (size_t i = 0; i < ELEMENTS(fields); i++) {
		const char *text = json_string(json_get(event, fields[i]));

		if (s->terminal && text == NULL)
			continue;
		if (i > 0)
			buffer_puts(&b, s->terminal ? "  " : "\t");
		show_text(s, &b, text);
	}
	if (b.data != NULL)
		puts(b.data);
}

/* What isn't JSON isn't shown: it may be anything. */
static int
line_cb(const char *line, size_t len, void *arg)
{
	const struct ctl *ctl = arg;
	struct json *event = NULL;

	if (ctl->json) {
		fwrite(line, 1, len, stdout);
		putchar('\n');
	} else if (json_parse(line, len, &line_limits, &event) == 0) {
		show_event(&ctl->show, event);
	}
	json_free(event);
	return fflush(stdout) == 0 ? 0 : -EIO;
}

static int
print_events(const struct ctl *ctl, const char *subject, const char *path, bool follow)
{
	struct client_reply reply;
	int r;

	r = client_lines(ctl->client, path, follow, line_cb, (void *)ctl, &reply);
	if (r < 0)
		return verbs_complain_error(ctl, subject, r);
	r = CTL_DONE;
	if (reply.status != 200) {
		verbs_complain_problem(ctl, subject, &reply);
		r = CTL_REFUSED;
	}
	client_reply_clear(&reply);
	return r;
}

int
verb_events(const struct ctl *ctl)
{
	bool follow = (ctl->given & CTL_FOLLOW) != 0;

	return print_events(
	    ctl, NULL, follow ? "/v1/events?follow=1" : "/v1/events", follow);
}

int
verb_history(const struct ctl *ctl)
{
	_cleanup_free_ char *path =
	    client_path("/v1/certificates/", ctl->args[0], "/history");

	return path != NULL ? print_events(ctl, ctl->args[0], path, false)
			    : CTL_REFUSED;
}

/* ---- bundle, metrics, list as JSON ---- */

/* What comes is printed as it is. */
static int
copy(const struct ctl *ctl, const char *subject, const char *path)
{
	struct client_reply reply;
	int r;

	r = client_copy(ctl->client, path, stdout, &reply);
	if (r < 0)
		return verbs_complain_error(ctl, subject, r);
	r = CTL_DONE;
	if (reply.status != 200) {
		verbs_complain_problem(ctl, subject, &reply);
		r = CTL_REFUSED;
	}
	client_reply_clear(&reply);
	return r;
}

/* "NAME/bundle?key=ecdsa&format=haproxy", or NULL. */
static char *
bundle_path(const struct ctl *ctl)
{
	const struct {
		const char *before;
		const char *value;
	} parameters[] = { { "key=", ctl->key }, { "format=", ctl->format } };
	char *path = client_path("/v1/certificates/", ctl->args[0], "/bundle");
	bool more = false;

	for (size_t i = 0; path != NULL && i < ELEMENTS(parameters); i++) {
		_cleanup_free_ char *part = NULL;
		char *longer = NULL;

		if (parameters[i].value == NULL)
			continue;
		part = client_path(parameters[i].before, parameters[i].value, "");
		if (part == NULL ||
		    asprintf(&longer, "%s%s%s", path, more ? "&" : "?", part) < 0)
			longer = NULL;
		free(path);
		path = longer;
		more = true;
	}
	return path;
}

int
verb_bundle(const struct ctl *ctl)
{
	_cleanup_free_ char *path = bundle_path(ctl);

	return path != NULL ? copy(ctl, ctl->args[0], path) : CTL_REFUSED;
}

int
verb_polkit(const struct ctl *ctl)
{
	return copy(ctl, NULL, "/v1/polkit");
}

int
verb_metrics(const struct ctl *ctl)
{
	return copy(ctl, NULL, "/metrics");
}

/* ---- list ---- */

#define ROWS          25  /* that are read at a time */
#define ROWS_TERMINAL 500 /* and whose columns are as wide */

static const struct json_limits rows_limits = { 64 * 1024 * 1024, 16, 4000000 };

struct rows {
	const struct ctl *ctl;
	struct buffer text; /* a JSON array of some, that isn't closed yet */
	size_t count;
	bool begun; /* some were printed */
	bool ended;
};

static int
print_rows(struct rows *rows)
{
	struct json *some = NULL;
	int r;

	buffer_puts(&rows->text, "]");
	if (rows->text.failed)
		return -ENOMEM;
	r = json_parse(rows->text.data, rows->text.len, &rows_limits, &some);
	if (r < 0)
		return r;
	show_list(&rows->ctl->show, some, !rows->begun);
	json_free(some);
	rows->begun = true;
	rows->count = 0;
	buffer_clear(&rows->text);
	return ferror(stdout) ? -EIO : 0;
}

/* The list has a certificate on each line. What is around them begins the first line
 * and ends the last one; a comma ends each of the others. */
static int
row_cb(const char *line, size_t len, void *arg)
{
	static const char before[] = "{\"certificates\":[",
			  after[] = "],\"next\":null}";
	struct rows *rows = arg;
	bool first = !rows->begun && rows->count == 0;

	if (first && len > strlen(before) &&
	    strncmp(line, before, strlen(before)) == 0) {
		line += strlen(before);
		len -= strlen(before);
	}
	if (len >= strlen(after) &&
	    memcmp(line + len - strlen(after), after, strlen(after)) == 0) {
		len -= strlen(after);
		rows->ended = true;
	} else if (len > 0 && line[len - 1] == ',') {
		len--;
	}
	buffer_puts(&rows->text, rows->count > 0 ? "," : "[");
	buffer_add(&rows->text, line, len);
	rows->count++;
	if (rows->ended ||
	    rows->count == (rows->ctl->show.terminal ? ROWS_TERMINAL : ROWS))
		return print_rows(rows);
	return 0;
}

int
verb_list(const struct ctl *ctl)
{
	struct rows rows = { .ctl = ctl };
	struct client_reply reply;
	int r;

	if (ctl->json)
		return copy(ctl, NULL, "/v1/certificates");
	r = client_lines(ctl->client, "/v1/certificates", false, row_cb, &rows, &reply);
	buffer_free(&rows.text);
	if (ferror(stdout))
		return CTL_DONE; /* main says so */
	if (r < 0)
		return verbs_complain_error(ctl, NULL, r);
	r = CTL_DONE;
	if (reply.status != 200) {
		verbs_complain_problem(ctl, NULL, &reply);
		r = CTL_REFUSED;
	} else if (!rows.ended) {
		verbs_complain(ctl, NULL, "the answer is not what renewd says");
		r = CTL_REFUSED;
	}
	client_reply_clear(&reply);
	return r;
}
