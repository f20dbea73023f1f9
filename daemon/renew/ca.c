/*
 * ca.c - one certificate authority: made ready to be used, and who waits for that.
 *
 * Becoming ready is a row of steps that each may take a while (key, commit, directory,
 * newAccount); prepare() takes the next one that is missing, and is safe to call at any
 * time. Everybody who waits is told at the end of it.
 */
#include "renew/ca.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base64url.h"
#include "buffer.h"
#include "platform/clock.h"
#include "platform/file.h"
#include "platform/log.h"
#include "renew/ca_private.h"
#include "result.h"

#define DIRECTORY_SECONDS (12 * 3600)
#define KEY_FILE_MAX      (64 * 1024)

struct waiter {
	ca_ready_cb *cb;
	void *arg;
	TAILQ_ENTRY(waiter) entry;
};

static void prepare(struct ca *ca);
static own_account_cb account_cb;

/* ---- making, comparing, freeing ---- */

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
	r = ca_settings_copy(&ca->settings, config);
	if (r == 0)
		r = own_account_new(means, &ca->settings, account_cb, ca, &ca->account);
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
	struct ca_settings settings;
	bool same = ca_settings_copy(&settings, config) == 0 &&
	    ca_settings_same(&ca->settings, &settings);

	ca_settings_clear(&settings);
	return same;
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
	ca_cancel(ca->request);
	free_waiters(ca);
	acme_session_free(ca->session);
	own_account_free(ca->account);
	acme_result_free(ca->last_failure);
	free(ca->last_logged);
	ca_settings_clear(&ca->settings);
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
	if (ca->last_logged == NULL || strcmp(ca->last_logged, failure->detail) != 0) {
		log_line(LOG_ERR,
		    &(struct log_fields){ .event = LOG_EVENT_CA_FAILED,
			.ca = ca->settings.name,
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

/* ---- the account ---- */

static void
account_cb(const struct acme_result *failure, void *arg)
{
	struct ca *ca = arg;

	if (failure == NULL)
		prepare(ca);
	else
		fail(ca, failure);
}

/* True: the account is stored; false: something was started that goes on, or failed. */
static bool
have_account(struct ca *ca)
{
	struct acme_result *failure = NULL;
	int r = ca->no_account ? 1 : own_account_prepare(ca->account, &failure);

	if (r < 0 && failure != NULL)
		fail(ca, failure);
	acme_result_free(failure);
	return r > 0;
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
		.url = own_account_url(ca->account),
		.contacts = ca->settings.contacts,
		.accept_terms = ca->settings.accept_terms,
		.eab_kid = ca->settings.eab_kid,
		.none = ca->no_account,
	};
	unsigned char *eab_key = NULL;
	size_t eab_key_len = 0;
	int r = 0;

	if (ca->settings.eab_kid != NULL && account.url == NULL && !ca->no_account)
		r = read_eab_key(ca->settings.eab_key_file, &eab_key, &eab_key_len);
	if (r == 0) {
		account.eab_key = eab_key;
		account.eab_key_len = eab_key_len;
		if (eab_key == NULL)
			account.eab_kid = NULL;
		r = acme_session_new(ca->settings.directory,
		    own_account_key(ca->account), &account, &ca->session);
	}
	acme_wipe_free(eab_key, eab_key_len);
	return r;
}

/* newAccount has told the URL. */
static int
keep_account_url(struct ca *ca)
{
	const char *url = acme_session_account_url(ca->session);

	if (url == NULL || own_account_url(ca->account) != NULL)
		return 0;
	log_line(LOG_NOTICE,
	    &(struct log_fields){ .event = LOG_EVENT_ACCOUNT, .ca = ca->settings.name },
	    "account registered at the CA");
	return own_account_registered(
	    ca->account, url, acme_session_terms_url(ca->session));
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
	return ca->settings.name;
}

int64_t
ca_account(const struct ca *ca)
{
	return own_account_id(ca->account);
}

const struct acme_key *
ca_account_key(const struct ca *ca)
{
	return own_account_key(ca->account);
}

bool
ca_has_profile(const struct ca *ca, const char *profile)
{
	return ca->session != NULL && acme_session_has_profile(ca->session, profile);
}

bool
ca_in_use(const struct ca *ca)
{
	return !ca->settings.built_in || own_account_id(ca->account) != 0;
}

struct ca_status
ca_status(const struct ca *ca)
{
	const struct acme_result *failure = ca->last_failure;

	return (struct ca_status){
		.name = ca->settings.name,
		.directory = ca->settings.directory,
		.terms =
		    ca->session != NULL ? acme_session_terms_url(ca->session) : NULL,
		.not_before = failure != NULL ? failure->not_before : 0,
		.last_error = failure != NULL ? failure->detail : NULL,
	};
}
