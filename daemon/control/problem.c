/*
 * problem.c - writes an error as application/problem+json.
 *
 * Every error of the control socket leaves through here, so that all look alike. It
 * never tells more than its caller passed in.
 */
#include "control/problem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <event2/buffer.h>
#include <event2/http.h>

#include "config/config.h"
#include "control/view.h"
#include "json.h"
#include "platform/clock.h"
#include "scope.h"

static const struct {
	int status;
	const char *title;
} titles[] = {
	{ 400, "Bad Request" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 409, "Conflict" },
	{ 413, "Content Too Large" },
	{ 417, "Expectation Failed" },
	{ 422, "Unprocessable Content" },
	{ 429, "Too Many Requests" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
};

const char *
problem_title(int status)
{
	for (size_t i = 0; i < ELEMENTS(titles); i++)
		if (titles[i].status == status)
			return titles[i].title;
	return "Error";
}

static void
write_error(struct json_writer *w, const struct config_error *e)
{
	json_open_object(w);
	json_member_string(w, "field", e->field);
	json_member_string(w, "file", e->file);
	if (e->file != NULL && e->line > 0)
		json_member_integer(w, "line", e->line);
	else
		json_member_null(w, "line");
	json_member_string(w, "message", e->message);
	json_close_object(w);
}

/* "errors" has the field of each thing that is wrong; file and line are for errors of
 * configuration files. */
static void
write_errors(struct json_writer *w, const struct problem *p)
{
	json_name(w, "errors");
	json_open_array(w);
	if (p->field != NULL)
		write_error(w,
		    &(struct config_error){
			.field = (char *)p->field, .message = (char *)p->detail });
	for (size_t i = 0; p->errors != NULL && i < p->errors->n; i++)
		write_error(w, &p->errors->v[i]);
	json_close_array(w);
}

int
problem_compose(const struct problem *p, char **ret, size_t *ret_len)
{
	struct json_writer *w = json_writer_new();
	int r;

	json_open_object(w);
	json_member_string(w, "type", p->type != NULL ? p->type : "about:blank");
	json_member_string(w, "title", problem_title(p->status));
	json_member_integer(w, "status", p->status);
	json_member_string(w, "detail",
	    p->field != NULL ? "the request has a wrong field" : p->detail);
	if (p->field != NULL || p->errors != NULL)
		write_errors(w, p);
	if (p->next_attempt != 0)
		view_member_time(w, "next_attempt", p->next_attempt);
	json_close_object(w);
	r = json_writer_steal(w, ret, ret_len);
	json_writer_free(w);
	return r;
}

static void
add_retry_after(struct evhttp_request *http, int64_t at)
{
	int64_t seconds = at - clock_now();
	char text[32];

	snprintf(text, sizeof(text), "%" PRId64, seconds > 0 ? seconds : 0);
	evhttp_add_header(evhttp_request_get_output_headers(http), "Retry-After", text);
}

void
problem_send(struct evhttp_request *http, const struct problem *p)
{
	_cleanup_free_ char *text = NULL;
	struct evbuffer *body = evbuffer_new();
	size_t len = 0;

	/* An answer to HEAD has no body (RFC 9110 section 9.3.2). */
	if (body != NULL && evhttp_request_get_command(http) != EVHTTP_REQ_HEAD &&
	    problem_compose(p, &text, &len) == 0)
		evbuffer_add(body, text, len);
	evhttp_add_header(evhttp_request_get_output_headers(http), "Content-Type",
	    "application/problem+json");
	if (p->next_attempt != 0)
		add_retry_after(http, p->next_attempt);
	evhttp_send_reply(http, p->status, problem_title(p->status), body);
	if (body != NULL)
		evbuffer_free(body);
}
