/*
 * responder.c - the tokens that are due, and what is answered to whom.
 *
 * Called by renew/order.c and daemon.c; connection.c brings the requests. A request
 * only ever looks a token up; nothing of it is stored or logged.
 */
#include "challenge/responder.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/queue.h>

#include "challenge/connection.h"
#include "challenge/listener.h"
#include "challenge/request.h"
#include "platform/clock.h"
#include "scope.h"

#define TOKEN_MAX     1024
#define FIRST_BUCKETS 64 /* a power of two, as all sizes */

static const struct connection_limits limits = {
	.connections = 512,
	.requests = 100,
	.deadline_ms = 10000,
};

static const struct listener_times times = {
	.retry_ms = 60000,
	.pause_ms = 100,
};

struct token {
	struct token *next; /* in its bucket */
	TAILQ_ENTRY(token) fetched_entry;
	bool fetched; /* on the list of those whose owner is to be told */
	char *name;
	char *body;
	responder_fetched_cb *fetched_cb;
	void *arg;
};

TAILQ_HEAD(token_list, token);

struct responder {
	struct connections *connections;
	struct listeners *listeners;
	struct event *fetched_event;
	struct token_list fetched;
	struct token **buckets;
	size_t bucket_count;
	size_t token_count;
	uint64_t seed;
	bool redirect;
	struct responder_counts counts;
};

static struct token *
token_free(struct token *t)
{
	if (t == NULL)
		return NULL;
	free(t->name);
	free(t->body);
	free(t);
	return NULL;
}

DEFINE_CLEANUP(struct token, token_free)
DEFINE_CLEANUP(struct responder, responder_free)

/* FNV-1a with a start of our own, so that a CA can't choose tokens that collide. */
static size_t
bucket_of(const struct responder *r, const char *name, size_t len)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325) ^ r->seed;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)name[i]) * UINT64_C(0x100000001b3);
	return (size_t)(h ^ (h >> 32)) & (r->bucket_count - 1);
}

static bool
is_named(const struct token *t, const char *name, size_t len)
{
	return strncmp(t->name, name, len) == 0 && t->name[len] == '\0';
}

/* The first of this name from t on; NULL: none. */
static struct token *
named(struct token *t, const char *name, size_t len)
{
	while (t != NULL && !is_named(t, name, len))
		t = t->next;
	return t;
}

static struct token *
find(const struct responder *r, const char *name, size_t len)
{
	return named(r->buckets[bucket_of(r, name, len)], name, len);
}

/* The place of the pointer to this owner's; that of a NULL where it isn't there. */
static struct token **
find_owned(const struct responder *r, const char *name, const void *owner)
{
	size_t len = strlen(name);
	struct token **at = &r->buckets[bucket_of(r, name, len)];

	while (*at != NULL && (!is_named(*at, name, len) || (*at)->arg != owner))
		at = &(*at)->next;
	return at;
}

/* Where there is no memory for more buckets, lookups only take longer. */
static void
grow(struct responder *r)
{
	struct token **old = r->buckets;
	size_t old_count = r->bucket_count;

	if (r->token_count < old_count)
		return;
	r->buckets = calloc(2 * old_count, sizeof(*r->buckets));
	if (r->buckets == NULL) {
		r->buckets = old;
		return;
	}
	r->bucket_count = 2 * old_count;
	for (size_t i = 0; i < old_count; i++)
		while (old[i] != NULL) {
			struct token *t = old[i];
			struct token **to =
			    &r->buckets[bucket_of(r, t->name, strlen(t->name))];

			old[i] = t->next;
			t->next = *to;
			*to = t;
		}
	free(old);
}

static void
count(struct responder *r, const struct request *q, const struct request_answer *a)
{
	if (q->kind == REQUEST_CHALLENGE)
		++*(a->status == 200 ? &r->counts.served : &r->counts.unknown);
	else if (a->status == 404 || a->status == 308 || a->status == 405)
		r->counts.other++;
	else
		r->counts.refused++;
}

/* The owner is told after the answer has left: in the next turn of the loop, where the
 * events of sockets come before this timer's. */
static void
note_fetched(struct responder *r, struct token *t)
{
	if (t->fetched || t->fetched_cb == NULL)
		return;
	t->fetched = true;
	TAILQ_INSERT_TAIL(&r->fetched, t, fetched_entry);
	evtimer_add(r->fetched_event, &(struct timeval){ 0 });
}

static void
answer_cb(const struct request *q, bool last, struct request_answer *ret, void *arg)
{
	struct responder *r = arg;
	struct request_site site = {
		.redirect = r->redirect,
		.close = last,
		.now = clock_now(),
	};
	struct token *t = NULL;

	if (q->kind == REQUEST_CHALLENGE)
		t = find(r, q->token.data, q->token.len);
	if (t != NULL)
		site.body = t->body;
	request_answer(q, &site, ret);
	count(r, q, ret);
	for (; t != NULL && !q->head; t = named(t->next, q->token.data, q->token.len))
		note_fetched(r, t);
}

static void
dropped_cb(void *arg)
{
	struct responder *r = arg;

	r->counts.refused++;
}

static void
fetched_event_cb(evutil_socket_t fd, short what, void *arg)
{
	struct responder *r = arg;
	char name[TOKEN_MAX + 1];
	struct token *t;

	(void)fd;
	(void)what;
	while ((t = TAILQ_FIRST(&r->fetched)) != NULL) {
		TAILQ_REMOVE(&r->fetched, t, fetched_entry);
		t->fetched = false;
		/* The owner may withdraw it, or others, while being told. */
		memcpy(name, t->name, strlen(t->name) + 1);
		t->fetched_cb(name, t->arg);
	}
}

static void
accepted_cb(int fd, void *arg)
{
	struct responder *r = arg;

	connections_add(r->connections, fd);
}

int
responder_new(struct event_base *base, struct responder **ret)
{
	_cleanup_(responder_freep) struct responder *made = calloc(1, sizeof(*made));
	struct connection_handler handler = { answer_cb, dropped_cb, made };
	int r;

	if (made == NULL)
		return -ENOMEM;
	TAILQ_INIT(&made->fetched);
	made->seed = clock_random(UINT64_MAX);
	made->buckets = calloc(FIRST_BUCKETS, sizeof(*made->buckets));
	made->bucket_count = FIRST_BUCKETS;
	made->fetched_event = evtimer_new(base, fetched_event_cb, made);
	if (made->buckets == NULL || made->fetched_event == NULL)
		return -ENOMEM;
	r = connections_new(base, &limits, &handler, &made->connections);
	if (r < 0)
		return r;
	r = listeners_new(base, &times, accepted_cb, made, &made->listeners);
	if (r < 0)
		return r;
	*ret = steal_ptr(made);
	return 0;
}

struct responder *
responder_free(struct responder *r)
{
	if (r == NULL)
		return NULL;
	listeners_free(r->listeners);
	connections_free(r->connections);
	if (r->fetched_event != NULL)
		event_free(r->fetched_event);
	for (size_t i = 0; r->buckets != NULL && i < r->bucket_count; i++)
		while (r->buckets[i] != NULL) {
			struct token *t = r->buckets[i];

			r->buckets[i] = t->next;
			token_free(t);
		}
	free(r->buckets);
	free(r);
	return NULL;
}

int
responder_listen(struct responder *r, const struct words *addresses, const int *fds,
    size_t fd_count, size_t *ret_failed)
{
	return listeners_set(r->listeners, addresses, fds, fd_count, ret_failed);
}

bool
responder_listening(const struct responder *r)
{
	return listeners_open(r->listeners);
}

bool
responder_retry(struct responder *r)
{
	listeners_retry(r->listeners);
	return listeners_open(r->listeners);
}

void
responder_set_redirect(struct responder *r, bool https)
{
	r->redirect = https;
}

static struct token *
token_new(const char *name, const char *body)
{
	_cleanup_(token_freep) struct token *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->name = strdup(name);
	t->body = strdup(body);
	return t->name == NULL || t->body == NULL ? NULL : steal_ptr(t);
}

int
responder_publish(struct responder *r, const char *token, const char *body,
    responder_fetched_cb *fetched_cb, void *arg)
{
	size_t len = strlen(token);
	struct token *t, *before;
	bool fetched;

	if (len > TOKEN_MAX || !request_token_valid(token, len))
		return -EINVAL;
	t = token_new(token, body);
	if (t == NULL)
		return -ENOMEM;
	t->fetched_cb = fetched_cb;
	t->arg = arg;
	before = *find_owned(r, token, arg);
	fetched = before != NULL && before->fetched;
	responder_withdraw(r, token, arg);
	responder_withdraw(r, token, NULL); /* it has an owner now */
	grow(r);
	*find_owned(r, token, arg) = t;
	r->token_count++;
	if (fetched)
		note_fetched(r, t);
	return 0;
}

void
responder_withdraw(struct responder *r, const char *token, const void *owner)
{
	struct token **at = find_owned(r, token, owner), *t = *at;

	if (t == NULL)
		return;
	*at = t->next;
	r->token_count--;
	if (t->fetched)
		TAILQ_REMOVE(&r->fetched, t, fetched_entry);
	token_free(t);
}

const struct responder_counts *
responder_counts(const struct responder *r)
{
	return &r->counts;
}
