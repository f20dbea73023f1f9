/*
 * load_ca.c - a CA that is fast: what Pebble can't do in numbers, this can.
 *
 * Usage: load_ca -p PORT -c CERTIFICATE -k KEY -v VALIDATION-PORT [-l LIFE-SECONDS]
 * Real HTTPS, real checks of signatures and nonces, real HTTP-01 fetches from
 * 127.0.0.1, real certificates; one name an order, ES256 accounts, everything in
 * memory. On SIGTERM it prints what it did and what that cost, and ends.
 */
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base64url.h"
#include "buffer.h"
#include "issue.h"
#include "json.h"
#include "jws_check.h"
#include "scope.h"

#define BODY_MAX (64 * 1024)

enum state { PENDING, PROCESSING, READY, VALID, INVALID };

struct account {
	EVP_PKEY *key;
	char thumbprint[44];
};

struct order {
	uint64_t account;
	char *name;
	char *pem;
	enum state state;
	bool fetched;
};

static struct event_base *base;
static SSL_CTX *tls;
static char origin[64]; /* https://HOST:PORT */
static unsigned short validation_port;

static struct account *accounts;
static uint64_t account_count;
static struct order *orders;
static uint64_t order_count;
static unsigned char *nonces; /* a bit each: used */
static uint64_t nonce_count;
static uint64_t request_count;
static uint64_t issued_count;
static uint64_t fetched_count; /* certificates, by who ordered them */
static uint64_t refused_count;

/* One more element behind the array; it grows by halves. */
static void *
grow(void *array, uint64_t count, size_t size)
{
	uint64_t room = 1024;

	while (room < count + 1)
		room *= 2;
	if (count != 0 && count != room / 2)
		return array;
	array = reallocarray(array, room, size);
	if (array == NULL)
		abort();
	memset((char *)array + count * size, 0, (room - count) * size);
	return array;
}

/* ---- nonces: numbers, each given out and taken once ---- */

static void
add_nonce(struct evhttp_request *http)
{
	char text[32];

	if (nonce_count % 8 == 0)
		nonces = grow(nonces, nonce_count / 8, 1);
	snprintf(text, sizeof(text), "n%016llx", (unsigned long long)nonce_count++);
	evhttp_add_header(
	    evhttp_request_get_output_headers(http), "Replay-Nonce", text);
}

static bool
take_nonce(const char *nonce)
{
	uint64_t number = nonce[0] == 'n' ? strtoull(nonce + 1, NULL, 16) : UINT64_MAX;

	if (number >= nonce_count || (nonces[number / 8] & (1 << (number % 8))) != 0)
		return false;
	nonces[number / 8] |= (unsigned char)(1 << (number % 8));
	return true;
}

static EVP_PKEY *
account_key(uint64_t account)
{
	return account >= 1 && account <= account_count ? accounts[account - 1].key
							: NULL;
}

/* ---- answers ---- */

static void
reply(struct evhttp_request *http, int status, const char *type, struct buffer *text)
{
	struct evbuffer *body = evbuffer_new();

	add_nonce(http);
	evhttp_add_header(
	    evhttp_request_get_output_headers(http), "Content-Type", type);
	if (text->data != NULL)
		evbuffer_add(body, text->data, text->len);
	evhttp_send_reply(http, status, "-", body);
	evbuffer_free(body);
	buffer_free(text);
}

static void
refuse(struct evhttp_request *http, int status, const char *error)
{
	struct buffer text = { 0 };

	refused_count++;
	buffer_printf(&text,
	    "{\"type\":\"urn:ietf:params:acme:error:%s\",\"detail\":\"-\"}", error);
	reply(http, status, "application/problem+json", &text);
}

static void
answer_json(struct evhttp_request *http, int status, struct buffer *text)
{
	reply(http, status, "application/json", text);
}

static void
locate(struct evhttp_request *http, const char *what, uint64_t number)
{
	char url[128];

	snprintf(
	    url, sizeof(url), "%s/%s/%llu", origin, what, (unsigned long long)number);
	evhttp_add_header(evhttp_request_get_output_headers(http), "Location", url);
}

static const char *const order_states[] = { "pending", "pending", "ready", "valid",
	"invalid" };
static const char *const authz_states[] = { "pending", "pending", "valid", "valid",
	"invalid" };
static const char *const challenge_states[] = { "pending", "processing", "valid",
	"valid", "invalid" };

static void
show_order(struct evhttp_request *http, int status, uint64_t number)
{
	const struct order *o = &orders[number];
	unsigned long long n = number;
	struct buffer text = { 0 };

	buffer_printf(&text,
	    "{\"status\":\"%s\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"%s\"}],"
	    "\"authorizations\":[\"%s/authz/%llu\"],\"finalize\":\"%s/finalize/%llu\"",
	    order_states[o->state], o->name, origin, n, origin, n);
	if (o->state == VALID)
		buffer_printf(&text, ",\"certificate\":\"%s/cert/%llu\"", origin, n);
	buffer_puts(&text, "}");
	answer_json(http, status, &text);
}

static void
write_challenge(struct buffer *text, uint64_t number)
{
	unsigned long long n = number;

	buffer_printf(text,
	    "{\"type\":\"http-01\",\"url\":\"%s/chall/%llu\",\"status\":\"%s\","
	    "\"token\":\"token-%llu\"}",
	    origin, n, challenge_states[orders[number].state], n);
}

static void
show_authz(struct evhttp_request *http, uint64_t number)
{
	struct buffer text = { 0 };

	buffer_printf(&text,
	    "{\"status\":\"%s\",\"identifier\":{\"type\":\"dns\",\"value\":\"%s\"},"
	    "\"challenges\":[",
	    authz_states[orders[number].state], orders[number].name);
	write_challenge(&text, number);
	buffer_puts(&text, "]}");
	answer_json(http, 200, &text);
}

/* ---- validation ---- */

struct validation {
	uint64_t order;
};

static void
validated_cb(struct evhttp_request *http, void *arg)
{
	struct validation *v = arg;
	struct order *o = &orders[v->order];
	char expected[128];
	struct evbuffer *body;

	snprintf(expected, sizeof(expected), "token-%llu.%s",
	    (unsigned long long)v->order, accounts[o->account - 1].thumbprint);
	o->state = INVALID;
	if (http != NULL && evhttp_request_get_response_code(http) == 200) {
		body = evhttp_request_get_input_buffer(http);
		if (evbuffer_get_length(body) == strlen(expected) &&
		    memcmp(evbuffer_pullup(body, -1), expected, strlen(expected)) == 0)
			o->state = READY;
	}
	free(v);
}

static void
validate(uint64_t number)
{
	struct validation *v = calloc(1, sizeof(*v));
	struct evhttp_connection *to =
	    evhttp_connection_base_new(base, NULL, "127.0.0.1", validation_port);
	struct evhttp_request *http = evhttp_request_new(validated_cb, v);
	struct evkeyvalq *headers = evhttp_request_get_output_headers(http);
	char path[128];

	orders[number].state = PROCESSING;
	v->order = number;
	evhttp_connection_free_on_completion(to);
	evhttp_connection_set_timeout(to, 10);
	evhttp_add_header(headers, "Host", orders[number].name);
	evhttp_add_header(headers, "Connection", "close");
	snprintf(path, sizeof(path), "/.well-known/acme-challenge/token-%llu",
	    (unsigned long long)number);
	evhttp_make_request(to, http, EVHTTP_REQ_GET, path);
}

/* ---- requests ---- */

static void
new_account(struct evhttp_request *http, const struct jws_checked *jws)
{
	struct buffer text = { 0 };

	if (jws->key == NULL) {
		refuse(http, 400, "malformed");
		return;
	}
	accounts = grow(accounts, account_count, sizeof(*accounts));
	EVP_PKEY_up_ref(jws->key);
	accounts[account_count].key = jws->key;
	memcpy(accounts[account_count++].thumbprint, jws->thumbprint, 44);
	locate(http, "account", account_count);
	buffer_puts(&text, "{\"status\":\"valid\"}");
	answer_json(http, 201, &text);
}

static void
new_order(struct evhttp_request *http, const struct jws_checked *jws)
{
	struct json *payload = NULL;
	const struct json *names;
	const char *name;

	(void)json_parse(jws->payload, jws->payload_len, &json_limits_acme, &payload);
	names = json_get(payload, "identifiers");
	name = json_string(json_get(json_at(names, 0), "value"));
	if (name == NULL || json_count(names) != 1 || strlen(name) > 200) {
		refuse(http, 400, "rejectedIdentifier");
	} else {
		orders = grow(orders, order_count, sizeof(*orders));
		orders[order_count].account = jws->account;
		orders[order_count].name = strdup(name);
		locate(http, "order", order_count);
		show_order(http, 201, order_count++);
	}
	json_free(payload);
}

static void
challenge(struct evhttp_request *http, uint64_t number, const struct jws_checked *jws)
{
	struct buffer text = { 0 };

	(void)jws;
	if (orders[number].state == PENDING)
		validate(number);
	write_challenge(&text, number);
	answer_json(http, 200, &text);
}

static void
finalize(struct evhttp_request *http, uint64_t number, const struct jws_checked *jws)
{
	struct order *o = &orders[number];
	struct json *payload = NULL;
	_cleanup_free_ unsigned char *der = NULL;
	const char *csr;
	size_t len;

	if (o->state != READY) {
		refuse(http, 403, "orderNotReady");
		return;
	}
	(void)json_parse(jws->payload, jws->payload_len, &json_limits_acme, &payload);
	csr = json_string(json_get(payload, "csr"));
	if (csr != NULL && base64url_decode(csr, strlen(csr), &der, &len) == 0)
		o->pem = issue_certificate(der, len, o->name, number + 1);
	json_free(payload);
	if (o->pem == NULL) {
		refuse(http, 400, "badCSR");
		return;
	}
	o->state = VALID;
	issued_count++;
	show_order(http, 200, number);
}

static void
certificate(struct evhttp_request *http, uint64_t number, const struct jws_checked *jws)
{
	struct buffer text = { 0 };

	(void)jws;
	if (orders[number].pem == NULL) {
		refuse(http, 404, "malformed");
		return;
	}
	fetched_count += orders[number].fetched ? 0 : 1;
	orders[number].fetched = true;
	buffer_puts(&text, orders[number].pem);
	reply(http, 200, "application/pem-certificate-chain", &text);
}

static void
order(struct evhttp_request *http, uint64_t number, const struct jws_checked *jws)
{
	(void)jws;
	show_order(http, 200, number);
}

static void
authorization(
    struct evhttp_request *http, uint64_t number, const struct jws_checked *jws)
{
	(void)jws;
	show_authz(http, number);
}

static void
about_order(
    struct evhttp_request *http, const char *path, const struct jws_checked *jws)
{
	static const struct {
		const char *what;
		void (*handler)(struct evhttp_request *http, uint64_t number,
		    const struct jws_checked *jws);
	} calls[] = {
		{ "order", order },
		{ "authz", authorization },
		{ "chall", challenge },
		{ "finalize", finalize },
		{ "cert", certificate },
	};
	unsigned long long number;
	char what[16];

	if (sscanf(path, "/%15[a-z]/%llu", what, &number) == 2 &&
	    number < order_count && orders[number].account == jws->account)
		for (size_t i = 0; i < ELEMENTS(calls); i++)
			if (strcmp(what, calls[i].what) == 0) {
				calls[i].handler(http, number, jws);
				return;
			}
	refuse(http, 404, "malformed");
}

static void
signed_request(struct evhttp_request *http, const char *path)
{
	struct evbuffer *input = evhttp_request_get_input_buffer(http);
	char url[256];
	char account[128];
	const struct jws_context context = { url, account, account_key, take_nonce };
	struct jws_checked jws;
	const char *why;

	snprintf(url, sizeof(url), "%s%s", origin, path);
	snprintf(account, sizeof(account), "%s/account/", origin);
	why = jws_check((const char *)evbuffer_pullup(input, -1),
	    evbuffer_get_length(input), &context, &jws);
	if (why != NULL) {
		refuse(http, 400, why);
		return;
	}
	if (strcmp(path, "/new-account") == 0)
		new_account(http, &jws);
	else if (jws.account == 0)
		refuse(http, 400, "malformed");
	else if (strcmp(path, "/new-order") == 0)
		new_order(http, &jws);
	else
		about_order(http, path, &jws);
	EVP_PKEY_free(jws.key);
	free(jws.payload);
}

static void
directory(struct evhttp_request *http)
{
	struct buffer text = { 0 };

	buffer_printf(&text,
	    "{\"newNonce\":\"%s/new-nonce\",\"newAccount\":\"%s/new-account\","
	    "\"newOrder\":\"%s/new-order\"}",
	    origin, origin, origin);
	answer_json(http, 200, &text);
}

/* What it has done so far: not ACME, for those who measure. */
static void
figures(struct evhttp_request *http)
{
	struct buffer text = { 0 };

	buffer_printf(&text, "{\"fetched\":%llu,\"requests\":%llu,\"refused\":%llu}",
	    (unsigned long long)fetched_count, (unsigned long long)request_count,
	    (unsigned long long)refused_count);
	answer_json(http, 200, &text);
}

static void
request_cb(struct evhttp_request *http, void *arg)
{
	const char *path = evhttp_request_get_uri(http);
	struct buffer nothing = { 0 };

	(void)arg;
	if (strcmp(path, "/figures") == 0) {
		figures(http);
		return;
	}
	request_count++;
	if (strcmp(path, "/directory") == 0)
		directory(http);
	else if (strcmp(path, "/new-nonce") == 0)
		reply(http, 200, "text/plain", &nothing);
	else if (evhttp_request_get_command(http) == EVHTTP_REQ_POST)
		signed_request(http, path);
	else
		refuse(http, 405, "malformed");
}

/* ---- the server ---- */

static struct bufferevent *
secure_cb(struct event_base *b, void *arg)
{
	(void)arg;
	return bufferevent_openssl_socket_new(
	    b, -1, SSL_new(tls), BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
}

static void
term_cb(evutil_socket_t signal, short what, void *arg)
{
	(void)signal;
	(void)what;
	(void)arg;
	event_base_loopbreak(base);
}

static void
report(void)
{
	struct rusage usage;
	double cpu;

	getrusage(RUSAGE_SELF, &usage);
	cpu = (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
	    (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	printf("{\"certificates\":%llu,\"requests\":%llu,\"refused\":%llu,"
	       "\"cpu_seconds\":%.2f}\n",
	    (unsigned long long)issued_count, (unsigned long long)request_count,
	    (unsigned long long)refused_count, cpu);
}

static void
die(const char *what)
{
	fprintf(stderr, "load_ca: %s\n", what);
	exit(EXIT_FAILURE);
}

static void
open_tls(const char *certificate, const char *key)
{
	tls = SSL_CTX_new(TLS_server_method());
	if (tls == NULL || certificate == NULL || key == NULL ||
	    SSL_CTX_use_certificate_chain_file(tls, certificate) != 1 ||
	    SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1)
		die("cannot read certificate and key (-c, -k)");
}

static long
number(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || *end != '\0' || n < 0)
		die("-p, -v and -l want numbers");
	return n;
}

/* Head and body of an answer are two writes: with Nagle's algorithm, which connections
 * inherit from here, the second one would wait 40 ms for the client's delayed ACK. */
static void
listen_at(struct evhttp *http, unsigned short port)
{
	struct evhttp_bound_socket *bound =
	    evhttp_bind_socket_with_handle(http, "127.0.0.1", port);
	const int on = 1;

	if (bound == NULL ||
	    setsockopt(evhttp_bound_socket_get_fd(bound), IPPROTO_TCP, TCP_NODELAY, &on,
		sizeof(on)) < 0)
		die("cannot listen (-p)");
}

int
main(int argc, char **argv)
{
	const char *certificate_file = NULL;
	const char *key_file = NULL;
	unsigned short port = 0;
	struct evhttp *http;
	struct event *term;
	int option;

	while ((option = getopt(argc, argv, "p:c:k:v:l:")) != -1) {
		if (option == 'p')
			port = (unsigned short)number(optarg);
		else if (option == 'c')
			certificate_file = optarg;
		else if (option == 'k')
			key_file = optarg;
		else if (option == 'v')
			validation_port = (unsigned short)number(optarg);
		else if (option == 'l')
			issue_set_life(number(optarg));
		else
			return 64;
	}
	open_tls(certificate_file, key_file);
	signal(SIGPIPE, SIG_IGN);
	snprintf(origin, sizeof(origin), "https://127.0.0.1:%u", port);
	base = event_base_new();
	http = evhttp_new(base);
	evhttp_set_max_body_size(http, BODY_MAX);
	evhttp_set_bevcb(http, secure_cb, NULL);
	evhttp_set_gencb(http, request_cb, NULL);
	listen_at(http, port);
	term = evsignal_new(base, SIGTERM, term_cb, NULL);
	event_add(term, NULL);
	event_base_dispatch(base);
	report();
	return EXIT_SUCCESS;
}
