/*
 * haproxy_cli.c - commands to HAProxy's command line, and their whole answers.
 *
 * Called by the files of this folder that talk to HAProxy. For a single command our
 * side is shut down after it, and the answer ends with the connection. A connection for
 * many is made interactive by "prompt": there an answer ends with the next prompt. It
 * must never interpret what is said, nor keep a payload, which may be a key.
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
#define PROMPT_MAX 64

struct haproxy_cli {
	struct event_base *base;
	char *socket; /* for many commands; NULL: for one */
	int fd;       /* -1: not connected */
	struct event *read_event;
	struct event *write_event;
	struct event *deadline_event;
	struct buffer question;
	size_t sent;
	struct buffer next; /* question, for when HAProxy is interactive */
	struct buffer answer;
	size_t answer_max;
	haproxy_cli_cb *answer_cb; /* NULL: nothing is asked just now */
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

static void
hang_up(struct haproxy_cli *c)
{
	stop_events(c);
	closep(&c->fd);
	c->fd = -1;
	buffer_free(&c->question);
	buffer_free(&c->next);
	buffer_free(&c->answer);
}

struct haproxy_cli *
haproxy_cli_free(struct haproxy_cli *c)
{
	if (c == NULL)
		return NULL;
	hang_up(c);
	free(c->socket);
	free(c);
	return NULL;
}

DEFINE_CLEANUP(struct haproxy_cli, haproxy_cli_free)

/* Up to 2.6, and always by way of the master, each line of a payload gets a "+ ". */
static const char *
skip_payload_prompts(const struct haproxy_cli *c, const char *answer)
{
	while (c->socket != NULL && strncmp(answer, "+ ", 2) == 0)
		answer += 2;
	return answer;
}

/* answer_cb may free c. */
static void
finish(struct haproxy_cli *c, int r)
{
	haproxy_cli_cb *answer_cb = c->answer_cb;
	_cleanup_free_ char *answer = NULL;
	const char *text = NULL;
	size_t len;

	if (r == 0)
		r = buffer_steal(&c->answer, &answer, &len);
	if (r == 0 && strlen(answer) != len)
		r = -EBADMSG;
	if (r == 0)
		text = skip_payload_prompts(c, answer);
	/* who answers before all was asked isn't understood any more */
	if (c->socket == NULL || r < 0 || c->question.len > 0)
		hang_up(c);
	else
		event_del(c->deadline_event);
	c->answer_cb = NULL;
	answer_cb(r, text, c->arg);
}

/* ---- reading ---- */

/* Where the prompt begins that ends what was answered: a last line without blanks but
 * for its end, "> " of a worker, "master> " or "master[ReloadFailed]> " of a master.
 * NULL: it isn't there yet. */
static char *
find_prompt(const struct haproxy_cli *c)
{
	size_t len = c->answer.len, n = 0;
	char *end;

	if (len < 2 || memcmp(c->answer.data + len - 2, "> ", 2) != 0)
		return NULL;
	end = c->answer.data + len - 2;
	while (n < len - 2 && n < PROMPT_MAX && strchr(" \t\r\n", end[-1]) == NULL) {
		end--;
		n++;
	}
	return end == c->answer.data || end[-1] == '\n' ? end : NULL;
}

static int send_some(struct haproxy_cli *c);

/* Interactive now: what it was connected for is asked. */
static int
send_next(struct haproxy_cli *c)
{
	int r;

	buffer_free(&c->answer);
	c->question = c->next;
	c->next = (struct buffer){ 0 };
	c->sent = 0;
	r = send_some(c);
	if (r == -EAGAIN)
		r = event_add(c->write_event, NULL) < 0 ? -ENOMEM : 0;
	return r;
}

static void
read_prompt(struct haproxy_cli *c)
{
	char *prompt = find_prompt(c);
	int r;

	if (prompt == NULL)
		return;
	if (c->next.len > 0) {
		r = send_next(c);
		if (r < 0)
			finish(c, r);
		return;
	}
	c->answer.len = (size_t)(prompt - c->answer.data);
	*prompt = '\0';
	finish(c, 0);
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
	if (c->answer_cb == NULL) { /* nothing was asked: it has enough of us */
		hang_up(c);
		return;
	}
	if (n <= 0) {
		finish(c, n < 0 ? -errno : c->socket != NULL ? -ECONNRESET : 0);
		return;
	}
	buffer_add(&c->answer, data, n);
	if (c->answer.len > c->answer_max)
		finish(c, -EFBIG);
	else if (c->socket != NULL)
		read_prompt(c);
}

static void
deadline_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	finish(arg, -ETIMEDOUT);
}

/* ---- asking ---- */

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
	if (c->socket != NULL)
		return 0;
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
set_deadline(struct haproxy_cli *c, int timeout_ms)
{
	const struct timeval timeout = { .tv_sec = timeout_ms / 1000,
		.tv_usec = timeout_ms % 1000 * 1000 };

	return event_add(c->deadline_event, &timeout) < 0 ? -ENOMEM : 0;
}

static int
watch(struct haproxy_cli *c, bool sent)
{
	c->read_event = event_new(c->base, c->fd, EV_READ | EV_PERSIST, read_cb, c);
	c->write_event = event_new(c->base, c->fd, EV_WRITE | EV_PERSIST, write_cb, c);
	c->deadline_event = evtimer_new(c->base, deadline_cb, c);
	if (c->read_event == NULL || c->write_event == NULL ||
	    c->deadline_event == NULL || event_add(c->read_event, NULL) < 0 ||
	    (!sent && event_add(c->write_event, NULL) < 0))
		return -ENOMEM;
	return 0;
}

/* The question goes on its way. Over TCP it may not be connected yet. */
static int
begin(struct haproxy_cli *c, const char *socket, int timeout_ms)
{
	int r = connect_to(socket, &c->fd);

	if (r < 0)
		return r;
	c->sent = 0;
	r = send_some(c);
	if (r == 0 || r == -EAGAIN)
		r = watch(c, r == 0);
	return r == 0 ? set_deadline(c, timeout_ms) : r;
}

int
haproxy_cli_ask(struct event_base *base, const struct haproxy_question *q,
    int timeout_ms, haproxy_cli_cb *answer_cb, void *arg, struct haproxy_cli **ret)
{
	_cleanup_(haproxy_cli_freep) struct haproxy_cli *c = calloc(1, sizeof(*c));
	int r;

	if (c == NULL)
		return -ENOMEM;
	c->base = base;
	c->fd = -1;
	c->answer_max = q->answer_max != 0 ? q->answer_max : ANSWER_MAX;
	c->answer_cb = answer_cb;
	c->arg = arg;
	r = compose(&c->question, q);
	if (r == 0)
		r = begin(c, q->socket, timeout_ms);
	if (r < 0)
		return r;
	*ret = steal_ptr(c);
	return 0;
}

int
haproxy_cli_open(struct event_base *base, const char *socket, struct haproxy_cli **ret)
{
	struct haproxy_cli *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return -ENOMEM;
	c->base = base;
	c->fd = -1;
	c->socket = strdup(socket);
	if (c->socket == NULL) {
		free(c);
		return -ENOMEM;
	}
	*ret = c;
	return 0;
}

int
haproxy_cli_go_on(struct haproxy_cli *c, const struct haproxy_question *q,
    int timeout_ms, haproxy_cli_cb *answer_cb, void *arg)
{
	const struct haproxy_question prompt = { .command = "prompt" };
	int r = compose(&c->next, q);

	c->answer_max = q->answer_max != 0 ? q->answer_max : ANSWER_MAX;

	if (r == 0 && c->fd < 0) {
		r = compose(&c->question, &prompt);
		if (r == 0)
			r = begin(c, c->socket, timeout_ms);
	} else if (r == 0) {
		r = send_next(c);
		if (r == 0)
			r = set_deadline(c, timeout_ms);
	}
	if (r < 0) {
		hang_up(c);
		return r;
	}
	c->answer_cb = answer_cb;
	c->arg = arg;
	return 0;
}
