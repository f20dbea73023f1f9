/*
 * haproxy_hot.c - gives certificates to running HAProxy processes over their runtime
 * API, so that nothing is reloaded and no connection is lost.
 *
 * Called by haproxy.c. Each file of each certificate is given to each process under all
 * the names that HAProxy may know it by (haproxy_talk.c), then its OCSP response. It
 * must never log or keep a key, nor write a file: what HAProxy reads at its next start
 * was switched before.
 */
#include "deploy/haproxy_hot.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "acme.h"
#include "deploy/haproxy_cli.h"
#include "deploy/haproxy_copy.h"
#include "deploy/haproxy_name.h"
#include "deploy/haproxy_staple.h"
#include "deploy/haproxy_store.h"
#include "deploy/haproxy_talk.h"
#include "deploy/run.h"
#include "platform/file.h"

#define BUNDLE_MAX  (256 * 1024)
#define NAME_SIZE   HAPROXY_NAME_SIZE
#define SERIAL_SIZE 80
#define WHY_SIZE    (NAME_SIZE + 256)

enum step {
	ITEMS,  /* this process is asked for those of its crt-stores */
	TELL,   /* it is given the certificate under this name */
	ADD,    /* the same, where it doesn't know the name */
	STAPLE, /* and the OCSP response */
	NEXT
};

/* Under which name? */
enum place {
	LIVE,   /* in bundle_dir */
	LISTED, /* in a directory that HAProxy may read whole */
	ITEM    /* of its crt-stores */
};

struct haproxy_hot {
	struct run *run;
	bool can_reload;
	haproxy_hot_cb *done_cb;
	void *arg;
	struct event *begin_event;
	struct haproxy_cli *cli; /* to this process; NULL: none yet */
	struct haproxy_talk *talk;
	struct haproxy_staple *staple;
	struct haproxy_store *store; /* this process's; NULL: not asked for yet */

	/* what is done just now */
	size_t socket, subject, kind;
	enum place place;
	size_t item; /* of the store: the next to be looked at */
	enum step step;
	bool master; /* this socket is the master's: its worker is asked through it */
	bool known;  /* this file has a name in this process */
	char *pem;   /* of the file; NULL: not read yet, or there is none */
	char serial[SERIAL_SIZE];
	char name[NAME_SIZE];         /* HAProxy's */
	char list[HAPROXY_LIST_SIZE]; /* directory that it is added to */

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

static struct haproxy_file
file(const struct haproxy_hot *h)
{
	return (struct haproxy_file){
		.certificate = subject(h)->certificate,
		.bundle_dir = subject(h)->bundle_dir,
		.bundle_path = h->run->target->bundle_path,
		.kind = haproxy_kinds[h->kind],
	};
}

/* ---- telling ---- */

static void
next_socket(struct haproxy_hot *h)
{
	h->socket++;
	h->subject = h->kind = h->item = 0;
	h->master = false;
	h->cli = haproxy_cli_free(h->cli);
	h->store = haproxy_store_free(h->store);
}

/* This process can't be asked, so nobody knows what it has. */
static void
lost(struct haproxy_hot *h, int error)
{
	snprintf(h->why, sizeof(h->why),
	    "can't use the runtime API of HAProxy on %s: %s", socket_name(h),
	    error == -ETIMEDOUT ? "it doesn't answer" : strerror(-error));
	h->known = false;
	h->step = NEXT;
	forget(h);
	next_socket(h);
}

static void
talked_cb(int r, const struct haproxy_talk_end *end, void *arg)
{
	struct haproxy_hot *h = arg;
	enum step next = end->has ? STAPLE : NEXT;

	h->known = h->known || end->known;
	h->master = end->master;
	h->talk = haproxy_talk_free(h->talk);
	if (r < 0)
		lost(h, r);
	go_on(h, r < 0 ? NEXT : next);
}

static int
talk(struct haproxy_hot *h)
{
	return haproxy_talk_start(&(struct haproxy_talk_wish){ .run = h->run,
				      .cli = h->cli,
				      .subject = h->subject,
				      .file = file(h),
				      .socket = socket_name(h),
				      .master = h->master,
				      .name = h->name,
				      .list = h->place == LISTED ? h->list : NULL,
				      .add = h->step == ADD,
				      .pem = h->pem,
				      .serial = h->serial },
	    talked_cb, h, &h->talk);
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

static void
stored_cb(int r, void *arg)
{
	struct haproxy_hot *h = arg;

	if (r < 0 && r != -EFBIG) { /* such a list isn't one of stores */
		lost(h, r);
		go_on(h, NEXT);
	} else
		go_on(h, TELL);
}

/* The OCSP response beside the file, where there is one: -ENOENT. */
static int
staple(struct haproxy_hot *h)
{
	char path[NAME_SIZE];

	snprintf(path, sizeof(path), "%s/haproxy.pem%s.ocsp", subject(h)->bundle_dir,
	    haproxy_kinds[h->kind]);
	return haproxy_staple_start(h->cli,
	    &(struct haproxy_staple_wish){ .socket = socket_name(h),
		.master = h->master,
		.name = h->name,
		.file = path },
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

static void
set_name(struct haproxy_hot *h, enum place place)
{
	const struct haproxy_file it = file(h);

	h->place = place;
	if (place == LIVE)
		haproxy_name_live(&it, h->name);
	else
		haproxy_name_listed(&it, h->name, h->list);
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
	const struct haproxy_file it = file(h);
	const char *item;

	if (h->place == LIVE) {
		set_name(h, LISTED);
		return true;
	}
	item = haproxy_store_find(h->store, &it, &h->item);
	if (item == NULL)
		return false;
	h->place = ITEM;
	snprintf(h->name, sizeof(h->name), "%s", item);
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
	h->item = 0;
	h->known = false;
}

static enum step
advance(struct haproxy_hot *h)
{
	if (h->pem != NULL && next_place(h))
		return TELL;
	if (h->pem != NULL && !h->known && h->step == TELL) {
		set_name(h, LISTED); /* its directory may take it */
		return ADD;
	}
	leave_file(h);
	if (!next_file(h))
		return NEXT;
	set_name(h, h->run->target->bundle_path != NULL ? LISTED : LIVE);
	return h->store == NULL ? ITEMS : TELL;
}

static int
begin_step(struct haproxy_hot *h)
{
	int r = 0;

	if (h->cli == NULL)
		r = haproxy_cli_open(h->run->base, socket_name(h), &h->cli);
	if (r < 0)
		return r;
	if (h->step == STAPLE)
		return staple(h);
	return h->step == ITEMS ? haproxy_store_start(h->cli, stored_cb, h, &h->store)
				: talk(h);
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
		r = begin_step(h);
		if (r == 0)
			return;
		if (h->step != STAPLE)
			lost(h, r);
		else if (r != -ENOENT) /* there is no response */
			run_subject_failed(h->run, h->subject,
			    "the OCSP response of %s can't be given to HAProxy on %s: %s",
			    h->name, socket_name(h), strerror(-r));
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
	haproxy_talk_free(h->talk);
	haproxy_staple_free(h->staple);
	haproxy_cli_free(h->cli);
	haproxy_store_free(h->store);
	event_free(h->begin_event);
	forget(h);
	free(h);
	return NULL;
}
