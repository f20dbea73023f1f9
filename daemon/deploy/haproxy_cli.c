/*
 * haproxy_cli.c - one command to HAProxy's command line, and its whole answer.
 *
 * Called by haproxy.c. HAProxy keeps the connection after an answer, so our side is
 * shut down after the command, and the answer ends with the connection. It must never
 * interpret what is said.
 */
#include "deploy/haproxy_cli.h"

#include <errno.h>
#include <event2/event.h>
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
	struct event *deadline_event;
	struct buffer answer;
	haproxy_cli_cb *answer_cb;
	void *arg;
};

static void
stop_events(struct haproxy_cli *c)
{
	if (c->read_event != NULL)
		event_free(c->read_event);
	if (c->deadline_event != NULL)
		event_free(c->deadline_event);
	c->read_event = c->deadline_event = NULL;
}

struct haproxy_cli *
haproxy_cli_free(struct haproxy_cli *c)
{
	if (c == NULL)
		return NULL;
	stop_events(c);
	closep(&c->fd);
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
	if (c->answer.len > ANSWER_MAX)
		finish(c, -EFBIG);
}

static void
deadline_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	finish(arg, -ETIMEDOUT);
}

/* On a UNIX socket, connect() succeeds or fails at once: -EAGAIN where the queue of the
 * listener is full. */
static int
connect_to(const char *path, int *ret)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	*ret = steal_fd(fd);
	return 0;
}

/* A command is far smaller than a socket's buffer: it goes out whole or not at all. */
static int
send_command(int fd, const char *command)
{
	char line[64];
	size_t len = strlen(command);

	if (len + 1 >= sizeof(line))
		return -EMSGSIZE;
	memcpy(line, command, len);
	line[len++] = '\n';
	if (send(fd, line, len, MSG_NOSIGNAL) != (ssize_t)len)
		return errno != 0 ? -errno : -EIO;
	return shutdown(fd, SHUT_WR) < 0 ? -errno : 0;
}

static int
watch(struct haproxy_cli *c, struct event_base *base, int timeout_ms)
{
	const struct timeval timeout = { .tv_sec = timeout_ms / 1000,
		.tv_usec = timeout_ms % 1000 * 1000 };

	c->read_event = event_new(base, c->fd, EV_READ | EV_PERSIST, read_cb, c);
	c->deadline_event = evtimer_new(base, deadline_cb, c);
	if (c->read_event == NULL || c->deadline_event == NULL ||
	    event_add(c->read_event, NULL) < 0 ||
	    event_add(c->deadline_event, &timeout) < 0)
		return -ENOMEM;
	return 0;
}

int
haproxy_cli_ask(struct event_base *base, const char *path, const char *command,
    int timeout_ms, haproxy_cli_cb *answer_cb, void *arg, struct haproxy_cli **ret)
{
	_cleanup_(haproxy_cli_freep) struct haproxy_cli *c = calloc(1, sizeof(*c));
	int r;

	if (c == NULL)
		return -ENOMEM;
	c->fd = -1;
	c->answer_cb = answer_cb;
	c->arg = arg;
	r = connect_to(path, &c->fd);
	if (r == 0)
		r = send_command(c->fd, command);
	if (r == 0)
		r = watch(c, base, timeout_ms);
	if (r < 0)
		return r;
	*ret = steal_ptr(c);
	return 0;
}
