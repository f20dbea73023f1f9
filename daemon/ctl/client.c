/*
 * client.c - what the verbs ask over the control socket, and what went wrong in words.
 *
 * A connection for each request: to a UNIX socket that costs nothing. What an answer is
 * made of is http.c's business.
 */
#include "ctl/client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "buffer.h"
#include "ctl/http.h"
#include "json.h"

#define REPLY_MAX       ((size_t)64 * 1024 * 1024)
#define SILENCE_TIMEOUT 120 /* seconds */
#define HANG_UP_MS      200 /* that takes who lets nobody in */

/* A page of the list with long names in it. */
static const struct json_limits reply_limits = { REPLY_MAX, 32, 4000000 };

struct client {
	char *socket;
	int timeout;
	char error[256];
};

/* Where an answer goes. */
struct sink {
	FILE *out; /* NULL: to the buffer in any case */
	int (*line_cb)(const char *line, size_t len, void *arg);
	void *arg;
	struct buffer body;
};

/* Whole lines go to the callback; what is left waits for its end. */
static int
hand_lines(struct sink *sink)
{
	struct buffer *b = &sink->body;
	size_t done = 0;
	const char *end;
	int r = 0;

	while (r >= 0 && (end = memchr(b->data + done, '\n', b->len - done)) != NULL) {
		size_t len = (size_t)(end - b->data) - done;

		r = sink->line_cb(b->data + done, len, sink->arg);
		done += len + 1;
	}
	memmove(b->data, b->data + done, b->len - done + 1);
	b->len -= done;
	return r;
}

static int
take(long status, const char *data, size_t len, void *arg)
{
	struct sink *sink = arg;

	if (sink->out != NULL && status == 200)
		return fwrite(data, 1, len, sink->out) == len ? 0 : -EFBIG;
	if (len > REPLY_MAX - sink->body.len)
		return -EFBIG;
	buffer_add(&sink->body, data, len);
	if (sink->body.failed)
		return -EFBIG;
	if (sink->line_cb != NULL && status == 200 && hand_lines(sink) < 0)
		return -EFBIG;
	return 0;
}

int
client_new(const char *socket, struct client **ret)
{
	_cleanup_(client_freep) struct client *c = NULL;

	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	c->timeout = SILENCE_TIMEOUT;
	c->socket = strdup(socket);
	if (c->socket == NULL)
		return -ENOMEM;
	*ret = steal_ptr(c);
	return 0;
}

struct client *
client_free(struct client *c)
{
	if (c != NULL)
		free(c->socket);
	free(c);
	return NULL;
}

void
client_be_patient(struct client *c)
{
	c->timeout = 0;
}

const char *
client_error(const struct client *c)
{
	return c->error;
}

/* ---- failures ---- */

static int
say(struct client *c, int r, const char *what)
{
	snprintf(c->error, sizeof(c->error), "%s (%s)", what, c->socket);
	return r;
}

static const struct {
	int from; /* http_connect() or http_ask() */
	int r;
	const char *text;
} failures[] = {
	{ -ECONNREFUSED, -ECONNREFUSED, "renewd isn't running" },
	{ -ENOENT, -ECONNREFUSED, "renewd isn't running" },
	{ -ENOTDIR, -ECONNREFUSED, "renewd isn't running" },
	{ -ENAMETOOLONG, -ECONNREFUSED, "renewd isn't running" },
	{ -EACCES, -EACCES,
	    "no permission to use the control socket; ask as root, or join the "
	    "group in [control]" },
	{ -EAGAIN, -EAGAIN, "renewd is too busy; try again" },
	{ -EPERM, -ECONNRESET,
	    "renewd doesn't let you in; ask as root, or join a group in [control]" },
	{ -ECONNRESET, -ECONNRESET, "renewd closed the connection" },
	{ -EPIPE, -ECONNRESET, "the answer broke off" },
	{ -ETIMEDOUT, -ETIMEDOUT, "renewd doesn't answer" },
	{ -EFBIG, -EFBIG, "the answer can't be taken" },
	{ -EBADMSG, -EIO, "the answer is not HTTP" },
	{ -ENOMEM, -ENOMEM, "no memory" },
};

static int
explain(struct client *c, int r)
{
	for (size_t i = 0; i < ELEMENTS(failures); i++)
		if (failures[i].from == r)
			return say(c, failures[i].r, failures[i].text);
	return say(c, -EIO, strerror(-r));
}

/* Who may not come in is hung up on at once, before he has said anything. */
static bool
is_let_in(const char *socket)
{
	struct pollfd p = { .events = POLLIN };
	_cleanup_close_ int fd = -1;

	if (http_connect(socket, &fd) < 0)
		return true;
	p.fd = fd;
	return poll(&p, 1, HANG_UP_MS) == 0;
}

/* ---- requests ---- */

static int
exchange(const struct client *c, const struct http_request *request, long *ret_status)
{
	_cleanup_close_ int fd = -1;
	int r = http_connect(c->socket, &fd);

	if (r == 0)
		r = http_ask(fd, request, ret_status);
	return r == -ECONNRESET && !is_let_in(c->socket) ? -EPERM : r;
}

static int
request(struct client *c, const char *method, const char *path, const char *body,
    struct sink *sink, struct client_reply *ret)
{
	const struct http_request http = { method, path, body, c->timeout, take, sink };
	struct client_reply reply = { 0 };
	int r;

	c->error[0] = '\0';
	r = exchange(c, &http, &reply.status);
	if (r == 0)
		r = buffer_steal(&sink->body, &reply.body, &reply.len);
	if (r < 0)
		return explain(c, r);
	/* What isn't JSON leaves NULL, and is up to the caller. */
	json_parse(reply.body, reply.len, &reply_limits, &reply.json);
	*ret = reply;
	return 0;
}

int
client_ask(struct client *c, const char *method, const char *path, const char *body,
    struct client_reply *ret)
{
	struct sink sink = { 0 };
	int r;

	r = request(c, method, path, body, &sink, ret);
	buffer_free(&sink.body);
	return r;
}

int
client_copy(struct client *c, const char *path, FILE *out, struct client_reply *ret)
{
	struct sink sink = { .out = out };
	int r;

	r = request(c, "GET", path, NULL, &sink, ret);
	buffer_free(&sink.body);
	return r;
}

int
client_lines(struct client *c, const char *path, bool patient,
    int (*cb)(const char *line, size_t len, void *arg), void *arg,
    struct client_reply *ret)
{
	struct sink sink = { .line_cb = cb, .arg = arg };
	int r;

	c->timeout = patient ? 0 : SILENCE_TIMEOUT;
	r = request(c, "GET", path, NULL, &sink, ret);
	c->timeout = SILENCE_TIMEOUT;
	buffer_free(&sink.body);
	return r;
}

void
client_reply_clear(struct client_reply *reply)
{
	json_free(reply->json);
	free(reply->body);
	*reply = (struct client_reply){ 0 };
}

char *
client_path(const char *before, const char *name, const char *after)
{
	struct buffer b = { 0 };
	char *path;

	buffer_puts(&b, before);
	for (const char *s = name; *s != '\0'; s++) {
		/* RFC 3986 section 2.3: unreserved characters stay. */
		if ((*s >= '0' && *s <= '9') || (*s >= 'A' && *s <= 'Z') ||
		    (*s >= 'a' && *s <= 'z') || strchr("-._~", *s) != NULL)
			buffer_add(&b, s, 1);
		else
			buffer_printf(&b, "%%%02X", (unsigned char)*s);
	}
	buffer_puts(&b, after);
	if (buffer_steal(&b, &path, NULL) < 0)
		path = NULL;
	buffer_free(&b);
	return path;
}
