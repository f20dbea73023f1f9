/*
 * listener.c - listening sockets on the loop.
 *
 * An address that can't be bound, or a process that has no file descriptor left, is a
 * state, not an error: it is said once, and tried again by a timer. Sockets passed by
 * systemd are served as duplicates; their originals stay open, so that a restart of the
 * service loses no connection.
 */
#include "challenge/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <event2/util.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "config/config.h"
#include "platform/log.h"

#define BACKLOG   511
#define NAME_SIZE 80

struct listener {
	TAILQ_ENTRY(listener) entry;
	struct listeners *all;
	char name[NAME_SIZE]; /* the address as written, or "socket 3 of systemd" */
	struct sockaddr_storage address;
	int address_len;
	int passed;                   /* systemd's socket, or -1 */
	struct evconnlistener *event; /* NULL: not open */
	struct event *timer;          /* to open it again, or to go on accepting */
	bool wanted;
	bool fresh;  /* added by the listeners_set() that is running */
	bool failed; /* and that was said */
	bool paused; /* and that was said */
};

TAILQ_HEAD(listener_list, listener);

struct listeners {
	struct event_base *base;
	struct timeval retry;
	struct timeval pause;
	listener_accepted_cb *accepted_cb;
	void *arg;
	struct listener_list list;
};

static struct listener *
listener_free(struct listener *l)
{
	if (l == NULL)
		return NULL;
	if (l->event != NULL)
		evconnlistener_free(l->event);
	if (l->timer != NULL)
		event_free(l->timer);
	free(l);
	return NULL;
}

DEFINE_CLEANUP(struct listener, listener_free)

static void
accepted_cb(struct evconnlistener *event, evutil_socket_t fd, struct sockaddr *peer,
    int peer_len, void *arg)
{
	struct listener *l = arg;

	(void)event;
	(void)peer;
	(void)peer_len;
	l->paused = false;
	l->all->accepted_cb(fd, l->all->arg);
}

/* accept() failed for want of descriptors or memory. The connection still waits, so the
 * socket stays readable and the loop would spin. */
static void
accept_failed_cb(struct evconnlistener *event, void *arg)
{
	struct listener *l = arg;
	int error = errno;

	if (!l->paused)
		log_line(LOG_ERR, LOG_ABOUT(LISTEN_FAILED),
		    "cannot accept connections on %s: %s", l->name, strerror(error));
	l->paused = true;
	evconnlistener_disable(event);
	evtimer_add(l->timer, &l->all->pause);
}

static int
bind_address(const struct listener *l)
{
	_cleanup_close_ int fd = -1;
	const int on = 1;

	fd =
	    socket(l->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	/* [::]:80 and 0.0.0.0:80 are two listeners, whatever the system's default. */
	if (l->address.ss_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&l->address, (socklen_t)l->address_len) <
	    0)
		return -errno;
	return steal_fd(fd);
}

static int
duplicate(const struct listener *l)
{
	_cleanup_close_ int fd = fcntl(l->passed, F_DUPFD_CLOEXEC, 3);
	int listening = 0;
	socklen_t len = sizeof(listening);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0 ||
	    evutil_make_socket_nonblocking(fd) < 0)
		return -errno;
	return listening ? steal_fd(fd) : -EINVAL;
}

static int
open_listener(struct listener *l)
{
	_cleanup_close_ int fd = -1;

	if (l->event != NULL)
		return 0;
	fd = l->passed >= 0 ? duplicate(l) : bind_address(l);
	if (fd < 0)
		return fd;
	l->event = evconnlistener_new(l->all->base, accepted_cb, l,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, l->passed >= 0 ? 0 : BACKLOG,
	    fd);
	if (l->event == NULL)
		return errno > 0 ? -errno : -ENOMEM;
	fd = -1; /* the event closes it */
	evconnlistener_set_error_cb(l->event, accept_failed_cb);
	l->paused = false;
	return 0;
}

/* A machine without IPv6 is no fault: the default is to listen there, too. */
static void
say_failed(const struct listener *l, int r)
{
	if (r == -EAFNOSUPPORT && l->address.ss_family == AF_INET6)
		log_line(LOG_NOTICE, LOG_ABOUT(LISTEN_FAILED),
		    "not listening on %s: this machine has no IPv6", l->name);
	else
		log_line(LOG_CRIT, LOG_ABOUT(LISTEN_FAILED),
		    "cannot listen on %s: %s; trying again each minute, and where nothing "
		    "else is listened on, http-01 orders wait",
		    l->name,
		    r == -EACCES ? "the port is privileged, and renewd has no "
				   "CAP_NET_BIND_SERVICE"
				 : strerror(-r));
}

/* Opens it or starts the timer, and says what is new. */
static void
open_or_wait(struct listener *l)
{
	int r = open_listener(l);

	if (r < 0 && !l->failed)
		say_failed(l, r);
	else if (r == 0 && l->failed)
		log_line(LOG_NOTICE, LOG_ABOUT(LISTENING), "listening on %s at last",
		    l->name);
	l->failed = r < 0;
	if (l->failed)
		evtimer_add(l->timer, &l->all->retry);
}

static void
timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;

	(void)fd;
	(void)what;
	if (l->event == NULL)
		open_or_wait(l);
	else
		evconnlistener_enable(l->event);
}

static int
parse_address(struct listener *l, const char *text)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&l->address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&l->address;
	int n;

	l->address_len = sizeof(l->address);
	if (evutil_parse_sockaddr_port(
		text, (struct sockaddr *)&l->address, &l->address_len) < 0)
		return -EINVAL;
	if ((l->address.ss_family == AF_INET ? v4->sin_port : v6->sin6_port) == 0)
		return -EINVAL;
	n = snprintf(l->name, sizeof(l->name), "%s", text);
	return n < (int)sizeof(l->name) ? 0 : -EINVAL;
}

/* text is NULL for a passed socket. */
static int
listener_new(struct listeners *all, const char *text, int passed, struct listener **ret)
{
	_cleanup_(listener_freep) struct listener *l = calloc(1, sizeof(*l));
	int r = 0;

	if (l == NULL)
		return -ENOMEM;
	l->all = all;
	l->passed = passed;
	if (text != NULL)
		r = parse_address(l, text);
	else
		snprintf(l->name, sizeof(l->name), "socket %d of systemd", passed);
	if (r < 0)
		return r;
	l->timer = evtimer_new(all->base, timer_cb, l);
	if (l->timer == NULL)
		return -ENOMEM;
	*ret = steal_ptr(l);
	return 0;
}

/* Marks as wanted what is there under this name, or adds it. */
static int
want(struct listeners *all, const char *text, int passed)
{
	struct listener *made, *l;
	int r = listener_new(all, text, passed, &made);

	if (r < 0)
		return r;
	TAILQ_FOREACH (l, &all->list, entry)
		if (strcmp(l->name, made->name) == 0) {
			l->wanted = true;
			listener_free(made);
			return 0;
		}
	made->wanted = made->fresh = true;
	TAILQ_INSERT_TAIL(&all->list, made, entry);
	return 0;
}

static int
want_all(
    struct listeners *all, const struct words *addresses, const int *fds, size_t count)
{
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++)
		r = want(all, NULL, fds[i]);
	for (size_t i = 0;
	     count == 0 && addresses != NULL && i < addresses->n && r == 0; i++)
		r = want(all, addresses->v[i], -1);
	return r;
}

static void
remove_if(struct listeners *all, bool (*test)(const struct listener *l))
{
	struct listener *l, *next;

	for (l = TAILQ_FIRST(&all->list); l != NULL; l = next) {
		next = TAILQ_NEXT(l, entry);
		if (!test(l))
			continue;
		TAILQ_REMOVE(&all->list, l, entry);
		listener_free(l);
	}
}

static bool
is_fresh(const struct listener *l)
{
	return l->fresh;
}

static bool
is_unwanted(const struct listener *l)
{
	return !l->wanted;
}

int
listeners_set(struct listeners *all, const struct words *addresses, const int *fds,
    size_t count, size_t *ret_failed)
{
	struct listener *l;
	size_t failed = 0;
	int r;

	TAILQ_FOREACH (l, &all->list, entry)
		l->wanted = l->fresh = false;
	r = want_all(all, addresses, fds, count);
	if (r < 0) {
		remove_if(all, is_fresh);
		return r;
	}
	/* New ones first, so that nobody finds the door shut; what an old one is in the
	 * way of (127.0.0.1:80 for 0.0.0.0:80) gets its turn after that has gone. */
	TAILQ_FOREACH (l, &all->list, entry)
		open_listener(l);
	remove_if(all, is_unwanted);
	TAILQ_FOREACH (l, &all->list, entry) {
		open_or_wait(l);
		failed += l->failed;
	}
	if (ret_failed != NULL)
		*ret_failed = failed;
	return 0;
}

bool
listeners_open(const struct listeners *all)
{
	const struct listener *l;

	TAILQ_FOREACH (l, &all->list, entry)
		if (l->event != NULL)
			return true;
	return false;
}

void
listeners_retry(struct listeners *all)
{
	struct listener *l;

	TAILQ_FOREACH (l, &all->list, entry)
		if (l->failed)
			open_or_wait(l);
}

static struct timeval
milliseconds(unsigned ms)
{
	return (struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
}

int
listeners_new(struct event_base *base, const struct listener_times *times,
    listener_accepted_cb *cb, void *arg, struct listeners **ret)
{
	struct listeners *all = calloc(1, sizeof(*all));

	if (all == NULL)
		return -ENOMEM;
	all->base = base;
	all->retry = milliseconds(times->retry_ms);
	all->pause = milliseconds(times->pause_ms);
	all->accepted_cb = cb;
	all->arg = arg;
	TAILQ_INIT(&all->list);
	*ret = all;
	return 0;
}

struct listeners *
listeners_free(struct listeners *all)
{
	struct listener *l;

	if (all == NULL)
		return NULL;
	while ((l = TAILQ_FIRST(&all->list)) != NULL) {
		TAILQ_REMOVE(&all->list, l, entry);
		listener_free(l);
	}
	free(all);
	return NULL;
}
