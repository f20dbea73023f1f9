/*
 * haproxy_hot.c - gives certificates to running HAProxy processes over their runtime
 * API, so that nothing is reloaded and no connection is lost.
 *
 * Called by haproxy.c. Each file of each certificate is looked for on each socket under
 * the names that HAProxy may know it by, set, committed, and looked at again. HAProxy
 * has one transaction for all: what it says is compared with what was asked, and
 * whatever goes wrong is aborted. It must never log or keep a key, nor write a file:
 * what HAProxy reads at its next start was switched before.
 */
#include "deploy/haproxy_hot.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "acme.h"
#include "deploy/haproxy_answer.h"
#include "deploy/haproxy_cli.h"
#include "deploy/haproxy_copy.h"
#include "deploy/haproxy_staple.h"
#include "deploy/run.h"
#include "platform/file.h"

#define ANSWER_MS   10000
#define BUNDLE_MAX  (256 * 1024)
#define NAME_SIZE   (PATH_MAX + 16)
#define LIST_SIZE   (PATH_MAX - 256)
#define SERIAL_SIZE 80
#define WHY_SIZE    (NAME_SIZE + 256)

enum step { LOOK, SET, COMMIT, CHECK, ABORT, LISTS, NEW, ADD, DELETE, STAPLE, NEXT };

/* Under which name? */
enum place { LIVE, FLAT, PLACES };

struct haproxy_hot {
	struct run *run;
	bool can_reload;
	haproxy_hot_cb *done_cb;
	void *arg;
	struct event *begin_event;
	struct haproxy_cli *cli; /* NULL: none to this socket yet */
	struct haproxy_staple *staple;

	/* what is done just now */
	size_t socket, subject, kind;
	enum place place;
	enum step step;
	bool master; /* this socket is the master's: its worker is asked through it */
	bool known;  /* this file has a name in this process */
	bool adding; /* HAProxy hasn't known it until now */
	char *pem;   /* of the file; NULL: not read yet, or there is none */
	char serial[SERIAL_SIZE];
	char name[NAME_SIZE];     /* HAProxy's */
	char list[LIST_SIZE];     /* directory that it is added to */
	char to_abort[NAME_SIZE]; /* the transaction's */

	char why[WHY_SIZE]; /* a reload is needed; "": it isn't */
};

static void go_on(struct haproxy_hot *h, enum step step);

static const char *
socket_name(const struct haproxy_hot *h)
{
	return h->run->target->sockets.v[h->socket];
}

static const struct deploy_subject *
subject(const struct haproxy_hot *h)
{
	return h->run->subjects[h->subject].it;
}

static void
forget(struct haproxy_hot *h)
{
	if (h->pem != NULL)
		acme_wipe_free(h->pem, strlen(h->pem));
	h->pem = NULL;
}

/* ---- what HAProxy says ---- */

/* Its words are passed on whole, as they are all that says what is wrong. */
static enum step
refused(struct haproxy_hot *h, const char *what, const char *answer)
{
	/* somebody's transaction that is in the way isn't the bundle's fault */
	bool ours = (h->step == SET || h->step == COMMIT) &&
	    strcasestr(answer, "transaction") == NULL;

	run_say_all(h->run, answer);
	(ours ? run_subject_refused : run_subject_failed)(h->run, h->subject,
	    "HAProxy on %s answers \"%s %s\" with: %s", socket_name(h), what, h->name,
	    answer);
	h->known = true; /* a name of it is known, or was to be: no reason to reload */
	return NEXT;
}

static enum step
abort_refused(struct haproxy_hot *h, const char *what, const char *answer)
{
	refused(h, what, answer);
	snprintf(h->to_abort, sizeof(h->to_abort), "%s", h->name);
	return ABORT;
}

static enum step
got_look(struct haproxy_hot *h, const char *answer)
{
	if (haproxy_field(answer, "Unknown command") != NULL && !h->master) {
		h->master = true;
		return LOOK;
	}
	if (haproxy_field(answer, "Can't display the certificate: Not found") != NULL)
		return NEXT;
	if (haproxy_field(answer, "Filename: ") == NULL)
		return refused(h, "show ssl cert", answer);
	h->known = true;
	return haproxy_shows_serial(answer, h->serial) ? STAPLE : SET;
}

/* Somebody's pending transaction takes what is meant for another certificate. It is
 * spoilt then, and must not be committed. */
static enum step
got_set(struct haproxy_hot *h, const char *answer)
{
	char name[NAME_SIZE];

	if (!haproxy_transaction(answer, name, sizeof(name)))
		return abort_refused(h, "set ssl cert", answer);
	if (strcmp(name, h->name) == 0)
		return COMMIT;
	abort_refused(h, "set ssl cert", answer);
	snprintf(h->to_abort, sizeof(h->to_abort), "%s", name);
	return ABORT;
}

static enum step
got_commit(struct haproxy_hot *h, const char *answer)
{
	if (!haproxy_has_line(answer, "Success!"))
		return abort_refused(h, "commit ssl cert", answer);
	return h->adding ? ADD : CHECK;
}

static enum step
got_check(struct haproxy_hot *h, const char *answer)
{
	return haproxy_shows_serial(answer, h->serial)
	    ? STAPLE
	    : refused(h, "show ssl cert", answer);
}

/* What failed was said; that there is nothing to abort is no news. */
static enum step
got_abort(struct haproxy_hot *h, const char *answer)
{
	(void)answer;
	return h->adding ? DELETE : NEXT;
}

static enum step
got_lists(struct haproxy_hot *h, const char *answer)
{
	return haproxy_has_line(answer, h->list) ? NEW : NEXT;
}

static enum step
got_new(struct haproxy_hot *h, const char *answer)
{
	if (haproxy_field(answer, "New empty certificate store") == NULL)
		return refused(h, "new ssl cert", answer);
	h->adding = true;
	return SET;
}

static enum step
got_add(struct haproxy_hot *h, const char *answer)
{
	if (haproxy_has_line(answer, "Success!")) {
		h->known = true;
		return CHECK;
	}
	refused(h, "add ssl crt-list", answer);
	return DELETE;
}

static enum step
got_delete(struct haproxy_hot *h, const char *answer)
{
	(void)h, (void)answer;
	return NEXT;
}

/* ---- what it is asked ---- */

static const struct {
	const char *command; /* %s: the name */
	bool payload;
	enum step (*got)(struct haproxy_hot *h, const char *answer);
} steps[] = {
	[LOOK] = { "show ssl cert", false, got_look },
	[SET] = { "set ssl cert", true, got_set },
	[COMMIT] = { "commit ssl cert", false, got_commit },
	[CHECK] = { "show ssl cert", false, got_check },
	[ABORT] = { "abort ssl cert", false, got_abort },
	[LISTS] = { "show ssl crt-list", false, got_lists },
	[NEW] = { "new ssl cert", false, got_new },
	[ADD] = { "add ssl crt-list", false, got_add },
	[DELETE] = { "del ssl cert", false, got_delete },
};

static void
compose(const struct haproxy_hot *h, char *ret, size_t size)
{
	const char *command = steps[h->step].command;
	const char *name = h->step == ABORT ? h->to_abort
	    : h->step == LISTS              ? ""
					    : h->name;

	snprintf(ret, size, "%s%s%s%s%s%s", h->master ? "@1 " : "", command,
	    h->step == ADD ? " " : "", h->step == ADD ? h->list : "",
	    *name != '\0' ? " " : "", name);
}

static void
next_socket(struct haproxy_hot *h)
{
	h->cli = haproxy_cli_free(h->cli);
	h->master = false;
	h->subject = 0;
	h->socket++;
}

/* This process can't be asked, so nobody knows what it has. */
static void
lost(struct haproxy_hot *h, int error)
{
	snprintf(h->why, sizeof(h->why),
	    "can't use the runtime API of HAProxy on %s: %s", socket_name(h),
	    error == -ETIMEDOUT ? "it doesn't answer" : strerror(-error));
	next_socket(h);
	h->kind = 0;
	h->place = 0;
	h->known = h->adding = false;
	h->step = NEXT;
	forget(h);
}

static void
answer_cb(int r, const char *answer, void *arg)
{
	struct haproxy_hot *h = arg;
	enum step next = NEXT;

	if (r == 0 && *answer == '\0')
		r = -ECONNRESET; /* whatever it is asked, it says something */
	if (r == 0)
		next = steps[h->step].got(h, answer);
	if (r < 0)
		lost(h, r);
	go_on(h, next);
}

static int
ask(struct haproxy_hot *h)
{
	char command[NAME_SIZE * 2 + 64];
	int r = 0;

	compose(h, command, sizeof(command));
	if (h->cli == NULL)
		r = haproxy_cli_open(h->run->base, socket_name(h), &h->cli);
	if (r < 0)
		return r;
	return haproxy_cli_go_on(h->cli, command,
	    steps[h->step].payload ? h->pem : NULL, ANSWER_MS, answer_cb, h);
}

static void
stapled_cb(const char *why, void *arg)
{
	struct haproxy_hot *h = arg;

	if (why != NULL)
		run_subject_failed(h->run, h->subject, "%s", why);
	h->staple = haproxy_staple_free(h->staple);
	go_on(h, NEXT);
}

/* The OCSP response beside the file, where there is one: -ENOENT. */
static int
staple(struct haproxy_hot *h)
{
	char file[NAME_SIZE];

	snprintf(file, sizeof(file), "%s/haproxy.pem%s.ocsp", subject(h)->bundle_dir,
	    haproxy_kinds[h->kind]);
	return haproxy_staple_start(h->cli,
	    &(struct haproxy_staple_wish){ .socket = socket_name(h),
		.master = h->master,
		.name = h->name,
		.file = file },
	    stapled_cb, h, &h->staple);
}

/* ---- which is next ---- */

/* The serial of its leaf; the key behind the chain isn't looked at. */
static int
read_serial(struct haproxy_hot *h)
{
	const char *key = strstr(h->pem, "-----BEGIN PRIVATE KEY");
	size_t len = key != NULL ? (size_t)(key - h->pem) : strlen(h->pem);
	struct acme_chain *chain;
	const char *why;
	int r = acme_chain_parse(h->pem, len, &chain, &why);

	if (r < 0)
		return r;
	snprintf(h->serial, sizeof(h->serial), "%s", acme_chain_leaf(chain)->serial);
	acme_chain_free(chain);
	return 0;
}

/* -ENOENT: the certificate has no file of this kind. */
static int
read_file(struct haproxy_hot *h)
{
	char path[NAME_SIZE];
	int r;

	snprintf(path, sizeof(path), "%s/haproxy.pem%s", subject(h)->bundle_dir,
	    haproxy_kinds[h->kind]);
	r = file_read(AT_FDCWD, path, BUNDLE_MAX, &h->pem, NULL);
	if (r == 0)
		r = read_serial(h);
	if (r < 0)
		forget(h);
	if (r < 0 && r != -ENOENT)
		run_subject_failed(
		    h->run, h->subject, "%s can't be read: %s", path, strerror(-r));
	return r;
}

/* bundle_dir/../haproxy, which stands beside all certificates' directories. */
static void
name_flat(const struct haproxy_hot *h, char ret[LIST_SIZE])
{
	const char *dir = subject(h)->bundle_dir;
	size_t len = strlen(dir);

	for (int up = 0; up < 2; up++)
		while (len > 0 && dir[--len] != '/')
			;
	snprintf(ret, LIST_SIZE, "%.*s/haproxy", (int)len, dir);
}

/* Where the target says under which name HAProxy knows it, there is no other. */
static void
set_given_name(struct haproxy_hot *h)
{
	char name[LIST_SIZE] = "";
	const char *slash;

	(void)haproxy_copy_name(
	    h->run->target->bundle_path, subject(h)->certificate, name, sizeof(name));
	slash = strrchr(name, '/');
	snprintf(h->name, sizeof(h->name), "%s%s", name, haproxy_kinds[h->kind]);
	snprintf(h->list, sizeof(h->list), "%.*s",
	    slash != NULL ? (int)(slash - name) : 0, name);
}

static void
set_name(struct haproxy_hot *h)
{
	if (h->run->target->bundle_path != NULL) {
		set_given_name(h);
		return;
	}
	name_flat(h, h->list);
	if (h->place == LIVE)
		snprintf(h->name, sizeof(h->name), "%.4000s/haproxy.pem%s",
		    subject(h)->bundle_dir, haproxy_kinds[h->kind]);
	else
		snprintf(h->name, sizeof(h->name), "%s/%.200s.pem%s", h->list,
		    subject(h)->certificate, haproxy_kinds[h->kind]);
}

static void
unknown(struct haproxy_hot *h)
{
	bool given = h->run->target->bundle_path != NULL;

	if (h->can_reload)
		snprintf(h->why, sizeof(h->why),
		    "HAProxy on %s doesn't know %.3000s yet", socket_name(h), h->name);
	else if (given)
		run_subject_failed(h->run, h->subject,
		    "HAProxy on %s doesn't know %s: put it into its configuration, or "
		    "name a master_socket, unit or pidfile here to have it reloaded",
		    socket_name(h), h->name);
	else
		run_subject_failed(h->run, h->subject,
		    "HAProxy on %s knows neither %s/haproxy.pem%s nor %s: put one of them "
		    "into its configuration, or name a master_socket, unit or pidfile here "
		    "to have it reloaded",
		    socket_name(h), subject(h)->bundle_dir, haproxy_kinds[h->kind],
		    h->name);
}

/* The next name of this file. False: there is none. */
static bool
next_place(struct haproxy_hot *h)
{
	if (h->pem == NULL || h->place + 1 >= PLACES ||
	    h->run->target->bundle_path != NULL)
		return false;
	h->place++;
	return true;
}

/* The next file that there is, of this certificate or the next, for this process or
 * another. False: all is done. */
static bool
next_file(struct haproxy_hot *h)
{
	const struct run *r = h->run;

	for (; h->socket < r->target->sockets.n; next_socket(h)) {
		for (; h->subject < r->subject_count; h->subject++) {
			for (; h->kind < HAPROXY_KINDS; h->kind++)
				if (r->subjects[h->subject].failure == NULL &&
				    read_file(h) == 0)
					return true;
			h->kind = 0;
		}
	}
	return false;
}

static void
leave_file(struct haproxy_hot *h)
{
	if (h->pem != NULL) {
		if (!h->known)
			unknown(h);
		forget(h);
		h->kind++;
	}
	h->place = 0;
	h->known = h->adding = false;
}

static enum step
advance(struct haproxy_hot *h)
{
	/* where no name of it is known, its directory may take it */
	bool add = h->pem != NULL && !h->known && h->step == LOOK;

	if (!next_place(h)) {
		if (add)
			return LISTS;
		leave_file(h);
		if (!next_file(h))
			return NEXT;
	}
	set_name(h);
	return LOOK;
}

static void
go_on(struct haproxy_hot *h, enum step step)
{
	for (;;) {
		int r;

		h->step = step == NEXT ? advance(h) : step;
		if (h->step == NEXT) {
			h->done_cb(*h->why != '\0' ? h->why : NULL, h->arg);
			return;
		}
		r = h->step == STAPLE ? staple(h) : ask(h);
		if (r == 0)
			return;
		if (h->step != STAPLE)
			lost(h, r);
		step = NEXT;
	}
}

static void
begin_cb(evutil_socket_t fd, short what, void *arg)
{
	struct haproxy_hot *h = arg;

	(void)fd, (void)what;
	go_on(h, NEXT);
}

int
haproxy_hot_start(struct run *r, bool can_reload, haproxy_hot_cb *done_cb, void *arg,
    struct haproxy_hot **ret)
{
	struct haproxy_hot *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return -ENOMEM;
	h->run = r;
	h->can_reload = can_reload;
	h->done_cb = done_cb;
	h->arg = arg;
	h->step = NEXT;
	h->begin_event = evtimer_new(r->base, begin_cb, h);
	if (h->begin_event == NULL) {
		free(h);
		return -ENOMEM;
	}
	event_active(h->begin_event, 0, 0);
	*ret = h;
	return 0;
}

struct haproxy_hot *
haproxy_hot_free(struct haproxy_hot *h)
{
	if (h == NULL)
		return NULL;
	haproxy_cli_free(h->cli);
	haproxy_staple_free(h->staple);
	event_free(h->begin_event);
	forget(h);
	free(h);
	return NULL;
}
