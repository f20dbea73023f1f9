/*
 * admission.c - looks at who has connected to the control socket, one turn of the loop
 * after evhttp has accepted it, and keeps the number of clients within bounds.
 *
 * Used by control.c. When evhttp asks for a buffer event it doesn't say for which
 * socket, hence the detour. Every request is checked again when it is there, so what is
 * missed here is a matter of noise only.
 */
#include "control/admission.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <event2/bufferevent.h>
#include <event2/event.h>

#include "control/peer.h"
#include "scope.h"

#define SWEEP_S 5

struct client {
	TAILQ_ENTRY(client) link;
	struct bufferevent *bev; /* a reference of our own */
	struct event *look;      /* NULL after the look */
	struct admission *admission;
	uid_t uid;
};

TAILQ_HEAD(clients, client);

struct admission {
	const struct peer_groups *groups;
	struct admission_limits limits;
	struct clients clients; /* those that came first are first */
	struct event *sweep;
};

static void
client_free(struct client *c)
{
	TAILQ_REMOVE(&c->admission->clients, c, link);
	if (c->look != NULL)
		event_free(c->look);
	bufferevent_decref(c->bev);
	free(c);
}

/* A connection that evhttp has dropped meanwhile has no callbacks any more, and its
 * descriptor may be somebody else's by now. */
static bool
is_alive(struct bufferevent *bev)
{
	bufferevent_event_cb event_cb;

	bufferevent_getcb(bev, NULL, NULL, &event_cb, NULL);
	return event_cb != NULL && bufferevent_getfd(bev) >= 0;
}

/* evhttp sees the end and cleans up. */
static void
turn_away(struct client *c)
{
	shutdown(bufferevent_getfd(c->bev), SHUT_RDWR);
	client_free(c);
}

/* ---- bounds ---- */

static size_t
sweep(struct admission *a)
{
	struct client *c;
	struct client *next;
	size_t count = 0;

	for (c = TAILQ_FIRST(&a->clients); c != NULL; c = next) {
		next = TAILQ_NEXT(c, link);
		if (is_alive(c->bev))
			count++;
		else
			client_free(c);
	}
	return count;
}

static size_t
count_of(const struct admission *a, uid_t uid)
{
	const struct client *c;
	size_t count = 0;

	TAILQ_FOREACH (c, &a->clients, link)
		count += c->uid == uid;
	return count;
}

/* The oldest connection of the user who has the most: whoever floods pays for it, and a
 * newcomer always gets in. */
static struct client *
find_victim(const struct admission *a)
{
	struct client *victim = NULL;
	struct client *c;
	size_t most = 0;

	TAILQ_FOREACH (c, &a->clients, link) {
		size_t count = c->look == NULL ? count_of(a, c->uid) : 0;

		if (count > most) {
			most = count;
			victim = c;
		}
	}
	return victim;
}

static void
make_room(struct admission *a)
{
	size_t count = sweep(a);
	struct client *victim;

	for (; count > a->limits.clients; count--) {
		victim = find_victim(a);
		if (victim != NULL)
			turn_away(victim);
	}
}

/* Connections that have ended hold memory until then. */
static void
sweep_cb(evutil_socket_t unused, short what, void *arg)
{
	static const struct timeval later = { .tv_sec = SWEEP_S };
	struct admission *a = arg;

	(void)unused;
	(void)what;
	if (sweep(a) > 0)
		event_add(a->sweep, &later);
}

/* ---- newcomers ---- */

static void
look_cb(evutil_socket_t unused, short what, void *arg)
{
	static const struct timeval later = { .tv_sec = SWEEP_S };
	struct client *c = arg;
	struct admission *a = c->admission;
	int fd = bufferevent_getfd(c->bev);

	(void)unused;
	(void)what;
	if (!is_alive(c->bev)) {
		client_free(c);
		return;
	}
	if (peer_access(fd, a->groups, &c->uid) == PEER_STRANGER) {
		turn_away(c);
		return;
	}
	event_free(c->look);
	c->look = NULL;
	make_room(a);
	if (!event_pending(a->sweep, EV_TIMEOUT, NULL))
		event_add(a->sweep, &later);
}

static int
set_up(struct client *c, struct event_base *base)
{
	c->look = evtimer_new(base, look_cb, c);
	c->bev = bufferevent_socket_new(base, -1, 0);
	if (c->look == NULL || c->bev == NULL)
		return -ENOMEM;
	/* evhttp takes nothing while it answers, and would let it pile up */
	bufferevent_setwatermark(c->bev, EV_READ, 0, c->admission->limits.unread);
	return 0;
}

struct bufferevent *
admission_bev_cb(struct event_base *base, void *admission)
{
	struct admission *a = admission;
	struct client *c;

	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->admission = a;
	c->uid = (uid_t)-1;
	if (set_up(c, base) < 0) {
		if (c->look != NULL)
			event_free(c->look);
		if (c->bev != NULL)
			bufferevent_free(c->bev);
		free(c);
		return NULL;
	}
	bufferevent_incref(c->bev);
	TAILQ_INSERT_TAIL(&a->clients, c, link);
	event_active(c->look, EV_TIMEOUT, 1);
	return c->bev;
}

int
admission_new(struct event_base *base, const struct peer_groups *groups,
    const struct admission_limits *limits, struct admission **ret)
{
	struct admission *a;

	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return -ENOMEM;
	a->groups = groups;
	a->limits = *limits;
	TAILQ_INIT(&a->clients);
	a->sweep = evtimer_new(base, sweep_cb, a);
	if (a->sweep == NULL) {
		free(a);
		return -ENOMEM;
	}
	*ret = a;
	return 0;
}

struct admission *
admission_free(struct admission *a)
{
	if (a == NULL)
		return NULL;
	while (!TAILQ_EMPTY(&a->clients))
		client_free(TAILQ_FIRST(&a->clients));
	event_free(a->sweep);
	free(a);
	return NULL;
}
