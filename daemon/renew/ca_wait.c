/*
 * ca_wait.c - who waits for a CA, and what becomes of it: ready, failed, or stopped
 * until somebody has done something.
 *
 * Part of ca.c. A problem of the CA is said here, once, however many certificates it
 * hits.
 */
#include "renew/ca_private.h"

#include <errno.h>
#include <string.h>

#include "platform/clock.h"
#include "platform/log.h"
#include "result.h"

struct waiter {
	ca_ready_cb *cb;
	void *arg;
	TAILQ_ENTRY(waiter) entry;
};

int
ca_add_waiter(struct ca *ca, ca_ready_cb *cb, void *arg)
{
	struct waiter *w = calloc(1, sizeof(*w));
	struct acme_result *failure;

	if (w == NULL) {
		failure = acme_result_new(ACME_RETRY, "account", "no memory");
		cb(failure, arg);
		acme_result_free(failure);
		return -ENOMEM;
	}
	w->cb = cb;
	w->arg = arg;
	TAILQ_INSERT_TAIL(&ca->waiters, w, entry);
	return 0;
}

void
ca_free_waiters(struct ca *ca)
{
	struct waiter *w;

	while ((w = TAILQ_FIRST(&ca->waiters)) != NULL) {
		TAILQ_REMOVE(&ca->waiters, w, entry);
		free(w);
	}
}

/* Whoever is called may wait anew, or let go of the CA. */
void
ca_tell(struct ca *ca, const struct acme_result *failure)
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

void
ca_history(struct ca *ca, const char *kind, const char *detail)
{
	(void)history_add(ca->means->store,
	    &(struct history_event){ .at = clock_now(),
		.kind = kind,
		.ca = ca->settings.name,
		.detail = detail });
}

/* Once for a problem, however many certificates it hits. */
static bool
is_news(struct ca *ca, const struct acme_result *failure)
{
	if (ca->last_logged != NULL && strcmp(ca->last_logged, failure->detail) == 0)
		return false;
	free(ca->last_logged);
	ca->last_logged = strdup(failure->detail);
	return true;
}

/* What has to be done is said first: a CA's own words may be long. */
static struct acme_result *
explain(const struct ca *ca, const struct acme_result *failure)
{
	struct acme_result *copy = acme_result_copy(failure);
	const char *url = failure->instance;
	struct acme_result *text;
	char *detail;

	if (copy == NULL ||
	    !(acme_result_is(failure, "userActionRequired") ||
		acme_result_is(failure, "agreementRequired")))
		return copy;
	if (url == NULL && ca->session != NULL)
		url = acme_session_terms_url(ca->session);
	text = acme_result_new(ACME_GIVE_UP, "account",
	    "the CA wants its terms of service agreed to anew: see %s and do what it "
	    "says, then: renewctl reload (the CA: %s)",
	    url != NULL ? url : "its web site", failure->detail);
	if (text != NULL) {
		detail = copy->detail;
		copy->detail = text->detail;
		text->detail = detail;
	}
	acme_result_free(text);
	return copy;
}

void
ca_stop(struct ca *ca, const struct acme_result *failure)
{
	struct acme_result *stopped = explain(ca, failure);

	if (stopped == NULL)
		return;
	stopped->class = ACME_GIVE_UP;
	stopped->stage = "account"; /* whatever was asked: it is about this */
	if (is_news(ca, stopped)) {
		log_line(LOG_ERR,
		    &(struct log_fields){ .event = LOG_EVENT_CA_STOPPED,
			.ca = ca->settings.name,
			.problem = stopped->type },
		    "no certificate is asked of this CA any more: %s", stopped->detail);
		ca_history(ca, "ca-stopped", stopped->detail);
	}
	acme_result_free(ca->stopped);
	ca->stopped = stopped;
	ca->was_stopped = true;
	ca_note(ca, stopped);
}

void
ca_go_on(struct ca *ca)
{
	if (ca->stopped == NULL)
		return;
	ca->stopped = acme_result_free(ca->stopped);
	free(ca->last_logged); /* it is worth saying again */
	ca->last_logged = NULL;
}

bool
ca_was_stopped(struct ca *ca)
{
	bool was_stopped = ca->was_stopped;

	ca->was_stopped = false;
	return was_stopped;
}

const struct acme_result *
ca_stopped(const struct ca *ca)
{
	return ca->stopped;
}

void
ca_fail(struct ca *ca, const struct acme_result *failure)
{
	struct acme_result *copy = NULL;

	ca_ref(ca);
	if (failure->class == ACME_GIVE_UP && strcmp(failure->stage, "account") == 0) {
		ca_stop(ca, failure);
		copy = acme_result_copy(ca->stopped);
		failure = copy != NULL ? copy : failure;
	} else if (failure->class == ACME_RETRY || failure->status >= 500) {
		ca_unanswered(ca, failure);
	} else if (is_news(ca, failure)) {
		log_line(LOG_ERR,
		    &(struct log_fields){ .event = LOG_EVENT_CA_FAILED,
			.ca = ca->settings.name,
			.problem = failure->type,
			.retry_at = failure->not_before },
		    "the CA cannot be used: %s; what needs it is tried again by itself",
		    failure->detail);
	}
	ca_note(ca, failure);
	ca_contact_put_off(ca, failure);
	ca_chore_abandon(ca, failure);
	ca_fail_held(ca, failure);
	ca_tell(ca, failure);
	acme_result_free(copy);
	ca_unref(ca);
}

void
ca_fail_here(struct ca *ca, const char *what, int r)
{
	struct acme_result *failure = acme_result_new(
	    ACME_RETRY, "account", "%s: %s", what, strerror(r < 0 ? -r : r));

	if (failure != NULL)
		ca_fail(ca, failure);
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
