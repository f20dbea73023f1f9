/*
 * job_note.c - how an attempt went, in the certificate's row, its history and the log.
 *
 * Called by the steps of a job. Each failure is one result, from which all three follow
 * and the time of the next attempt.
 */
#include "renew/job.h"

#include <string.h>

#include "buffer.h"
#include "json.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "renew/ca.h"
#include "renew/due.h"
#include "renew/files.h"
#include "renew/news.h"
#include "renew/said.h"
#include "result.h"
#include "schedule/limits.h"
#include "schedule/wakeup.h"

#define UNREADABLE_SECONDS 3600
#define HOPELESS_SECONDS   (INT64_C(30) * 24 * 3600)
/* So many failures are counted of a CA that doesn't answer: what is the matter with the
 * certificate itself is tried again soon after. */
#define UNANSWERED_FAILURES 2

static const char hopeless[] =
    ", it has failed for 30 days: mend what the CA complains of, then renewctl renew, "
    "or take the certificate out of the configuration";

char *
job_describe(const struct acme_result *failure, int64_t now)
{
	struct json_writer *w = failure != NULL ? json_writer_new() : NULL;
	char at[CLOCK_TEXT_SIZE];
	char *text = NULL;

	if (w == NULL)
		return NULL;
	json_open_object(w);
	json_member_string(w, "type", failure->type);
	json_member_string(w, "detail", failure->detail);
	json_name(w, "subproblems");
	json_open_array(w);
	for (size_t i = 0; i < failure->subproblem_count; i++) {
		const struct acme_subproblem *sub = &failure->subproblems[i];

		json_open_object(w);
		json_member_string(w, "type", sub->type);
		json_member_string(w, "detail", sub->detail);
		json_member_string(w, "identifier", sub->identifier);
		json_close_object(w);
	}
	json_close_array(w);
	json_member_string(w, "stage", failure->stage);
	json_member_string(w, "at", clock_format(now, at));
	json_member_string(w, "class", acme_class_name(failure->class));
	json_close_object(w);
	if (json_writer_steal(w, &text, NULL) < 0)
		text = NULL;
	json_writer_free(w);
	return text;
}
/* By what is stored, or where nothing could be, by what this process has said. */
static bool
is_old(struct job *j, const struct acme_result *failure, const char *before)
{
	_cleanup_(buffer_free) struct buffer text = { 0 };
	bool said;

	buffer_printf(&text, "%s %s", failure->stage,
	    failure->type != NULL ? failure->type : failure->detail);
	said = !text.failed &&
	    said_before(j->renewals->said, j->row->id, SAID_FAILURE, text.data);
	return said || news_is_old(before, failure);
}

/* What is the matter with a whole CA has been said there, once. */
static int
log_level(struct job *j, const struct acme_result *failure, const char *before)
{
	if (j->row->parked && failure->class != ACME_GIVE_UP)
		return LOG_ERR; /* that it is given up is news */
	if (is_old(j, failure, before))
		return LOG_DEBUG;
	if (strcmp(failure->stage, "directory") == 0 ||
	    strcmp(failure->stage, "account") == 0)
		return LOG_INFO;
	return j->row->parked ? LOG_ERR : LOG_WARNING;
}

/* What the CA says of single names; where it is one alone, the line has said it. */
static void
log_subproblems(
    const struct job *j, const char *ca, const struct acme_result *failure, int level)
{
	for (size_t i = 0; i < failure->subproblem_count; i++) {
		const struct acme_subproblem *sub = &failure->subproblems[i];
		const char *name = sub->identifier != NULL ? sub->identifier : "";

		if (sub->detail == NULL || strstr(failure->detail, sub->detail) != NULL)
			continue;
		log_line(level,
		    &(struct log_fields){ .certificate = j->row->name,
			.domain = *name != '\0' ? name : NULL,
			.ca = ca,
			.problem = sub->type },
		    "the CA says of %s: %s", *name != '\0' ? name : "the order",
		    sub->detail);
	}
}

/* Nobody has mended it for so long: it is given up, unless it is the CA that doesn't
 * answer, or has said when, or what is wrong is here. */
static bool
is_hopeless(const struct certificate *c, const char *ca,
    const struct acme_result *failure, int64_t now)
{
	static const char *const others[] = { "directory", "account", "store", "key" };

	for (size_t i = 0; i < ELEMENTS(others); i++)
		if (strcmp(failure->stage, others[i]) == 0)
			return false;
	return ca != NULL && failure->class == ACME_RETRY && failure->status < 500 &&
	    now - c->failing_since >= HOPELESS_SECONDS;
}

void
job_note_failure(struct job *j, const char *ca, const struct acme_result *failure)
{
	struct certificate *c = j->row;
	int64_t now = clock_now();
	_cleanup_free_ char *before = c->last_error;
	char at[CLOCK_TEXT_SIZE];
	int level;

	c->last_error = job_describe(failure, now);
	c->failures++;
	c->queued_at = 0;
	if (c->failures == 1 || c->failing_since == 0 || c->failing_since > now)
		c->failing_since = now;
	c->parked = failure->class == ACME_GIVE_UP || is_hopeless(c, ca, failure, now);
	c->next_attempt = c->parked ? 0
				    : wakeup_retry(now, c->failures, failure,
					  due_life(j->spec, j->issued, j->issued_count),
					  clock_random(UINT32_MAX));
	(void)history_add(j->renewals->means.store,
	    &(struct history_event){ .at = now,
		.kind = "failed",
		.certificate = c->name,
		.ca = ca,
		.detail = failure->detail,
		.problem = failure->type });
	level = log_level(j, failure, before);
	log_line(level,
	    &(struct log_fields){
		.event = c->parked ? LOG_EVENT_PARKED : LOG_EVENT_RENEWAL_FAILED,
		.certificate = c->name,
		.ca = ca,
		.problem = failure->type,
		.retry_at = c->next_attempt },
	    c->parked ? "renewal failed at %s: %s; not tried again by itself%s"
		      : "renewal failed at %s: %s; next attempt at %s",
	    failure->stage, failure->detail,
	    !c->parked                           ? clock_format(c->next_attempt, at)
		: failure->class != ACME_GIVE_UP ? hopeless
						 : "");
	log_subproblems(j, ca, failure, level);
}

/* Of an outage that goes on nothing is said but at the CA; those that were under way
 * when it began are named. */
void
job_note_unanswered(struct job *j, const struct acme_result *failure)
{
	struct certificate *c = j->row;
	const struct ca *ca =
	    c->queued_ca != NULL ? renewals_ca(j->renewals, c->queued_ca) : NULL;
	const struct outage *o = ca != NULL ? limits_outage(ca_limits(ca)) : NULL;
	_cleanup_free_ char *before = c->last_error;
	bool old = is_old(j, failure, before);
	bool named = o != NULL && o->probes <= 1 && !old;
	char at[CLOCK_TEXT_SIZE];

	c->last_error = job_describe(failure, clock_now());
	c->next_attempt = 0;
	if (c->failures < UNANSWERED_FAILURES)
		c->failures++;
	if (!old)
		(void)history_add(j->renewals->means.store,
		    &(struct history_event){ .at = clock_now(),
			.kind = "failed",
			.certificate = c->name,
			.ca = c->queued_ca,
			.detail = failure->detail });
	log_line(named ? LOG_INFO : LOG_DEBUG,
	    &(struct log_fields){ .event = LOG_EVENT_RENEWAL_FAILED,
		.certificate = c->name,
		.ca = c->queued_ca,
		.problem = failure->type,
		.retry_at = o != NULL ? o->shown_at : 0 },
	    "renewal failed at %s: %s; next attempt at %s", failure->stage,
	    failure->detail, clock_format(o != NULL ? o->shown_at : 0, at));
}

void
job_note_text(struct job *j, const char *stage, const char *what, const char *why)
{
	struct acme_result *failure =
	    acme_result_new(ACME_RETRY, stage, "%s: %s", what, why);

	if (failure != NULL)
		job_note_failure(j, NULL, failure);
	acme_result_free(failure);
}

void
job_note_errno(struct job *j, const char *stage, const char *what, int r)
{
	job_note_text(j, stage, what, strerror(-r));
}

void
job_note_success(struct job *j)
{
	struct certificate *c = j->row;

	c->failures = 0;
	c->failing_since = 0;
	c->queued_at = 0;
	c->next_attempt = 0;
	if (j->issued_count > 0)
		c->placeholder_since = 0;
	free(c->last_error);
	c->last_error = NULL;
	said_forget(j->renewals->said, c->id, SAID_FAILURE);
}

/* ---- beside attempts ---- */

/* True: it is news. An error of the CA stays what is shown, and its delay stays: this
 * one is tried again whatever that is. */
static bool
keep_unwritten(struct job *j, const struct acme_result *failure, int64_t now)
{
	struct certificate *c = j->row;
	bool old = news_is_old(c->last_error, failure);

	if (c->failures > 0 && !due_error_is(c, "stage", failure->stage))
		return true;
	free(c->last_error);
	c->last_error = job_describe(failure, now);
	c->failures = 1;
	c->next_attempt = now + JOB_FILES_SECONDS;
	if (!old)
		(void)history_add(j->renewals->means.store,
		    &(struct history_event){ .at = now,
			.kind = "failed",
			.certificate = c->name,
			.detail = failure->detail });
	return !old;
}

void
job_note_unwritten(struct job *j, int r)
{
	char buffer[FILES_EXPLAIN_SIZE];
	bool issued = j->issued_count > 0;
	_cleanup_(acme_result_freep) struct acme_result *failure =
	    acme_result_new(ACME_RETRY, "bundle", "cannot write its %s: %s",
		issued ? "files" : "placeholder",
		files_explain(j->spec, r, buffer, sizeof(buffer)));
	bool news = true;

	if (failure == NULL)
		return;
	if (issued)
		news = keep_unwritten(j, failure, clock_now());
	if (said_before(j->renewals->said, j->row->id, SAID_FILES, failure->detail) ||
	    !news)
		return;
	log_line(issued ? LOG_ERR : LOG_WARNING,
	    &(struct log_fields){
		.event = LOG_EVENT_FILES_FAILED, .certificate = j->row->name },
	    "%s; trying again each minute", failure->detail);
}

void
job_note_unreadable(struct certificate *c, const char *why)
{
	_cleanup_(acme_result_freep) struct acme_result *failure =
	    acme_result_new(ACME_RETRY, "configuration", "%s", why);
	_cleanup_free_ char *before = c->last_error;
	int64_t now = clock_now();

	c->last_error = NULL;
	c->failures++;
	c->next_attempt = c->next_at = now + UNREADABLE_SECONDS;
	if (failure == NULL)
		return;
	c->last_error = job_describe(failure, now);
	log_line(news_is_old(before, failure) ? LOG_DEBUG : LOG_ERR,
	    &(struct log_fields){ .event = LOG_EVENT_RENEWAL_FAILED,
		.certificate = c->name,
		.retry_at = c->next_attempt },
	    "cannot be renewed by this configuration: %s; looked at again each hour and "
	    "at each reload",
	    failure->detail);
}
