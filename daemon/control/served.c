/*
 * served.c - what HAProxy processes have loaded, and whether the inventory knows it.
 *
 * Handler of /v1/served. Sockets are asked one after the other; the answer waits for
 * them, and a socket that can't be asked is said in it.
 */
#include "control/routes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "buffer.h"
#include "config/config.h"
#include "control/call.h"
#include "control/named.h"
#include "deploy/haproxy_cli.h"
#include "deploy/haproxy_loaded.h"
#include "inventory/inventory.h"
#include "json.h"

struct served {
	struct call call;
	struct event *turn;
	size_t target,
	    socket; /* that is asked, of the configuration that `config` is */
	const struct config *config;
	struct haproxy_cli *cli; /* to that socket */
	struct haproxy_loaded *loaded;
	struct json_writer *rows;
	struct json_writer *problems;
};

static void
served_free(struct served *s)
{
	haproxy_loaded_free(s->loaded);
	haproxy_cli_free(s->cli);
	if (s->turn != NULL)
		event_free(s->turn);
	json_writer_free(s->rows);
	json_writer_free(s->problems);
	free(s);
}

static void
gone_cb(struct evhttp_connection *connection, void *arg)
{
	struct served *s = arg;

	(void)connection;
	call_abandon(s->call.http);
	served_free(s);
}

/* The socket whose turn it is, or NULL. A reload ends the walk. */
static const char *
current(const struct served *s, const struct target_config **ret)
{
	if (s->config != s->call.service->config ||
	    s->target >= s->config->target_count)
		return NULL;
	*ret = &s->config->targets[s->target];
	return s->socket < (*ret)->sockets.n ? (*ret)->sockets.v[s->socket] : NULL;
}

static void
begin_row(struct json_writer *w, const struct served *s)
{
	const struct target_config *t = NULL;
	const char *socket = current(s, &t);

	json_open_object(w);
	json_member_string(w, "target", t != NULL ? t->name : NULL);
	json_member_string(w, "socket", socket);
}

static void
row_cb(const struct haproxy_row *row, void *arg)
{
	struct served *s = arg;
	struct json_writer *w = s->rows;
	_cleanup_free_ char *name = NULL;
	bool in_use = false;

	(void)issued_find_serial(
	    s->call.service->means.store, row->serial, &name, &in_use);
	begin_row(w, s);
	json_member_string(w, "file", row->file);
	json_member_string(w, "serial", *row->serial != '\0' ? row->serial : NULL);
	json_member_string(
	    w, "not_after", *row->not_after != '\0' ? row->not_after : NULL);
	json_member_string(w, "status", row->status);
	json_member_string(w, "certificate", name);
	json_member_bool(w, "current", in_use);
	json_close_object(w);
}

static void
note_problem(struct served *s, const char *why)
{
	begin_row(s->problems, s);
	json_member_string(s->problems, "detail", why);
	json_close_object(s->problems);
}

static void
done_cb(int r, void *arg)
{
	struct served *s = arg;

	if (r < 0)
		note_problem(s, haproxy_loaded_problem(r));
	s->loaded = haproxy_loaded_free(s->loaded);
	s->cli = haproxy_cli_free(s->cli);
	s->socket++;
	event_active(s->turn, 0, 0);
}

static void
finish(struct served *s)
{
	_cleanup_free_ char *rows = NULL, *problems = NULL;
	struct json_writer *w = json_writer_new();

	json_close_array(s->rows);
	json_close_array(s->problems);
	(void)json_writer_steal(s->rows, &rows, NULL);
	(void)json_writer_steal(s->problems, &problems, NULL);
	json_open_object(w);
	json_member_raw(w, "served", rows);
	json_member_raw(w, "problems", problems);
	json_close_object(w);
	call_attend(s->call.http, NULL, NULL);
	call_reply(&s->call, 200, w);
	served_free(s);
}

/* The next socket, in a turn of its own. */
static void
turn_cb(evutil_socket_t fd, short what, void *arg)
{
	struct served *s = arg;
	const struct target_config *t = NULL;
	const char *socket = current(s, &t);
	int r;

	(void)fd, (void)what;
	while (socket == NULL && t != NULL && s->target < s->config->target_count) {
		s->target++;
		s->socket = 0;
		t = NULL;
		socket = current(s, &t);
	}
	if (socket == NULL) {
		finish(s);
		return;
	}
	r = haproxy_cli_open(s->call.service->means.base, socket, &s->cli);
	if (r == 0)
		r = haproxy_loaded_start(
		    s->cli, HAPROXY_ALL, row_cb, done_cb, s, &s->loaded);
	if (r < 0)
		done_cb(r, s);
}

void
served_list(struct call *call)
{
	struct served *s;

	if (call_unknown_parameter(call, ""))
		return;
	s = calloc(1, sizeof(*s));
	if (s != NULL) {
		s->call = (struct call){
			.service = call->service, .http = call->http, .uid = call->uid
		};
		TAILQ_INIT(&s->call.query);
		s->config = call->service->config;
		s->rows = json_writer_new();
		s->problems = json_writer_new();
		s->turn = evtimer_new(call->service->means.base, turn_cb, s);
	}
	if (s == NULL || s->turn == NULL) {
		if (s != NULL)
			served_free(s);
		named_refuse(call, 500, "no memory");
		return;
	}
	json_open_array(s->rows);
	json_open_array(s->problems);
	call_attend(call->http, gone_cb, s);
	event_active(s->turn, 0, 0);
}
