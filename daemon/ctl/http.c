/*
 * http.c - HTTP/1.1 (RFC 9112) over a UNIX socket, as far as renewd speaks it.
 *
 * Called by client.c. libcurl would do it, too, but loads 30 libraries for it, each
 * time that renewctl is started. It must never take what it can't read for the end.
 */
#include "ctl/http.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "buffer.h"
#include "scope.h"

#define CONNECT_TIMEOUT 10 /* seconds */
#define LINE_MAX_LEN    8192
#define HEAD_LINES_MAX  100

struct reader {
	int fd;
	bool begun; /* something came */
	size_t at;  /* of what is in data, the next byte */
	size_t len;
	char data[32768];
};

/* ---- the connection ---- */

static int
set_timeout(int fd, int option, int seconds)
{
	const struct timeval t = { .tv_sec = seconds };

	return setsockopt(fd, SOL_SOCKET, option, &t, sizeof(t)) < 0 ? -errno : 0;
}

int
http_connect(const char *socket_path, int *ret_fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;
	int r;

	if (strlen(socket_path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, socket_path, strlen(socket_path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	r = set_timeout(fd, SO_SNDTIMEO, CONNECT_TIMEOUT);
	if (r < 0)
		return r;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	*ret_fd = steal_fd(fd);
	return 0;
}

static int
send_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -ECONNRESET;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int
send_request(int fd, const struct http_request *request)
{
	_cleanup_(buffer_free) struct buffer b = { 0 };

	buffer_printf(&b, "%s %s HTTP/1.1\r\nHost: renewd\r\nConnection: close\r\n",
	    request->method, request->path);
	if (request->body != NULL)
		buffer_printf(&b,
		    "Content-Type: application/json\r\nContent-Length: %zu\r\n",
		    strlen(request->body));
	buffer_puts(&b, "\r\n");
	if (request->body != NULL)
		buffer_puts(&b, request->body);
	return b.failed ? -ENOMEM : send_all(fd, b.data, b.len);
}

/* ---- reading ---- */

/* More, where nothing is left; 0 at the end. */
static int
refill(struct reader *in)
{
	ssize_t n;

	if (in->at < in->len)
		return 1;
	do
		n = recv(in->fd, in->data, sizeof(in->data), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? -ETIMEDOUT : in->begun ? -EPIPE : -ECONNRESET;
	if (n == 0)
		return 0;
	in->begun = true;
	in->at = 0;
	in->len = (size_t)n;
	return 1;
}

static int
refill_or_fail(struct reader *in)
{
	int r = refill(in);

	return r != 0 ? r : in->begun ? -EPIPE : -ECONNRESET;
}

/* A line without its end. */
static int
read_line(struct reader *in, char line[LINE_MAX_LEN])
{
	size_t len = 0;

	for (;;) {
		int r = refill_or_fail(in);
		char c;

		if (r < 0)
			return r;
		c = in->data[in->at++];
		if (c == '\n')
			break;
		if (c == '\0' || len == LINE_MAX_LEN - 1)
			return -EBADMSG;
		line[len++] = c;
	}
	if (len > 0 && line[len - 1] == '\r')
		len--;
	line[len] = '\0';
	return 0;
}

struct head {
	long status;
	bool chunked;
	bool sized;
	unsigned long long size;
};

static int
read_number(const char *text, int base, unsigned long long *ret)
{
	char *end;

	/* no sign, no blanks: strtoull() would take them */
	if (strchr("0123456789abcdefABCDEF", *text) == NULL || *text == '\0')
		return -EBADMSG;
	errno = 0;
	*ret = strtoull(text, &end, base);
	return errno != 0 || (*end != '\0' && strchr("; \t", *end) == NULL) ? -EBADMSG
									    : 0;
}

static int
read_status(struct reader *in, struct head *head, char line[LINE_MAX_LEN])
{
	unsigned long long status;
	int r = read_line(in, line);

	if (r < 0)
		return r;
	if (strncmp(line, "HTTP/1.", 7) != 0 || strlen(line) < 12 || line[8] != ' ' ||
	    read_number(line + 9, 10, &status) < 0 || status < 100 || status > 599)
		return -EBADMSG;
	head->status = (long)status;
	return 0;
}

static int
read_field(struct head *head, char *line)
{
	char *value = strchr(line, ':');

	if (value == NULL)
		return -EBADMSG;
	*value++ = '\0';
	value += strspn(value, " \t");
	if (strcasecmp(line, "Transfer-Encoding") == 0) {
		head->chunked = true;
		return strcasecmp(value, "chunked") == 0 ? 0 : -EBADMSG;
	}
	if (strcasecmp(line, "Content-Length") != 0)
		return 0;
	head->sized = true;
	return read_number(value, 10, &head->size);
}

static int
read_head(struct reader *in, struct head *head)
{
	char line[LINE_MAX_LEN];
	int r = read_status(in, head, line);

	for (unsigned n = 0; r == 0; n++) {
		r = read_line(in, line);
		if (r < 0 || *line == '\0')
			return r;
		r = n < HEAD_LINES_MAX ? read_field(head, line) : -EBADMSG;
	}
	return r;
}

/* ---- the body ---- */

/* So many bytes, or fewer at the end. *left are those that lack. */
static int
pass(struct reader *in, const struct http_request *request, long status,
    unsigned long long *left)
{
	while (*left > 0) {
		size_t n;
		int r = refill(in);

		if (r <= 0)
			return r;
		n = in->len - in->at;
		if (n > *left)
			n = (size_t)*left;
		r = request->take(status, in->data + in->at, n, request->arg);
		if (r < 0)
			return r;
		in->at += n;
		*left -= n;
	}
	return 0;
}

static int
pass_chunks(struct reader *in, const struct http_request *request, long status)
{
	char line[LINE_MAX_LEN];
	unsigned long long size;
	int r;

	for (;;) {
		r = read_line(in, line);
		if (r == 0)
			r = read_number(line, 16, &size);
		if (r < 0 || size == 0)
			return r;
		r = pass(in, request, status, &size);
		if (r == 0 && size > 0)
			r = -EPIPE;
		if (r == 0)
			r = read_line(in, line);
		if (r == 0 && *line != '\0')
			r = -EBADMSG;
		if (r < 0)
			return r;
	}
}

static int
pass_body(
    struct reader *in, const struct http_request *request, const struct head *head)
{
	unsigned long long left = head->sized ? head->size : ~0ULL;
	int r;

	if (head->status == 204)
		return 0;
	if (head->chunked)
		return pass_chunks(in, request, head->status);
	r = pass(in, request, head->status, &left);
	return r == 0 && head->sized && left > 0 ? -EPIPE : r;
}

int
http_ask(int fd, const struct http_request *request, long *ret_status)
{
	_cleanup_free_ struct reader *in = calloc(1, sizeof(*in));
	struct head head = { 0 };
	int r;

	if (in == NULL)
		return -ENOMEM;
	in->fd = fd;
	r = set_timeout(fd, SO_RCVTIMEO, request->timeout);
	if (r == 0)
		r = set_timeout(fd, SO_SNDTIMEO, request->timeout);
	if (r == 0)
		r = send_request(fd, request);
	/* who answers at once, and hangs up, has not read all: the answer counts */
	if (r == 0 || r == -ECONNRESET) {
		int e = read_head(in, &head);

		r = r == 0 || e == 0 ? e : r;
	}
	if (r == 0)
		r = pass_body(in, request, &head);
	if (r == 0)
		*ret_status = head.status;
	return r;
}
