/*
 * job_deploy.c - a job's last step: its targets are told of what the files hold, one
 * after the other, and looked at from outside where that is wished for.
 *
 * Called by job.c. What each target has taken is a fact of its own: a failure here
 * orders nothing, and is retried with its own delays. So is what is seen served.
 */
#include "renew/job.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bundle/bundle.h"
#include "deploy/deploy.h"
#include "deploy/verify.h"
#include "inventory/store.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "renew/due.h"
#include "result.h"
#include "schedule/wakeup.h"

#define VERIFYING_MAX 64 /* certificates that are looked at, at once */
#define LATER_SECONDS 20

static int
read_deployment(const struct job *j, const char *target, struct deployment **ret_rows,
    size_t *ret_count, const struct deployment **ret)
{
	int r;

	*ret = NULL;
	r = deployment_list(j->renewals->means.store, j->row->id, ret_rows, ret_count);
	if (r == 0)
		*ret = due_find_deployment(*ret_rows, *ret_count, target);
	return r;
}

static const struct target_config *
find_target(const struct job *j)
{
	return config_target(j->renewals->config, j->spec->deploy.v[j->target]);
}

/* Is it looked at from outside? Not one that a reload has taken away. */
static bool
verifies(const struct target_config *t)
{
	return t != NULL && (t->verify.n > 0 || deploy_has_files(t));
}

/* ---- what is noted ---- */

static void
record(struct job *j, const char *kind, const char *detail)
{
	(void)history_add(j->renewals->means.store,
	    &(struct history_event){ .at = clock_now(),
		.kind = kind,
		.certificate = j->row->name,
		.target = j->spec->deploy.v[j->target],
		.detail = *detail != '\0' ? detail : NULL });
}

/* kind NULL: it is no news. */
static void
save(struct job *j, const struct deployment *d, const char *kind)
{
	if (deployment_save(j->renewals->means.store, d) == 0 && kind != NULL)
		record(j, kind, d->detail);
}

/* The row as it is to be, from the one before it; its texts are lent. */
static struct deployment
begin_row(const struct job *j, const struct deployment *before)
{
	struct deployment d = { .detail = (char *)"" };

	if (before != NULL)
		d = *before;
	d.certificate = j->row->id;
	d.target = j->spec->deploy.v[j->target];
	d.bundled = j->row->bundled;
	return d;
}

static void
note_failed(struct job *j, const struct deployment *before, const char *detail)
{
	struct deployment d = begin_row(j, before);
	int64_t now = clock_now();
	char at[CLOCK_TEXT_SIZE];
	bool news = d.failures == 0 || strcmp(d.detail, detail) != 0;

	d.state = DEPLOYMENT_FAILED;
	d.at = now;
	d.detail = (char *)detail;
	d.failures++;
	d.next_attempt = wakeup_redeploy(now, d.failures, clock_random(UINT32_MAX));
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
static void
note_deployed(struct job *j, const struct deployment *before)
{
	struct deployment d = begin_row(j, before);
	bool seen_later = verifies(find_target(j));

	d.state = DEPLOYMENT_DEPLOYED;
	d.at = d.deployed_at = clock_now();
	d.next_attempt = seen_later ? d.at : 0;
	if (!seen_later || d.failures == 0) {
		d.failures = 0;
		d.detail = (char *)"";
		log_line(LOG_NOTICE,
		    (&(struct log_fields){ .event = LOG_EVENT_DEPLOYED,
			.certificate = j->row->name,
			.target = d.target }),
		    "deployed");
	}
	save(j, &d, "deployed");
}

static void
note_served(struct job *j, const struct deployment *before)
{
	const struct target_config *t = find_target(j);
	struct deployment d = begin_row(j, before);
	bool news = d.state != DEPLOYMENT_SERVED;
	int64_t pause = verifies(t) ? t->verify_interval.seconds : 0;

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
		log_line(LOG_NOTICE,
		    (&(struct log_fields){ .event = LOG_EVENT_DEPLOYED,
			.certificate = j->row->name,
			.target = d.target }),
		    "served");
	save(j, &d, news ? "served" : NULL);
}

/* Its files are as they have to be; nothing is known of who reads them. */
static void
note_in_place(struct job *j, const struct deployment *before)
{
	struct deployment d = begin_row(j, before);
	int64_t pause = find_target(j)->verify_interval.seconds;

	d.verified_at = clock_now();
	d.next_attempt =
	    d.verified_at + pause - (int64_t)clock_random((uint64_t)pause / 10 + 1);
	if (d.failures > 0)
		log_line(LOG_NOTICE,
		    (&(struct log_fields){ .event = LOG_EVENT_DEPLOYED,
			.certificate = j->row->name,
			.target = d.target }),
		    "deployed");
	d.failures = 0;
	d.detail = (char *)"";
	save(j, &d, NULL);
}

/* ---- is it served? ---- */

static int start_deploy(struct job *j, const char *target);
static void mark_pending(struct job *j, const struct deployment *before);

static void
next_target(struct job *j)
{
	j->redeployed = false;
	j->target++;
}

/* Whoever changed it: it is deployed once more before that counts as a failure. False:
 * this target is done with. */
static bool
deploy_again(struct job *j, const struct deployment *before, const char *why)
{
	if (j->redeployed) {
		note_failed(j, before, why);
		return false;
	}
	j->redeployed = true;
	if (before == NULL || before->failures == 0) {
		log_line(LOG_WARNING,
		    (&(struct log_fields){ .event = LOG_EVENT_NOT_SERVED,
			.certificate = j->row->name,
			.target = j->spec->deploy.v[j->target] }),
		    "%s; it is deployed again", why);
		record(j, "not-served", why);
	}
	if (start_deploy(j, j->spec->deploy.v[j->target]) < 0)
		return false;
	mark_pending(j, before);
	return true;
}

static void
verified_cb(const char *why, void *arg)
{
	struct job *j = arg;
	struct deployment *rows = NULL;
	size_t count = 0;
	const struct deployment *before = NULL;
	bool busy = false;

	(void)read_deployment(j, j->spec->deploy.v[j->target], &rows, &count, &before);
	if (why == NULL)
		note_served(j, before);
	else
		busy = deploy_again(j, before, why);
	deployment_free_all(rows, count);
	j->verify = verify_free(j->verify);
	j->renewals->verifying--;
	if (busy)
		return;
	next_target(j);
	job_step(j);
}

/* The first DNS name, one that a wildcard stands for; false where there is none. */
static bool
choose_name(const struct certificate_spec *spec, char ret[300])
{
	for (size_t i = 0; i < spec->identifier_count; i++) {
		const struct acme_identifier *it = &spec->identifiers[i];

		if (it->type != ACME_IDENTIFIER_DNS)
			continue;
		snprintf(ret, 300, "%s%s", it->value[0] == '*' ? "renewd" : "",
		    it->value + (it->value[0] == '*'));
		return true;
	}
	return false;
}

static int
start_verify(struct job *j, const struct target_config *t, bool patient)
{
	struct verify_leaf leaves[ELEMENTS(j->spec->keys)];
	struct verify_subject subject = { .target = t, .leaves = leaves };
	char name[300];
	int r;

	if (choose_name(j->spec, name))
		subject.server_name = name;
	for (size_t k = 0; k < j->spec->key_count; k++) {
		const struct issued *i =
		    due_find(j->issued, j->issued_count, j->spec->keys[k]);

		if (i != NULL)
			leaves[subject.count++] = (struct verify_leaf){
				.rsa = acme_key_type_is_rsa(i->key_type),
				.fingerprint = i->fingerprint,
			};
	}
	r = verify_start(
	    j->renewals->means.base, &subject, patient, verified_cb, j, &j->verify);
	if (r == 0)
		j->renewals->verifying++;
	return r;
}

/* Where too many are looked at just now, later. False: nothing was started. */
static bool
look(struct job *j, const struct deployment *before, bool patient)
{
	const struct target_config *t = find_target(j);
	struct deployment d = begin_row(j, before);
	char why[512];

	if (!job_files_right(j, t, why, sizeof(why)))
		return deploy_again(j, before, why);
	if (t->verify.n == 0) {
		note_in_place(j, before);
		return false;
	}
	if (j->renewals->verifying < VERIFYING_MAX && start_verify(j, t, patient) == 0)
		return true;
	d.next_attempt = clock_now() + 1 + (int64_t)clock_random(LATER_SECONDS);
	save(j, &d, NULL);
	return false;
}

/* ---- deploying ---- */

static void
deployed_cb(const struct acme_result *failure, void *arg)
{
	struct job *j = arg;
	struct deployment *rows = NULL;
	size_t count = 0;
	const struct deployment *before = NULL;
	bool busy = false;

	j->deploy = NULL;
	(void)read_deployment(j, j->spec->deploy.v[j->target], &rows, &count, &before);
	if (failure != NULL)
		note_failed(j, before, failure->detail);
	else
		note_deployed(j, before);
	deployment_free_all(rows, count);
	rows = NULL;
	count = 0;
	if (failure == NULL && verifies(find_target(j)) &&
	    read_deployment(j, j->spec->deploy.v[j->target], &rows, &count, &before) ==
		0) {
		busy = before != NULL && look(j, before, true);
		deployment_free_all(rows, count);
	}
	if (busy)
		return;
	next_target(j);
	job_step(j);
}

/* Has it been told of what the files hold? */
static bool
has_taken(const struct job *j, const struct deployment *d)
{
	return d != NULL && d->bundled != NULL &&
	    strcmp(d->bundled, j->row->bundled) == 0 &&
	    (d->state == DEPLOYMENT_DEPLOYED || d->state == DEPLOYMENT_SERVED);
}

/* Has this target taken what the bundle holds, or is it too early to try again, or to
 * look again? */
static bool
settled(const struct job *j, const struct deployment *d, const struct target_config *t)
{
	char why[512];

	if (d == NULL || d->bundled == NULL || strcmp(d->bundled, j->row->bundled) != 0)
		return false;
	if (d->state == DEPLOYMENT_FAILED)
		return d->next_attempt > clock_now();
	return has_taken(j, d) &&
	    (!verifies(t) ||
		(d->next_attempt > clock_now() &&
		    job_files_right(j, t, why, sizeof(why))));
}

static void
mark_pending(struct job *j, const struct deployment *before)
{
	struct deployment d = begin_row(j, before);

	d.state = DEPLOYMENT_PENDING;
	d.at = clock_now();
	d.next_attempt = 0;
	(void)deployment_save(j->renewals->means.store, &d);
}

/* Nobody looks there any more. */
static void
forget_look(struct job *j, const struct deployment *before)
{
	struct deployment d = begin_row(j, before);

	d.next_attempt = 0;
	(void)deployment_save(j->renewals->means.store, &d);
}

static int
start_deploy(struct job *j, const char *target)
{
	_cleanup_(job_free_subject) struct job_subject subject = { 0 };
	int r = job_subject(j, find_target(j), &subject);

	if (r < 0)
		return r;
	return deploy_start(
	    j->renewals->means.deploy, target, &subject.it, deployed_cb, j, &j->deploy);
}

bool
job_wants_deploy(const struct job *j)
{
	bool wants = false;

	if (j->issued_count == 0 || j->row->bundled == NULL)
		return false;
	for (size_t i = 0; i < j->spec->deploy.n && !wants; i++) {
		const struct deployment *d = NULL;
		struct deployment *rows = NULL;
		size_t count = 0;

		if (read_deployment(j, j->spec->deploy.v[i], &rows, &count, &d) == 0)
			wants = !settled(j, d,
			    config_target(j->renewals->config, j->spec->deploy.v[i]));
		deployment_free_all(rows, count);
	}
	return wants;
}

/* True: something was started. */
static bool
step_target(struct job *j, const struct deployment *d)
{
	const struct target_config *t = find_target(j);

	if (settled(j, d, t)) {
		if (has_taken(j, d) && !verifies(t) && d->next_attempt != 0)
			forget_look(j, d);
		return false;
	}
	if (has_taken(j, d))
		return look(j, d, false);
	if (start_deploy(j, j->spec->deploy.v[j->target]) < 0)
		return false;
	mark_pending(j, d);
	return true;
}

bool
job_deploy_step(struct job *j)
{
	if (j->issued_count == 0 || j->row->bundled == NULL)
		return false;
	for (; j->target < j->spec->deploy.n; next_target(j)) {
		const struct deployment *d;
		struct deployment *rows = NULL;
		size_t count = 0;
		bool started = false;

		if (read_deployment(
			j, j->spec->deploy.v[j->target], &rows, &count, &d) == 0)
			started = step_target(j, d);
		deployment_free_all(rows, count);
		if (started)
			return true;
	}
	return false;
}
