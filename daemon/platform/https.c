/*
 * https.c - libcurl's multi interface on the libevent loop, for requests to CAs.
 *
 * The only file that includes curl.h in the daemon, but for https_explain.c. What comes
 * back is collected by https_answer.c; nothing here knows what it means.
 */
#include "platform/https.h"

#include <curl/curl.h>
#include <errno.h>
#include <event2/event.h>
#include <string.h>

#include "autoconf.h"
#include "buffer.h"
#include "platform/clock.h"
#include "platform/https_answer.h"
#include "platform/https_explain.h"
#include "scope.h"

#define CONNECT_SECONDS   15L
#define TOTAL_SECONDS     60L /* smallstep validates within the challenge request */
#define TOTAL_CONNECTIONS 32L
#define NONCES            256
#define TRUST_STORE       "/etc/ssl/certs/ca-certificates.crt"

/* One socket that libcurl wants watched. */
struct https_socket {
	struct https *https;
	struct event *event;
	int flags;
};

struct https_nonce {
	uint64_t hash;
	int port; /* of the connection, here */
};

struct https {
	struct event_base *base;
	CURLM *multi;
	struct event *timer;
	uint64_t connections;
	struct https_nonce nonces[NONCES]; /* that came last, a ring */
	size_t nonce_next;
};

struct https_request {
	struct https *https;
	CURL *easy;
	struct curl_slist *headers;
	char *sent_body;
	struct https_answer answer;
	bool is_post;
	int port;   /* of its connection, here */
	bool begun; /* sent, as far as that went */
	bool stale; /* the connection that took it has ended without a word */
	bool copy;  /* an answer of before has come once more */
	enum https_fate fate;
	char *trust_file;
	char error[CURL_ERROR_SIZE];
	char why[HTTPS_EXPLAIN_SIZE];
	https_done_cb *done_cb;
	void *arg;
};

DEFINE_CLEANUP(struct https, https_free)
DEFINE_CLEANUP(struct https_request, https_cancel)

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

/* ---- answers to something else ---- */

static bool
is_copy(struct https *h, const char *nonce, int port)
{
	struct https_nonce seen = { UINT64_C(14695981039346656037), port }; /* FNV-1a */

	for (const char *c = nonce; *c != '\0'; c++)
		seen.hash = (seen.hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
	for (size_t i = 0; i < NONCES; i++)
		if (h->nonces[i].hash == seen.hash && h->nonces[i].port == seen.port)
			return true;
	h->nonces[h->nonce_next] = seen;
	h->nonce_next = (h->nonce_next + 1) % NONCES;
	return false;
}

/* A server, or a proxy before it, that answers twice makes of the second the answer to
 * the next request on that connection, and so on. No nonce comes twice (RFC 8555
 * section 6.5): by it the copy is known, and the connection ends. So does one on which
 * a POST was answered without. */
static size_t
header_cb(char *data, size_t size, size_t count, void *arg)
{
	struct https_request *r = arg;
	size_t len = https_answer_header_cb(data, size, count, &r->answer);
	const char *nonce = r->answer.fields[FIELD_REPLAY_NONCE];

	if (len == 0 || (data[0] != '\r' && data[0] != '\n'))
		return len;
	if (nonce != NULL && *nonce != '\0')
		r->copy = is_copy(r->https, nonce, r->port);
	else if (r->is_post)
		curl_easy_setopt(r->easy, CURLOPT_FORBID_REUSE, 1L);
	return r->copy ? 0 : len;
}

/* ---- requests ---- */

/* libcurl sends a request again by itself, up to five times at once, where a kept
 * connection ends without an answer. Whether that is wise, and when, is for others to
 * say: they count what is sent, and know what must not be sent twice. */
static int
about_to_send_cb(void *arg, char *ip, char *local_ip, int port, int local_port)
{
	struct https_request *r = arg;

	(void)ip;
	(void)local_ip;
	(void)port;
	r->port = local_port;
	r->stale = r->begun;
	r->begun = true;
	return r->stale ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

static enum https_fate
judge(const struct https_request *r, CURLcode code)
{
	static const CURLcode hopeless[] = { CURLE_OPERATION_TIMEDOUT,
		CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE,
		CURLE_FILESIZE_EXCEEDED, CURLE_WRITE_ERROR, CURLE_OUT_OF_MEMORY };

	if (code == CURLE_OK)
		return HTTPS_ANSWERED;
	if (r->stale)
		return HTTPS_STALE;
	if (r->copy)
		return HTTPS_LOST;
	for (size_t i = 0; i < ELEMENTS(hopeless); i++)
		if (code == hopeless[i])
			return HTTPS_HOPELESS;
	return !r->begun || code == CURLE_SEND_ERROR ? HTTPS_NOT_SENT : HTTPS_LOST;
}

static const char *
explain(struct https_request *r, CURLcode code)
{
	struct https_failure f = { .code = code,
		.text = r->error,
		.too_large = r->answer.too_large,
		.copy = r->copy,
		.trust_file = r->trust_file };
	curl_off_t sent = 0, body = 0;
	long head = 0;

	curl_easy_getinfo(r->easy, CURLINFO_OS_ERRNO, &f.system_error);
	curl_easy_getinfo(r->easy, CURLINFO_SSL_VERIFYRESULT, &f.verify_error);
	curl_easy_getinfo(r->easy, CURLINFO_PRETRANSFER_TIME_T, &sent);
	curl_easy_getinfo(r->easy, CURLINFO_HEADER_SIZE, &head);
	curl_easy_getinfo(r->easy, CURLINFO_SIZE_DOWNLOAD_T, &body);
	f.sent = sent > 0;
	f.received = head > 0 || body > 0;
	https_explain(&f, r->why);
	return r->why;
}

/* The clock has whole seconds, and the CA's "in 5 seconds" begin with this one's end:
 * never too early. */
static void
finish(struct https_request *r, CURLcode code)
{
	struct acme_reply reply = { .received_at = clock_now() + 1 };
	long status = 0;
	long connects = 0;

	curl_easy_getinfo(r->easy, CURLINFO_NUM_CONNECTS, &connects);
	r->https->connections += (uint64_t)connects;
	r->fate = judge(r, code);
	if (code == CURLE_OK)
		curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status == 0) {
		reply.error = explain(r, code);
	} else {
		reply.status = (int)status;
		https_answer_fill(&r->answer, &reply);
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

	r->answer.max_body =
	    options->max_body != 0 ? options->max_body : HTTPS_BODY_MAX;
	curl_easy_setopt(
	    easy, CURLOPT_PROTOCOLS_STR, options->plain ? "http,https" : "https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT, TOTAL_SECONDS);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_MAXFILESIZE, (long)r->answer.max_body);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 16384L);
	curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L); /* a proxy's */
	curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, https_answer_body_cb);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, &r->answer);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, header_cb);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, r);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, about_to_send_cb);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, r);
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
	r->is_post = message->body != NULL;
	if (e == 0 && r->is_post) {
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
	curl_easy_setopt(r->easy, CURLOPT_FRESH_CONNECT, options->fresh ? 1L : 0L);
	e = set_message(r, message);
	if (e < 0)
		return e;
	if (curl_multi_add_handle(h->multi, r->easy) != CURLM_OK)
		return -ENOMEM;
	*ret = steal_ptr(r);
	return 0;
}

enum https_fate
https_fate(const struct https_request *r)
{
	return r->fate;
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
	https_answer_clear(&r->answer);
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
	curl_multi_setopt(
	    h->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)HTTPS_HOST_CONNECTIONS);
	curl_multi_setopt(h->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, TOTAL_CONNECTIONS);
	/* Or it keeps four for each request that is on its way at the moment. */
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, TOTAL_CONNECTIONS);
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
