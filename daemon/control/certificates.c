/*
 * certificates.c - the managed certificates: all, one, and renewing one.
 *
 * Handlers of /v1/certificates. The list is written in pages, each when the client has
 * read the one before, so that memory doesn't grow with the inventory.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>

#include "control/call.h"
#include "control/facts.h"
#include "control/problem.h"
#include "control/routes.h"
#include "control/view.h"
#include "json.h"
#include "platform/clock.h"
#include "platform/log.h"

#define PAGE 200

DEFINE_CLEANUP(struct json, json_free)

static void
refuse(struct call *call, int status, const char *detail)
{
	problem_send(
	    call->http, &(struct problem){ .status = status, .detail = detail });
}

static void
refuse_field(struct call *call, const char *field, const char *detail)
{
	problem_send(call->http,
	    &(struct problem){ .status = 422, .detail = detail, .field = field });
}

static int
write_certificate(
    struct json_writer *w, const struct service *s, const struct certificate *c)
{
	struct facts facts;
	struct view view;
	int r;

	r = facts_load(
	    &facts, s->means.store, s->config, s->means.renewals, c, clock_now());
	if (r == 0) {
		view_judge(&facts, &view);
		view_write(w, &facts, &view);
	}
	facts_clear(&facts);
	return r;
}

/* ---- all ---- */

struct listing {
	const struct service *service;
	struct evhttp_request *http;
	struct json_writer *writer;
	struct evbuffer *page;
	char *after;      /* the last one written */
	size_t remaining; /* that may be written in all */
	size_t room;      /* in this page */
	bool begun;       /* one has been written */
	bool more;        /* there are others behind this page */
};

static void
listing_free(struct listing *l)
{
	json_writer_free(l->writer);
	if (l->page != NULL)
		evbuffer_free(l->page);
	free(l->after);
	free(l);
}

static int
add_certificate(struct listing *l, const struct certificate *c)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	r = write_certificate(l->writer, l->service, c);
	if (r < 0)
		return r;
	r = json_writer_steal(l->writer, &text, &len);
	if (r < 0)
		return r;
	if (evbuffer_add_printf(l->page, "%s", l->begun ? ",\n" : "") < 0 ||
	    evbuffer_add(l->page, text, len) < 0)
		return -ENOMEM;
	l->begun = true;
	return 0;
}

/* One more than the page has room for is asked for, to know whether there are more. */
static int
row_cb(const struct certificate *c, void *arg)
{
	struct listing *l = arg;
	char *name;
	int r;

	if (l->room == 0) {
		l->more = true;
		return 0;
	}
	r = add_certificate(l, c);
	if (r < 0)
		return r;
	name = strdup(c->name);
	if (name == NULL)
		return -ENOMEM;
	free(l->after);
	l->after = name;
	l->room--;
	l->remaining--;
	return 0;
}

static int
add_end(struct listing *l)
{
	_cleanup_free_ char *text = NULL;
	int r;

	/* A value alone is JSON, too. */
	json_put_string(l->writer, l->more ? l->after : NULL);
	r = json_writer_steal(l->writer, &text, NULL);
	if (r < 0)
		return r;
	return evbuffer_add_printf(l->page, "],\"next\":%s}\n", text) < 0 ? -ENOMEM : 0;
}

/* The next page into l->page, with the end where it is the last one. */
static int
fill_page(struct listing *l)
{
	int r;

	l->room = l->remaining < PAGE ? l->remaining : PAGE;
	l->more = false;
	r = certificate_walk(l->service->means.store, l->after, l->room + 1, row_cb, l);
	if (r < 0)
		return r;
	if (!l->more)
		l->remaining = 0;
	return l->remaining == 0 ? add_end(l) : 0;
}

/* Where reading fails in the middle the answer just ends: what the client has is no
 * JSON then, and that is all that can still be said. */
static void
page_sent_cb(struct evhttp_connection *connection, void *arg)
{
	struct listing *l = arg;
	bool last = l->remaining == 0;

	(void)connection;
	if (!last && fill_page(l) == 0) {
		evhttp_send_reply_chunk_with_cb(l->http, l->page, page_sent_cb, l);
		return;
	}
	call_attend(l->http, NULL, NULL);
	evhttp_send_reply_end(l->http);
	listing_free(l);
}

static void
closed_cb(struct evhttp_connection *connection, void *arg)
{
	struct listing *l = arg;

	(void)connection;
	call_abandon(l->http);
	listing_free(l);
}

static struct listing *
listing_new(struct call *call, size_t limit, const char *after)
{
	struct listing *l;

	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return NULL;
	l->service = call->service;
	l->http = call->http;
	l->remaining = limit;
	l->writer = json_writer_new();
	l->page = evbuffer_new();
	l->after = after != NULL ? strdup(after) : NULL;
	if (l->writer == NULL || l->page == NULL ||
	    (after != NULL && l->after == NULL) ||
	    evbuffer_add_printf(l->page, "{\"certificates\":[") < 0) {
		listing_free(l);
		return NULL;
	}
	return l;
}

static void
start_listing(struct call *call, struct listing *l)
{
	if (fill_page(l) < 0) {
		refuse(call, 500, "the inventory cannot be read");
		listing_free(l);
		return;
	}
	evhttp_add_header(evhttp_request_get_output_headers(l->http), "Content-Type",
	    "application/json");
	call_attend(l->http, closed_cb, l);
	evhttp_send_reply_start(l->http, 200, "OK");
	evhttp_send_reply_chunk_with_cb(l->http, l->page, page_sent_cb, l);
}

static int
parse_limit(const char *text, size_t *ret)
{
	unsigned long long value;
	char *end;

	if (text == NULL) {
		*ret = SIZE_MAX;
		return 0;
	}
	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (*end != '\0' || errno != 0 || value == 0 || value >= SIZE_MAX)
		return -EINVAL;
	*ret = (size_t)value;
	return 0;
}

/* An answer that ignores a filter would be taken for the filtered one. */
static const char *
unknown_parameter(const struct call *call)
{
	const struct evkeyval *pair;

	TAILQ_FOREACH (pair, &call->query, next)
		if (strcmp(pair->key, "limit") != 0 && strcmp(pair->key, "after") != 0)
			return pair->key;
	return NULL;
}

void
certificates_list(struct call *call)
{
	const char *unknown = unknown_parameter(call);
	struct listing *l;
	size_t limit;

	if (unknown != NULL) {
		refuse_field(call, unknown, "no such parameter");
		return;
	}
	if (parse_limit(call_parameter(call, "limit"), &limit) < 0) {
		refuse_field(call, "limit", "must be a number from 1 on");
		return;
	}
	l = listing_new(call, limit, call_parameter(call, "after"));
	if (l == NULL)
		refuse(call, 500, "no memory");
	else
		start_listing(call, l);
}

/* ---- one ---- */

/* The row of the name in the path; where there is none it is answered so. */
static int
find(struct call *call, struct certificate **ret)
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;
	int r;

	r = certificate_get(call->service->means.store, call->name, &c);
	if (r == 0 && c->removed_at != 0)
		r = -ENOENT;
	if (r == -ENOENT)
		refuse(call, 404, "there is no certificate of this name");
	else if (r < 0)
		refuse(call, 500, "the inventory cannot be read");
	if (r < 0)
		return r;
	*ret = steal_ptr(c);
	return 0;
}

void
certificates_show(struct call *call)
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;
	struct json_writer *w;

	if (find(call, &c) < 0)
		return;
	w = json_writer_new();
	if (write_certificate(w, call->service, c) < 0) {
		json_writer_free(w);
		refuse(call, 500, "the inventory cannot be read");
		return;
	}
	call_reply(call, 200, w);
}

/* ---- renewing ---- */

/* The members of the body; -EINVAL where one is wrong, which is answered then. */
static int
read_renew(struct call *call, const struct json *body, bool *ret_force)
{
	const struct json *force = json_get(body, "force");

	for (size_t i = 0; i < json_count(body); i++)
		if (strcmp(json_name_at(body, i), "force") != 0) {
			refuse_field(call, json_name_at(body, i), "no such field");
			return -EINVAL;
		}
	if (force != NULL && json_type(force) != JSON_BOOL) {
		refuse_field(call, "force", "must be true or false");
		return -EINVAL;
	}
	*ret_force = json_is_true(force);
	return 0;
}

/* The row is read anew: what was asked for has changed it. */
static void
reply_started(struct call *call)
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;
	struct json_writer *w;

	if (find(call, &c) < 0)
		return;
	log_line(LOG_INFO, (&(struct log_fields){ .certificate = c->name }),
	    "renewal asked for at the control socket");
	w = json_writer_new();
	if (write_certificate(w, call->service, c) < 0) {
		json_writer_free(w);
		refuse(call, 500, "the inventory cannot be read");
		return;
	}
	call_reply_saved(call, 202, w);
}

static void
reply_not_due(struct call *call)
{
	struct json_writer *w = json_writer_new();

	json_open_object(w);
	json_member_bool(w, "started", false);
	json_member_string(w, "reason", "not-due");
	json_close_object(w);
	call_reply(call, 200, w);
}

static void
reply_not_allowed(struct call *call, const struct certificate *c)
{
	problem_send(call->http,
	    &(struct problem){
		.status = 429,
		.detail = "the CA has said when it may be asked again",
		.next_attempt = c->next_attempt,
	    });
}

void
certificates_renew(struct call *call)
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;
	_cleanup_(json_freep) struct json *body = NULL;
	enum renewal_answer answer;
	bool force;

	if (find(call, &c) < 0 || call_body(call, &body) < 0 ||
	    read_renew(call, body, &force) < 0)
		return;
	if (renewals_ask(call->service->means.renewals, c, force, &answer) < 0) {
		refuse(call, 500, "the inventory could not be written");
		return;
	}
	switch (answer) {
	case RENEWAL_STARTED:
	case RENEWAL_RUNNING:
		reply_started(call);
		break;
	case RENEWAL_NOT_DUE:
		reply_not_due(call);
		break;
	case RENEWAL_NOT_ALLOWED:
		reply_not_allowed(call, c);
		break;
	case RENEWAL_PAUSED:
		refuse(call, 409, "it is paused, by renewctl or enabled = no");
		break;
	}
}
