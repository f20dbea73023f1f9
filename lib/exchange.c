/*
 * exchange.c - one request of a session and its answer: nonce, signature, and the
 * repetition that badNonce asks for.
 *
 * RFC 8555 section 6.5: an answer of badNonce brings a nonce, with which the same
 * request is signed anew. Every reply's nonce is kept, errors' too.
 */
#include <errno.h>
#include <string.h>

#include "acme.h"
#include "jws.h"
#include "key.h"
#include "result.h"
#include "session.h"
#include "wire.h"

#define BAD_NONCES_MAX 10
#define NONCE_ASKS_MAX 3

struct acme_exchange {
	struct acme_session *session; /* lent */
	enum acme_action action;
	char *url;
	bool url_of_session; /* that of the action, which may change */
	char *payload;
	struct acme_key *key; /* NULL: the account's */
	char *nonce;          /* for the next signature */
	char *body;           /* as signed last */
	bool asking_nonce;    /* what was sent last is HEAD newNonce */
	unsigned bad_nonces;
	unsigned nonce_asks;
	bool finished;
	const struct acme_reply *answer; /* lent */
	struct acme_reply no_nonce;
};

DEFINE_CLEANUP(struct acme_exchange, acme_exchange_free)

static const char *const action_names[] = {
	[ACME_ACTION_DIRECTORY] = "directory",
	[ACME_ACTION_NONCE] = "newNonce",
	[ACME_ACTION_ACCOUNT] = "newAccount",
	[ACME_ACTION_NEW_ORDER] = "newOrder",
	[ACME_ACTION_ORDER] = "order",
	[ACME_ACTION_AUTHORIZATION] = "authorization",
	[ACME_ACTION_CHALLENGE] = "challenge",
	[ACME_ACTION_FINALIZE] = "finalize",
	[ACME_ACTION_CERTIFICATE] = "certificate",
	[ACME_ACTION_UPDATE_ACCOUNT] = "account",
	[ACME_ACTION_KEY_CHANGE] = "keyChange",
	[ACME_ACTION_REVOKE] = "revokeCert",
	[ACME_ACTION_DEACTIVATE] = "deactivate",
	[ACME_ACTION_RENEWAL_INFO] = "renewalInfo",
};

const char *
acme_action_name(enum acme_action action)
{
	if ((size_t)action >= ELEMENTS(action_names) || action_names[action] == NULL)
		return "unknown";
	return action_names[action];
}

int
acme_exchange_new(struct acme_session *s, const struct acme_request *request,
    struct acme_exchange **ret)
{
	_cleanup_(acme_exchange_freep) struct acme_exchange *x = NULL;
	const char *url = request->url;

	if (url == NULL)
		url = session_url(s, request->action);
	if (url == NULL)
		return -EINVAL;
	x = calloc(1, sizeof(*x));
	if (x == NULL)
		return -ENOMEM;
	x->session = s;
	x->action = request->action;
	x->url_of_session = request->url == NULL;
	x->url = strdup(url);
	if (x->url == NULL)
		return -ENOMEM;
	x->key = acme_key_ref(request->key);
	if (request->payload != NULL) {
		x->payload = strdup(request->payload);
		if (x->payload == NULL)
			return -ENOMEM;
	}
	*ret = steal_ptr(x);
	return 0;
}

/* The finalize payload holds a CSR, newAccount's an external binding: nothing secret.
 */
struct acme_exchange *
acme_exchange_free(struct acme_exchange *x)
{
	if (x == NULL)
		return NULL;
	free(x->url);
	free(x->payload);
	acme_key_free(x->key);
	free(x->nonce);
	free(x->body);
	free(x);
	return NULL;
}

/* Read by GET, without an account. */
static bool
is_unsigned(const struct acme_exchange *x)
{
	return x->action == ACME_ACTION_DIRECTORY ||
	    x->action == ACME_ACTION_RENEWAL_INFO;
}

static int
sign(struct acme_exchange *x)
{
	const struct acme_key *key = x->key != NULL ? x->key : session_key(x->session);
	const char *kid = x->action == ACME_ACTION_ACCOUNT || x->key != NULL
	    ? NULL
	    : acme_session_account_url(x->session);

	free(x->body);
	x->body = NULL;
	if (kid == NULL && x->action != ACME_ACTION_ACCOUNT && x->key == NULL)
		return -EINVAL; /* the account is being registered again */
	return jws_sign(key, kid, x->nonce, x->url, x->payload, &x->body);
}

static void
give_up(struct acme_exchange *x, const char *why)
{
	x->no_nonce = (struct acme_reply){ .error = why };
	x->answer = &x->no_nonce;
	x->finished = true;
}

enum acme_next
acme_exchange_next(struct acme_exchange *x, struct acme_message *ret)
{
	if (x->finished)
		return ACME_FINISHED;
	if (is_unsigned(x)) {
		*ret = (struct acme_message){ .method = "GET", .url = x->url };
		return ACME_SEND;
	}
	if (x->nonce == NULL)
		x->nonce = session_take_nonce(x->session);
	x->asking_nonce = x->nonce == NULL;
	if (x->asking_nonce && session_url(x->session, ACME_ACTION_NONCE) == NULL) {
		give_up(x, "the directory is not known yet");
		return ACME_FINISHED;
	}
	if (x->asking_nonce) {
		*ret = (struct acme_message){ .method = "HEAD",
			.url = session_url(x->session, ACME_ACTION_NONCE) };
		return ACME_SEND;
	}
	if (sign(x) < 0) {
		give_up(x, "the request could not be signed");
		return ACME_FINISHED;
	}
	free(x->nonce); /* used up, whatever comes of it */
	x->nonce = NULL;
	*ret = (struct acme_message){
		.method = "POST",
		.url = x->url,
		.content_type = "application/jose+json",
		.accept = x->action == ACME_ACTION_CERTIFICATE
		    ? "application/pem-certificate-chain"
		    : NULL,
		.body = x->body,
		.body_len = strlen(x->body),
	};
	return ACME_SEND;
}

static void
got_nonce(struct acme_exchange *x, const struct acme_reply *reply)
{
	if (session_nonce_ok(reply->replay_nonce)) {
		session_keep_nonce(x->session, reply->replay_nonce);
		return;
	}
	if (reply->status == 0 || reply->status >= 400) {
		x->answer = reply;
		x->finished = true;
	} else if (++x->nonce_asks >= NONCE_ASKS_MAX) {
		give_up(x, "newNonce brings no nonce");
	}
}

/* Only badNonce is worth parsing for here; anything else is the caller's. */
static bool
is_bad_nonce(const struct acme_reply *reply)
{
	_cleanup_(acme_result_freep) struct acme_result *result = NULL;

	if (reply->status < 400 || reply->status >= 500)
		return false;
	result = wire_problem_read(reply, "");
	return acme_result_is(result, "badNonce");
}

void
acme_exchange_reply(struct acme_exchange *x, const struct acme_reply *reply)
{
	if (x->asking_nonce) {
		got_nonce(x, reply);
		return;
	}
	if (!is_unsigned(x) && is_bad_nonce(reply) &&
	    ++x->bad_nonces <= BAD_NONCES_MAX) {
		if (session_nonce_ok(reply->replay_nonce))
			x->nonce = strdup(reply->replay_nonce);
		return;
	}
	session_keep_nonce(x->session, reply->replay_nonce);
	x->answer = reply;
	x->finished = true;
}

void
acme_exchange_again(struct acme_exchange *x)
{
	const char *url = session_url(x->session, x->action);
	char *copy = x->url_of_session && url != NULL ? strdup(url) : NULL;

	if (copy != NULL) {
		free(x->url);
		x->url = copy;
	}
	free(x->nonce);
	x->nonce = NULL;
	x->answer = NULL;
	x->finished = false;
	x->nonce_asks = 0;
}

const struct acme_reply *
acme_exchange_answer(const struct acme_exchange *x)
{
	return x->answer;
}

unsigned
acme_exchange_bad_nonces(const struct acme_exchange *x)
{
	return x->bad_nonces;
}
