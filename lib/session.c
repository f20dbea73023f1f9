/*
 * session.c - one account at one CA: its directory, its URL, and a pool of nonces.
 *
 * The caller makes the requests that acme_session_next() asks for through exchanges
 * (exchange.c), and may then run any number of flows on it.
 */
#include "session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "buffer.h"
#include "jws.h"
#include "key.h"
#include "result.h"
#include "wire.h"

#define NONCES_MAX     32
#define NONCE_SIZE_MAX 512

struct acme_session {
	char *directory_url;
	struct acme_key *key;
	char *account_url;
	char *contacts;
	bool no_account;
	bool accept_terms;
	char *eab_kid;
	unsigned char *eab_key;
	size_t eab_key_len;
	enum acme_hmac eab_alg;
	char *ca_contacts; /* as the CA has told them */

	struct wire_directory *directory; /* NULL until fetched */
	bool stale;                       /* to be fetched anew; good until then */
	char *payload;                    /* of the request given last */
	struct acme_result *result;       /* why it isn't ready */
	char *nonces[NONCES_MAX];         /* the newest last, and used first */
	size_t nonce_count;
	struct patience *patience;
};

DEFINE_CLEANUP(struct acme_session, acme_session_free)

static int
copy(const char *from, char **to)
{
	if (from == NULL)
		return 0;
	*to = strdup(from);
	return *to != NULL ? 0 : -ENOMEM;
}

/* What acme_session_set_account() replaces. */
static void
clear_account(struct acme_session *s)
{
	acme_key_free(s->key);
	free(s->account_url);
	free(s->contacts);
	free(s->eab_kid);
	acme_wipe_free(s->eab_key, s->eab_key_len);
	free(s->ca_contacts);
}

static int
copy_account(struct acme_session *s, const struct acme_key *key,
    const struct acme_account *account)
{
	int r;

	s->key = acme_key_ref(key);
	s->no_account = account->none;
	if (s->no_account)
		return 0;
	s->accept_terms = account->accept_terms;
	s->eab_alg = account->eab_alg;
	r = copy(account->url, &s->account_url);
	if (r == 0)
		r = copy(account->contacts, &s->contacts);
	if (r == 0)
		r = copy(account->eab_kid, &s->eab_kid);
	if (r < 0 || account->eab_kid == NULL)
		return r;
	s->eab_key = malloc(account->eab_key_len + 1);
	if (s->eab_key == NULL)
		return -ENOMEM;
	memcpy(s->eab_key, account->eab_key, account->eab_key_len);
	s->eab_key_len = account->eab_key_len;
	return 0;
}

int
acme_session_set_account(struct acme_session *s, const struct acme_key *key,
    const struct acme_account *account)
{
	struct acme_session fresh = { 0 };
	int r;

	r = copy_account(&fresh, key != NULL ? key : s->key, account);
	if (r < 0) {
		clear_account(&fresh);
		return r;
	}
	clear_account(s);
	s->key = fresh.key;
	s->no_account = fresh.no_account;
	s->account_url = fresh.account_url;
	s->contacts = fresh.contacts;
	s->accept_terms = fresh.accept_terms;
	s->eab_kid = fresh.eab_kid;
	s->eab_key = fresh.eab_key;
	s->eab_key_len = fresh.eab_key_len;
	s->eab_alg = fresh.eab_alg;
	s->ca_contacts = NULL;
	return 0;
}

int
acme_session_new(const char *directory_url, const struct acme_key *key,
    const struct acme_account *account, struct acme_session **ret)
{
	_cleanup_(acme_session_freep) struct acme_session *s = NULL;
	int r;

	if (!wire_url_ok(directory_url))
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	s->patience = patience_new();
	r = s->patience != NULL ? copy(directory_url, &s->directory_url) : -ENOMEM;
	if (r == 0)
		r = copy_account(s, key, account);
	if (r < 0)
		return r;
	*ret = steal_ptr(s);
	return 0;
}

struct acme_session *
acme_session_free(struct acme_session *s)
{
	if (s == NULL)
		return NULL;
	for (size_t i = 0; i < s->nonce_count; i++)
		free(s->nonces[i]);
	free(s->directory_url);
	clear_account(s);
	wire_directory_free(s->directory);
	free(s->payload);
	acme_result_free(s->result);
	patience_free(s->patience);
	free(s);
	return NULL;
}

static void
fail(struct acme_session *s, struct acme_result *result)
{
	acme_result_free(s->result);
	s->result = result;
}

/* What the directory wants of an account, checked before the CA is asked in vain. */
static bool
may_register(struct acme_session *s)
{
	if (s->directory->terms != NULL && !s->accept_terms) {
		fail(s,
		    acme_result_new(ACME_GIVE_UP, "account",
			"the CA's terms of service at %s are not accepted",
			s->directory->terms));
		return false;
	}
	if (s->directory->eab_required && s->eab_kid == NULL) {
		fail(s,
		    acme_result_new(ACME_GIVE_UP, "account",
			"the CA wants an external account binding (eab_kid)"));
		return false;
	}
	return true;
}

static int
write_account(struct acme_session *s)
{
	_cleanup_free_ char *eab = NULL;
	int r = 0;

	free(s->payload);
	s->payload = NULL;
	if (s->eab_kid != NULL)
		r = jws_bind(s->key, s->eab_kid, s->eab_alg, s->eab_key, s->eab_key_len,
		    s->directory->new_account, &eab);
	if (r == 0)
		r = wire_account_write(s->contacts, s->accept_terms, eab, &s->payload);
	return r;
}

enum acme_next
acme_session_next(struct acme_session *s, struct acme_request *ret)
{
	if (s->result != NULL || acme_session_ready(s))
		return ACME_FINISHED;
	*ret = (struct acme_request){ 0 };
	if (s->directory == NULL || s->stale) {
		ret->action = ACME_ACTION_DIRECTORY;
		return ACME_SEND;
	}
	if (!may_register(s))
		return ACME_FINISHED;
	if (write_account(s) < 0) {
		fail(s,
		    acme_result_new(ACME_RETRY, "account", "cannot make the request"));
		return ACME_FINISHED;
	}
	ret->action = ACME_ACTION_ACCOUNT;
	ret->payload = s->payload;
	return ACME_SEND;
}

static void
got_directory(struct acme_session *s, const struct acme_reply *reply)
{
	struct wire_directory *fresh = NULL;

	if (reply->status != 200) {
		fail(s, wire_problem_read(reply, "directory"));
		return;
	}
	if (wire_directory_read(
		reply->body != NULL ? reply->body : "", reply->body_len, &fresh) < 0) {
		fail(s,
		    acme_result_new(ACME_RETRY, "directory",
			"%s is not the directory of an ACME server", s->directory_url));
		return;
	}
	wire_directory_free(s->directory);
	s->directory = fresh;
	s->stale = false;
}

char *
session_origins(const struct acme_session *s)
{
	const struct wire_directory *d = s->directory;
	struct buffer text = { 0 };
	char *origins = NULL;

	buffer_puts(&text, s->directory_url);
	if (d != NULL)
		buffer_printf(
		    &text, " %s %s %s", d->new_nonce, d->new_account, d->new_order);
	return buffer_steal(&text, &origins, NULL) == 0 ? origins : NULL;
}

bool
session_is_near(const char *origins, const char *url)
{
	char one[WIRE_URL_MAX + 1];

	while (*(origins += strspn(origins, " ")) != '\0') {
		size_t len = strcspn(origins, " ");

		if (len < sizeof(one)) {
			memcpy(one, origins, len);
			one[len] = '\0';
			if (wire_url_same_host(one, url))
				return true;
		}
		origins += len;
	}
	return false;
}

/* The URL of an account is signed for as long as it lives: on no other host. */
static bool
account_is_near(const struct acme_session *s, const char *url)
{
	_cleanup_free_ char *origins = session_origins(s);

	return origins != NULL && session_is_near(origins, url);
}

/* A refusal that is about the binding, in words for whoever has configured it. */
static struct acme_result *
account_refused(const struct acme_session *s, const struct acme_reply *reply)
{
	struct acme_result *result = wire_problem_read(reply, "account");
	char *detail = NULL;

	if (result == NULL || s->eab_kid == NULL ||
	    !(acme_result_is(result, "unauthorized") ||
		acme_result_is(result, "malformed") ||
		acme_result_is(result, "externalAccountRequired")))
		return result;
	if (asprintf(&detail,
		"the CA refuses to register the account with eab_kid \"%s\": %s",
		s->eab_kid, result->detail) >= 0) {
		free(result->detail);
		result->detail = detail;
	}
	result->class = ACME_GIVE_UP;
	return result;
}

/* 200 may be for an account that can't be used any more. */
static bool
is_usable(struct acme_session *s, const struct acme_account_info *info)
{
	if (info->status != ACME_ACCOUNT_DEACTIVATED &&
	    info->status != ACME_ACCOUNT_REVOKED)
		return true;
	fail(s,
	    acme_result_new(ACME_GIVE_UP, "account", "the account of this key is %s",
		info->status == ACME_ACCOUNT_REVOKED ? "revoked by the CA"
						     : "deactivated"));
	return false;
}

/* RFC 8555 section 7.3: 201 for a new account, 200 for one that has this key, which
 * keeps its contacts. */
static void
got_account(struct acme_session *s, const struct acme_reply *reply)
{
	struct acme_account_info info;

	if (reply->status != 201 && reply->status != 200) {
		fail(s, account_refused(s, reply));
		return;
	}
	if (reply->location == NULL || !wire_url_ok(reply->location)) {
		fail(s,
		    acme_result_new(
			ACME_RETRY, "account", "the CA gave no account URL"));
		return;
	}
	if (!account_is_near(s, reply->location)) {
		fail(s,
		    acme_result_new(ACME_RETRY, "account",
			"the CA gave an account URL on a host that its directory does "
			"not name: %s",
			reply->location));
		return;
	}
	(void)acme_account_read(reply, &info);
	if (is_usable(s, &info)) {
		free(s->ca_contacts);
		s->ca_contacts = reply->status == 200
		    ? steal_ptr(info.contacts)
		    : strdup(s->contacts != NULL ? s->contacts : "");
		if (copy(reply->location, &s->account_url) < 0)
			fail(s, acme_result_new(ACME_RETRY, "account", "no memory"));
	}
	acme_account_info_clear(&info);
}

void
acme_session_reply(struct acme_session *s, const struct acme_reply *reply)
{
	if (s->directory == NULL || s->stale)
		got_directory(s, reply);
	else
		got_account(s, reply);
}

bool
acme_session_ready(const struct acme_session *s)
{
	return s->result == NULL && s->directory != NULL && !s->stale &&
	    (s->no_account || s->account_url != NULL);
}

const struct acme_result *
acme_session_result(const struct acme_session *s)
{
	return s->result;
}

void
acme_session_again(struct acme_session *s)
{
	s->result = acme_result_free(s->result);
	s->stale = true;
}

const char *
acme_session_account_url(const struct acme_session *s)
{
	return s->account_url;
}

const char *
acme_session_terms_url(const struct acme_session *s)
{
	return s->directory != NULL ? s->directory->terms : NULL;
}

const char *
acme_session_account_hash_prefix(const struct acme_session *s)
{
	return s->directory != NULL ? s->directory->account_hash_prefix : NULL;
}

const char *
acme_session_contacts(const struct acme_session *s)
{
	return s->ca_contacts;
}

bool
acme_session_has_profile(const struct acme_session *s, const char *profile)
{
	for (size_t i = 0; s->directory != NULL && i < s->directory->profile_count; i++)
		if (strcmp(s->directory->profiles[i], profile) == 0)
			return true;
	return false;
}

const char *
session_url(const struct acme_session *s, enum acme_action action)
{
	const struct wire_directory none = { 0 };
	const struct wire_directory *d = s->directory != NULL ? s->directory : &none;
	const struct {
		enum acme_action action;
		const char *url;
	} urls[] = {
		{ ACME_ACTION_DIRECTORY, s->directory_url },
		{ ACME_ACTION_NONCE, d->new_nonce },
		{ ACME_ACTION_ACCOUNT, d->new_account },
		{ ACME_ACTION_NEW_ORDER, d->new_order },
		{ ACME_ACTION_UPDATE_ACCOUNT, s->account_url },
		{ ACME_ACTION_KEY_CHANGE, d->key_change },
		{ ACME_ACTION_REVOKE, d->revoke_cert },
		{ ACME_ACTION_RENEWAL_INFO,
		    d->renewal_info }, /* what ids are added to */
	};

	for (size_t i = 0; i < ELEMENTS(urls); i++)
		if (urls[i].action == action)
			return urls[i].url;
	return NULL;
}

struct patience *
session_patience(const struct acme_session *s)
{
	return s->patience;
}

const struct acme_key *
session_key(const struct acme_session *s)
{
	return s->key;
}

char *
session_take_nonce(struct acme_session *s)
{
	return s->nonce_count > 0 ? s->nonces[--s->nonce_count] : NULL;
}

bool
session_nonce_ok(const char *nonce)
{
	size_t len = nonce != NULL ? strnlen(nonce, NONCE_SIZE_MAX + 1) : 0;

	return len > 0 && len <= NONCE_SIZE_MAX &&
	    nonce[strspn(nonce,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789-_")] == '\0';
}

void
session_keep_nonce(struct acme_session *s, const char *nonce)
{
	char *kept;

	if (!session_nonce_ok(nonce))
		return;
	kept = strdup(nonce);
	if (kept == NULL)
		return;
	if (s->nonce_count ==
	    NONCES_MAX) { /* the oldest is the likeliest to be stale */
		free(s->nonces[0]);
		memmove(
		    s->nonces, s->nonces + 1, (NONCES_MAX - 1) * sizeof(s->nonces[0]));
		s->nonce_count--;
	}
	s->nonces[s->nonce_count++] = kept;
}

int
acme_key_change(
    const struct acme_session *s, const struct acme_key *new_key, char **ret_payload)
{
	const char *url = session_url(s, ACME_ACTION_KEY_CHANGE);
	_cleanup_free_ char *payload = NULL;
	_cleanup_free_ char *old = NULL;
	int r;

	if (url == NULL)
		return -EOPNOTSUPP;
	if (s->account_url == NULL)
		return -EINVAL;
	r = key_jwk(s->key, &old);
	if (r == 0)
		r = wire_key_change_write(s->account_url, old, &payload);
	/* RFC 8555 section 7.3.5: the same url as outside, jwk, no nonce */
	if (r == 0)
		r = jws_sign(new_key, NULL, NULL, url, payload, ret_payload);
	return r;
}
