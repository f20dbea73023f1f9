/*
 * streams.c - the verbs whose answer is printed as it comes: history, events, bundle,
 * metrics, polkit.
 *
 * Called through the table of verbs. Lines are shown one by one, so that memory doesn't
 * grow with the history.
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

/* ---- bundle, metrics ---- */

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
