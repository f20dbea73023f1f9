/*
 * haproxy_loaded.c - asks one HAProxy for the list of its certificates, and then for
 * each of them.
 *
 * Called by control/served.c and haproxy_store.c. What HAProxy says is a stranger's
 * text: it is cut, and asked about only where it can be a name.
 */
#include "deploy/haproxy_loaded.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/haproxy_answer.h"
#include "deploy/haproxy_cli.h"
#include "scope.h"

#define ANSWER_MS 10000
#define LIST_MAX  (16 * 1024 * 1024)
#define FIELD     128

struct haproxy_loaded {
	enum haproxy_which which;
	bool master;
	char *list; /* HAProxy's, line by line */
	char *next; /* in it; NULL: the list itself is asked for */
	char file[PATH_MAX];
	struct haproxy_cli *cli; /* the caller's */
	haproxy_row_cb *row_cb;
	haproxy_loaded_cb *done_cb;
	void *arg;
};

DEFINE_CLEANUP(struct haproxy_loaded, haproxy_loaded_free)

static void answer_cb(int r, const char *answer, void *arg);

static int
ask(struct haproxy_loaded *l)
{
	char command[PATH_MAX + 64];
	const struct haproxy_question q = {
		.command = command,
		.answer_max = l->next == NULL ? LIST_MAX : 0,
	};

	snprintf(command, sizeof(command), "%sshow ssl cert%s%s",
	    l->master ? "@1 " : "", l->next != NULL ? " " : "",
	    l->next != NULL ? l->file : "");
	return haproxy_cli_go_on(l->cli, &q, ANSWER_MS, answer_cb, l);
}

/* A "*" marks one that is being changed. One that no command can have isn't asked
 * about.
 */
static bool
is_wanted(const struct haproxy_loaded *l, const char *name)
{
	if (*name == '#' || strlen(name) >= sizeof(l->file) ||
	    !haproxy_is_name(name, strlen(name)) || strcmp(name, "*") == 0)
		return false;
	return l->which == HAPROXY_ALL || (*name != '/' && *name != '*');
}

/* The next name into file. */
static bool
take_name(struct haproxy_loaded *l)
{
	char *line;

	while ((line = strsep(&l->next, "\n")) != NULL) {
		if (!is_wanted(l, line))
			continue;
		snprintf(l->file, sizeof(l->file), "%s", line + (*line == '*'));
		if (l->next == NULL)
			l->next = line + strlen(line); /* it was the last */
		return true;
	}
	return false;
}

static void
read_field(const char *answer, const char *name, char *ret, size_t size)
{
	const char *text = haproxy_field(answer, name);

	snprintf(ret, size, "%.*s", text != NULL ? (int)strcspn(text, "\r\n") : 0,
	    text != NULL ? text : "");
}

static void
tell(struct haproxy_loaded *l, const char *answer)
{
	char serial[FIELD], not_after[FIELD], status[FIELD], crt[PATH_MAX];

	read_field(answer, "Crt filename: ", crt, sizeof(crt));
	read_field(answer, "Serial: ", serial, FIELD);
	read_field(answer, "notAfter: ", not_after, FIELD);
	read_field(answer, "Status: ", status, FIELD);
	for (char *c = serial; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	l->row_cb(&(struct haproxy_row){ .file = l->file,
		      .crt = crt,
		      .serial = serial,
		      .not_after = not_after,
		      .status = status },
	    l->arg);
}

const char *
haproxy_loaded_problem(int r)
{
	if (r == -ETIMEDOUT)
		return "it doesn't answer";
	return r == -EFBIG ? "it has more certificates than can be listed"
			   : strerror(-r);
}

/* May free l. */
static void
go_on(struct haproxy_loaded *l)
{
	int r = take_name(l) ? ask(l) : 1;

	if (r != 0)
		l->done_cb(r < 0 ? r : 0, l->arg);
}

static void
answer_cb(int r, const char *answer, void *arg)
{
	struct haproxy_loaded *l = arg;
	bool again;

	if (r == 0 && *answer == '\0')
		r = -ECONNRESET; /* a list of none is a line too */
	again = r == 0 && !l->master && l->list == NULL &&
	    haproxy_field(answer, "Unknown command") != NULL;

	if (r == 0 && l->next != NULL)
		tell(l, answer);
	else if (r == 0 && !again)
		l->next = l->list = strdup(answer);
	if (again) {
		l->master = true;
		r = ask(l);
		if (r == 0)
			return;
	}
	if (r == 0 && l->list == NULL)
		r = -ENOMEM;
	if (r < 0)
		l->done_cb(r, l->arg);
	else
		go_on(l);
}

int
haproxy_loaded_start(struct haproxy_cli *cli, enum haproxy_which which,
    haproxy_row_cb *row_cb, haproxy_loaded_cb *done_cb, void *arg,
    struct haproxy_loaded **ret)
{
	_cleanup_(haproxy_loaded_freep) struct haproxy_loaded *l =
	    calloc(1, sizeof(*l));
	int r;

	if (l == NULL)
		return -ENOMEM;
	l->cli = cli;
	l->which = which;
	l->row_cb = row_cb;
	l->done_cb = done_cb;
	l->arg = arg;
	r = ask(l);
	if (r < 0)
		return r;
	*ret = steal_ptr(l);
	return 0;
}

struct haproxy_loaded *
haproxy_loaded_free(struct haproxy_loaded *l)
{
	if (l == NULL)
		return NULL;
	free(l->list);
	free(l);
	return NULL;
}
