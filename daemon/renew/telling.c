/*
 * telling.c - what a target was told, and how that went: in its row, the certificate's
 * history and the log. And its hours.
 *
 * Called by job_deploy.c and job_served.c. What each target has taken is a fact of its
 * own; the same failure again is no news.
 */
#include "renew/telling.h"

#include <stdio.h>
#include <string.h>

#include "platform/clock.h"
#include "platform/log.h"
#include "renew/due.h"
#include "renew/rollback.h"
#include "schedule/wakeup.h"
#include "schedule/window.h"

#define HURRY_PERCENT 12 /* of the life left, as for health */

const char *
telling_target(const struct job *j)
{
	return j->spec->deploy.v[j->target];
}

const struct target_config *
telling_config(const struct job *j)
{
	return config_target(j->renewals->config, telling_target(j));
}

bool
telling_verifies(const struct target_config *t)
{
	return t != NULL && (t->verify.n > 0 || deploy_has_files(t));
}

int
telling_read(const struct job *j, const char *target, struct deployment **ret_rows,
    size_t *ret_count, const struct deployment **ret)
{
	int r;

	*ret = NULL;
	r = deployment_list(j->renewals->means.store, j->row->id, ret_rows, ret_count);
	if (r == 0)
		*ret = due_find_deployment(*ret_rows, *ret_count, target);
	return r;
}

struct deployment
telling_row(const struct job *j, const struct deployment *before)
{
	struct deployment d = { .detail = (char *)"" };

	if (before != NULL)
		d = *before;
	d.certificate = j->row->id;
	d.target = (char *)telling_target(j);
	d.bundled = j->row->bundled;
	return d;
}

/* ---- its hours ---- */

/* What it serves is near its end, or it serves nothing yet: then there are none. */
int64_t
telling_at(const struct target_config *t, const struct deployment *d)
{
	int64_t now = clock_now(), at;

	if (t == NULL || d == NULL || d->hurry_at <= now)
		return now;
	at = window_next(&t->windows, now);
	return at < d->hurry_at ? at : d->hurry_at;
}

static int64_t
hurry_at(const struct job *j)
{
	int64_t at = 0;
	size_t count;
	const struct issued *rows = rollback_rows(j, &count);

	for (size_t i = 0; i < count; i++) {
		int64_t life = rows[i].not_after - rows[i].not_before;
		int64_t its = rows[i].not_after - life * HURRY_PERCENT / 100;

		if (at == 0 || its < at)
			at = its;
	}
	return at;
}

/* ---- notes ---- */

static void
record(struct job *j, const char *kind, const char *detail)
{
	(void)history_add(j->renewals->means.store,
	    &(struct history_event){ .at = clock_now(),
		.kind = kind,
		.certificate = j->row->name,
		.target = telling_target(j),
		.detail = *detail != '\0' ? detail : NULL });
}

/* kind NULL: it is no news. */
static void
save(struct job *j, const struct deployment *d, const char *kind)
{
	if (deployment_save(j->renewals->means.store, d) == 0 && kind != NULL)
		record(j, kind, d->detail);
}

static void
log_done(const struct job *j, const char *what)
{
	log_line(LOG_NOTICE,
	    (&(struct log_fields){ .event = LOG_EVENT_DEPLOYED,
		.certificate = j->row->name,
		.target = telling_target(j) }),
	    "%s", what);
}

int
telling_forget(struct renewals *r, struct deployment *d)
{
	free(d->bundled);
	d->bundled = NULL;
	d->state = DEPLOYMENT_PENDING;
	d->at = clock_now();
	d->failures = 0;
	d->next_attempt = 0;
	return deployment_save(r->means.store, d);
}

void
telling_pending(struct job *j, const struct deployment *before)
{
	struct deployment d = telling_row(j, before);

	d.state = DEPLOYMENT_PENDING;
	d.at = clock_now();
	d.next_attempt = 0;
	save(j, &d, NULL);
}

void
telling_postpone(struct job *j, const struct deployment *before, int64_t at)
{
	struct deployment d = telling_row(j, before);
	char when[CLOCK_TEXT_SIZE], detail[96];

	if (d.state != DEPLOYMENT_FAILED) {
		if (d.state != DEPLOYMENT_PENDING)
			d.at = clock_now();
		d.state = DEPLOYMENT_PENDING;
		snprintf(detail, sizeof(detail), "waits for its deploy_window, %s",
		    clock_format(at, when));
		d.detail = detail;
	}
	d.next_attempt = at;
	log_line(LOG_INFO,
	    (&(struct log_fields){
		.certificate = j->row->name, .target = d.target, .retry_at = at }),
	    "not deployed now, as its deploy_window opens at %s",
	    clock_format(at, when));
	save(j, &d, NULL);
}

void
telling_failed(struct job *j, const struct deployment *before, const char *detail)
{
	struct deployment d = telling_row(j, before);
	int64_t now = clock_now();
	int64_t open = telling_at(telling_config(j), before);
	char at[CLOCK_TEXT_SIZE];
	bool news = d.failures == 0 || strcmp(d.detail, detail) != 0;

	d.state = DEPLOYMENT_FAILED;
	d.at = now;
	d.detail = (char *)detail;
	d.failures++;
	d.next_attempt = wakeup_redeploy(now, d.failures, clock_random(UINT32_MAX));
	if (d.next_attempt < open)
		d.next_attempt = open;
	/* the same failure again is no news */
	if (news)
		log_line(LOG_ERR,
		    (&(struct log_fields){ .event = LOG_EVENT_DEPLOY_FAILED,
			.certificate = j->row->name,
			.target = d.target,
			.retry_at = d.next_attempt }),
		    "deployment failed: %s; next attempt at %s", detail,
		    clock_format(d.next_attempt, at));
	save(j, &d, "deploy-failed");
}

/* Where it has to be seen, too, failures of before count until it is; and a crash from
 * here on has it looked at. */
void
telling_deployed(struct job *j, const struct deployment *before)
{
	struct deployment d = telling_row(j, before);
	bool seen_later = telling_verifies(telling_config(j));

	d.state = DEPLOYMENT_DEPLOYED;
	d.at = d.deployed_at = clock_now();
	d.hurry_at = hurry_at(j);
	d.next_attempt = seen_later ? d.at : 0;
	if (!seen_later || d.failures == 0) {
		d.failures = 0;
		d.detail = (char *)"";
		log_done(j, "deployed");
	}
	save(j, &d, "deployed");
}

void
telling_served(struct job *j, const struct deployment *before)
{
	const struct target_config *t = telling_config(j);
	struct deployment d = telling_row(j, before);
	bool news = d.state != DEPLOYMENT_SERVED;
	int64_t pause = telling_verifies(t) ? t->verify_interval.seconds : 0;

	d.verified_at = clock_now();
	if (news)
		d.at = d.verified_at;
	d.state = DEPLOYMENT_SERVED;
	d.detail = (char *)"";
	d.failures = 0;
	/* those that were deployed together aren't looked at together */
	if (pause > 0)
		d.next_attempt = d.verified_at + pause -
		    (int64_t)clock_random((uint64_t)pause / 10 + 1);
	if (news)
		log_done(j, "served");
	save(j, &d, news ? "served" : NULL);
}

/* Its files are as they have to be; nothing is known of who reads them. */
void
telling_in_place(struct job *j, const struct deployment *before)
{
	struct deployment d = telling_row(j, before);
	int64_t pause = telling_config(j)->verify_interval.seconds;

	d.verified_at = clock_now();
	d.next_attempt =
	    d.verified_at + pause - (int64_t)clock_random((uint64_t)pause / 10 + 1);
	if (d.failures > 0)
		log_done(j, "deployed");
	d.failures = 0;
	d.detail = (char *)"";
	save(j, &d, NULL);
}

void
telling_not_served(struct job *j, const char *why)
{
	log_line(LOG_WARNING,
	    (&(struct log_fields){ .event = LOG_EVENT_NOT_SERVED,
		.certificate = j->row->name,
		.target = telling_target(j) }),
	    "%s; it is deployed again", why);
	record(j, "not-served", why);
}
