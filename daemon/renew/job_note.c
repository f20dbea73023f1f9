/*
 * job_note.c - how an attempt went, in the certificate's row, its history and the log.
 *
 * Called by the steps of a job. Each failure is one result, from which all three follow
 * and the time of the next attempt.
 */
#include "renew/job.h"

#include <string.h>

#include "json.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "renew/due.h"
#include "renew/news.h"
#include "result.h"
#include "schedule/wakeup.h"

static void
describe(struct json_writer *w, const struct acme_result *failure, int64_t now)
{
	char at[CLOCK_TEXT_SIZE];

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
}

char *
job_describe(const struct acme_result *failure, int64_t now)
{
	struct json_writer *w = json_writer_new();
	char *text = NULL;

	if (failure != NULL)
		describe(w, failure, now);
	if (w == NULL || failure == NULL || json_writer_steal(w, &text, NULL) < 0)
		text = NULL;
	json_writer_free(w);
	return text;
}

/* What is the matter with a whole CA has been said there, once. */
static int
log_level(
    const struct certificate *c, const struct acme_result *failure, const char *before)
{
	if (news_is_old(before, failure))
		return LOG_DEBUG;
	if (strcmp(failure->stage, "directory") == 0 ||
	    strcmp(failure->stage, "account") == 0)
		return LOG_INFO;
	return c->parked ? LOG_ERR : LOG_WARNING;
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
	c->parked = failure->class == ACME_GIVE_UP;
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
	level = log_level(c, failure, before);
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
	    c->parked ? "" : clock_format(c->next_attempt, at));
	log_subproblems(j, ca, failure, level);
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
	c->next_attempt = 0;
	if (j->issued_count > 0)
		c->placeholder_since = 0;
	free(c->last_error);
	c->last_error = NULL;
}
