/*
 * accounts.c - the ACME accounts that renewd has: one a CA, and those of before.
 *
 * Handlers of /v1/accounts. Keys stay in the inventory: only their thumbprints are
 * shown. What is asked of an account is answered when its CA has answered.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>

#include "buffer.h"
#include "control/named.h"
#include "control/problem.h"
#include "control/routes.h"
#include "control/view.h"
#include "json.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "renew/accounts.h"

struct accounts {
	const struct renewals *renewals;
	struct json_writer *writer;
};

static void
write_words(struct json_writer *w, const char *name, const char *words)
{
	json_name(w, name);
	json_open_array(w);
	while (words != NULL && *words != '\0') {
		size_t len = strcspn(words, " ");
		_cleanup_free_ char *word = strndup(words, len);

		json_put_string(w, word);
		words += len + strspn(words + len, " ");
	}
	json_close_array(w);
}

static void
write_account(
    struct json_writer *w, const struct renewals *renewals, const struct account *a)
{
	_cleanup_(buffer_free) struct buffer id = { 0 };

	if (accounts_is_own(renewals, a))
		buffer_puts(&id, a->ca);
	else
		buffer_printf(&id, "%s/%s", a->ca, a->thumbprint);
	json_open_object(w);
	json_member_string(w, "id", id.data);
	json_member_string(w, "ca", a->ca);
	json_member_string(w, "directory", a->directory);
	json_member_string(w, "thumbprint", a->thumbprint);
	json_member_string(w, "url", a->url);
	write_words(w, "contacts", a->contacts);
	json_member_string(w, "terms", a->terms);
	view_member_time(w, "created_at", a->created_at);
	json_member_string(w, "state", account_state_name(a->state));
	view_member_time(w, "deactivated_at", a->ended_at);
	json_close_object(w);
}

static int
row_cb(const struct account *a, void *arg)
{
	struct accounts *all = arg;

	write_account(all->writer, all->renewals, a);
	return 0;
}

void
accounts_list(struct call *call)
{
	struct accounts all = { .renewals = call->service->means.renewals,
		.writer = json_writer_new() };
	int r;

	if (call_unknown_parameter(call, "")) {
		json_writer_free(all.writer);
		return;
	}
	json_open_object(all.writer);
	json_name(all.writer, "accounts");
	json_open_array(all.writer);
	r = account_walk(call->service->means.store, row_cb, &all);
	json_close_array(all.writer);
	json_close_object(all.writer);
	if (r == 0) {
		call_reply(call, 200, all.writer);
		return;
	}
	json_writer_free(all.writer);
	named_refuse(call, 500, "the inventory cannot be read");
}

/* ---- which one ---- */

struct search {
	const struct renewals *renewals;
	const char *id;
	int64_t found;
};

static int
search_cb(const struct account *a, void *arg)
{
	struct search *s = arg;
	size_t len = strlen(a->ca);
	bool named = strncasecmp(s->id, a->ca, len) == 0;

	if (named && s->id[len] == '/' && strcmp(s->id + len + 1, a->thumbprint) == 0)
		s->found = a->id;
	else if (named && s->id[len] == '\0' && s->found == 0 &&
	    accounts_is_own(s->renewals, a))
		s->found = a->id;
	return 0;
}

static int
find(struct call *call, struct account **ret)
{
	struct search s = { .renewals = call->service->means.renewals,
		.id = call->name };
	int r;

	r = account_walk(call->service->means.store, search_cb, &s);
	if (r == 0)
		r = s.found != 0 ? account_get(call->service->means.store, s.found, ret)
				 : -ENOENT;
	if (r == -ENOENT)
		named_refuse(call, 404,
		    "there is no such account: a CA's name for its own, CA/THUMBPRINT "
		    "for others");
	else if (r < 0)
		named_refuse(call, 500, "the inventory cannot be read");
	return r;
}

/* ---- what is asked of it ---- */

/* A client that waits for the CA. */
struct pending {
	const struct service *service;
	struct evhttp_request *http;
	struct account_wish *wish;
	int64_t account;
};

static void
closed_cb(struct evhttp_connection *connection, void *arg)
{
	struct pending *p = arg;

	(void)connection;
	accounts_forget(p->wish);
	call_abandon(p->http);
	free(p);
}

/* What the CA refused is told from what can't be done, and from no answer. */
static int
status_of(const struct acme_result *failure)
{
	if (failure->status == 409 ||
	    (failure->status == 0 && failure->class == ACME_GIVE_UP))
		return 409;
	return 502;
}

static void
reply_account(struct call *call, int64_t id)
{
	_cleanup_(account_freep) struct account *a = NULL;
	struct json_writer *w;

	if (account_get(call->service->means.store, id, &a) < 0) {
		named_refuse(call, 500, "the inventory cannot be read");
		return;
	}
	w = json_writer_new();
	write_account(w, call->service->means.renewals, a);
	call_reply_saved(call, 200, w);
}

static void
changed_cb(const struct acme_result *failure, void *arg)
{
	struct pending *p = arg;
	struct call call = { .service = p->service, .http = p->http };

	call_attend(p->http, NULL, NULL);
	if (failure != NULL)
		named_refuse(&call, status_of(failure), failure->detail);
	else
		reply_account(&call, p->account);
	free(p);
}

/* The CA, or an order in flight, may take longer than a client is silent. */
static void
let_it_wait(struct evhttp_request *http)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(http);

	if (connection != NULL)
		bufferevent_set_timeouts(
		    evhttp_connection_get_bufferevent(connection), NULL, NULL);
}

static void
refuse_change(struct call *call, int r)
{
	if (r == -EBUSY)
		named_refuse(call, 409, "another change of this account is under way");
	else if (r == -ESHUTDOWN)
		named_refuse(call, 409, "it is deactivated");
	else if (r == -ENOTCONN)
		named_refuse(call, 409, "its CA has never heard of it");
	else
		named_refuse(call, 500, "it could not be begun");
}

static void
change(struct call *call, enum account_change what, const char *kind)
{
	_cleanup_(account_freep) struct account *a = NULL;
	struct pending *p;
	int r;

	if (call_unknown_parameter(call, "") || find(call, &a) < 0 || a == NULL)
		return;
	p = calloc(1, sizeof(*p));
	if (p == NULL) {
		refuse_change(call, -ENOMEM);
		return;
	}
	*p = (struct pending){
		.service = call->service, .http = call->http, .account = a->id
	};
	r = accounts_change(
	    call->service->means.renewals, a, what, changed_cb, p, &p->wish);
	if (r == 0) {
		log_line(LOG_NOTICE, (&(struct log_fields){ .ca = a->ca }),
		    "%s of the account asked for at the control socket, by user %u",
		    kind, call->uid);
		call_attend(call->http, closed_cb, p);
		let_it_wait(call->http);
		return;
	}
	free(p);
	if (r == -EALREADY)
		reply_account(call, a->id);
	else
		refuse_change(call, r);
}

void
accounts_rollover(struct call *call)
{
	change(call, ACCOUNT_ROLLOVER, "another key");
}

void
accounts_deactivate(struct call *call)
{
	change(call, ACCOUNT_DEACTIVATE, "the end");
}
