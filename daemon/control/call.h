/*
 * call.h - one request on the control socket, from its arrival to its answer.
 *
 * control.c makes a call for each request and hands it to the handler of its route;
 * handlers answer once, by one of the functions here, or take call->http along and
 * answer later.
 */
#ifndef CALL_H
#define CALL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "control/control.h"

struct events;
struct json;
struct json_writer;

/* What handlers work with; outlives every request. */
struct service {
	struct control_means means;
	struct events *events;
	const struct config *config; /* changes when the configuration is read again */
	int64_t since;               /* when the daemon was started */
};

#define CALL_NAME_SIZE 256 /* names have at most 200 characters */

struct call {
	const struct service *service;
	struct evhttp_request *http;
	unsigned uid;              /* who asks */
	char name[CALL_NAME_SIZE]; /* from the path, decoded; "" where it has none */
	struct evkeyvalq query;    /* decoded */
};

/* Answers with the JSON written so far; 500 where that failed. */
void call_reply(struct call *call, int status, struct json_writer *w);
void call_reply_text(struct call *call, int status, const char *text);
/* The same as call_reply() (w NULL: without content), but only after all that was
 * written to the inventory so far is on disk: what was promised survives a crash. 500
 * where it can't be saved. */
void call_reply_saved(struct call *call, int status, struct json_writer *w);
/* The inventory can't be "read" or "written", and why: 500. */
void call_refuse_store(struct evhttp_request *http, const char *what, int r);
/* The body as JSON; *ret is NULL where there was none. Where it isn't an object a
 * problem is answered, and the return is negative. */
int call_body(struct call *call, struct json **ret);
/* Answers with a problem, and says true, where the query has a parameter that isn't
 * among these words: an answer that ignores one would be taken for what was asked. */
bool call_unknown_parameter(struct call *call, const char *known);
/* A parameter of the query, or NULL. */
const char *call_parameter(const struct call *call, const char *name);

/* For answers sent later: cb is called where the client leaves before, or the
 * server ends. It must forget the request, and hand it to call_abandon(). With NULL, as
 * soon as nothing is left to wait for. */
void call_attend(struct evhttp_request *http,
    void (*cb)(struct evhttp_connection *connection, void *arg), void *arg);
/* evhttp lets go of a request that is being answered when its client leaves, and then
 * it is ours to free; when the server ends it frees both itself. */
void call_abandon(struct evhttp_request *http);

#endif
