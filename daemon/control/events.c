/*
 * events.c - history as NDJSON: an event a line, all that is there, or followed as more
 * happens.
 *
 * Handlers of /v1/events and NAME/history. A stream has a place in the history and no
 * queue: the next page is read when the client has taken the one before. A client that
 * takes nothing is dropped by the time limit on writing. Only what is committed is
 * shown: what was rolled back has not happened.
 */
#include "control/events.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "control/named.h"
#include "control/routes.h"
#include "control/view.h"
#include "inventory/store.h"
#include "json.h"

#define PAGE            100
#define FOLLOWERS_MAX   128
#define WRITE_TIMEOUT_S 60

struct stream {
	LIST_ENTRY(stream) link;
	struct events *events;
	struct evhttp_request *http;
	struct json_writer *writer;
	struct evbuffer *page;
	char *certificate; /* NULL: of all */
	int64_t after;     /* the last one written */
	size_t in_page;
	bool follow;
	bool waiting; /* for something to happen */
};

LIST_HEAD(streams, stream);

struct events {
	struct store *store;
	struct event *wake; /* a turn after a commit */
	struct streams streams;
	size_t followers;
	int64_t committed; /* the newest event that is */
};

/* ---- pages ---- */

static int
add_line(struct stream *s, const struct history_event *e)
{
	_cleanup_free_ char *text = NULL;
	struct json_writer *w = s->writer;
	size_t len;
	int r;

	json_open_object(w);
	json_member_integer(w, "id", e->id);
	view_member_time(w, "at", e->at);
	json_member_string(w, "kind", e->kind);
	json_member_string(w, "certificate", e->certificate);
	json_member_string(w, "ca", e->ca);
	json_member_string(w, "target", e->target);
	json_member_string(w, "detail", e->detail);
	json_member_string(w, "problem", e->problem);
	json_close_object(w);
	r = json_writer_steal(w, &text, &len);
	if (r < 0)
		return r;
	return evbuffer_add(s->page, text, len) < 0 ||
		evbuffer_add(s->page, "\n", 1) < 0
	    ? -ENOMEM
	    : 0;
}

static int
row_cb(const struct history_event *e, void *arg)
{
	struct stream *s = arg;
	int r;

	if (e->id > s->events->committed)
		return -ECANCELED;
	r = add_line(s, e);
	if (r == 0) {
		s->after = e->id;
		s->in_page++;
	}
	return r;
}

static int
fill_page(struct stream *s)
{
	int r;

	s->in_page = 0;
	r = history_walk(s->events->store, s->certificate, s->after, PAGE, row_cb, s);
	return r == -ECANCELED ? 0 : r;
}

/* ---- streams ---- */

static void
stream_free(struct stream *s)
{
	if (s->follow)
		s->events->followers--;
	LIST_REMOVE(s, link);
	json_writer_free(s->writer);
	if (s->page != NULL)
		evbuffer_free(s->page);
	free(s->certificate);
	free(s);
}

static void
finish(struct stream *s)
{
	struct evhttp_request *http = s->http;

	call_attend(http, NULL, NULL);
	stream_free(s);
	evhttp_send_reply_end(http);
}

static void page_sent_cb(struct evhttp_connection *connection, void *arg);

static void
go_on(struct stream *s)
{
	s->waiting = false;
	if (fill_page(s) < 0)
		finish(s);
	else if (s->in_page > 0)
		evhttp_send_reply_chunk_with_cb(s->http, s->page, page_sent_cb, s);
	else if (s->follow)
		s->waiting = true;
	else
		finish(s);
}

static void
page_sent_cb(struct evhttp_connection *connection, void *arg)
{
	(void)connection;
	go_on(arg);
}

static void
closed_cb(struct evhttp_connection *connection, void *arg)
{
	struct stream *s = arg;

	(void)connection;
	call_abandon(s->http);
	stream_free(s);
}

/* A follower may be silent as long as it likes, but must take what it is sent. */
static void
set_patience(struct evhttp_request *http)
{
	static const struct timeval limit = { .tv_sec = WRITE_TIMEOUT_S };
	struct evhttp_connection *connection = evhttp_request_get_connection(http);

	bufferevent_set_timeouts(
	    evhttp_connection_get_bufferevent(connection), NULL, &limit);
}

/* Takes the name over. */
static struct stream *
stream_new(struct call *call, char *certificate, int64_t after, bool follow)
{
	struct events *e = call->service->events;
	struct stream *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		free(certificate);
		return NULL;
	}
	s->events = e;
	s->http = call->http;
	s->certificate = certificate;
	s->after = after;
	s->follow = follow;
	e->followers += follow;
	LIST_INSERT_HEAD(&e->streams, s, link);
	s->writer = json_writer_new();
	s->page = evbuffer_new();
	if (s->writer == NULL || s->page == NULL) {
		stream_free(s);
		return NULL;
	}
	return s;
}

static void
begin(struct call *call, char *certificate, int64_t after, bool follow)
{
	struct stream *s = stream_new(call, certificate, after, follow);

	if (s == NULL) {
		named_refuse(call, 500, "no memory");
		return;
	}
	evhttp_add_header(evhttp_request_get_output_headers(s->http), "Content-Type",
	    "application/x-ndjson");
	call_attend(s->http, closed_cb, s);
	if (follow)
		set_patience(s->http);
	evhttp_send_reply_start(s->http, 200, "OK");
	go_on(s);
}

/* ---- requests ---- */

static int
parse_id(const char *text, int64_t *ret)
{
	long long value;
	char *end;

	if (text == NULL) {
		*ret = 0;
		return 0;
	}
	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	value = strtoll(text, &end, 10);
	if (*end != '\0' || errno != 0)
		return -EINVAL;
	*ret = value;
	return 0;
}

void
events_list(struct call *call)
{
	bool follow;
	int64_t after;

	if (call_unknown_parameter(call, "after follow") ||
	    named_flag(call, "follow", &follow) < 0)
		return;
	if (parse_id(call_parameter(call, "after"), &after) < 0)
		named_refuse_field(call, "after", "must be the id of an event");
	else if (follow && call->service->events->followers >= FOLLOWERS_MAX)
		named_refuse(call, 503, "too many clients follow the events already");
	else
		begin(call, NULL, after, follow);
}

void
events_history(struct call *call)
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;
	char *name;

	if (call_unknown_parameter(call, "") || named_find_any(call, &c) < 0)
		return;
	if (c == NULL) {
		named_refuse(call, 404, "there is no certificate of this name");
		return;
	}
	name = strdup(c->name);
	if (name == NULL)
		named_refuse(call, 500, "no memory");
	else
		begin(call, name, 0, false);
}

/* ---- commits ---- */

static void
wake_cb(evutil_socket_t fd, short what, void *arg)
{
	struct events *e = arg;
	struct stream *s;
	struct stream *next;

	(void)fd;
	(void)what;
	for (s = LIST_FIRST(&e->streams); s != NULL; s = next) {
		next = LIST_NEXT(s, link);
		if (s->waiting)
			go_on(s);
	}
}

static void
committed_cb(void *arg)
{
	struct events *e = arg;
	int64_t last;

	if (history_last(e->store, &last) < 0 || last == e->committed)
		return;
	e->committed = last;
	if (e->followers > 0)
		event_active(e->wake, EV_TIMEOUT, 0);
}

int
events_new(struct event_base *base, struct store *store, struct events **ret)
{
	struct events *e = calloc(1, sizeof(*e));
	int r;

	if (e == NULL)
		return -ENOMEM;
	e->store = store;
	LIST_INIT(&e->streams);
	e->wake = evtimer_new(base, wake_cb, e);
	r = e->wake != NULL ? history_last(store, &e->committed) : -ENOMEM;
	if (r < 0) {
		events_free(e);
		return r;
	}
	store_on_commit(store, committed_cb, e);
	*ret = e;
	return 0;
}

struct events *
events_free(struct events *e)
{
	if (e == NULL)
		return NULL;
	store_forget(e->store, e);
	if (e->wake != NULL)
		event_free(e->wake);
	free(e);
	return NULL;
}
