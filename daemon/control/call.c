/*
 * call.c - the ways in which a request on the control socket is read and answered.
 *
 * Used by the handlers. Whatever becomes of an answer that waits (sent, client gone,
 * server ended), its memory is freed exactly once.
 */
#include "control/call.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>

#include "control/problem.h"
#include "inventory/store.h"
#include "json.h"
#include "scope.h"

/* A request to renewd is a small object. */
static const struct json_limits body_limits = { 1024 * 1024, 8, 10000 };

static void
send_text(struct evhttp_request *http, int status, const char *type, const char *text,
    size_t len)
{
	struct evbuffer *body = evbuffer_new();

	evhttp_add_header(
	    evhttp_request_get_output_headers(http), "Content-Type", type);
	if (body == NULL || evbuffer_add(body, text, len) < 0)
		status = 500;
	evhttp_send_reply(http, status, NULL, body);
	if (body != NULL)
		evbuffer_free(body);
}

void
call_reply_text(struct call *call, int status, const char *text)
{
	send_text(call->http, status, "text/plain", text, strlen(text));
}

static int
finish_json(struct json_writer *w, char **ret, size_t *ret_len)
{
	int r;

	r = json_writer_steal(w, ret, ret_len);
	json_writer_free(w);
	return r;
}

static void
send_failure(struct evhttp_request *http, const char *detail)
{
	problem_send(http, &(struct problem){ .status = 500, .detail = detail });
}

void
call_refuse_store(struct evhttp_request *http, const char *what, int r)
{
	_cleanup_free_ char *detail = NULL;

	if (asprintf(
		&detail, "the inventory cannot be %s: %s", what, store_explain(r)) < 0)
		detail = NULL;
	send_failure(http, detail != NULL ? detail : "the inventory fails");
}

void
call_reply(struct call *call, int status, struct json_writer *w)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (finish_json(w, &text, &len) < 0)
		send_failure(call->http, "no memory for the answer");
	else
		send_text(call->http, status, "application/json", text, len);
}

/* ---- answers that wait for a commit ---- */

struct saved_reply {
	struct store *store;
	struct evhttp_request *http;
	int status;
	char *text;
	size_t len;
};

static void
saved_reply_free(struct saved_reply *reply)
{
	free(reply->text);
	free(reply);
}

static void
closed_cb(struct evhttp_connection *connection, void *arg)
{
	struct saved_reply *reply = arg;

	(void)connection;
	store_forget(reply->store, reply);
	call_abandon(reply->http);
	saved_reply_free(reply);
}

static void
committed_cb(int r, void *arg)
{
	struct saved_reply *reply = arg;

	call_attend(reply->http, NULL, NULL);
	if (r < 0)
		call_refuse_store(reply->http, "written", r);
	else if (reply->text == NULL)
		evhttp_send_reply(reply->http, reply->status, NULL, NULL);
	else
		send_text(reply->http, reply->status, "application/json", reply->text,
		    reply->len);
	saved_reply_free(reply);
}

void
call_reply_saved(struct call *call, int status, struct json_writer *w)
{
	struct store *store = call->service->means.store;
	struct saved_reply *reply;

	reply = calloc(1, sizeof(*reply));
	if (reply == NULL) {
		json_writer_free(w);
		send_failure(call->http, "no memory for the answer");
		return;
	}
	*reply = (struct saved_reply){
		.store = store,
		.http = call->http,
		.status = status,
	};
	if ((w != NULL && finish_json(w, &reply->text, &reply->len) < 0) ||
	    store_after_commit(store, committed_cb, reply) < 0) {
		saved_reply_free(reply);
		send_failure(call->http, "no memory for the answer");
		return;
	}
	call_attend(call->http, closed_cb, reply);
}

/* ---- clients that leave ---- */

void
call_attend(struct evhttp_request *http,
    void (*cb)(struct evhttp_connection *connection, void *arg), void *arg)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(http);

	if (connection != NULL)
		evhttp_connection_set_closecb(connection, cb, arg);
}

void
call_abandon(struct evhttp_request *http)
{
	if (evhttp_request_get_connection(http) == NULL)
		evhttp_request_free(http);
}

/* ---- what was asked ---- */

const char *
call_parameter(const struct call *call, const char *name)
{
	return evhttp_find_header(&call->query, name);
}

static bool
is_word(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (; *words != '\0'; words += strspn(words, " ")) {
		size_t n = strcspn(words, " ");

		if (n == len && memcmp(words, word, n) == 0)
			return true;
		words += n;
	}
	return false;
}

bool
call_unknown_parameter(struct call *call, const char *known)
{
	const struct evkeyval *pair;

	TAILQ_FOREACH (pair, &call->query, next)
		if (!is_word(known, pair->key)) {
			problem_send(call->http,
			    &(struct problem){ .status = 422,
				.detail = "no such parameter",
				.field = pair->key });
			return true;
		}
	return false;
}

static void
refuse_body(struct call *call, int r)
{
	struct problem p = { .status = 400,
		.detail = "the body is not a JSON object, or has a name twice" };

	if (r == -E2BIG)
		p.detail = "the JSON is nested too deeply, or has too many values";
	if (r == -ENOMEM)
		p = (struct problem){ .status = 500, .detail = "no memory" };
	problem_send(call->http, &p);
}

int
call_body(struct call *call, struct json **ret)
{
	struct evbuffer *body = evhttp_request_get_input_buffer(call->http);
	size_t len = evbuffer_get_length(body);
	struct json *j = NULL;
	const char *text;
	int r;

	if (len == 0) {
		*ret = NULL;
		return 0;
	}
	text = (const char *)evbuffer_pullup(body, -1);
	r = text != NULL ? json_parse(text, len, &body_limits, &j) : -ENOMEM;
	if (r == 0 && json_type(j) != JSON_OBJECT)
		r = -EBADMSG;
	if (r < 0) {
		json_free(j);
		refuse_body(call, r);
		return r;
	}
	*ret = j;
	return 0;
}
