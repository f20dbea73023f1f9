/*
 * client.c - libcurl's easy interface over the control socket.
 *
 * One connection, kept between requests. No proxy, no redirect and no name is ever
 * looked up: everything goes to the one socket.
 */
#include "ctl/client.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <curl/curl.h>

#include "buffer.h"
#include "json.h"

#define REPLY_MAX       ((size_t)64 * 1024 * 1024)
#define CONNECT_TIMEOUT 10L
#define SILENCE_TIMEOUT 120L

/* A page of the list with long names in it. */
static const struct json_limits reply_limits = { REPLY_MAX, 32, 4000000 };

struct client {
	CURL *curl;
	struct curl_slist *json_headers;
	char *socket;
	char error[CURL_ERROR_SIZE];
};

/* Where an answer goes. */
struct sink {
	CURL *curl;
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

static size_t
write_cb(char *data, size_t one, size_t len, void *arg)
{
	struct sink *sink = arg;
	long status = 0;

	(void)one;
	curl_easy_getinfo(sink->curl, CURLINFO_RESPONSE_CODE, &status);
	if (sink->out != NULL && status == 200)
		return fwrite(data, 1, len, sink->out);
	if (len > REPLY_MAX - sink->body.len)
		return 0;
	buffer_add(&sink->body, data, len);
	if (sink->body.failed)
		return 0;
	if (sink->line_cb != NULL && status == 200 && hand_lines(sink) < 0)
		return 0;
	return len;
}

static int
set_up(struct client *c)
{
	CURL *curl = c->curl;
	CURLcode code = CURLE_OK;

#define SET(option, value) \
  if (code == CURLE_OK)    \
  code = curl_easy_setopt(curl, option, value)
	SET(CURLOPT_UNIX_SOCKET_PATH, c->socket);
	SET(CURLOPT_PROXY, ""); /* whatever the environment says */
	SET(CURLOPT_PROTOCOLS_STR, "http");
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT);
	SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
	SET(CURLOPT_LOW_SPEED_TIME, SILENCE_TIMEOUT);
	SET(CURLOPT_ERRORBUFFER, c->error);
	SET(CURLOPT_WRITEFUNCTION, write_cb);
#undef SET
	return code == CURLE_OK ? 0 : -EIO;
}

int
client_new(const char *socket, struct client **ret)
{
	_cleanup_(client_freep) struct client *c = NULL;
	int r;

	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	c->socket = strdup(socket);
	c->curl = curl_easy_init();
	c->json_headers = curl_slist_append(NULL, "Content-Type: application/json");
	if (c->socket == NULL || c->curl == NULL || c->json_headers == NULL)
		return -ENOMEM;
	r = set_up(c);
	if (r < 0)
		return r;
	*ret = steal_ptr(c);
	return 0;
}

struct client *
client_free(struct client *c)
{
	if (c == NULL)
		return NULL;
	curl_easy_cleanup(c->curl);
	curl_slist_free_all(c->json_headers);
	free(c->socket);
	free(c);
	return NULL;
}

void
client_be_patient(struct client *c)
{
	curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_TIME, 0L);
}

const char *
client_error(const struct client *c)
{
	return c->error;
}

static const struct {
	CURLcode code;
	int r;
	const char *text;
} failures[] = {
	{ CURLE_COULDNT_CONNECT, -ECONNREFUSED, "renewd isn't running" },
	{ CURLE_GOT_NOTHING, -ECONNRESET, "renewd closed the connection" },
	{ CURLE_RECV_ERROR, -ECONNRESET, "renewd closed the connection" },
	{ CURLE_SEND_ERROR, -ECONNRESET, "renewd closed the connection" },
	{ CURLE_PARTIAL_FILE, -ECONNRESET, "the answer broke off" },
	{ CURLE_OPERATION_TIMEDOUT, -ETIMEDOUT, "renewd doesn't answer" },
	{ CURLE_WRITE_ERROR, -EFBIG, "the answer can't be taken" },
};

static int
say(struct client *c, int r, const char *what)
{
	snprintf(c->error, sizeof(c->error), "%s (%s)", what, c->socket);
	return r;
}

/* libcurl doesn't tell why it couldn't connect; connecting once more does. 0: it can
 * be done, so somebody is there and hung up at once. */
static int
probe(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return 0;
}

static int
explain(struct client *c, CURLcode code)
{
	int why = code == CURLE_COULDNT_CONNECT ? probe(c->socket) : -ECONNREFUSED;

	if (why == -EACCES)
		return say(c, why,
		    "no permission to use the control socket; ask as root, or join the "
		    "group in [control]");
	if (why == -EAGAIN)
		return say(c, why, "renewd is too busy; try again");
	if (why == 0)
		return say(c, -ECONNRESET,
		    "renewd doesn't let you in; ask as root, or join a group in "
		    "[control]");
	for (size_t i = 0; i < ELEMENTS(failures); i++)
		if (failures[i].code == code)
			return say(c, failures[i].r, failures[i].text);
	if (c->error[0] == '\0')
		return say(c, -EIO, curl_easy_strerror(code));
	return -EIO;
}

static int
perform(struct client *c, struct sink *sink, struct client_reply *ret)
{
	struct client_reply reply = { 0 };
	CURLcode code;
	int r;

	c->error[0] = '\0';
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, sink);
	code = curl_easy_perform(c->curl);
	if (code != CURLE_OK)
		return explain(c, code);
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &reply.status);
	r = buffer_steal(&sink->body, &reply.body, &reply.len);
	if (r < 0)
		return say(c, r, "no memory");
	/* What isn't JSON leaves NULL, and is up to the caller. */
	json_parse(reply.body, reply.len, &reply_limits, &reply.json);
	*ret = reply;
	return 0;
}

static int
request(struct client *c, const char *method, const char *path, const char *body,
    struct sink *sink, struct client_reply *ret)
{
	_cleanup_free_ char *url = NULL;

	if (asprintf(&url, "http://renewd%s", path) < 0) {
		url = NULL;
		return say(c, -ENOMEM, "no memory");
	}
	curl_easy_setopt(c->curl, CURLOPT_URL, url);
	if (body != NULL) {
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, body);
		curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->json_headers);
	} else {
		curl_easy_setopt(c->curl, CURLOPT_HTTPGET, 1L);
		curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, NULL);
	}
	curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, method);
	return perform(c, sink, ret);
}

int
client_ask(struct client *c, const char *method, const char *path, const char *body,
    struct client_reply *ret)
{
	struct sink sink = { .curl = c->curl };
	int r;

	r = request(c, method, path, body, &sink, ret);
	buffer_free(&sink.body);
	return r;
}

int
client_copy(struct client *c, const char *path, FILE *out, struct client_reply *ret)
{
	struct sink sink = { .curl = c->curl, .out = out };
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
	struct sink sink = { .curl = c->curl, .line_cb = cb, .arg = arg };
	int r;

	curl_easy_setopt(
	    c->curl, CURLOPT_LOW_SPEED_TIME, patient ? 0L : SILENCE_TIMEOUT);
	r = request(c, "GET", path, NULL, &sink, ret);
	curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_TIME, SILENCE_TIMEOUT);
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
