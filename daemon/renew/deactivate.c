/*
 * deactivate.c - tells CAs of authorizations that nobody needs any more, one after the
 * other.
 *
 * Only those that were valid are ever told: a pending one that is deactivated counts as
 * a failed validation at some CAs. What a CA refuses isn't asked again, and where it
 * can't do this at all it is left in peace.
 */
#include "renew/deactivate.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>

#include "inventory/authorizations.h"
#include "inventory/store.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "renew/ca.h"
#include "renew/due.h"

#define TRIES          4
#define RETRY_SECONDS  INT64_C(300) /* times the tries before */
#define PRUNE_SECONDS  3600
#define LOOK_MAX_S     3600
#define LIFE_UNKNOWN_S (INT64_C(30) * 24 * 3600)

struct deactivator {
	struct renewals *renewals;
	struct event *timer;
	struct authorization *row; /* being worked on */
	struct ca *ca;
	struct ca_request *request;
	int64_t pruned_at;
};

/* ---- what orders leave behind ---- */

static int
keep(struct store *store, int64_t account, const struct acme_authorization *told)
{
	struct authorization a = { .account = account,
		.identifier = (char *)told->identifier,
		.url = (char *)told->url };

	if (told->expires == NULL || clock_parse(told->expires, &a.expires) < 0)
		a.expires = clock_now() + LIFE_UNKNOWN_S;
	return authorization_add(store, &a);
}

static int
note_names(struct store *store, const struct issued *row)
{
	struct issued *rows = NULL;
	size_t count = 0;
	const struct issued *before;
	int r;

	r = issued_current(store, row->certificate, false, &rows, &count);
	if (r < 0)
		return r;
	before = due_find(rows, count, row->key_type);
	if (before != NULL && strcmp(before->names, row->names) != 0)
		r = authorization_release(store, row->certificate, clock_now());
	issued_free_all(rows, count);
	return r;
}

int
deactivate_note_issue(
    struct store *store, const struct issued *row, const struct acme_flow *flow)
{
	const struct acme_authorization *told;
	size_t count = acme_flow_authorizations(flow, &told);
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++)
		r = keep(store, row->account, &told[i]);
	return r == 0 ? note_names(store, row) : r;
}

/* ---- one after the other ---- */

static void
finish(struct deactivator *d)
{
	if (d->ca != NULL)
		ca_forget(d->ca, d);
	d->ca = ca_unref(d->ca);
	d->row = authorization_free(d->row);
	deactivator_poke(d);
}

static void
give_up(struct deactivator *d)
{
	(void)authorization_delete(d->renewals->means.store, d->row->id);
	finish(d);
}

/* not_before: what the CA says, or 0. */
static void
try_later(struct deactivator *d, int64_t not_before)
{
	if (++d->row->failures >= TRIES) {
		give_up(d);
		return;
	}
	d->row->next_attempt = clock_now() + RETRY_SECONDS * d->row->failures;
	if (d->row->next_attempt < not_before)
		d->row->next_attempt = not_before;
	(void)authorization_save(d->renewals->means.store, d->row);
	finish(d);
}

/* A CA that doesn't know the request at all, rather than this authorization. */
static bool
cannot_do_it(const struct acme_reply *reply)
{
	return reply->status == 400 || reply->status == 405 || reply->status == 501;
}

static void
reply_cb(const struct acme_reply *reply, void *arg)
{
	struct deactivator *d = arg;
	const struct log_fields f = { .ca = ca_name(d->ca),
		.domain = d->row->identifier };

	d->request = NULL;
	if (reply->status == 200) {
		log_line(LOG_INFO, &f,
		    "authorization deactivated: nobody here needs %s any more",
		    d->row->identifier);
		give_up(d);
	} else if (cannot_do_it(reply)) {
		log_line(
		    LOG_DEBUG, &f, "the CA does not let authorizations be deactivated");
		(void)authorization_delete_waiting(
		    d->renewals->means.store, d->row->account);
		finish(d);
	} else if (reply->status >= 400 && reply->status < 500 &&
	    reply->status != 429) {
		give_up(d);
	} else {
		try_later(d, acme_retry_at(reply));
	}
}

static void
ready_cb(const struct acme_result *failure, void *arg)
{
	struct deactivator *d = arg;
	const struct acme_request request = { .action = ACME_ACTION_DEACTIVATE,
		.url = d->row->url,
		.payload = ACME_DEACTIVATION };

	if (failure != NULL)
		try_later(d, failure->not_before);
	else if (ca_account(d->ca) != d->row->account)
		give_up(d); /* it isn't ours any more */
	else if (ca_send(d->ca, &request, reply_cb, d, &d->request) < 0)
		try_later(d, 0);
}

struct owner {
	int64_t account;
	const struct renewals *renewals;
	struct ca *ca; /* lent */
};

static int
owner_cb(const struct account *a, void *arg)
{
	struct owner *o = arg;
	const struct ca_config *config;

	if (a->id != o->account || a->state != ACCOUNT_VALID)
		return 0;
	config = config_ca(o->renewals->config, a->ca);
	if (config != NULL && config->directory != NULL &&
	    strcmp(config->directory, a->directory) == 0)
		o->ca = renewals_ca(o->renewals, a->ca);
	return 0;
}

/* What was written before it, such as a certificate's end, is on disk. */
static void
committed_cb(int r, void *arg)
{
	struct deactivator *d = arg;
	struct owner o = { d->row->account, d->renewals, NULL };

	if (r == 0)
		r = account_walk(d->renewals->means.store, owner_cb, &o);
	if (r < 0) {
		try_later(d, 0);
	} else if (o.ca == NULL) {
		give_up(d);
	} else {
		d->ca = ca_ref(o.ca);
		ca_when_ready(d->ca, ready_cb, d);
	}
}

static void
begin(struct deactivator *d)
{
	struct store *store = d->renewals->means.store;

	if (authorization_wanted(store, d->row) != 0) {
		d->row->next_attempt = 0;
		(void)authorization_save(store, d->row);
		finish(d);
	} else if (store_after_commit(store, committed_cb, d) < 0) {
		try_later(d, 0);
	}
}

/* ---- when ---- */

static void
prune(struct deactivator *d, int64_t now)
{
	if (now < d->pruned_at + PRUNE_SECONDS && now >= d->pruned_at)
		return;
	d->pruned_at = now;
	(void)authorization_prune(d->renewals->means.store, now);
}

static void
look_cb(evutil_socket_t fd, short what, void *arg)
{
	struct deactivator *d = arg;
	int64_t now = clock_now();
	struct timeval delay = { 0 };

	(void)fd;
	(void)what;
	if (d->row != NULL)
		return; /* its end looks again */
	prune(d, now);
	if (authorization_next(d->renewals->means.store, &d->row) < 0)
		return;
	if (d->row->next_attempt <= now) {
		begin(d);
		return;
	}
	delay.tv_sec = d->row->next_attempt - now;
	if (delay.tv_sec > LOOK_MAX_S)
		delay.tv_sec = LOOK_MAX_S;
	d->row = authorization_free(d->row);
	event_add(d->timer, &delay);
}

void
deactivator_poke(struct deactivator *d)
{
	if (d != NULL)
		event_add(d->timer, &(struct timeval){ 0 });
}

int
deactivator_new(struct renewals *r, struct deactivator **ret)
{
	struct deactivator *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return -ENOMEM;
	d->renewals = r;
	d->timer = evtimer_new(r->means.base, look_cb, d);
	if (d->timer == NULL) {
		free(d);
		return -ENOMEM;
	}
	*ret = d;
	return 0;
}

struct deactivator *
deactivator_free(struct deactivator *d)
{
	if (d == NULL)
		return NULL;
	store_forget(d->renewals->means.store, d);
	ca_cancel(d->request);
	if (d->ca != NULL)
		ca_forget(d->ca, d);
	ca_unref(d->ca);
	authorization_free(d->row);
	event_free(d->timer);
	free(d);
	return NULL;
}
