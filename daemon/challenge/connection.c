/*
 * connection.c - one accepted connection: collects bytes until they are a request,
 * sends its answer, and ends in time.
 *
 * Runs on the loop. A client can hold a connection for the deadline and no longer,
 * whatever it sends; it can't make us buffer more than a few tens of KiB. What requests
 * mean is not known here.
 */
#include "challenge/connection.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/queue.h>
#include <sys/socket.h>

/* Nothing more is read or answered while the client has left this much untaken. */
#define OUTPUT_MAX 16384
/* What is read and thrown away after the last answer. */
#define DISCARD_MAX 65536

struct connection {
	TAILQ_ENTRY(connection) entry;
	struct connections *all;
	struct bufferevent *bev;
	struct event *deadline;
	size_t scanned;
	size_t discarded;
	unsigned requests;
	bool last_sent; /* no request is read any more */
	bool half_shut; /* our side is shut down */
	bool eof;       /* the client's is */
	bool paused;    /* not reading */
};

TAILQ_HEAD(connection_list, connection);

struct connections {
	struct event_base *base;
	struct connection_limits limits;
	struct connection_handler handler;
	const struct timeval *deadline; /* a common timeout: adding one costs O(1) */
	struct connection_list list;    /* oldest first */
	size_t count;
};

static struct connection *
end(struct connection *c)
{
	if (c == NULL)
		return NULL;
	TAILQ_REMOVE(&c->all->list, c, entry);
	c->all->count--;
	if (c->deadline != NULL)
		event_free(c->deadline);
	if (c->bev != NULL)
		bufferevent_free(c->bev);
	free(c);
	return NULL;
}

static size_t
unsent(const struct connection *c)
{
	return evbuffer_get_length(bufferevent_get_output(c->bev));
}

/* Is a request expected, or under way? Who connects and leaves (a health check) owes
 * none. */
static bool
owes_request(const struct connection *c)
{
	if (c->last_sent)
		return false;
	return (c->requests == 0 && !c->eof) ||
	    evbuffer_get_length(bufferevent_get_input(c->bev)) > 0;
}

static void
drop(struct connection *c)
{
	if (owes_request(c))
		c->all->handler.dropped(c->all->handler.arg);
	end(c);
}

static int
answer(struct connection *c, const struct request *request)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);
	const struct connections *all = c->all;
	struct request_answer a;

	c->requests++;
	all->handler.answer(
	    request, c->requests >= all->limits.requests, &a, all->handler.arg);
	c->last_sent = a.close;
	if (evbuffer_add(out, a.head, a.head_len) < 0 ||
	    (a.body_len > 0 && evbuffer_add(out, a.body, a.body_len) < 0))
		return -ENOMEM;
	return 0;
}

/* Answers what is there. Pipelined requests get their answers in order. */
static int
take_requests(struct connection *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);

	while (!c->last_sent && unsent(c) < OUTPUT_MAX) {
		size_t len = evbuffer_get_length(in), n;
		struct request request;
		const char *data;
		int r;

		if (len == 0)
			return 0;
		data = (const char *)evbuffer_pullup(in, -1);
		if (data == NULL)
			return -ENOMEM;
		n = request_parse(data, len, &c->scanned, &request);
		if (n == 0)
			return 0;
		c->scanned = 0;
		r = answer(c, &request); /* request points into the input */
		if (r < 0)
			return r;
		evbuffer_drain(in, n);
	}
	return 0;
}

/* Closing with unread input would make the kernel send a reset, which can overtake the
 * last answer: so our side is shut down, and the client's bytes are thrown away until
 * it has closed too. (RFC 9112 section 9.6) */
static bool
discard(struct connection *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);

	c->discarded += evbuffer_get_length(in);
	evbuffer_drain(in, evbuffer_get_length(in));
	return c->discarded <= DISCARD_MAX;
}

/* A client that doesn't take its answers isn't heard until it does. (A high-water mark
 * would do as well, but at the mark libevent 2.1 calls back in every turn of the loop.)
 * So never more is held than one read, one head, and OUTPUT_MAX with one answer. */
static void
pause_or_go_on(struct connection *c)
{
	bool pause = !c->last_sent && unsent(c) >= OUTPUT_MAX;

	if (pause == c->paused || c->eof)
		return;
	c->paused = pause;
	if (pause)
		bufferevent_disable(c->bev, EV_READ);
	else
		bufferevent_enable(c->bev, EV_READ);
}

static void
pump(struct connection *c)
{
	if (take_requests(c) < 0 || (c->last_sent && !discard(c))) {
		drop(c);
		return;
	}
	pause_or_go_on(c);
	if (unsent(c) > 0)
		return;
	if (c->eof) {
		drop(c);
	} else if (c->last_sent && !c->half_shut) {
		c->half_shut = true;
		shutdown(bufferevent_getfd(c->bev), SHUT_WR);
	}
}

static void
read_cb(struct bufferevent *bev, void *arg)
{
	(void)bev;
	pump(arg);
}

static void
written_cb(struct bufferevent *bev, void *arg)
{
	(void)bev;
	pump(arg);
}

static void
event_cb(struct bufferevent *bev, short what, void *arg)
{
	struct connection *c = arg;

	(void)bev;
	c->eof = true;
	if (what & BEV_EVENT_ERROR)
		drop(c);
	else
		pump(c); /* it may still read the answers to what it has asked */
}

static void
deadline_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	drop(arg);
}

/* The oldest that waits for its client goes, as a real CA is done in milliseconds. */
static bool
make_room(struct connections *all)
{
	struct connection *c;

	if (all->count < all->limits.connections)
		return true;
	TAILQ_FOREACH (c, &all->list, entry)
		if (unsent(c) == 0) {
			drop(c);
			return true;
		}
	all->handler.dropped(all->handler.arg);
	return false;
}

static int
begin(struct connection *c, int fd)
{
	struct connections *all = c->all;

	/* Before the bufferevent, so that the caller knows who closes fd. */
	c->deadline = evtimer_new(all->base, deadline_cb, c);
	if (c->deadline == NULL || evtimer_add(c->deadline, all->deadline) < 0)
		return -ENOMEM;
	c->bev = bufferevent_socket_new(all->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (c->bev == NULL)
		return -ENOMEM;
	bufferevent_setcb(c->bev, read_cb, written_cb, event_cb, c);
	return bufferevent_enable(c->bev, EV_READ | EV_WRITE) < 0 ? -EIO : 0;
}

void
connections_add(struct connections *all, int fd)
{
	const int on = 1;
	struct connection *c;

	c = make_room(all) ? calloc(1, sizeof(*c)) : NULL;
	if (c == NULL) {
		close(fd);
		return;
	}
	c->all = all;
	TAILQ_INSERT_TAIL(&all->list, c, entry);
	all->count++;
	/* Answers are small and whole: waiting for more only delays the pipelined ones.
	 */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (begin(c, fd) < 0) {
		if (c->bev == NULL)
			close(fd);
		end(c);
	}
}

size_t
connections_count(const struct connections *all)
{
	return all->count;
}

int
connections_new(struct event_base *base, const struct connection_limits *limits,
    const struct connection_handler *handler, struct connections **ret)
{
	const struct timeval deadline = { .tv_sec = limits->deadline_ms / 1000,
		.tv_usec = limits->deadline_ms % 1000 * 1000 };
	_cleanup_free_ struct connections *all = calloc(1, sizeof(*all));

	if (all == NULL)
		return -ENOMEM;
	all->base = base;
	all->limits = *limits;
	all->handler = *handler;
	TAILQ_INIT(&all->list);
	all->deadline = event_base_init_common_timeout(base, &deadline);
	if (all->deadline == NULL)
		return -ENOMEM;
	*ret = steal_ptr(all);
	return 0;
}

struct connections *
connections_free(struct connections *all)
{
	if (all == NULL)
		return NULL;
	while (!TAILQ_EMPTY(&all->list))
		end(TAILQ_FIRST(&all->list));
	free(all);
	return NULL;
}
