/*
 * raw_client.c - what a CA can give at most: N orders at it, and nothing beside them.
 *
 * Usage: raw_client -d DIRECTORY -t TRUST-FILE -p HTTP-PORT [-n COUNT] [-j ORDERS]
 * The benches' ceiling. Each thread has one order under way, over one kept connection;
 * no file, no database, no certificate kept, no patience: it asks again after a blink
 * where a client should wait. So it must never be pointed at a CA that isn't ours.
 */
#include <acme.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BLINK_US  20000 /* before it asks again */
#define BODY_MAX  (256 * 1024)
#define ORDER_MAX 512

struct worker {
	CURL *curl;
	struct curl_slist *fields;
	struct acme_session *session;
	struct acme_reply reply;
	size_t body_len;
	char body[BODY_MAX];
};

static const char *directory, *trust_file;
static struct acme_key *account_key;
static char thumbprint[ACME_THUMBPRINT_SIZE];
static int count = 100;
static atomic_int begun;

static void
check(bool good, const char *what, const char *why)
{
	if (good)
		return;
	fprintf(stderr, "raw_client: %s: %s\n", what, why);
	exit(EXIT_FAILURE);
}

/* ---- messages: libcurl, one connection a thread ---- */

static size_t
body_cb(char *data, size_t size, size_t n, void *arg)
{
	struct worker *w = arg;

	if (size * n > BODY_MAX - w->body_len)
		return 0;
	memcpy(w->body + w->body_len, data, size * n);
	w->body_len += size * n;
	return size * n;
}

static const char *
field(const struct worker *w, const char *name)
{
	struct curl_header *h;

	return curl_easy_header(w->curl, name, 0, CURLH_HEADER, -1, &h) ? NULL
									: h->value;
}

static void
open_curl(struct worker *w)
{
	w->curl = curl_easy_init();
	check(w->curl != NULL, "libcurl", "cannot start");
	w->fields = curl_slist_append(NULL, "Content-Type: application/jose+json");
	curl_easy_setopt(w->curl, CURLOPT_USERAGENT, "raw_client/1");
	curl_easy_setopt(w->curl, CURLOPT_TIMEOUT, 120L);
	curl_easy_setopt(w->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(w->curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(w->curl, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(w->curl, CURLOPT_CAINFO, trust_file);
	curl_easy_setopt(w->curl, CURLOPT_WRITEFUNCTION, body_cb);
	curl_easy_setopt(w->curl, CURLOPT_WRITEDATA, w);
}

static void
send_message(struct worker *w, const struct acme_message *m)
{
	long status = 0;
	CURLcode code;

	w->body_len = 0;
	curl_easy_setopt(w->curl, CURLOPT_URL, m->url);
	curl_easy_setopt(w->curl, CURLOPT_NOBODY, 0L);
	if (m->body != NULL) {
		curl_easy_setopt(w->curl, CURLOPT_HTTPHEADER, w->fields);
		curl_easy_setopt(w->curl, CURLOPT_POSTFIELDSIZE, (long)m->body_len);
		curl_easy_setopt(w->curl, CURLOPT_POSTFIELDS, m->body);
	} else {
		curl_easy_setopt(w->curl, CURLOPT_HTTPHEADER, NULL);
		curl_easy_setopt(w->curl, CURLOPT_HTTPGET, 1L);
		if (strcmp(m->method, "HEAD") == 0)
			curl_easy_setopt(w->curl, CURLOPT_NOBODY, 1L);
	}
	code = curl_easy_perform(w->curl);
	check(code == CURLE_OK, m->url, curl_easy_strerror(code));
	curl_easy_getinfo(w->curl, CURLINFO_RESPONSE_CODE, &status);
	w->reply = (struct acme_reply){ .status = (int)status,
		.content_type = field(w, "Content-Type"),
		.location = field(w, "Location"),
		.replay_nonce = field(w, "Replay-Nonce"),
		.body = w->body,
		.body_len = w->body_len,
		.received_at = time(NULL) };
}

/* The exchange has the answer. */
static struct acme_exchange *
ask(struct worker *w, const struct acme_request *request)
{
	struct acme_message message;
	struct acme_exchange *x;

	check(acme_exchange_new(w->session, request, &x) == 0, "request",
	    "cannot be made");
	while (acme_exchange_next(x, &message) == ACME_SEND) {
		send_message(w, &message);
		acme_exchange_reply(x, &w->reply);
	}
	return x;
}

/* ---- orders ---- */

static void
open_session(struct worker *w)
{
	const struct acme_account account = { .accept_terms = true };
	struct acme_request request;
	struct acme_exchange *x;

	check(acme_session_new(directory, account_key, &account, &w->session) == 0,
	    directory, "is no https:// URL");
	while (acme_session_next(w->session, &request) == ACME_SEND) {
		x = ask(w, &request);
		acme_session_reply(w->session, acme_exchange_answer(x));
		acme_exchange_free(x);
	}
	if (!acme_session_ready(w->session))
		check(false, "account", acme_session_result(w->session)->detail);
}

/* Waiting is a blink, whatever the flow asks for: its clock is put on. */
static void
run_flow(struct worker *w, struct acme_flow *f, const char *name)
{
	struct acme_request request;
	struct acme_exchange *x;
	enum acme_next next;
	int64_t now = 0;

	while ((next = acme_flow_next(f, now, &request)) != ACME_FINISHED) {
		if (next == ACME_WAIT) {
			usleep(BLINK_US); /* or the CA would do nothing but be asked */
			now = acme_flow_wait_until(f);
			continue;
		}
		x = ask(w, &request);
		acme_flow_reply(f, now, acme_exchange_answer(x));
		acme_exchange_free(x);
	}
	if (acme_flow_chain(f) == NULL)
		check(false, name, acme_flow_result(f)->detail);
}

static void
order(struct worker *w, const char *name)
{
	struct acme_identifier identifier;
	struct acme_plan plan = { .identifiers = &identifier,
		.identifier_count = 1,
		.account_key = account_key,
		.challenges = "http-01" };
	struct acme_key *key;
	struct acme_flow *f;

	check(acme_identifier_parse(name, &identifier, NULL) == 0, name, "is no name");
	check(
	    acme_key_generate(ACME_KEY_ECDSA_P256, &key) == 0, "key", "cannot be made");
	plan.key = key;
	check(acme_flow_new(&plan, &f) == 0, "order", "cannot be made");
	run_flow(w, f, name);
	acme_flow_free(f);
	acme_key_free(key);
}

static void *
work(void *arg)
{
	struct worker *w = calloc(1, sizeof(*w));
	char name[64];
	int number;

	(void)arg;
	check(w != NULL, "memory", "none");
	open_curl(w);
	open_session(w);
	while ((number = atomic_fetch_add(&begun, 1)) < count) {
		snprintf(name, sizeof(name), "c%d.example.test", number);
		order(w, name);
	}
	acme_session_free(w->session);
	curl_easy_cleanup(w->curl);
	curl_slist_free_all(w->fields);
	free(w);
	return NULL;
}

/* ---- HTTP-01: every token is good, as all belong to one account ---- */

static void
answer(int link)
{
	static const char before[] = "GET /.well-known/acme-challenge/";
	char text[4096], out[512];
	size_t len = 0, token;
	ssize_t n;

	do {
		n = read(link, text + len, sizeof(text) - 1 - len);
		if (n <= 0)
			return;
		len += (size_t)n;
		text[len] = '\0';
	} while (strstr(text, "\r\n\r\n") == NULL && len < sizeof(text) - 1);
	if (strncmp(text, before, strlen(before)) != 0)
		return;
	token = strcspn(text + strlen(before), " ");
	if (token > 128)
		return;
	n = snprintf(out, sizeof(out),
	    "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
	    "Content-Length: %zu\r\nConnection: close\r\n\r\n%.*s.%s",
	    token + strlen(thumbprint) + 1, (int)token, text + strlen(before),
	    thumbprint);
	if (write(link, out, (size_t)n) != n)
		fputs("raw_client: an answer was cut off\n", stderr);
}

static void *
serve(void *arg)
{
	const int *listener = arg;

	for (;;) {
		int link = accept(*listener, NULL, NULL);

		check(link >= 0, "accept", "failed");
		answer(link);
		close(link);
	}
	return NULL;
}

static int
listen_at(long port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	check(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, 512) == 0,
	    "HTTP port", "cannot be had");
	return fd;
}

int
main(int argc, char **argv)
{
	pthread_t server, workers[ORDER_MAX];
	long orders = 16, port = 0;
	int option, listener;

	while ((option = getopt(argc, argv, "d:t:p:n:j:")) != -1) {
		if (option == 'd')
			directory = optarg;
		else if (option == 't')
			trust_file = optarg;
		else if (option == 'p')
			port = strtol(optarg, NULL, 10);
		else if (option == 'n')
			count = (int)strtol(optarg, NULL, 10);
		else if (option == 'j')
			orders = strtol(optarg, NULL, 10);
		else
			return 64;
	}
	check(directory != NULL && trust_file != NULL && port > 0 &&
		port <= UINT16_MAX && orders > 0 && orders <= ORDER_MAX,
	    "usage", "-d DIRECTORY -t TRUST-FILE -p HTTP-PORT [-n COUNT] [-j ORDERS]");
	signal(SIGPIPE, SIG_IGN);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	check(acme_key_generate(ACME_KEY_ECDSA_P256, &account_key) == 0 &&
		acme_key_thumbprint(account_key, thumbprint) == 0,
	    "key", "cannot be made");
	listener = listen_at(port);
	check(pthread_create(&server, NULL, serve, &listener) == 0, "thread", "none");
	for (long i = 0; i < orders; i++)
		check(pthread_create(&workers[i], NULL, work, NULL) == 0, "thread",
		    "none");
	for (long i = 0; i < orders; i++)
		pthread_join(workers[i], NULL);
	return EXIT_SUCCESS;
}
