/*
 * https.c - libcurl's multi interface on the libevent loop, for requests to CAs.
 *
 * The only file that includes curl.h in the daemon. What comes back is copied within
 * bounds into a struct acme_reply; nothing here knows what it means.
 */
#include "platform/https.h"

#include <curl/curl.h>
#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <strings.h>

#include "autoconf.h"
#include "buffer.h"
#include "platform/clock.h"
#include "platform/https_explain.h"
#include "platform/link.h"
#include "scope.h"

#define BODY_MAX          (1024 * 1024)
#define HEADER_MAX        8192
#define ALTERNATES_MAX    16384 /* of all targets together */
#define CONNECT_SECONDS   15L
#define TOTAL_SECONDS     60L /* smallstep validates within the challenge request */
#define HOST_CONNECTIONS  4L
#define TOTAL_CONNECTIONS 32L
#define TRUST_STORE       "/etc/ssl/certs/ca-certificates.crt"

/* One socket that libcurl wants watched. */
struct https_socket {
	struct https *https;
	struct event *event;
	int flags;
};

struct https {
	struct event_base *base;
	CURLM *multi;
	struct event *timer;
	uint64_t connections;
};

enum field {
	FIELD_CONTENT_TYPE,
	FIELD_LOCATION,
	FIELD_REPLAY_NONCE,
	FIELD_RETRY_AFTER,
	FIELD_DATE,
	FIELD_LINK_TERMS,
	FIELD_LINK_ALTERNATES,
	FIELD_COUNT,
};

static const char *const field_names[] = {
	[FIELD_CONTENT_TYPE] = "content-type",
	[FIELD_LOCATION] = "location",
	[FIELD_REPLAY_NONCE] = "replay-nonce",
	[FIELD_RETRY_AFTER] = "retry-after",
	[FIELD_DATE] = "date",
};

struct https_request {
	struct https *https;
	CURL *easy;
	struct curl_slist *headers;
	char *sent_body;
	struct buffer body;
	bool too_large;
	size_t max_body;
	char *fields[FIELD_COUNT];
	char *trust_file;
	char error[CURL_ERROR_SIZE];
	char why[HTTPS_EXPLAIN_SIZE];
	https_done_cb *done_cb;
	void *arg;
};

DEFINE_CLEANUP(struct https, https_free)
DEFINE_CLEANUP(struct https_request, https_cancel)

/* ---- the reply, as it comes ---- */

static size_t
body_cb(char *data, size_t size, size_t count, void *arg)
{
	struct https_request *r = arg;
	size_t len = size * count;

	if (r->body.len + len > r->max_body) {
		r->too_large = true;
		return 0;
	}
	buffer_add(&r->body, data, len);
	return r->body.failed ? 0 : len;
}

static void
keep_field(struct https_request *r, enum field field, const char *value, size_t len)
{
	free(r->fields[field]);
	r->fields[field] = strndup(value, len);
}

/* One more target behind those that came before, by blanks. */
static void
add_alternate(struct https_request *r, const char *target, size_t len)
{
	const char *before = r->fields[FIELD_LINK_ALTERNATES];
	_cleanup_(buffer_free) struct buffer all = { 0 };

	if (memchr(target, ' ', len) != NULL ||
	    (before != NULL && strlen(before) + len > ALTERNATES_MAX))
		return;
	if (before != NULL)
		buffer_printf(&all, "%s ", before);
	buffer_add(&all, target, len);
	buffer_add(&all, "", 1);
	if (!all.failed)
		keep_field(r, FIELD_LINK_ALTERNATES, all.data, all.len - 1);
}

/* Link: <https://ca/terms>;rel="terms-of-service", <https://ca/1>;rel="alternate" */
static void
keep_links(struct https_request *r, const char *value, size_t len)
{
	const char *end = value + len;
	const char *at = value;
	const char *target;
	size_t target_len;

	if (link_next(&at, end, "terms-of-service", &target, &target_len))
		keep_field(r, FIELD_LINK_TERMS, target, target_len);
	for (at = value; link_next(&at, end, "alternate", &target, &target_len);)
		add_alternate(r, target, target_len);
}

static void
clear_fields(struct https_request *r)
{
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		free(r->fields[i]);
		r->fields[i] = NULL;
	}
}

static size_t
header_cb(char *data, size_t size, size_t count, void *arg)
{
	struct https_request *r = arg;
	size_t len = size * count;
	const char *colon = memchr(data, ':', len);
	const char *value;
	size_t name_len;
	size_t value_len;

	if (len > 5 && strncmp(data, "HTTP/", 5) == 0)
		clear_fields(r); /* what came with an interim answer is not meant */
	if (colon == NULL || len > HEADER_MAX)
		return len;
	name_len = (size_t)(colon - data);
	value = colon + 1;
	value_len = len - name_len - 1;
	while (value_len > 0 && (*value == ' ' || *value == '\t'))
		value++, value_len--;
	while (value_len > 0 && strchr("\r\n \t", value[value_len - 1]) != NULL)
		value_len--;
	if (memchr(value, '\0', value_len) != NULL)
		return len;
	for (size_t i = 0; i < ELEMENTS(field_names); i++)
		if (strlen(field_names[i]) == name_len &&
		    strncasecmp(field_names[i], data, name_len) == 0)
			keep_field(r, (enum field)i, value, value_len);
	if (name_len == 4 && strncasecmp(data, "link", 4) == 0)
		keep_links(r, value, value_len);
	return len;
}

/* ---- libcurl's sockets and timer on the loop ---- */

static void finish_done(struct https *h);

static void
socket_ready_cb(evutil_socket_t fd, short what, void *arg)
{
	struct https *h = ((struct https_socket *)arg)->https;
	int running;

	curl_multi_socket_action(h->multi, fd,
	    ((what & EV_READ) != 0 ? CURL_CSELECT_IN : 0) |
		((what & EV_WRITE) != 0 ? CURL_CSELECT_OUT : 0),
	    &running);
	finish_done(h);
}

static void
timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct https *h = arg;
	int running;

	(void)fd;
	(void)what;
	curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	finish_done(h);
}

static int
set_timer_cb(CURLM *multi, long timeout_ms, void *arg)
{
	struct https *h = arg;
	struct timeval delay = { timeout_ms / 1000, (timeout_ms % 1000) * 1000 };

	(void)multi;
	if (timeout_ms < 0)
		return evtimer_del(h->timer);
	return evtimer_add(h->timer, &delay);
}

static int
unwatch(struct https *h, curl_socket_t fd, struct https_socket *socket)
{
	curl_multi_assign(h->multi, fd, NULL);
	if (socket != NULL) {
		event_free(socket->event);
		free(socket);
	}
	return 0;
}

static int
watch_cb(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct https *h = arg;
	struct https_socket *socket = socket_arg;
	short flags = EV_PERSIST;

	(void)easy;
	if (what == CURL_POLL_REMOVE)
		return unwatch(h, fd, socket);
	if (socket == NULL) {
		socket = calloc(1, sizeof(*socket));
		if (socket == NULL)
			return -1;
		socket->https = h;
		socket->event =
		    event_new(h->base, fd, EV_PERSIST, socket_ready_cb, socket);
		if (socket->event == NULL) {
			free(socket);
			return -1;
		}
		curl_multi_assign(h->multi, fd, socket);
	}
	if (what & CURL_POLL_IN)
		flags |= EV_READ;
	if (what & CURL_POLL_OUT)
		flags |= EV_WRITE;
	event_del(socket->event);
	event_assign(socket->event, h->base, fd, flags, socket_ready_cb, socket);
	return event_add(socket->event, NULL);
}

/* ---- requests ---- */

static const char *
explain(struct https_request *r, CURLcode code)
{
	struct https_failure f = { .code = code,
		.text = r->error,
		.too_large = r->too_large,
		.trust_file = r->trust_file };
	curl_off_t sent = 0;

	curl_easy_getinfo(r->easy, CURLINFO_OS_ERRNO, &f.system_error);
	curl_easy_getinfo(r->easy, CURLINFO_SSL_VERIFYRESULT, &f.verify_error);
	curl_easy_getinfo(r->easy, CURLINFO_PRETRANSFER_TIME_T, &sent);
	f.sent = sent > 0;
	https_explain(&f, r->why);
	return r->why;
}

static void
finish(struct https_request *r, CURLcode code)
{
	struct acme_reply reply = { .received_at = clock_now() };
	long status = 0;
	long connects = 0;

	curl_easy_getinfo(r->easy, CURLINFO_NUM_CONNECTS, &connects);
	r->https->connections += (uint64_t)connects;
	if (code == CURLE_OK)
		curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status == 0) {
		reply.error = explain(r, code);
	} else {
		reply.status = (int)status;
		reply.content_type = r->fields[FIELD_CONTENT_TYPE];
		reply.location = r->fields[FIELD_LOCATION];
		reply.replay_nonce = r->fields[FIELD_REPLAY_NONCE];
		reply.retry_after = r->fields[FIELD_RETRY_AFTER];
		reply.date = r->fields[FIELD_DATE];
		reply.link_terms = r->fields[FIELD_LINK_TERMS];
		reply.link_alternates = r->fields[FIELD_LINK_ALTERNATES];
		reply.body = r->body.data != NULL ? r->body.data : "";
		reply.body_len = r->body.len;
	}
	r->done_cb(&reply, r->arg);
	https_cancel(r);
}

static void
finish_done(struct https *h)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(h->multi, &left)) != NULL) {
		struct https_request *r = NULL;
		CURLcode code = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&r);
		finish(r, code);
	}
}

/* Debian builds libcurl with a CAPATH, and with that it reads the trust store anew for
 * each connection; CAINFO alone is read once and cached. */
static void
set_trust(CURL *easy, const struct https_options *options)
{
	curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(easy, CURLOPT_CAINFO,
	    options->trust_file != NULL ? options->trust_file : TRUST_STORE);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
}

static void
set_limits(struct https_request *r, const struct https_options *options)
{
	CURL *easy = r->easy;

	r->max_body = options->max_body != 0 ? options->max_body : BODY_MAX;
	curl_easy_setopt(
	    easy, CURLOPT_PROTOCOLS_STR, options->plain ? "http,https" : "https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT, TOTAL_SECONDS);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_MAXFILESIZE, (long)r->max_body);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 16384L);
	curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L); /* a proxy's */
	curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, body_cb);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, r);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, header_cb);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, r);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, r->error);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, (char *)r);
}

static int
add_header(struct https_request *r, const char *name, const char *value)
{
	_cleanup_(buffer_free) struct buffer line = { 0 };
	struct curl_slist *grown;

	if (value == NULL)
		return 0;
	buffer_printf(&line, "%s: %s", name, value);
	grown = line.failed ? NULL : curl_slist_append(r->headers, line.data);
	if (grown == NULL)
		return -ENOMEM;
	r->headers = grown;
	return 0;
}

static int
set_message(struct https_request *r, const struct acme_message *message)
{
	int e;

	curl_easy_setopt(r->easy, CURLOPT_URL, message->url);
	curl_easy_setopt(r->easy, CURLOPT_USERAGENT,
	    PACKAGE_NAME "/" PACKAGE_VERSION " (libacme; libcurl)");
	if (strcmp(message->method, "HEAD") == 0)
		curl_easy_setopt(r->easy, CURLOPT_NOBODY, 1L);
	e = add_header(r, "Content-Type", message->content_type);
	if (e == 0)
		e = add_header(r, "Accept", message->accept);
	if (e == 0)
		e = add_header(r, "Accept-Language", "en");
	if (e == 0 && message->body != NULL) {
		r->sent_body = strndup(message->body, message->body_len);
		if (r->sent_body == NULL)
			return -ENOMEM;
		e = add_header(r, "Expect", ""); /* no 100-continue */
		curl_easy_setopt(r->easy, CURLOPT_POSTFIELDS, r->sent_body);
		curl_easy_setopt(
		    r->easy, CURLOPT_POSTFIELDSIZE, (long)message->body_len);
	}
	if (e == 0)
		curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, r->headers);
	return e;
}

int
https_send(struct https *h, const struct https_options *options,
    const struct acme_message *message, https_done_cb *done_cb, void *arg,
    struct https_request **ret)
{
	_cleanup_(https_cancelp) struct https_request *r = calloc(1, sizeof(*r));
	int e;

	if (r == NULL)
		return -ENOMEM;
	r->https = h;
	r->done_cb = done_cb;
	r->arg = arg;
	r->easy = curl_easy_init();
	if (options->trust_file != NULL)
		r->trust_file = strdup(options->trust_file);
	if (r->easy == NULL || (options->trust_file != NULL && r->trust_file == NULL))
		return -ENOMEM;
	set_limits(r, options);
	set_trust(r->easy, options);
	if (options->proxy != NULL)
		curl_easy_setopt(r->easy, CURLOPT_PROXY, options->proxy);
	e = set_message(r, message);
	if (e < 0)
		return e;
	if (curl_multi_add_handle(h->multi, r->easy) != CURLM_OK)
		return -ENOMEM;
	*ret = steal_ptr(r);
	return 0;
}

struct https_request *
https_cancel(struct https_request *r)
{
	if (r == NULL)
		return NULL;
	if (r->easy != NULL) {
		curl_multi_remove_handle(r->https->multi, r->easy);
		curl_easy_cleanup(r->easy);
	}
	curl_slist_free_all(r->headers);
	free(r->sent_body);
	free(r->trust_file);
	buffer_free(&r->body);
	clear_fields(r);
	free(r);
	return NULL;
}

int
https_new(struct event_base *base, struct https **ret)
{
	_cleanup_(https_freep) struct https *h = calloc(1, sizeof(*h));

	if (h == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -ENOMEM;
	h->base = base;
	h->multi = curl_multi_init();
	h->timer = evtimer_new(base, timer_cb, h);
	if (h->multi == NULL || h->timer == NULL)
		return -ENOMEM;
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, watch_cb);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, set_timer_cb);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	curl_multi_setopt(h->multi, CURLMOPT_MAX_HOST_CONNECTIONS, HOST_CONNECTIONS);
	curl_multi_setopt(h->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, TOTAL_CONNECTIONS);
	*ret = steal_ptr(h);
	return 0;
}

struct https *
https_free(struct https *h)
{
	if (h == NULL)
		return NULL;
	if (h->multi != NULL)
		curl_multi_cleanup(h->multi);
	if (h->timer != NULL)
		event_free(h->timer);
	free(h);
	curl_global_cleanup();
	return NULL;
}

uint64_t
https_connections(const struct https *h)
{
	return h->connections;
}
