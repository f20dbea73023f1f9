/*
 * admission.c - looks at who has connected to the control socket, one turn of the loop
 * after evhttp has accepted it.
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

struct newcomer {
	LIST_ENTRY(newcomer) link;
	struct bufferevent *bev; /* a reference of our own */
	struct event *look;
	struct admission *admission;
};

struct admission {
	const struct peer_groups *groups;
	LIST_HEAD(, newcomer) newcomers;
};

static void
newcomer_free(struct newcomer *n)
{
	LIST_REMOVE(n, link);
	event_free(n->look);
	bufferevent_decref(n->bev);
	free(n);
}

/* A connection that evhttp has dropped meanwhile has no callbacks any more, and its
 * descriptor may be somebody else's by now. */
static bool
is_alive(struct bufferevent *bev)
{
	bufferevent_data_cb read_cb;

	bufferevent_getcb(bev, &read_cb, NULL, NULL, NULL);
	return read_cb != NULL && bufferevent_getfd(bev) >= 0;
}

static void
look_cb(evutil_socket_t unused, short what, void *arg)
{
	struct newcomer *n = arg;
	int fd = bufferevent_getfd(n->bev);

	(void)unused;
	(void)what;
	if (is_alive(n->bev) &&
	    peer_access(fd, n->admission->groups, NULL) == PEER_STRANGER)
		shutdown(fd, SHUT_RDWR); /* evhttp sees the end and cleans up */
	newcomer_free(n);
}

struct bufferevent *
admission_bev_cb(struct event_base *base, void *admission)
{
	struct admission *a = admission;
	struct newcomer *n;

	n = calloc(1, sizeof(*n));
	if (n == NULL)
		return NULL;
	n->admission = a;
	n->look = evtimer_new(base, look_cb, n);
	n->bev = bufferevent_socket_new(base, -1, 0);
	if (n->look == NULL || n->bev == NULL) {
		if (n->look != NULL)
			event_free(n->look);
		if (n->bev != NULL)
			bufferevent_free(n->bev);
		free(n);
		return NULL;
	}
	bufferevent_incref(n->bev);
	LIST_INSERT_HEAD(&a->newcomers, n, link);
	event_active(n->look, EV_TIMEOUT, 1);
	return n->bev;
}

int
admission_new(const struct peer_groups *groups, struct admission **ret)
{
	struct admission *a;

	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return -ENOMEM;
	a->groups = groups;
	LIST_INIT(&a->newcomers);
	*ret = a;
	return 0;
}

struct admission *
admission_free(struct admission *a)
{
	if (a == NULL)
		return NULL;
	while (!LIST_EMPTY(&a->newcomers))
		newcomer_free(LIST_FIRST(&a->newcomers));
	free(a);
	return NULL;
}
