/*
 * ca.c - one certificate authority: account, directory, requests on their way.
 *
 * Becoming ready is a row of steps that each may take a while (key, commit, directory,
 * newAccount); prepare() takes the next one that is missing, and is safe to call at any
 * time. Everybody who waits is told at the end of it.
 */
#include "renew/ca.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/queue.h>

#include "base64url.h"
#include "buffer.h"
#include "config/config.h"
#include "inventory/inventory.h"
#include "inventory/store.h"
#include "key.h"
#include "platform/clock.h"
#include "platform/file.h"
#include "platform/https.h"
#include "platform/log.h"
#include "renew/keyjob.h"
#include "result.h"

#define DIRECTORY_SECONDS (12 * 3600)
#define KEY_FILE_MAX      (64 * 1024)

struct waiter {
	ca_ready_cb *cb;
	void *arg;
	TAILQ_ENTRY(waiter) entry;
};

struct ca_request {
	struct ca *ca;
	struct acme_exchange *exchange;
	struct https_request *https;
	ca_reply_cb *cb;
	void *arg;
};

struct ca {
	unsigned refs;
	const struct renewal_means *means;
	char *name;
	char *directory;
	char *contacts;
	bool accept_terms;
	bool built_in;
	bool no_account; /* nor will it get one */
	enum acme_key_type key_type;
	char *key_file;
	char *trust_file;
	char *proxy;
	char *eab_kid;
	char *eab_key_file;

	struct acme_key *key;
	int64_t account; /* id in the inventory; 0: not stored yet */
	bool account_committed;
	char *account_url;
	struct acme_session *session;
	int64_t directory_at;
	struct keyjob *keyjob;
	struct ca_request *request; /* of the session itself */
	unsigned active;            /* requests of others on their way */
	TAILQ_HEAD(waiters_head, waiter) waiters;

	struct acme_result *last_failure;
	char *last_logged; /* so that the same is said once */
};

static void prepare(struct ca *ca);

/* ---- making, comparing, freeing ---- */

static bool
same_text(const char *a, const char *b)
{
	return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

static char *
join(const struct words *words)
{
	struct buffer text = { 0 };
	char *joined = NULL;

	for (size_t i = 0; i < words->n; i++)
		buffer_printf(&text, "%s%s", i > 0 ? " " : "", words->v[i]);
	return buffer_steal(&text, &joined, NULL) == 0 ? joined : NULL;
}

static int
copy(const char *from, char **to)
{
	if (from == NULL || *from == '\0')
		return 0;
	*to = strdup(from);
	return *to != NULL ? 0 : -ENOMEM;
}

static int
copy_config(struct ca *ca, const struct ca_config *config)
{
	const struct {
		const char *from;
		char **to;
	} texts[] = {
		{ config->name, &ca->name },
		{ config->directory, &ca->directory },
		{ config->account_key_file, &ca->key_file },
		{ config->trust_file, &ca->trust_file },
		{ config->proxy, &ca->proxy },
		{ config->eab_kid, &ca->eab_kid },
		{ config->eab_hmac_key_file, &ca->eab_key_file },
	};

	ca->accept_terms = config->accept_terms;
	ca->built_in = config->built_in;
	ca->key_type = config->account_key;
	ca->contacts = join(&config->contact);
	if (ca->contacts == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < ELEMENTS(texts); i++)
		if (copy(texts[i].from, texts[i].to) < 0)
			return -ENOMEM;
	return 0;
}

int
ca_new(
    const struct renewal_means *means, const struct ca_config *config, struct ca **ret)
{
	_cleanup_(ca_unrefp) struct ca *ca = calloc(1, sizeof(*ca));
	int r;

	if (ca == NULL)
		return -ENOMEM;
	ca->refs = 1;
	ca->means = means;
	TAILQ_INIT(&ca->waiters);
	r = copy_config(ca, config);
	if (r < 0)
		return r;
	*ret = steal_ptr(ca);
	return 0;
}

int
ca_new_without_account(
    const struct renewal_means *means, const struct ca_config *config, struct ca **ret)
{
	int r = ca_new(means, config, ret);

	if (r == 0)
		(*ret)->no_account = true;
	return r;
}

bool
ca_same(const struct ca *ca, const struct ca_config *config)
{
	_cleanup_free_ char *contacts = join(&config->contact);

	return same_text(ca->name, config->name) &&
	    same_text(ca->directory, config->directory) &&
	    same_text(ca->contacts, contacts) &&
	    ca->accept_terms == config->accept_terms &&
	    ca->key_type == config->account_key &&
	    same_text(ca->key_file, config->account_key_file) &&
	    same_text(ca->trust_file, config->trust_file) &&
	    same_text(ca->proxy, config->proxy) &&
	    same_text(ca->eab_kid, config->eab_kid) &&
	    same_text(ca->eab_key_file, config->eab_hmac_key_file);
}

struct ca *
ca_ref(struct ca *ca)
{
	ca->refs++;
	return ca;
}

static void
free_waiters(struct ca *ca)
{
	struct waiter *w;

	while ((w = TAILQ_FIRST(&ca->waiters)) != NULL) {
		TAILQ_REMOVE(&ca->waiters, w, entry);
		free(w);
	}
}

struct ca *
ca_unref(struct ca *ca)
{
	if (ca == NULL || --ca->refs > 0)
		return NULL;
	if (ca->means->store != NULL)
		store_forget(ca->means->store, ca);
	keyjob_forget(ca->keyjob);
	ca_cancel(ca->request);
	free_waiters(ca);
	acme_session_free(ca->session);
	acme_key_free(ca->key);
	acme_result_free(ca->last_failure);
	free(ca->last_logged);
	free(ca->account_url);
	free(ca->name);
	free(ca->directory);
	free(ca->contacts);
	free(ca->key_file);
	free(ca->trust_file);
	free(ca->proxy);
	free(ca->eab_kid);
	free(ca->eab_key_file);
	free(ca);
	return NULL;
}

/* ---- telling those who wait ---- */

/* Whoever is called may wait anew, or let go of the CA. */
static void
tell(struct ca *ca, const struct acme_result *failure)
{
	struct waiter *w;
	struct waiter *last = TAILQ_LAST(&ca->waiters, waiters_head);
	bool more = last != NULL;

	ca_ref(ca);
	while (more && (w = TAILQ_FIRST(&ca->waiters)) != NULL) {
		more = w != last;
		TAILQ_REMOVE(&ca->waiters, w, entry);
		w->cb(failure, w->arg);
		free(w);
	}
	ca_unref(ca);
}

void
ca_note(struct ca *ca, const struct acme_result *failure)
{
	struct acme_result *copied = acme_result_copy(failure);

	acme_result_free(ca->last_failure);
	ca->last_failure = copied;
	if (failure == NULL) {
		free(ca->last_logged);
		ca->last_logged = NULL;
	}
}

/* Once for a problem, however many certificates it hits. */
static void
fail(struct ca *ca, const struct acme_result *failure)
{
	if (!same_text(ca->last_logged, failure->detail)) {
		log_line(LOG_ERR,
		    &(struct log_fields){ .event = LOG_EVENT_CA_FAILED,
			.ca = ca->name,
			.problem = failure->type,
			.retry_at = failure->not_before },
		    "the CA cannot be used: %s; %s", failure->detail,
		    failure->class == ACME_GIVE_UP
			? "what needs it waits for a change in its section"
			: "what needs it is tried again by itself");
		free(ca->last_logged);
		ca->last_logged = strdup(failure->detail);
	}
	ca_note(ca, failure);
	tell(ca, failure);
}

static void
fail_here(struct ca *ca, const char *what, int r)
{
	struct acme_result *failure = acme_result_new(
	    ACME_RETRY, "account", "%s: %s", what, strerror(r < 0 ? -r : r));

	if (failure != NULL)
		fail(ca, failure);
	acme_result_free(failure);
}

void
ca_forget(struct ca *ca, void *arg)
{
	struct waiter *w;
	struct waiter *next;

	for (w = TAILQ_FIRST(&ca->waiters); w != NULL; w = next) {
		next = TAILQ_NEXT(w, entry);
		if (w->arg == arg) {
			TAILQ_REMOVE(&ca->waiters, w, entry);
			free(w);
		}
	}
}

/* ---- the account's key ---- */

static int
load_key_file(struct ca *ca)
{
	char *pem = NULL;
	size_t len = 0;
	int r;

	r = file_read(AT_FDCWD, ca->key_file, KEY_FILE_MAX, &pem, &len);
	if (r == 0)
		r = acme_key_from_pem(pem, len, &ca->key);
	acme_wipe_free(pem, len);
	return r;
}

/* The account of this key, or the newest of this CA. */
static int
load_account(struct ca *ca)
{
	_cleanup_(account_freep) struct account *row = NULL;
	char thumbprint[ACME_THUMBPRINT_SIZE];
	int r;

	if (ca->key != NULL) {
		r = acme_key_thumbprint(ca->key, thumbprint);
		if (r < 0)
			return r;
	}
	r = account_find(ca->means->store, ca->name, ca->directory,
	    ca->key != NULL ? thumbprint : NULL, &row);
	if (r < 0)
		return r;
	if (ca->key == NULL)
		r = acme_key_from_der(row->key.data, row->key.len, &ca->key);
	if (r < 0)
		return r;
	ca->account = row->id;
	ca->account_committed = true;
	ca->account_url = steal_ptr(row->url);
	return 0;
}

static int
insert_account(struct ca *ca)
{
	_cleanup_(account_freep) struct account *row = calloc(1, sizeof(*row));
	char thumbprint[ACME_THUMBPRINT_SIZE];
	int r;

	if (row == NULL)
		return -ENOMEM;
	r = acme_key_thumbprint(ca->key, thumbprint);
	if (r == 0)
		r = acme_key_to_der(ca->key, &row->key.data, &row->key.len);
	if (r < 0)
		return r;
	row->ca = strdup(ca->name);
	row->directory = strdup(ca->directory);
	row->thumbprint = strdup(thumbprint);
	row->contacts = strdup(ca->contacts);
	row->created_at = clock_now();
	if (row->ca == NULL || row->directory == NULL || row->thumbprint == NULL ||
	    row->contacts == NULL)
		return -ENOMEM;
	r = account_insert(ca->means->store, row);
	if (r == 0)
		ca->account = row->id;
	return r;
}

static void
key_made_cb(struct acme_key *key, void *arg)
{
	struct ca *ca = arg;

	ca->keyjob = NULL;
	ca->key = key;
	if (key != NULL)
		prepare(ca);
	else
		fail_here(ca, "cannot make an account key", -EIO);
}

static void
account_committed_cb(int r, void *arg)
{
	struct ca *ca = arg;

	if (r < 0) {
		ca->account = 0;
		fail_here(ca, "cannot store the account's key", r);
		return;
	}
	ca->account_committed = true;
	prepare(ca);
}

/* True: the account is stored; false: something was started that goes on, or failed. */
static bool
have_account(struct ca *ca)
{
	int r = 0;

	if (ca->account_committed || ca->no_account)
		return true;
	if (ca->account != 0 || ca->keyjob != NULL)
		return false;
	if (ca->key == NULL && ca->key_file != NULL)
		r = load_key_file(ca);
	if (r < 0) {
		fail_here(ca, ca->key_file, r);
		return false;
	}
	r = load_account(ca);
	if (r == 0)
		return true;
	if (r == -ENOENT && ca->key == NULL) {
		r = keyjob_start(
		    ca->means->worker, ca->key_type, key_made_cb, ca, &ca->keyjob);
		if (r == 0)
			return false;
	} else if (r == -ENOENT) {
		r = insert_account(ca);
		if (r == 0)
			r = store_after_commit(
			    ca->means->store, account_committed_cb, ca);
		if (r == 0)
			return false;
	}
	ca->account = 0;
	fail_here(ca, "cannot load the account", r);
	return false;
}

/* ---- the session ---- */

/* A path, or credential:NAME of systemd (systemd.exec(5), LoadCredential). */
static int
read_eab_key(const char *from, unsigned char **ret, size_t *ret_len)
{
	static const char prefix[] = "credential:";
	_cleanup_(buffer_free) struct buffer path = { 0 };
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	char *text = NULL;
	size_t len = 0;
	int r;

	if (strncmp(from, prefix, strlen(prefix)) == 0)
		buffer_printf(
		    &path, "%s/%s", dir != NULL ? dir : "", from + strlen(prefix));
	else
		buffer_puts(&path, from);
	if (path.failed)
		return -ENOMEM;
	r = file_read(AT_FDCWD, path.data, KEY_FILE_MAX, &text, &len);
	if (r < 0)
		return r;
	while (len > 0 && strchr(" \t\r\n=", text[len - 1]) != NULL)
		len--;
	r = base64url_decode(text, len, ret, ret_len);
	acme_wipe_free(text, len);
	return r;
}

static int
open_session(struct ca *ca)
{
	struct acme_account account = {
		.url = ca->account_url,
		.contacts = ca->contacts,
		.accept_terms = ca->accept_terms,
		.eab_kid = ca->eab_kid,
		.none = ca->no_account,
	};
	unsigned char *eab_key = NULL;
	size_t eab_key_len = 0;
	int r = 0;

	if (ca->eab_kid != NULL && ca->account_url == NULL && !ca->no_account)
		r = read_eab_key(ca->eab_key_file, &eab_key, &eab_key_len);
	if (r == 0) {
		account.eab_key = eab_key;
		account.eab_key_len = eab_key_len;
		if (eab_key == NULL)
			account.eab_kid = NULL;
		r = acme_session_new(ca->directory, ca->key, &account, &ca->session);
	}
	acme_wipe_free(eab_key, eab_key_len);
	return r;
}

/* newAccount has told the URL. */
static int
keep_account_url(struct ca *ca)
{
	const char *url = acme_session_account_url(ca->session);

	if (url == NULL || ca->account_url != NULL)
		return 0;
	ca->account_url = strdup(url);
	if (ca->account_url == NULL)
		return -ENOMEM;
	log_line(LOG_NOTICE,
	    &(struct log_fields){ .event = LOG_EVENT_ACCOUNT, .ca = ca->name },
	    "account registered at the CA");
	return account_registered(ca->means->store, ca->account, url, ca->contacts,
	    acme_session_terms_url(ca->session));
}

static void
session_reply_cb(const struct acme_reply *reply, void *arg)
{
	struct ca *ca = arg;

	ca->request = NULL;
	acme_session_reply(ca->session, reply);
	prepare(ca);
}

static void
session_finished(struct ca *ca)
{
	const struct acme_result *failure = acme_session_result(ca->session);
	int r;

	if (failure != NULL) {
		fail(ca, failure);
		return;
	}
	r = keep_account_url(ca);
	if (r < 0) {
		fail_here(ca, "cannot store the account", r);
		return;
	}
	if (ca->last_failure != NULL &&
	    strcmp(ca->last_failure->stage, "directory") == 0)
		ca_note(ca, NULL); /* it answers again, order or not */
	tell(ca, NULL);
}

/* The next thing that is missing until the CA can be used. */
static void
prepare(struct ca *ca)
{
	struct acme_request request;
	int r = 0;

	if (ca->request != NULL || !have_account(ca))
		return;
	if (ca->session == NULL)
		r = open_session(ca);
	if (r < 0) {
		fail_here(ca, "cannot open a session", r);
		return;
	}
	switch (acme_session_next(ca->session, &request)) {
	case ACME_SEND:
		if (request.action == ACME_ACTION_DIRECTORY)
			ca->directory_at = clock_now();
		r = ca_send(ca, &request, session_reply_cb, ca, &ca->request);
		if (r < 0)
			fail_here(ca, "cannot send a request", r);
		break;
	case ACME_WAIT:
		break;
	case ACME_FINISHED:
		session_finished(ca);
		break;
	}
}

void
ca_when_ready(struct ca *ca, ca_ready_cb *cb, void *arg)
{
	struct waiter *w = calloc(1, sizeof(*w));
	int64_t age = clock_now() - ca->directory_at;

	if (w == NULL) {
		struct acme_result *failure =
		    acme_result_new(ACME_RETRY, "account", "no memory");

		cb(failure, arg);
		acme_result_free(failure);
		return;
	}
	w->cb = cb;
	w->arg = arg;
	TAILQ_INSERT_TAIL(&ca->waiters, w, entry);
	/* a failure is no reason not to try again, from the start where nobody uses it:
	 * key files may be others; an old directory may have changed */
	if (ca->session != NULL && ca->request == NULL && ca->active == 0 &&
	    acme_session_result(ca->session) != NULL)
		ca->session = acme_session_free(ca->session);
	else if (ca->session != NULL && ca->request == NULL &&
	    (acme_session_result(ca->session) != NULL || age > DIRECTORY_SECONDS ||
		age < 0))
		acme_session_again(ca->session);
	prepare(ca);
}

const char *
ca_name(const struct ca *ca)
{
	return ca->name;
}

int64_t
ca_account(const struct ca *ca)
{
	return ca->account;
}

const struct acme_key *
ca_account_key(const struct ca *ca)
{
	return ca->key;
}

const struct acme_session *
ca_session(const struct ca *ca)
{
	return ca->session;
}

bool
ca_has_profile(const struct ca *ca, const char *profile)
{
	return ca->session != NULL && acme_session_has_profile(ca->session, profile);
}

int
ca_renewal_info_url(const struct ca *ca, const char *renewal_id, char **ret)
{
	return ca->session != NULL
	    ? acme_session_renewal_info_url(ca->session, renewal_id, ret)
	    : -ENOTSUP;
}

/* ---- requests ---- */

static int send_next(struct ca_request *q);

static void
answer(struct ca_request *q, const struct acme_reply *reply)
{
	struct ca *ca = ca_ref(q->ca); /* cb may let go of it */

	log_line(LOG_DEBUG, &(struct log_fields){ .ca = q->ca->name },
	    "the CA has answered: HTTP %d%s%s", reply->status,
	    reply->error != NULL ? " " : "", reply->error != NULL ? reply->error : "");
	q->cb(reply, q->arg);
	ca_cancel(q);
	ca_unref(ca);
}

static void
message_done_cb(const struct acme_reply *reply, void *arg)
{
	struct ca_request *q = arg;
	int r;

	q->https = NULL;
	acme_exchange_reply(q->exchange, reply);
	r = send_next(q);
	if (r < 0)
		answer(q, &(struct acme_reply){ .error = strerror(-r) });
	else if (acme_exchange_answer(q->exchange) != NULL)
		answer(q, acme_exchange_answer(q->exchange));
}

static int
send_next(struct ca_request *q)
{
	const struct https_options options = { .trust_file = q->ca->trust_file,
		.proxy = q->ca->proxy };
	struct acme_message message;

	if (acme_exchange_next(q->exchange, &message) != ACME_SEND)
		return 0;
	log_line(LOG_DEBUG, &(struct log_fields){ .ca = q->ca->name }, "%s %s",
	    message.method, message.url);
	return https_send(
	    q->ca->means->https, &options, &message, message_done_cb, q, &q->https);
}

int
ca_send(struct ca *ca, const struct acme_request *request, ca_reply_cb *cb, void *arg,
    struct ca_request **ret)
{
	struct ca_request *q = calloc(1, sizeof(*q));
	int r;

	if (q == NULL)
		return -ENOMEM;
	q->ca = ca;
	ca->active++;
	q->cb = cb;
	q->arg = arg;
	r = acme_exchange_new(ca->session, request, &q->exchange);
	if (r == 0)
		r = send_next(q);
	if (r == 0 && acme_exchange_answer(q->exchange) != NULL)
		r = -EIO; /* it could not even be signed */
	if (r < 0) {
		ca_cancel(q);
		return r;
	}
	*ret = q;
	return 0;
}

struct ca_request *
ca_cancel(struct ca_request *q)
{
	if (q == NULL)
		return NULL;
	q->ca->active--;
	https_cancel(q->https);
	acme_exchange_free(q->exchange);
	free(q);
	return NULL;
}

bool
ca_in_use(const struct ca *ca)
{
	return !ca->built_in || ca->account != 0;
}

struct ca_status
ca_status(const struct ca *ca)
{
	const struct acme_result *failure = ca->last_failure;

	return (struct ca_status){
		.name = ca->name,
		.directory = ca->directory,
		.terms =
		    ca->session != NULL ? acme_session_terms_url(ca->session) : NULL,
		.not_before = failure != NULL ? failure->not_before : 0,
		.last_error = failure != NULL ? failure->detail : NULL,
	};
}
