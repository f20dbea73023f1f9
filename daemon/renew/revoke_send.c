/*
 * revoke_send.c - one certificate is revoked at its CA: signed by the account that
 * ordered it, or, where that can't, by the certificate's own key.
 *
 * RFC 8555 section 7.6 allows both. The account can't where it isn't the CA's account
 * any more, or the CA doesn't know it; then all that is needed is the CA's directory:
 * its section may be gone.
 */
#include "renew/revoke_send.h"

#include <errno.h>
#include <string.h>

#include "cert.h"
#include "inventory/store.h"
#include "key.h"
#include "renew/ca.h"
#include "result.h"

#define STAGE "revoke"

struct revoke_send {
	struct renewals *renewals;
	struct issued *row;
	enum acme_reason reason;
	revoke_sent_cb *cb;
	void *arg;
	char *directory; /* of the account that ordered it; NULL: not known */
	bool account_ended;
	struct ca *ca;
	bool by_own_key;
	struct acme_key *key; /* the certificate's */
	char *payload;
	struct ca_request *request;
};

DEFINE_CLEANUP(struct revoke_send, revoke_send_free)

static void use_own_key(struct revoke_send *s);

/* ---- ends ---- */

static void
end(struct revoke_send *s, const struct acme_result *failure, bool final)
{
	const struct revoke_sent sent = { failure, final, s->row->ca };

	s->cb(&sent, s->arg);
}

static void
fail_here(struct revoke_send *s, enum acme_class class, const char *what, int r)
{
	static const struct acme_result no_memory = {
		.class = ACME_RETRY,
		.stage = STAGE,
		.detail = (char *)"out of memory",
	};
	struct acme_result *failure = acme_result_new(
	    class, STAGE, "%s%s%s", what, r < 0 ? ": " : "", r < 0 ? strerror(-r) : "");

	end(s, failure != NULL ? failure : &no_memory, class == ACME_GIVE_UP);
	acme_result_free(failure);
}

/* Has the CA said no, and would say so again? */
static bool
is_refusal(const struct acme_result *failure)
{
	return failure->status >= 400 && failure->status < 500 &&
	    failure->status != 408 && failure->class != ACME_LATER &&
	    !acme_result_is(failure, "badNonce");
}

/* Not for a request that was made elsewhere (csr_file). */
static bool
has_key(const struct revoke_send *s)
{
	return s->row->key.len > 0;
}

/* ---- the request ---- */

static void
reply_cb(const struct acme_reply *reply, void *arg)
{
	struct revoke_send *s = arg;
	struct acme_result *failure;

	s->request = NULL;
	if (acme_reply_is_revoked(reply)) {
		end(s, NULL, true);
		return;
	}
	failure = acme_reply_result(reply, STAGE);
	if (failure == NULL)
		fail_here(s, ACME_RETRY, "out of memory", 0);
	else if (is_refusal(failure) && !s->by_own_key && has_key(s) &&
	    !acme_result_is(failure, "badRevocationReason"))
		use_own_key(s);
	else
		end(s, failure, is_refusal(failure));
	acme_result_free(failure);
}

static void
send_it(struct revoke_send *s)
{
	const struct acme_request request = { .action = ACME_ACTION_REVOKE,
		.payload = s->payload,
		.key = s->by_own_key ? s->key : NULL };
	int r = ca_send(s->ca, &request, reply_cb, s, &s->request);

	if (r == -EINVAL)
		fail_here(s, ACME_GIVE_UP, "the CA does not revoke certificates", 0);
	else if (r < 0)
		fail_here(s, ACME_RETRY, "cannot send a request", r);
}

/* ---- who signs ---- */

/* The account can't be had, or is another than it was: that is no obstacle where the
 * key is here. Where it isn't, the account may still be had another time. */
static void
ready_cb(const struct acme_result *failure, void *arg)
{
	struct revoke_send *s = arg;

	if (failure != NULL && !s->by_own_key && has_key(s) &&
	    strcmp(failure->stage, "account") == 0)
		use_own_key(s);
	else if (failure != NULL)
		end(s, failure, false);
	else if (!s->by_own_key && ca_account(s->ca) != s->row->account)
		use_own_key(s);
	else
		send_it(s);
}

static bool
is_at(const struct ca_config *config, const char *directory)
{
	return config != NULL && config->directory != NULL &&
	    strcmp(config->directory, directory) == 0;
}

/* How to get to this directory: as its section says, or another one with the same. */
static const struct ca_config *
find_way(const struct revoke_send *s)
{
	const struct config *config = s->renewals->config;
	const struct ca_config *way = config_ca(config, s->row->ca);

	if (is_at(way, s->directory))
		return way;
	for (size_t i = 0; i < config->ca_count; i++)
		if (is_at(&config->cas[i], s->directory))
			return &config->cas[i];
	return NULL;
}

static void
use_own_key(struct revoke_send *s)
{
	const struct ca_config bare = { .name = s->row->ca, .directory = s->directory };
	const struct ca_config *way = find_way(s);
	int r = 0;

	if (!has_key(s)) {
		fail_here(s, ACME_GIVE_UP,
		    "the account that ordered it is not to be had any more, and its "
		    "key is not here (csr_file)",
		    0);
		return;
	}
	s->by_own_key = true;
	if (s->ca != NULL)
		ca_forget(s->ca, s);
	s->ca = ca_unref(s->ca);
	if (s->key == NULL)
		r = acme_key_from_der(s->row->key.data, s->row->key.len, &s->key);
	if (r == 0)
		r = ca_new_without_account(
		    &s->renewals->means, way != NULL ? way : &bare, &s->ca);
	if (r < 0)
		fail_here(s, ACME_RETRY, "cannot use the certificate's key", r);
	else
		ca_when_ready(s->ca, ready_cb, s);
}

static void
use_account(struct revoke_send *s)
{
	struct ca *ca = renewals_ca(s->renewals, s->row->ca);

	/* one that has ended would only be replaced by another, which can't either */
	if (ca == NULL || s->account_ended ||
	    !is_at(config_ca(s->renewals->config, s->row->ca), s->directory)) {
		use_own_key(s);
		return;
	}
	s->ca = ca_ref(ca);
	ca_when_ready(s->ca, ready_cb, s);
}

/* ---- before ---- */

static int
account_cb(const struct account *a, void *arg)
{
	struct revoke_send *s = arg;

	if (a->id != s->row->account)
		return 0;
	free(s->directory);
	s->directory = strdup(a->directory);
	s->account_ended = a->state != ACCOUNT_VALID;
	return s->directory != NULL ? 0 : -ENOMEM;
}

/* The account's; of one that nobody knows any more, the section's. */
static int
find_directory(struct revoke_send *s)
{
	const struct ca_config *config = config_ca(s->renewals->config, s->row->ca);
	int r;

	r = account_walk(s->renewals->means.store, account_cb, s);
	if (r < 0 || s->directory != NULL || config == NULL)
		return r;
	s->directory = strdup(config->directory);
	return s->directory != NULL ? 0 : -ENOMEM;
}

static int
write_payload(struct revoke_send *s)
{
	_cleanup_(acme_chain_freep) struct acme_chain *chain = NULL;
	int r;

	r = acme_chain_parse(s->row->chain, strlen(s->row->chain), &chain, NULL);
	return r == 0 ? acme_revocation_payload(chain, s->reason, &s->payload) : r;
}

static void
committed_cb(int r, void *arg)
{
	struct revoke_send *s = arg;

	if (r == 0)
		r = find_directory(s);
	if (r == 0)
		r = write_payload(s);
	if (r < 0)
		fail_here(s, ACME_RETRY, "cannot read the inventory", r);
	else if (s->directory == NULL)
		fail_here(s, ACME_GIVE_UP,
		    "neither its CA's section nor its account is known any more", 0);
	else
		use_account(s);
}

int
revoke_send_start(struct renewals *r, int64_t issued, enum acme_reason reason,
    revoke_sent_cb *cb, void *arg, struct revoke_send **ret)
{
	_cleanup_(revoke_send_freep) struct revoke_send *s = calloc(1, sizeof(*s));
	int e;

	if (s == NULL)
		return -ENOMEM;
	s->renewals = r;
	s->reason = reason;
	s->cb = cb;
	s->arg = arg;
	e = issued_get(r->means.store, issued, &s->row);
	if (e == 0)
		e = store_after_commit(r->means.store, committed_cb, s);
	if (e < 0)
		return e;
	*ret = steal_ptr(s);
	return 0;
}

struct revoke_send *
revoke_send_free(struct revoke_send *s)
{
	if (s == NULL)
		return NULL;
	store_forget(s->renewals->means.store, s);
	ca_cancel(s->request);
	if (s->ca != NULL)
		ca_forget(s->ca, s);
	ca_unref(s->ca);
	if (s->row != NULL)
		issued_free_all(s->row, 1);
	acme_key_free(s->key);
	free(s->payload);
	free(s->directory);
	free(s);
	return NULL;
}
