/*
 * listing.c - all managed certificates, or those that are asked for.
 *
 * Handler of /v1/certificates. The list is written in pages, each when the client has
 * read the one before, so that memory doesn't grow with the inventory; and no turn of
 * the loop looks at more than a page, however few match.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/event.h>

#include "control/facts.h"
#include "control/filter.h"
#include "control/named.h"
#include "control/routes.h"
#include "json.h"
#include "platform/clock.h"

#define PAGE 200

struct listing {
	const struct service *service;
	struct evhttp_request *http;
	struct filter filter;
	struct json_writer *writer;
	struct evbuffer *page;
	struct event *again; /* for the next page where this one is empty */
	char *seen;          /* the last one looked at */
	char *written;       /* the last one written */
	size_t remaining;    /* that may be written in all */
	size_t looked;       /* at so many for this page */
	bool more;           /* there is one that may not be written any more */
	bool ended;          /* the page is the last one */
};

static void
listing_free(struct listing *l)
{
	json_writer_free(l->writer);
	if (l->page != NULL)
		evbuffer_free(l->page);
	if (l->again != NULL)
		event_free(l->again);
	filter_clear(&l->filter);
	free(l->seen);
	free(l->written);
	free(l);
}

/* ---- a page ---- */

static int
remember(char **field, const char *name)
{
	char *copy = strdup(name);

	if (copy == NULL)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

static int
add(struct listing *l, const struct facts *facts, const struct view *view)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	view_write(l->writer, facts, view);
	r = json_writer_steal(l->writer, &text, &len);
	if (r < 0)
		return r;
	if (evbuffer_add_printf(l->page, "%s", l->written != NULL ? ",\n" : "") < 0 ||
	    evbuffer_add(l->page, text, len) < 0)
		return -ENOMEM;
	l->remaining--;
	return remember(&l->written, facts->certificate->name);
}

static int
consider(struct listing *l, const struct facts *facts)
{
	struct view view;

	view_judge(facts, &view);
	if (!filter_matches(&l->filter, facts, &view))
		return 0;
	if (l->remaining > 0)
		return add(l, facts, &view);
	l->more = true;
	return -ECANCELED; /* all is known */
}

static int
row_cb(const struct certificate *c, void *arg)
{
	struct listing *l = arg;
	const struct service *s = l->service;
	struct facts facts;
	int r;

	l->looked++;
	r = facts_load(
	    &facts, s->means.store, s->config, s->means.renewals, c, clock_now());
	if (r == 0)
		r = consider(l, &facts);
	facts_clear(&facts);
	return r == 0 ? remember(&l->seen, c->name) : r;
}

static int
add_end(struct listing *l)
{
	_cleanup_free_ char *text = NULL;
	int r;

	/* A value alone is JSON, too. */
	json_put_string(l->writer, l->more ? l->written : NULL);
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

	l->looked = 0;
	r = certificate_walk(l->service->means.store, l->seen, PAGE, row_cb, l);
	if (r < 0 && r != -ECANCELED)
		return r;
	if (!l->more && l->looked == PAGE)
		return 0;
	l->ended = true;
	return add_end(l);
}

/* ---- page after page ---- */

static void
finish(struct listing *l)
{
	call_attend(l->http, NULL, NULL);
	evhttp_send_reply_end(l->http);
	listing_free(l);
}

static void page_sent_cb(struct evhttp_connection *connection, void *arg);

static void
send_page(struct listing *l)
{
	static const struct timeval soon = { 0 };

	if (evbuffer_get_length(l->page) > 0)
		evhttp_send_reply_chunk_with_cb(l->http, l->page, page_sent_cb, l);
	else
		event_add(l->again, &soon);
}

/* Where reading fails in the middle the answer just ends: what the client has is no
 * JSON then, and that is all that can still be said. */
static void
go_on(struct listing *l)
{
	if (!l->ended && fill_page(l) == 0)
		send_page(l);
	else
		finish(l);
}

static void
page_sent_cb(struct evhttp_connection *connection, void *arg)
{
	(void)connection;
	go_on(arg);
}

static void
again_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	go_on(arg);
}

static void
closed_cb(struct evhttp_connection *connection, void *arg)
{
	struct listing *l = arg;

	(void)connection;
	call_abandon(l->http);
	listing_free(l);
}

/* ---- the request ---- */

/* Takes the filter over. */
static struct listing *
listing_new(struct call *call, struct filter *filter, size_t limit, const char *after)
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
	l->again = evtimer_new(call->service->means.base, again_cb, l);
	if (l->writer == NULL || l->page == NULL || l->again == NULL ||
	    (after != NULL && remember(&l->seen, after) < 0) ||
	    evbuffer_add_printf(l->page, "{\"certificates\":[") < 0) {
		listing_free(l);
		return NULL;
	}
	l->filter = *filter;
	*filter = (struct filter){ 0 };
	return l;
}

static void
start_listing(struct call *call, struct listing *l)
{
	if (fill_page(l) < 0) {
		named_refuse(call, 500, "the inventory cannot be read");
		listing_free(l);
		return;
	}
	evhttp_add_header(evhttp_request_get_output_headers(l->http), "Content-Type",
	    "application/json");
	call_attend(l->http, closed_cb, l);
	evhttp_send_reply_start(l->http, 200, "OK");
	send_page(l);
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

static int
read_query(struct call *call, struct filter *filter, size_t *limit)
{
	const char *field = NULL;
	const char *why = NULL;
	int r;

	if (call_unknown_parameter(call, FILTER_PARAMETERS " limit after"))
		return -EINVAL;
	r = filter_parse(filter, &call->query, &field, &why);
	if (r == 0 && parse_limit(call_parameter(call, "limit"), limit) < 0) {
		field = "limit";
		why = "must be a number from 1 on";
		r = -EINVAL;
	}
	if (r == -EINVAL)
		named_refuse_field(call, field, why);
	else if (r < 0)
		named_refuse(call, 500, "no memory");
	return r;
}

void
certificates_list(struct call *call)
{
	_cleanup_(filter_clear) struct filter filter = { 0 };
	struct listing *l;
	size_t limit = 0;

	if (read_query(call, &filter, &limit) < 0)
		return;
	l = listing_new(call, &filter, limit, call_parameter(call, "after"));
	if (l == NULL)
		named_refuse(call, 500, "no memory");
	else
		start_listing(call, l);
}
