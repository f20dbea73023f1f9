/*
 * refusal.c - turns the pages in HTML that evhttp answers by itself into problem
 * details as all other errors of the control socket.
 *
 * What evhttp can't read, finds too large, or has no method for never gets to a
 * handler, and in 2.1 nothing can be registered for it (evhttp_set_errorcb() is newer).
 * But all that it answers passes through the output of its buffer event before any of
 * it is written, and nothing of ours is ever text/html.
 */
#include "control/refusal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>

#include "control/problem.h"
#include "scope.h"

#define PAGE_MAX 1024 /* evhttp's have some 300 bytes */

static const struct {
	int status;
	const char *detail;
} details[] = {
	{ 400, "this is not a request in HTTP/1.1, or its header has over 16 KiB" },
	{ 413, "the body has over 1 MiB, or its length cannot be read" },
	{ 417, "nothing can be expected but 100-continue" },
	{ 501, "there is no such method" },
};

static const char *
detail(int status)
{
	for (size_t i = 0; i < ELEMENTS(details); i++)
		if (details[i].status == status)
			return details[i].detail;
	return "the request cannot be answered";
}

/* "100 Continue" may still stand before it (RFC 9110 section 10.1.1). */
static const char *
skip_interim(const char *text)
{
	const char *end = strstr(text, "\r\n\r\n");

	if (end == NULL || strncmp(text, "HTTP/", strlen("HTTP/")) != 0 ||
	    strncmp(strchrnul(text, ' '), " 100 ", strlen(" 100 ")) != 0)
		return text;
	return end + strlen("\r\n\r\n");
}

/* The status of a whole page in HTML; 0: it is none, or not whole yet. */
static int
page_status(const char *text)
{
	static const char type[] = "\r\nContent-Type: text/html\r\n";
	static const char last[] = "</HTML>\n";
	const char *found = strstr(text, type);
	const char *body = strstr(text, "\r\n\r\n");
	const char *status = strchr(text, ' ');
	size_t len = strlen(text);

	if (found == NULL || body == NULL || found > body || status == NULL ||
	    strncmp(text, "HTTP/", strlen("HTTP/")) != 0 || len < strlen(last) ||
	    strcmp(text + len - strlen(last), last) != 0)
		return 0;
	return (int)strtol(status, NULL, 10);
}

/* Of this nothing was sent yet: it was added just now. */
static void
replace(struct evbuffer *out, const char *interim, size_t interim_len, int status)
{
	const struct problem p = { .status = status, .detail = detail(status) };
	_cleanup_free_ char *text = NULL;
	size_t len = 0;

	if (problem_compose(&p, &text, &len) < 0)
		return;
	evbuffer_drain(out, evbuffer_get_length(out));
	evbuffer_add(out, interim, interim_len);
	evbuffer_add_printf(out,
	    "HTTP/1.1 %d %s\r\nContent-Type: application/problem+json\r\n"
	    "Content-Length: %zu\r\nConnection: close\r\n\r\n",
	    status, problem_title(status), len);
	evbuffer_add(out, text, len);
}

static void
look(struct evbuffer *out, size_t len)
{
	char text[PAGE_MAX + 1];
	const char *page;
	int status;

	if (evbuffer_copyout(out, text, len) != (ev_ssize_t)len)
		return;
	text[len] = '\0';
	page = skip_interim(text);
	status = page_status(page);
	if (status != 0)
		replace(out, text, (size_t)(page - text), status);
}

/* A buffer event freezes the front of its output, even against a look, except while it
 * writes. */
static void
added_cb(struct evbuffer *out, const struct evbuffer_cb_info *info, void *arg)
{
	size_t len = evbuffer_get_length(out);

	(void)arg;
	if (info->n_added == 0 || len > PAGE_MAX)
		return;
	evbuffer_unfreeze(out, 1);
	look(out, len);
	evbuffer_freeze(out, 1);
}

int
refusal_watch(struct bufferevent *bev)
{
	struct evbuffer *out = bufferevent_get_output(bev);

	return evbuffer_add_cb(out, added_cb, NULL) != NULL ? 0 : -ENOMEM;
}
