/*
 * sim_ca.c - platform/https.h with a CA at its other end.
 *
 * A request is answered when it is sent, and the answer delivered a moment later. The
 * CA validates and issues at once. Paths are /new-nonce /new-acct /new-order, and
 * /order /authz /chall /finalize /cert with "/NAME-NUMBER/ORDER-NUMBER".
 */
#include "sim_ca.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base64url.h"
#include "buffer.h"
#include "json.h"
#include "platform/clock.h"
#include "platform/https.h"
#include "scope.h"
#include "virtual_time.h"

#define HOST       "https://ca.sim"
#define DAY        INT64_C(86400)
#define LATENCY_MS 50

struct https {
	struct event_base *base;
};

struct https_request {
	struct event *timer;
	struct acme_reply reply;
	struct buffer body;
	char location[128];
	char nonce[32];
	char date[40];
	char retry_after[24];
	https_done_cb *done_cb;
	void *arg;
};

static struct sim_ca *ca;
static EVP_PKEY *issuer_key;

size_t
sim_ca_size(size_t names)
{
	return sizeof(struct sim_ca) + names * sizeof(struct sim_name);
}

void
sim_ca_use(struct sim_ca *shared)
{
	ca = shared;
}

/* A twentieth live 6 days, half of them 45, the others 90. */
int64_t
sim_ca_life(size_t name)
{
	if (ca != NULL && ca->life != 0)
		return ca->life;
	if (name % 20 == 0)
		return 6 * DAY;
	return name % 2 == 0 ? 45 * DAY : 90 * DAY;
}

bool
sim_ca_down(const struct sim_ca *c, int64_t now)
{
	for (size_t i = 0; i < c->outage_count; i++)
		if (now >= c->outages[i].from && now < c->outages[i].to)
			return true;
	return false;
}

/* ---- answers ---- */

static void
problem(struct https_request *q, int status, const char *type, const char *detail)
{
	q->reply.status = status;
	buffer_printf(&q->body,
	    "{\"type\":\"urn:ietf:params:acme:error:%s\",\"detail\":\"%s\"}", type,
	    detail);
}

static void
limit(struct https_request *q, const char *detail, int64_t seconds)
{
	ca->limited++;
	ca->forbidden_until = virtual_time_now() + seconds;
	snprintf(q->retry_after, sizeof(q->retry_after), "%lld", (long long)seconds);
	q->reply.retry_after = q->retry_after;
	problem(q, 429, "rateLimited", detail);
}

static void
directory(struct https_request *q)
{
	q->reply.status = 200;
	buffer_puts(&q->body,
	    "{\"newNonce\":\"" HOST "/new-nonce\",\"newAccount\":\"" HOST
	    "/new-acct\",\"newOrder\":\"" HOST "/new-order\",\"keyChange\":\"" HOST
	    "/key-change\",\"revokeCert\":\"" HOST "/revoke-cert\"");
	if (ca->ari)
		buffer_puts(&q->body, ",\"renewalInfo\":\"" HOST "/ari\"");
	buffer_puts(&q->body, "}");
}

static void
account(struct https_request *q)
{
	q->reply.status = 201;
	snprintf(q->location, sizeof(q->location), HOST "/acct/1");
	q->reply.location = q->location;
	buffer_puts(&q->body, "{\"status\":\"valid\"}");
}

static void
order(struct https_request *q, size_t name, int status)
{
	const struct sim_name *n = &ca->names[name];
	const char *state = n->invalid                 ? "invalid"
	    : !n->open                                 ? "valid"
	    : n->authorized_until > virtual_time_now() ? "ready"
						       : "pending";

	q->reply.status = status;
	buffer_printf(&q->body,
	    "{\"status\":\"%s\",\"authorizations\":[\"" HOST "/authz/%zu/%u\"],"
	    "\"finalize\":\"" HOST "/finalize/%zu/%u\"",
	    state, name, n->order, name, n->order);
	if (!n->open && !n->invalid)
		buffer_printf(&q->body, ",\"certificate\":\"" HOST "/cert/%zu/%u\"",
		    name, n->order);
	buffer_puts(&q->body, "}");
}

static bool
read_name(const char *text, size_t *ret)
{
	size_t name;
	char again[64];

	if (text == NULL || sscanf(text, SIM_NAME_FORMAT, &name) != 1)
		return false;
	snprintf(again, sizeof(again), SIM_NAME_FORMAT, name);
	*ret = name;
	return name < ca->name_count && strcmp(again, text) == 0;
}

/* What a JWS carries; its signature is taken on trust. */
static struct json *
read_payload(const struct acme_message *message)
{
	_cleanup_free_ unsigned char *text = NULL;
	struct json *jws = NULL;
	struct json *payload = NULL;
	const char *encoded;
	size_t len;

	if (json_parse(message->body, message->body_len, &json_limits_acme, &jws) < 0)
		return NULL;
	encoded = json_string(json_get(jws, "payload"));
	if (encoded != NULL &&
	    base64url_decode(encoded, strlen(encoded), &text, &len) == 0)
		(void)json_parse((char *)text, len, &json_limits_acme, &payload);
	json_free(jws);
	return payload;
}

static bool
take_token(void)
{
	int64_t now = virtual_time_now();

	ca->tokens += (double)(now - ca->tokens_at) / 36;
	ca->tokens_at = now;
	if (ca->tokens > SIM_BURST)
		ca->tokens = SIM_BURST;
	if (ca->tokens < 1)
		return false;
	ca->tokens--;
	return true;
}

/* Hardly used, and as good as new. */
static bool
is_fresh(const struct sim_name *n, size_t name)
{
	int64_t left = n->not_after - virtual_time_now();

	return !n->open && left > sim_ca_life(name) * 7 / 10 &&
	    !sim_account_revoked(&ca->account, name, n->order);
}

static void
new_order(struct https_request *q, const struct acme_message *message)
{
	struct json *payload = read_payload(message);
	const struct json *first = json_at(json_get(payload, "identifiers"), 0);
	struct sim_name *n;
	size_t name;
	bool known = read_name(json_string(json_get(first, "value")), &name);

	json_free(payload);
	ca->orders++;
	if (!known) {
		problem(q, 400, "rejectedIdentifier", "not one of ours");
		return;
	}
	n = &ca->names[name];
	if (!ca->unlimited && !take_token()) {
		limit(q, "too many new orders (300) in the last 3h0m0s", 600);
		return;
	}
	if (n->issues[0] > virtual_time_now() - 7 * DAY) {
		limit(q, "too many certificates (5) for this exact set of identifiers",
		    n->issues[0] + 7 * DAY - virtual_time_now());
		return;
	}
	ca->twice += n->open && !n->unheard;
	ca->early += is_fresh(n, name);
	n->order++;
	n->open = true;
	n->invalid = false;
	n->unheard = true;
	snprintf(
	    q->location, sizeof(q->location), HOST "/order/%zu/%u", name, n->order);
	q->reply.location = q->location;
	order(q, name, 201);
}

static void
authorization(struct https_request *q, size_t name)
{
	const struct sim_name *n = &ca->names[name];
	const char *state = n->invalid                 ? "invalid"
	    : n->authorized_until > virtual_time_now() ? "valid"
						       : "pending";

	q->reply.status = 200;
	buffer_printf(&q->body,
	    "{\"status\":\"%s\",\"identifier\":{\"type\":\"dns\",\"value\":\"" SIM_NAME_FORMAT
	    "\"},\"challenges\":[{\"type\":\"http-01\",\"status\":\"%s\","
	    "\"url\":\"" HOST "/chall/%zu/%u\",\"token\":\"token-%zu-%u\"%s}]}",
	    state, name, state, name, n->order, name, n->order,
	    n->invalid
		? ",\"error\":{\"type\":\"urn:ietf:params:acme:error:connection\","
		  "\"detail\":\"nobody there\"}"
		: "");
}

/* Nobody may have more than five in an hour. */
static void
fail_validation(struct sim_name *n)
{
	int64_t now = virtual_time_now();

	ca->failed++;
	ca->limited += n->failures[0] > now - 3600;
	memmove(n->failures, n->failures + 1, sizeof(n->failures) - sizeof(now));
	n->failures[SIM_FAILURES_KEPT - 1] = now;
	n->invalid = true;
	n->open = false;
}

static void
challenge(struct https_request *q, size_t name)
{
	struct sim_name *n = &ca->names[name];

	if (ca->broken_every != 0 && name % ca->broken_every == 1)
		fail_validation(n);
	else
		n->authorized_until = virtual_time_now() + 7 * 3600;
	q->reply.status = 200;
	buffer_printf(&q->body,
	    "{\"type\":\"http-01\",\"status\":\"%s\",\"url\":\"" HOST
	    "/chall/%zu/%u\",\"token\":\"token-%zu-%u\"}",
	    n->invalid ? "processing" : "valid", name, n->order, name, n->order);
}

/* ---- certificates ---- */

static void
add_name(X509 *cert, size_t name)
{
	char value[64];
	X509V3_CTX ctx;
	X509_EXTENSION *extension;

	snprintf(value, sizeof(value), "DNS:" SIM_NAME_FORMAT, name);
	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_alt_name, value);
	X509_add_ext(cert, extension, -1);
	X509_EXTENSION_free(extension);
}

/* RFC 9773 names a certificate by that and its serial. */
static void
add_issuer_key(X509 *cert)
{
	AUTHORITY_KEYID *id = AUTHORITY_KEYID_new();

	id->keyid = ASN1_OCTET_STRING_new();
	ASN1_OCTET_STRING_set(id->keyid, (const unsigned char *)"sim", 3);
	X509_add1_ext_i2d(cert, NID_authority_key_identifier, id, 0, 0);
	AUTHORITY_KEYID_free(id);
}

static void
sign(struct sim_name *n, size_t name, X509_REQ *request)
{
	int64_t now = virtual_time_now();
	X509 *cert = X509_new();
	BIO *out = BIO_new(BIO_s_mem());
	int len;

	if (issuer_key == NULL)
		issuer_key = EVP_EC_gen("P-256");
	X509_set_version(cert, 2);
	ASN1_INTEGER_set_uint64(
	    X509_get_serialNumber(cert), ((uint64_t)name << 32) | n->order);
	ASN1_TIME_set(X509_getm_notBefore(cert), now);
	ASN1_TIME_set(X509_getm_notAfter(cert), now + sim_ca_life(name));
	X509_NAME_add_entry_by_txt(X509_get_issuer_name(cert), "CN", MBSTRING_ASC,
	    (const unsigned char *)"sim", -1, -1, 0);
	X509_set_pubkey(cert, X509_REQ_get0_pubkey(request));
	add_name(cert, name);
	if (ca->ari)
		add_issuer_key(cert);
	X509_sign(cert, issuer_key, EVP_sha256());
	PEM_write_bio_X509(out, cert);
	len = BIO_read(out, n->pem, sizeof(n->pem) - 1);
	assert(len > 0 && len < (int)sizeof(n->pem) - 1);
	n->pem[len] = '\0';
	BIO_free(out);
	X509_free(cert);
}

/* Was the CA away from before the certificate should have been renewed, at half or a
 * third of its life, until it had expired? */
static bool
is_hopeless(int64_t not_after, int64_t life)
{
	int64_t due = not_after - life / (life < 10 * DAY ? 2 : 3);

	for (size_t i = 0; i < ca->outage_count; i++)
		if (ca->outages[i].from <= due + life / 20 &&
		    ca->outages[i].to >= not_after)
			return true;
	return false;
}

static void
note_round(const struct sim_name *n)
{
	if (n->issued == 1 && ++ca->named == ca->name_count)
		ca->all_at = virtual_time_now();
	if (n->issued == 2 && ++ca->renewed == ca->name_count)
		ca->round_at = virtual_time_now();
}

static void
note_expired(const struct sim_name *n, int64_t life, int64_t now)
{
	if (is_hopeless(n->not_after, life)) {
		ca->hopeless++;
		return;
	}
	ca->gaps++;
	if (now - n->not_after > ca->gap_worst)
		ca->gap_worst = now - n->not_after;
}

static void
note_issue(struct sim_name *n, size_t name)
{
	int64_t now = virtual_time_now();
	int64_t life = sim_ca_life(name);
	size_t hour = (size_t)((now - ca->began) / 3600);

	ca->issued++;
	n->issued++;
	note_round(n);
	if (hour < SIM_HOURS_MAX) {
		ca->by_hour[hour]++;
		ca->urgent[hour] += n->not_after != 0 && n->not_after - now < life / 4;
	}
	if (n->not_after != 0 && n->not_after < now)
		note_expired(n, life, now);
	memmove(n->issues, n->issues + 1, sizeof(n->issues) - sizeof(n->issues[0]));
	n->issues[SIM_ISSUES_KEPT - 1] = now;
	n->not_after = now + life;
}

static void
finalize(struct https_request *q, size_t name, const struct acme_message *message)
{
	struct sim_name *n = &ca->names[name];
	struct json *payload = read_payload(message);
	const char *text = json_string(json_get(payload, "csr"));
	_cleanup_free_ unsigned char *der = NULL;
	const unsigned char *at;
	X509_REQ *request;
	size_t len = 0;

	if (!n->open || n->authorized_until <= virtual_time_now() || text == NULL ||
	    base64url_decode(text, strlen(text), &der, &len) < 0) {
		problem(q, 403, "orderNotReady", "not now");
		json_free(payload);
		return;
	}
	json_free(payload);
	at = der;
	request = d2i_X509_REQ(NULL, &at, (long)len);
	assert(request != NULL);
	sign(n, name, request);
	X509_REQ_free(request);
	n->open = false;
	note_issue(n, name);
	order(q, name, 200);
}

static void
certificate(struct https_request *q, size_t name)
{
	q->reply.status = 200;
	buffer_puts(&q->body, ca->names[name].pem);
}

static void
show_order(struct https_request *q, size_t name)
{
	order(q, name, 200);
}

/* ---- requests ---- */

static bool
about_name(
    struct https_request *q, const char *path, const struct acme_message *message)
{
	static const struct {
		const char *what;
		void (*answer)(struct https_request *q, size_t name);
	} calls[] = {
		{ "order", show_order },
		{ "authz", authorization },
		{ "chall", challenge },
		{ "cert", certificate },
	};
	char what[16];
	size_t name;
	unsigned number;

	if (sscanf(path, "/%15[a-z]/%zu/%u", what, &name, &number) != 3 ||
	    name >= ca->name_count || number != ca->names[name].order)
		return false;
	ca->names[name].unheard = false;
	if (strcmp(what, "finalize") == 0) {
		finalize(q, name, message);
		return true;
	}
	for (size_t i = 0; i < ELEMENTS(calls); i++)
		if (strcmp(what, calls[i].what) == 0) {
			calls[i].answer(q, name);
			return true;
		}
	return false;
}

/* As Let's Encrypt's: 1 % of the life on both sides of half or two thirds of it; or
 * over already, for what was issued before the storm. */
static void
renewal_info(struct https_request *q, const char *id)
{
	const char *serial = strchr(id, '.');
	_cleanup_free_ unsigned char *der = NULL;
	char start[CLOCK_TEXT_SIZE], end[CLOCK_TEXT_SIZE];
	const struct sim_name *n;
	uint64_t number = 0;
	int64_t life, from, to;
	size_t len = 0;

	if (serial == NULL ||
	    base64url_decode(serial + 1, strlen(serial + 1), &der, &len) < 0) {
		problem(q, 404, "malformed", "no such certificate");
		return;
	}
	for (size_t i = 0; i < len; i++)
		number = number << 8 | der[i];
	n = &ca->names[number >> 32];
	life = sim_ca_life((size_t)(number >> 32));
	to = n->not_after - (life < 10 * DAY ? life / 2 : life / 3) + life / 100;
	from = to - life / 50;
	if (ca->storm_at != 0 && n->not_after - life < ca->storm_at) {
		from = ca->storm_at - 3600;
		to = ca->storm_at - 1800;
	}
	q->reply.status = 200;
	snprintf(q->retry_after, sizeof(q->retry_after), "%d", 6 * 3600);
	q->reply.retry_after = q->retry_after;
	buffer_printf(&q->body,
	    "{\"suggestedWindow\":{\"start\":\"%s\",\"end\":\"%s\"}}",
	    clock_format(from, start), clock_format(to, end));
}

static void
set_date(struct https_request *q)
{
	time_t now = virtual_time_now();
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(q->date, sizeof(q->date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	q->reply.date = q->date;
}

/* What is about the account, or isn't signed by it. */
static bool
strictly(struct https_request *q, const struct acme_message *message)
{
	struct sim_said said;

	if (!ca->strict || message->body == NULL ||
	    !sim_account_hear(&ca->account, message, HOST, &said))
		return false;
	if (said.problem != NULL) {
		problem(q, said.status, said.problem, "says the strict CA");
		return true;
	}
	q->reply.status = said.status;
	q->reply.location = said.location;
	buffer_puts(&q->body, said.body);
	return true;
}

static void
answer(struct https_request *q, const struct acme_message *message)
{
	const char *path = message->url + strlen(HOST);

	snprintf(q->nonce, sizeof(q->nonce), "n%llu", (unsigned long long)ca->requests);
	q->reply.replay_nonce = q->nonce;
	set_date(q);
	if (strictly(q, message))
		return;
	if (strcmp(path, "/directory") == 0)
		directory(q);
	else if (strncmp(path, "/ari/", 5) == 0)
		renewal_info(q, path + 5);
	else if (strcmp(path, "/new-nonce") == 0)
		q->reply.status = 200;
	else if (strcmp(path, "/new-acct") == 0)
		account(q);
	else if (strcmp(path, "/new-order") == 0)
		new_order(q, message);
	else if (!about_name(q, path, message))
		problem(q, 404, "malformed", "no such thing");
}

static void
deliver_cb(evutil_socket_t fd, short what, void *arg)
{
	struct https_request *q = arg;

	(void)fd;
	(void)what;
	q->reply.received_at = clock_now();
	q->reply.body = q->body.data != NULL ? q->body.data : "";
	q->reply.body_len = q->body.len;
	q->done_cb(&q->reply, q->arg);
	https_cancel(q);
}

static void
count_second(void)
{
	int64_t now = virtual_time_now();

	if (now != ca->second)
		ca->this_second = 0;
	ca->second = now;
	if (++ca->this_second > ca->busiest_second)
		ca->busiest_second = ca->this_second;
}

int
https_send(struct https *h, const struct https_options *options,
    const struct acme_message *message, https_done_cb *done_cb, void *arg,
    struct https_request **ret)
{
	struct timeval delay = { .tv_usec = LATENCY_MS * 1000 };
	struct https_request *q = calloc(1, sizeof(*q));

	(void)options;
	if (q == NULL)
		return -ENOMEM;
	q->done_cb = done_cb;
	q->arg = arg;
	ca->requests++;
	count_second();
	if (sim_ca_down(ca, virtual_time_now())) {
		ca->requests_down++;
		q->reply.error = "Connection refused";
	} else {
		answer(q, message);
	}
	q->timer = evtimer_new(h->base, deliver_cb, q);
	event_add(q->timer, &delay);
	*ret = q;
	return 0;
}

enum https_fate
https_fate(const struct https_request *q)
{
	return q->reply.status != 0 ? HTTPS_ANSWERED : HTTPS_NOT_SENT;
}

struct https_request *
https_cancel(struct https_request *q)
{
	if (q == NULL)
		return NULL;
	event_free(q->timer);
	buffer_free(&q->body);
	free(q);
	return NULL;
}

int
https_new(struct event_base *base, struct https **ret)
{
	struct https *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return -ENOMEM;
	h->base = base;
	*ret = h;
	return 0;
}

struct https *
https_free(struct https *h)
{
	free(h);
	return NULL;
}

uint64_t
https_connections(const struct https *h)
{
	(void)h;
	return 0;
}
