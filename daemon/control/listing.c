/*
 * listing.c - all managed certificates, or those that are asked for.
 *
 * Handler of /v1/certificates. The list is written in pages, each when the client has
 * read the one before, so that memory doesn't grow with the inventory.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>

#include "control/named.h"
#include "control/routes.h"
#include "json.h"

#define PAGE 200

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

	r = named_write(l->writer, l->service, c);
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
		named_refuse(call, 500, "the inventory cannot be read");
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

void
certificates_list(struct call *call)
{
	struct listing *l;
	size_t limit;

	if (call_unknown_parameter(call, "limit after"))
		return;
	if (parse_limit(call_parameter(call, "limit"), &limit) < 0) {
		named_refuse_field(call, "limit", "must be a number from 1 on");
		return;
	}
	l = listing_new(call, limit, call_parameter(call, "after"));
	if (l == NULL)
		named_refuse(call, 500, "no memory");
	else
		start_listing(call, l);
}
