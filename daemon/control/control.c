/*
 * control.c - the HTTP server on the UNIX socket: opens it, lets clients in, and hands
 * each request to its route.
 *
 * Owned by daemon.c. It decides who may ask what and how much may be sent; what is
 * answered is the handlers' business.
 */
#include "control/control.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "config/config.h"
#include "control/admission.h"
#include "control/call.h"
#include "control/endpoint.h"
#include "control/events.h"
#include "control/named.h"
#include "control/peer.h"
#include "control/problem.h"
#include "control/refusal.h"
#include "control/routes.h"
#include "json.h"
#include "platform/clock.h"
#include "platform/group.h"
#include "platform/log.h"
#include "renew/renewal.h"
#include "scope.h"

#define HEADERS_MAX    (16 * 1024)
#define BODY_MAX       (1024 * 1024)
#define IDLE_TIMEOUT_S 60
#define CLIENTS_MAX    256
#define PAUSE_MS       100 /* where no more descriptors are to be had */

/* Over its own limits evhttp answers and closes at once, while the client may still be
 * writing; in the room between it is heard out. */
#define HARD_BODY_MAX (2 * BODY_MAX)
/* The router says which of these a path has; others get a 501. (CONNECT would be
 * answered without a length, and not closed.) */
#define METHODS                                                          \
  (EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST | EVHTTP_REQ_PUT | \
      EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PATCH | EVHTTP_REQ_TRACE)

/* A socket that is listened on. */
struct door {
	struct endpoint *endpoint;
	struct evhttp_bound_socket *bound;
	struct evconnlistener *listener; /* owned by http */
};

struct control {
	struct service service;
	struct evhttp *http;
	struct admission *admission;
	struct peer_groups groups;
	struct door door; /* in use; empty before the first configuration */
	struct door next; /* prepared */
	struct event *resume;
};

/* ---- requests ---- */

static int
descriptor(struct evhttp_request *http)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(http);

	return bufferevent_getfd(evhttp_connection_get_bufferevent(connection));
}

static void
refuse_method(struct evhttp_request *http, unsigned methods)
{
	char allow[64];

	evhttp_add_header(evhttp_request_get_output_headers(http), "Allow",
	    routes_methods(methods, allow, sizeof(allow)));
	problem_send(http,
	    &(struct problem){
		.status = 405, .detail = "this path has other methods" });
}

static void
refuse(struct evhttp_request *http, int status, const char *detail)
{
	problem_send(http, &(struct problem){ .status = status, .detail = detail });
}

/* What may this client do with this route? */
static bool
is_allowed(const struct control *c, const struct route *route, struct call *call)
{
	uid_t uid = (uid_t)-1;
	enum peer_access access = peer_access(descriptor(call->http), &c->groups, &uid);

	call->uid = uid;
	switch (access) {
	case PEER_ADMIN:
		return true;
	case PEER_READER:
		return route->privilege == ROUTE_LOOK;
	case PEER_STRANGER:
		break;
	}
	return false;
}

static void
run_route(struct call *call, const struct route *route)
{
	const char *query;

	TAILQ_INIT(&call->query);
	query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(call->http));
	if (query != NULL && evhttp_parse_query_str(query, &call->query) < 0)
		refuse(call->http, 400, "the query is malformed");
	else
		route->handler(call);
	evhttp_clear_headers(&call->query);
}

static void
request_cb(struct evhttp_request *http, void *arg)
{
	struct control *c = arg;
	struct call call = { .service = &c->service, .http = http };
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(http);
	const char *path = uri != NULL ? evhttp_uri_get_path(uri) : NULL;
	const struct route *route;
	unsigned methods;
	int r;

	if (path == NULL)
		path = "";
	r = routes_find(evhttp_request_get_command(http), path, call.name,
	    sizeof(call.name), &route, &methods);
	if (r == -EPERM)
		refuse_method(http, methods);
	else if (r < 0)
		refuse(http, 404, "there is no such path");
	else if (!is_allowed(c, route, &call))
		refuse(http, 403, "you may not do this");
	else if (evbuffer_get_length(evhttp_request_get_input_buffer(http)) > BODY_MAX)
		refuse(http, 413, "the body has over 1 MiB");
	else
		run_route(&call, route);
}

/* ---- the socket ---- */

/* accept(2) fails at once for as long as there are no descriptors; asking again and
 * again would take the whole processor. */
static void
accept_failed_cb(struct evconnlistener *listener, void *arg)
{
	struct timeval pause = { .tv_usec = PAUSE_MS * 1000 };
	struct control *c = arg;

	evconnlistener_disable(listener);
	event_add(c->resume, &pause);
}

static void
resume_cb(evutil_socket_t fd, short what, void *arg)
{
	struct control *c = arg;

	(void)fd;
	(void)what;
	if (c->door.listener != NULL)
		evconnlistener_enable(c->door.listener);
	if (c->next.listener != NULL)
		evconnlistener_enable(c->next.listener);
}

/* The file goes first: while we listen nobody else takes its path. */
static void
close_door(struct control *c, struct door *d)
{
	endpoint_close(d->endpoint);
	if (d->bound != NULL)
		evhttp_del_accept_socket(c->http, d->bound);
	*d = (struct door){ 0 };
}

static int
open_door(struct control *c, const char *path, struct door *ret)
{
	_cleanup_(endpoint_closep) struct endpoint *endpoint = NULL;
	struct evconnlistener *listener;
	struct evhttp_bound_socket *bound;
	int fd;
	int r;

	r = endpoint_open(path, &endpoint, &fd);
	if (r < 0)
		return r;
	listener = evconnlistener_new(c->service.means.base, NULL, NULL,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (listener == NULL) {
		close(fd);
		return -ENOMEM;
	}
	bound = evhttp_bind_listener(c->http, listener);
	if (bound == NULL) {
		evconnlistener_free(listener);
		return -ENOMEM;
	}
	*ret = (struct door){ steal_ptr(endpoint), bound, listener };
	evconnlistener_set_error_cb(listener, accept_failed_cb);
	return 0;
}

static gid_t
find_group(const char *key, const char *name, const char *who)
{
	gid_t group;
	int r;

	r = group_find(name, &group);
	if (r == 0)
		return group;
	if (name != NULL && *name != '\0')
		log_line(LOG_NOTICE, LOG_ABOUT(GROUP_MISSING),
		    "there is no group \"%s\" (%s in [control]), so %s; looked for again "
		    "at a reload",
		    name, key, who);
	return PEER_NO_GROUP;
}

/* With readers everybody can connect, and those who are nobody are turned away by their
 * credentials; a file has one group only. */
static void
admit(struct control *c, const struct config *config)
{
	mode_t mode = 0600;
	int r;

	c->groups.admins = find_group("group", config->control.group,
	    "only root and renewd's own user may change things");
	c->groups.readers =
	    find_group("readers", config->control.readers, "nobody else may look");
	if (c->groups.readers != PEER_NO_GROUP)
		mode = 0666;
	else if (c->groups.admins != PEER_NO_GROUP)
		mode = 0660;
	r = endpoint_allow(c->door.endpoint, c->groups.admins, mode);
	if (r < 0)
		log_line(LOG_NOTICE, LOG_ABOUT(GROUP_MISSING),
		    "the control socket cannot be given to group \"%s\": %s; is renewd's "
		    "user in it?",
		    config->control.group, strerror(-r));
}

int
control_prepare(struct control *c, const struct config *config)
{
	const char *path = config->control.socket;

	if (c->door.endpoint != NULL &&
	    strcmp(endpoint_path(c->door.endpoint), path) == 0)
		return 0;
	return open_door(c, path, &c->next);
}

const char *
control_explain(int r)
{
	if (r == -EADDRINUSE)
		return "another program, perhaps another renewd, listens there";
	if (r == -EEXIST)
		return "there is a file of this name that is no socket, which is left alone";
	return strerror(-r);
}

void
control_commit(struct control *c, const struct config *config)
{
	if (c->next.endpoint != NULL) {
		close_door(c, &c->door);
		c->door = c->next;
		c->next = (struct door){ 0 };
	}
	c->service.config = config;
	admit(c, config);
}

void
control_abandon(struct control *c)
{
	close_door(c, &c->next);
}

/* ---- the server ---- */

static struct bufferevent *
bev_cb(struct event_base *base, void *admission)
{
	struct bufferevent *bev = admission_bev_cb(base, admission);

	if (bev != NULL && refusal_watch(bev) < 0) {
		bufferevent_free(bev);
		return NULL;
	}
	return bev;
}

static int
start(struct control *c)
{
	struct event_base *base = c->service.means.base;
	int r;

	r = admission_new(base, &c->groups,
	    &(struct admission_limits){
		.clients = CLIENTS_MAX, .unread = HARD_BODY_MAX + HEADERS_MAX },
	    &c->admission);
	if (r == 0)
		r = events_new(base, c->service.means.store, &c->service.events);
	if (r < 0)
		return r;
	c->resume = evtimer_new(base, resume_cb, c);
	c->http = evhttp_new(base);
	if (c->resume == NULL || c->http == NULL)
		return -ENOMEM;
	evhttp_set_max_headers_size(c->http, HEADERS_MAX);
	evhttp_set_max_body_size(c->http, HARD_BODY_MAX);
	evhttp_set_timeout(c->http, IDLE_TIMEOUT_S);
	evhttp_set_allowed_methods(c->http, METHODS);
	evhttp_set_bevcb(c->http, bev_cb, c->admission);
	evhttp_set_gencb(c->http, request_cb, c);
	return 0;
}

/* For programs that are run for a certificate: what GET would answer. */
static int
describe_cb(const struct certificate *certificate, char **ret, void *arg)
{
	struct control *c = arg;
	struct json_writer *w = json_writer_new();
	int r = c->service.config != NULL ? named_write(w, &c->service, certificate)
					  : -EAGAIN;

	if (r == 0)
		r = json_writer_steal(w, ret, NULL);
	json_writer_free(w);
	return r;
}

int
control_new(const struct control_means *means, struct control **ret)
{
	struct control *c;
	int r;

	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	c->service.means = *means;
	c->service.since = clock_now();
	c->groups = (struct peer_groups){ PEER_NO_GROUP, PEER_NO_GROUP };
	r = start(c);
	if (r < 0) {
		control_free(c);
		return r;
	}
	renewals_described_by(means->renewals, describe_cb, c);
	*ret = c;
	return 0;
}

struct control *
control_free(struct control *c)
{
	if (c == NULL)
		return NULL;
	renewals_described_by(c->service.means.renewals, NULL, NULL);
	close_door(c, &c->next);
	close_door(c, &c->door);
	if (c->http != NULL)
		evhttp_free(c->http); /* answers under way end by their closed_cb */
	events_free(c->service.events);
	admission_free(c->admission);
	if (c->resume != NULL)
		event_free(c->resume);
	free(c);
	return NULL;
}
