/*
 * get_certificate.c - one certificate with libacme and libcurl, and nothing else:
 *
 *	cc -o get_certificate get_certificate.c $(pkg-config --cflags --libs acme libcurl)
 *	get_certificate DIRECTORY-URL WEBROOT NAME CHAIN-FILE KEY-FILE
 *
 * WEBROOT is what a web server on port 80 of NAME serves, with .well-known/acme-challenge
 * in it. Running it accepts the CA's terms of service. A real program keeps the account's
 * key and acme_flow_order_url(), and tries again as acme_flow_result() says.
 */
#include <acme.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static CURL *curl;
static char body[256 * 1024]; /* of the last reply */
static size_t body_len;

static void
check(int good, const char *what, const char *why)
{
	if (!good) {
		fprintf(stderr, "get_certificate: %s: %s\n", what, why);
		exit(EXIT_FAILURE);
	}
}

static void
write_file(const char *path, const char *text)
{
	FILE *out = fopen(path, "w");

	check(out != NULL && fputs(text, out) >= 0 && fclose(out) == 0, path, "unwritable");
}

static size_t
body_cb(char *data, size_t size, size_t count, void *arg)
{
	(void)arg;
	if (size * count > sizeof(body) - body_len)
		return 0;
	memcpy(body + body_len, data, size * count);
	body_len += size * count;
	return size * count;
}

static const char *
field(const char *name)
{
	struct curl_header *h;

	return curl_easy_header(curl, name, 0, CURLH_HEADER, -1, &h) ? NULL : h->value;
}

/* Sends a message; what came back lives until the next one. */
static struct acme_reply
send_message(const struct acme_message *m)
{
	struct curl_slist *type =
	    curl_slist_append(NULL, "Content-Type: application/jose+json");
	long status = 0;
	CURLcode code;

	body_len = 0;
	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_URL, m->url);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "get_certificate/1");
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, body_cb);
	curl_easy_setopt(curl, CURLOPT_NOBODY, strcmp(m->method, "HEAD") == 0 ? 1L : 0L);
	if (getenv("CA_FILE") != NULL) /* roots of a CA that isn't public */
		curl_easy_setopt(curl, CURLOPT_CAINFO, getenv("CA_FILE"));
	if (m->body != NULL) {
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, type);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, m->body);
	}
	code = curl_easy_perform(curl);
	curl_slist_free_all(type);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	return (struct acme_reply){ .status = code == CURLE_OK ? (int)status : 0,
		.error = curl_easy_strerror(code), .location = field("Location"),
		.replay_nonce = field("Replay-Nonce"), .date = field("Date"),
		.retry_after = field("Retry-After"), .body = body, .body_len = body_len,
		.received_at = time(NULL) };
}

/* One thing is asked; the exchange has the answer. */
static struct acme_exchange *
ask(struct acme_session *s, const struct acme_request *request)
{
	static struct acme_reply reply;
	struct acme_message message;
	struct acme_exchange *x;

	check(acme_exchange_new(s, request, &x) == 0, "request", "cannot be made");
	while (acme_exchange_next(x, &message) == ACME_SEND) {
		reply = send_message(&message);
		acme_exchange_reply(x, &reply);
	}
	return x;
}

static void
publish(const char *webroot, const struct acme_flow *f)
{
	const struct acme_challenge *challenges;
	size_t count = acme_flow_challenges(f, &challenges);
	char path[1024], *url_path;

	for (size_t i = 0; i < count; i++) {
		check(acme_http01_path(challenges[i].token, &url_path) == 0, "token", "?");
		snprintf(path, sizeof(path), "%s%s", webroot, url_path);
		write_file(path, challenges[i].key_authorization);
		free(url_path);
	}
}

static void
order(struct acme_session *s, struct acme_flow *f, const char *webroot)
{
	struct acme_request request;
	struct acme_exchange *x;
	struct timespec t;
	enum acme_next next;

	while (acme_session_next(s, &request) == ACME_SEND) {
		acme_session_reply(s, acme_exchange_answer(x = ask(s, &request)));
		acme_exchange_free(x);
	}
	if (!acme_session_ready(s))
		check(0, "account", acme_session_result(s)->detail);
	for (;; usleep(next == ACME_WAIT ? 100000 : 0)) {
		clock_gettime(CLOCK_MONOTONIC, &t);
		int64_t now = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;

		next = acme_flow_next(f, now, &request);
		if (next == ACME_FINISHED)
			break;
		if (next == ACME_WAIT)
			continue;
		publish(webroot, f);
		acme_flow_reply(f, now, acme_exchange_answer(x = ask(s, &request)));
		acme_exchange_free(x);
	}
	if (acme_flow_chain(f) == NULL)
		check(0, "order", acme_flow_result(f)->detail);
}

int
main(int argc, char *argv[])
{
	struct acme_account account = { .accept_terms = true };
	struct acme_identifier name;
	struct acme_plan plan = { .identifiers = &name, .identifier_count = 1,
		.challenges = "http-01" };
	struct acme_key *account_key = NULL, *key = NULL;
	struct acme_session *session = NULL;
	struct acme_flow *flow = NULL;
	char *key_pem = NULL, *pem = NULL;

	check(argc == 6, "usage", "DIRECTORY-URL WEBROOT NAME CHAIN-FILE KEY-FILE");
	check(acme_identifier_parse(argv[3], &name, NULL) == 0, argv[3], "is no name");
	check((curl = curl_easy_init()) != NULL, "libcurl", "cannot start");
	check(acme_key_generate(ACME_KEY_ECDSA_P256, &account_key) == 0 &&
	    acme_key_generate(ACME_KEY_ECDSA_P256, &key) == 0 &&
	    acme_key_to_pem(key, &key_pem) == 0, "key", "cannot be made");
	plan.account_key = account_key;
	plan.key = key;
	check(acme_session_new(argv[1], account_key, &account, &session) == 0 &&
	    acme_flow_new(&plan, &flow) == 0, argv[1], "is no https:// URL");
	order(session, flow, argv[2]);
	check(acme_chain_pem_from(acme_flow_chain(flow), 0, &pem) == 0, "chain", "?");
	write_file(argv[4], pem);
	umask(077);
	write_file(argv[5], key_pem);
	acme_wipe_free(key_pem, strlen(key_pem));
	free(pem);
	acme_flow_free(flow);
	acme_session_free(session);
	acme_key_free(key);
	acme_key_free(account_key);
	curl_easy_cleanup(curl);
	return EXIT_SUCCESS;
}
