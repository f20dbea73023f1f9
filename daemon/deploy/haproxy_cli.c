/*
 * haproxy_cli.c - one command to HAProxy's command line, and its whole answer.
 *
 * Called by the files of this folder that talk to HAProxy. HAProxy keeps the connection
 * after an answer, so our side is shut down after the command, and the answer ends with
 * the connection. It must never interpret what is said, nor keep a payload, which may
 * be a key.
 */
#include "deploy/haproxy_cli.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "buffer.h"
#include "scope.h"

#define ANSWER_MAX 65536
#define READ_SIZE  4096

struct haproxy_cli {
	int fd;
	struct event *read_event;
	struct event *write_event;
	struct event *deadline_event;
	struct buffer question;
	size_t sent;
	struct buffer answer;
	size_t answer_max;
	haproxy_cli_cb *answer_cb;
	void *arg;
};

static void
stop_events(struct haproxy_cli *c)
{
	if (c->read_event != NULL)
		event_free(c->read_event);
	if (c->write_event != NULL)
		event_free(c->write_event);
	if (c->deadline_event != NULL)
		event_free(c->deadline_event);
	c->read_event = c->write_event = c->deadline_event = NULL;
}

struct haproxy_cli *
haproxy_cli_free(struct haproxy_cli *c)
{
	if (c == NULL)
		return NULL;
	stop_events(c);
	closep(&c->fd);
	buffer_free(&c->question);
	buffer_free(&c->answer);
	free(c);
	return NULL;
}

DEFINE_CLEANUP(struct haproxy_cli, haproxy_cli_free)

/* answer_cb may free c. */
static void
finish(struct haproxy_cli *c, int r)
{
	_cleanup_free_ char *answer = NULL;
	size_t len;

	stop_events(c);
	if (r == 0)
		r = buffer_steal(&c->answer, &answer, &len);
	if (r == 0 && strlen(answer) != len)
		r = -EBADMSG;
	c->answer_cb(r, r == 0 ? answer : NULL, c->arg);
}

static void
read_cb(evutil_socket_t fd, short what, void *arg)
{
	struct haproxy_cli *c = arg;
	char data[READ_SIZE];
	ssize_t n;

	(void)what;
	n = recv(fd, data, sizeof(data), 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		finish(c, n < 0 ? -errno : 0);
		return;
	}
	buffer_add(&c->answer, data, n);
	if (c->answer.len > c->answer_max)
		finish(c, -EFBIG);
}

static void
deadline_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	finish(arg, -ETIMEDOUT);
}

/* As much as the socket takes. 0: all is sent; -EAGAIN: not yet. */
static int
send_some(struct haproxy_cli *c)
{
	while (c->sent < c->question.len) {
		ssize_t n = send(c->fd, c->question.data + c->sent,
		    c->question.len - c->sent, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return -errno;
		c->sent += n > 0 ? (size_t)n : 0;
	}
	buffer_free(&c->question);
	return shutdown(c->fd, SHUT_WR) < 0 ? -errno : 0;
}

static void
write_cb(evutil_socket_t fd, short what, void *arg)
{
	struct haproxy_cli *c = arg;
	int r = send_some(c);

	(void)fd, (void)what;
	if (r == 0)
		event_del(c->write_event);
	else if (r != -EAGAIN)
		finish(c, r);
}

union address {
	struct sockaddr any;
	struct sockaddr_un un;
	struct sockaddr_storage storage;
};

static int
read_address(const char *text, union address *ret, int *ret_len)
{
	*ret = (union address){ 0 };
	if (text[0] != '/') {
		*ret_len = sizeof(*ret);
		return evutil_parse_sockaddr_port(text, &ret->any, ret_len) < 0
		    ? -EINVAL
		    : 0;
	}
	if (strlen(text) >= sizeof(ret->un.sun_path))
		return -ENAMETOOLONG;
	ret->un.sun_family = AF_UNIX;
	memcpy(ret->un.sun_path, text, strlen(text));
	*ret_len = sizeof(ret->un);
	return 0;
}

/* On a UNIX socket, connect() succeeds or fails at once: -EAGAIN where the queue of the
 * listener is full. */
static int
connect_to(const char *text, int *ret)
{
	_cleanup_close_ int fd = -1;
	union address address;
	int len;
	int r = read_address(text, &address, &len);

	if (r < 0)
		return r;
	fd = socket(
	    address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, &address.any, (socklen_t)len) < 0 && errno != EINPROGRESS)
		return -errno;
	*ret = steal_fd(fd);
	return 0;
}

/* A payload ends with an empty line. */
static int
compose(struct buffer *out, const struct haproxy_question *q)
{
	buffer_puts(out, q->command);
	if (q->payload != NULL) {
		buffer_puts(out, " <<\n");
		buffer_puts(out, q->payload);
	}
	buffer_puts(out, "\n");
	return out->failed ? -ENOMEM : 0;
}

static int
watch(struct haproxy_cli *c, struct event_base *base, int timeout_ms, bool sent)
{
	const struct timeval timeout = { .tv_sec = timeout_ms / 1000,
		.tv_usec = timeout_ms % 1000 * 1000 };

	c->read_event = event_new(base, c->fd, EV_READ | EV_PERSIST, read_cb, c);
	c->write_event = event_new(base, c->fd, EV_WRITE | EV_PERSIST, write_cb, c);
	c->deadline_event = evtimer_new(base, deadline_cb, c);
	if (c->read_event == NULL || c->write_event == NULL ||
	    c->deadline_event == NULL || event_add(c->read_event, NULL) < 0 ||
	    event_add(c->deadline_event, &timeout) < 0 ||
	    (!sent && event_add(c->write_event, NULL) < 0))
		return -ENOMEM;
	return 0;
}

int
haproxy_cli_ask(struct event_base *base, const struct haproxy_question *q,
    int timeout_ms, haproxy_cli_cb *answer_cb, void *arg, struct haproxy_cli **ret)
{
	_cleanup_(haproxy_cli_freep) struct haproxy_cli *c = calloc(1, sizeof(*c));
	int r;

	if (c == NULL)
		return -ENOMEM;
	c->fd = -1;
	c->answer_max = q->answer_max != 0 ? q->answer_max : ANSWER_MAX;
	c->answer_cb = answer_cb;
	c->arg = arg;
	r = compose(&c->question, q);
	if (r == 0)
		r = connect_to(q->socket, &c->fd);
	if (r < 0)
		return r;
	r = send_some(c);
	if (r == 0 || r == -EAGAIN) /* over TCP it may not be connected yet */
		r = watch(c, base, timeout_ms, r == 0);
	if (r < 0)
		return r;
	*ret = steal_ptr(c);
	return 0;
}
