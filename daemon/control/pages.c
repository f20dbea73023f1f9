/*
 * pages.c - sends an answer page after page.
 *
 * Called by listing.c and metrics.c. It must never hold more than a page.
 */
#include "control/pages.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <event2/buffer.h>
#include <event2/event.h>

#include "control/call.h"
#include "control/control.h"
#include "scope.h"

struct pages {
	const struct pages_source *source;
	void *arg; /* NULL: not ours yet */
	struct evhttp_request *http;
	struct evbuffer *page;
	struct event *again; /* for the next page where this one is empty */
	bool ended;          /* the page is the last one */
};

static struct pages *
pages_free(struct pages *p)
{
	if (p == NULL)
		return NULL;
	if (p->page != NULL)
		evbuffer_free(p->page);
	if (p->again != NULL)
		event_free(p->again);
	if (p->arg != NULL)
		p->source->free(p->arg);
	free(p);
	return NULL;
}

DEFINE_CLEANUP(struct pages, pages_free)

static void
finish(struct pages *p)
{
	call_attend(p->http, NULL, NULL);
	evhttp_send_reply_end(p->http);
	pages_free(p);
}

static int
fill(struct pages *p, void *arg)
{
	int r = p->source->fill(p->page, arg);

	p->ended = r == 0;
	return r;
}

static void sent_cb(struct evhttp_connection *connection, void *arg);

static void
send_page(struct pages *p)
{
	static const struct timeval soon = { 0 };

	if (evbuffer_get_length(p->page) > 0)
		evhttp_send_reply_chunk_with_cb(p->http, p->page, sent_cb, p);
	else
		event_add(p->again, &soon);
}

static void
go_on(struct pages *p)
{
	if (p->ended || fill(p, p->arg) < 0)
		finish(p);
	else
		send_page(p);
}

static void
sent_cb(struct evhttp_connection *connection, void *arg)
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
	struct pages *p = arg;

	(void)connection;
	call_abandon(p->http);
	pages_free(p);
}

int
pages_send(struct call *call, const struct pages_source *source, void *arg)
{
	_cleanup_(pages_freep) struct pages *p = calloc(1, sizeof(*p));
	int r;

	if (p == NULL)
		return -ENOMEM;
	p->source = source;
	p->http = call->http;
	p->page = evbuffer_new();
	p->again = evtimer_new(call->service->means.base, again_cb, p);
	if (p->page == NULL || p->again == NULL)
		return -ENOMEM;
	r = fill(p, arg);
	if (r < 0)
		return r;
	p->arg = arg;
	evhttp_add_header(
	    evhttp_request_get_output_headers(p->http), "Content-Type", source->type);
	call_attend(p->http, closed_cb, p);
	evhttp_send_reply_start(p->http, 200, "OK");
	send_page(steal_ptr(p));
	return 0;
}
