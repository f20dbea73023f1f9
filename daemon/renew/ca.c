/*
 * ca.c - one certificate authority: made ready to be used.
 *
 * Becoming ready is a row of steps that each may take a while (key, commit, directory,
 * newAccount); ca_prepare() takes the next one that is missing, and is safe to call at
 * any time. Everybody who waits is told at the end of it.
 */
#include "renew/ca.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>

#include "config/config.h"
#include "inventory/store.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "renew/ca_private.h"
#include "renew/eab.h"
#include "result.h"
#include "schedule/limits.h"

#define DIRECTORY_SECONDS (12 * 3600)

static own_account_cb account_cb;

/* ---- making, comparing, freeing ---- */

static bool
is_old(const struct ca *ca)
{
	int64_t age = clock_now() - ca->directory_at;

	return age > DIRECTORY_SECONDS || age < 0;
}

/* A failure is no reason not to try again, from the start where nobody uses it, not
 * even an order that sleeps: key files may be others; an old directory may have
 * changed. But for one that came with a time: until then it is what everybody hears. */
static void
refresh(struct ca *ca)
{
	const struct acme_result *failure;
	bool failed;

	if (ca->session == NULL || ca->request != NULL)
		return;
	failure = acme_session_result(ca->session);
	failed = failure != NULL;
	if (failed && failure->not_before > clock_now())
		return;
	ca->account_is_other |= failed;
	if (failed && ca->active == 0 && ca->users == 0) {
		ca->session = acme_session_free(ca->session);
		ca->directory_known = false;
	} else if (failed || is_old(ca)) {
		acme_session_again(ca->session);
	}
}

/* Whoever comes now wants more than the directory. */
static void
want_account(struct ca *ca)
{
	if (ca->directory_only)
		ca->account_is_other = true;
	ca->directory_only = false;
}

static void
timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct ca *ca = arg;

	(void)fd;
	(void)what;
	if (ca->chore == NULL && !own_account_find(ca->account))
		return;
	want_account(ca);
	refresh(ca);
	ca_prepare(ca);
}

static int
make(const struct renewal_means *means, const struct ca_config *config, int64_t only,
    struct ca **ret)
{
	_cleanup_(ca_unrefp) struct ca *ca = calloc(1, sizeof(*ca));
	int r;

	if (ca == NULL)
		return -ENOMEM;
	ca->refs = 1;
	ca->means = means;
	TAILQ_INIT(&ca->waiters);
	TAILQ_INIT(&ca->held);
	TAILQ_INIT(&ca->line);
	ca->timer = evtimer_new(means->base, timer_cb, ca);
	ca->line_timer = evtimer_new(means->base, ca_line_cb, ca);
	if (ca->timer == NULL || ca->line_timer == NULL)
		return -ENOMEM;
	r = ca_settings_copy(&ca->settings, config);
	if (r == 0) {
		ca->limits = limits_of(means->limits, config->name, config->directory);
		r = ca->limits != NULL ? 0 : -ENOMEM;
	}
	if (r == 0)
		r = own_account_new(
		    means, &ca->settings, only, account_cb, ca, &ca->account);
	if (r < 0)
		return r;
	*ret = steal_ptr(ca);
	return 0;
}

int
ca_new(
    const struct renewal_means *means, const struct ca_config *config, struct ca **ret)
{
	return make(means, config, 0, ret);
}

int
ca_new_for(const struct renewal_means *means, const struct ca_config *config,
    int64_t account, struct ca **ret)
{
	return make(means, config, account, ret);
}

int
ca_new_without_account(
    const struct renewal_means *means, const struct ca_config *config, struct ca **ret)
{
	int r = make(means, config, 0, ret);

	if (r == 0)
		(*ret)->no_account = true;
	return r;
}

static bool
same_text(const char *a, const char *b)
{
	return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

/* Certificates and orders go on with it, whatever else its section says now: there is
 * one struct for an account, or they would not know of each other. */
bool
ca_take(struct ca *ca, const struct ca_config *config)
{
	struct ca_settings settings;

	if (!same_text(ca->settings.directory, config->directory) ||
	    !same_text(ca->settings.key_file, config->account_key_file))
		return false;
	if (ca_settings_copy(&settings, config) < 0) {
		ca_settings_clear(&settings);
		return false;
	}
	if (!ca_settings_same(&ca->settings, &settings))
		ca_contact_reset(ca);
	ca_settings_clear(&ca->settings);
	ca->settings = settings;
	return true;
}

struct ca *
ca_ref(struct ca *ca)
{
	ca->refs++;
	return ca;
}

struct ca *
ca_unref(struct ca *ca)
{
	if (ca == NULL || --ca->refs > 0)
		return NULL;
	ca->refs = 1; /* for those who are told now */
	ca_chore_abandon(ca, NULL);
	ca_cancel(ca->request);
	ca_cancel(ca->check);
	ca_contact_reset(ca);
	ca_free_waiters(ca);
	if (ca->timer != NULL)
		event_free(ca->timer);
	if (ca->line_timer != NULL)
		event_free(ca->line_timer);
	acme_session_free(ca->session);
	own_account_free(ca->account);
	acme_result_free(ca->stopped);
	acme_result_free(ca->last_failure);
	free(ca->last_logged);
	ca_settings_clear(&ca->settings);
	free(ca);
	return NULL;
}

/* ---- the account ---- */

static void
account_cb(const struct acme_result *failure, void *arg)
{
	struct ca *ca = arg;

	if (failure == NULL)
		ca_prepare(ca);
	else
		ca_fail(ca, failure);
}

static bool
without_account(const struct ca *ca)
{
	return ca->no_account || ca->directory_only;
}

/* True: the account is stored; false: something was started that goes on, or failed. */
static bool
have_account(struct ca *ca)
{
	struct acme_result *failure = NULL;
	int r = without_account(ca) ? 1 : own_account_prepare(ca->account, &failure);

	if (r < 0 && failure != NULL)
		ca_fail(ca, failure);
	acme_result_free(failure);
	return r > 0;
}

/* ---- the session ---- */

int
ca_set_account(struct ca *ca, struct acme_result **ret_failure)
{
	const struct ca_settings *settings = &ca->settings;
	const struct acme_key *key = own_account_key(ca->account);
	struct acme_account account = {
		.url = own_account_url(ca->account),
		.contacts = settings->contacts,
		.accept_terms = settings->accept_terms,
		.none = without_account(ca),
	};
	unsigned char *eab_key = NULL;
	int r = 0;

	if (settings->eab_kid != NULL && account.url == NULL && !account.none) {
		r = eab_read(settings, &eab_key, &account.eab_key_len, ret_failure);
		account.eab_kid = settings->eab_kid;
		account.eab_key = eab_key;
		account.eab_alg = settings->eab_alg;
	}
	if (r == 0 && ca->session == NULL)
		r = acme_session_new(settings->directory, key, &account, &ca->session);
	else if (r == 0)
		r = acme_session_set_account(ca->session, key, &account);
	acme_wipe_free(eab_key, account.eab_key_len);
	return r;
}

static bool
have_session(struct ca *ca)
{
	struct acme_result *failure = NULL;
	int r;

	if (ca->session != NULL && !ca->account_is_other)
		return true;
	r = ca_set_account(ca, &failure);
	if (r == 0)
		ca->account_is_other = false;
	if (failure != NULL)
		ca_fail(ca, failure);
	else if (r < 0)
		ca_fail_here(ca, "cannot open a session", r);
	acme_result_free(failure);
	return r == 0;
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
	ca_history(ca, "account-registered", url);
	return own_account_registered(ca->account, url,
	    acme_session_contacts(ca->session), acme_session_terms_url(ca->session));
}

static void
session_reply_cb(const struct acme_reply *reply, void *arg)
{
	struct ca *ca = arg;

	ca->request = NULL;
	acme_session_reply(ca->session, reply);
	ca->directory_known |= acme_session_result(ca->session) == NULL;
	if (acme_session_ready(ca->session))
		ca_answered(ca);
	ca_prepare(ca);
}

static void
session_finished(struct ca *ca)
{
	const struct acme_result *failure = acme_session_result(ca->session);
	int r;

	if (failure != NULL) {
		ca_fail(ca, failure);
		return;
	}
	r = keep_account_url(ca);
	if (r < 0) {
		ca_fail_here(ca, "cannot store the account", r);
		return;
	}
	if (ca->last_failure != NULL &&
	    strcmp(ca->last_failure->stage, "directory") == 0)
		ca_note(ca, NULL); /* it answers again, order or not */
	ca_ref(ca);
	if (ca->directory_only) {
		want_account(ca); /* the next one may */
		ca_tell(ca, NULL);
		ca_unref(ca);
		return;
	}
	ca_release_held(ca);
	if (!ca_chore_step(ca)) {
		ca_tell(ca, ca->stopped);
		ca_contact_step(ca);
	}
	ca_unref(ca);
}

void
ca_prepare(struct ca *ca)
{
	struct acme_request request;
	int r = 0;

	if (ca->request != NULL || !have_account(ca) || !have_session(ca))
		return;
	switch (acme_session_next(ca->session, &request)) {
	case ACME_SEND:
		if (request.action == ACME_ACTION_DIRECTORY)
			ca->directory_at = clock_now();
		r = ca_send(ca, &request, session_reply_cb, ca, &ca->request);
		if (r < 0)
			ca_fail_here(ca, "cannot send a request", r);
		break;
	case ACME_WAIT:
		break;
	case ACME_FINISHED:
		session_finished(ca);
		break;
	}
}

void
ca_prepare_later(struct ca *ca, int64_t seconds)
{
	struct timeval delay = { .tv_sec = seconds };

	event_add(ca->timer, &delay);
}

void
ca_when_ready(struct ca *ca, ca_ready_cb *cb, void *arg)
{
	if (ca_add_waiter(ca, cb, arg) < 0)
		return;
	if (ca->stopped != NULL) {
		ca_tell(ca, ca->stopped);
		return;
	}
	want_account(ca);
	refresh(ca);
	ca_prepare(ca);
}

/* Is an account there, or on its way for somebody else? */
static bool
has_account(const struct ca *ca)
{
	return !TAILQ_EMPTY(&ca->waiters) || ca->chore != NULL ||
	    own_account_find(ca->account);
}

void
ca_when_directory(struct ca *ca, ca_ready_cb *cb, void *arg)
{
	if (ca->directory_known && (ca->stopped != NULL || !is_old(ca))) {
		cb(NULL, arg);
		return;
	}
	if (!ca->directory_only && has_account(ca)) {
		ca_when_ready(ca, cb, arg);
		return;
	}
	if (ca_add_waiter(ca, cb, arg) < 0)
		return;
	if (!ca->directory_only)
		ca->account_is_other = true;
	ca->directory_only = true;
	refresh(ca);
	ca_prepare(ca);
}

void
ca_look(struct ca *ca)
{
	if (!ca->settings.built_in && own_account_find(ca->account) &&
	    (own_account_next(ca->account) != NULL ||
		own_account_state(ca->account) == ACCOUNT_ENDING ||
		own_account_contacts_differ(ca->account)))
		ca_prepare_later(ca, 0);
}

void
ca_enter(struct ca *ca)
{
	ca->users++;
}

void
ca_leave(struct ca *ca)
{
	if (--ca->users == 0 && ca->chore != NULL)
		ca_prepare_later(ca, 0);
}

/* ---- as it stands ---- */

const char *
ca_name(const struct ca *ca)
{
	return ca->settings.name;
}

const char *
ca_directory(const struct ca *ca)
{
	return ca->settings.directory;
}

int64_t
ca_account(const struct ca *ca)
{
	return own_account_id(ca->account);
}

bool
ca_has_key_file(const struct ca *ca)
{
	return ca->settings.key_file != NULL;
}

const struct acme_key *
ca_account_key(const struct ca *ca)
{
	return own_account_key(ca->account);
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

bool
ca_in_use(const struct ca *ca)
{
	return !ca->settings.built_in || own_account_id(ca->account) != 0;
}

struct ca_limits *
ca_limits(const struct ca *ca)
{
	return ca->limits;
}

const struct acme_result *
ca_last_failure(const struct ca *ca)
{
	return ca->last_failure;
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
		.unreachable =
		    failure != NULL && (failure->status == 0 || failure->status >= 500),
	};
}
