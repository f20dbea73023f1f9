/*
 * job_deploy.c - a job's last step: its targets are told of what the files hold, one
 * after the other.
 *
 * Called by job.c. What each target has taken is a fact of its own: a failure here
 * orders nothing, and is retried with its own delays.
 */
#include "renew/job.h"

#include <errno.h>
#include <string.h>

#include "bundle/bundle.h"
#include "deploy/deploy.h"
#include "inventory/store.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "renew/due.h"
#include "result.h"
#include "schedule/wakeup.h"

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

static void
save_deployment(struct job *j, const char *target, const struct acme_result *failure)
{
	struct deployment *rows = NULL;
	size_t count = 0;
	const struct deployment *before = NULL;
	int64_t now = clock_now();
	char at[CLOCK_TEXT_SIZE];
	struct deployment d = { .certificate = j->row->id,
		.target = (char *)target,
		.at = now,
		.bundled = j->row->bundled,
		.state = failure == NULL ? DEPLOYMENT_DEPLOYED : DEPLOYMENT_FAILED,
		.detail = failure != NULL ? failure->detail : (char *)"" };
	struct log_fields f = { .event = failure == NULL ? LOG_EVENT_DEPLOYED
							 : LOG_EVENT_DEPLOY_FAILED,
		.certificate = j->row->name,
		.target = target };

	if (read_deployment(j, target, &rows, &count, &before) == 0 &&
	    failure != NULL) {
		d.failures = before != NULL ? before->failures + 1 : 1;
		d.next_attempt =
		    wakeup_redeploy(now, d.failures, clock_random(UINT32_MAX));
	}
	f.retry_at = d.next_attempt;
	/* the same failure again is no news */
	if (failure == NULL)
		log_line(LOG_NOTICE, &f, "deployed");
	else if (before == NULL || before->failures == 0 ||
	    strcmp(before->detail, failure->detail) != 0)
		log_line(LOG_ERR, &f, "deployment failed: %s; next attempt at %s",
		    failure->detail, clock_format(d.next_attempt, at));
	if (deployment_save(j->renewals->means.store, &d) == 0)
		(void)history_add(j->renewals->means.store,
		    &(struct history_event){ .at = now,
			.kind = failure == NULL ? "deployed" : "deploy-failed",
			.certificate = j->row->name,
			.target = target,
			.detail = failure != NULL ? failure->detail : NULL });
	deployment_free_all(rows, count);
}

static void
deployed_cb(const struct acme_result *failure, void *arg)
{
	struct job *j = arg;

	j->deploy = NULL;
	save_deployment(j, j->spec->deploy.v[j->target], failure);
	j->target++;
	job_step(j);
}

/* Has this target taken what the bundle holds, or is it too early to try again? */
static bool
settled(const struct job *j, const struct deployment *d)
{
	if (d == NULL || d->bundled == NULL || strcmp(d->bundled, j->row->bundled) != 0)
		return false;
	if (d->state == DEPLOYMENT_FAILED)
		return d->next_attempt > clock_now();
	return d->state == DEPLOYMENT_DEPLOYED || d->state == DEPLOYMENT_SERVED;
}

static void
mark_pending(struct job *j, const char *target, const struct deployment *before)
{
	struct deployment d = { .certificate = j->row->id,
		.target = (char *)target,
		.at = clock_now(),
		.state = DEPLOYMENT_PENDING,
		.bundled = j->row->bundled,
		.detail = before != NULL ? before->detail : (char *)"",
		.failures = before != NULL ? before->failures : 0 };

	(void)deployment_save(j->renewals->means.store, &d);
}

static int
start_deploy(struct job *j, const char *target)
{
	const struct issued *first = &j->issued[0];
	_cleanup_free_ char *domains = certificate_spec_domains(j->spec, ' ');
	_cleanup_free_ char *dir = bundle_path(j->renewals->bundles, j->row->name);
	char not_after[CLOCK_TEXT_SIZE];
	struct deploy_subject subject;

	for (size_t k = 0; k < j->spec->key_count; k++)
		if (due_find(j->issued, j->issued_count, j->spec->keys[k]) != NULL) {
			first = due_find(j->issued, j->issued_count, j->spec->keys[k]);
			break;
		}
	if (domains == NULL || dir == NULL)
		return -ENOMEM;
	subject = (struct deploy_subject){ .certificate = j->row->name,
		.domains = domains,
		.bundle_dir = dir,
		.serial = first->serial,
		.not_after = clock_format(first->not_after, not_after) };
	return deploy_start(
	    j->renewals->means.deploy, target, &subject, deployed_cb, j, &j->deploy);
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
			wants = !settled(j, d);
		deployment_free_all(rows, count);
	}
	return wants;
}

bool
job_deploy_step(struct job *j)
{
	if (j->issued_count == 0 || j->row->bundled == NULL)
		return false;
	for (; j->target < j->spec->deploy.n; j->target++) {
		const char *target = j->spec->deploy.v[j->target];
		const struct deployment *d;
		struct deployment *rows = NULL;
		size_t count = 0;
		int r;

		r = read_deployment(j, target, &rows, &count, &d);
		if (r == 0 && !settled(j, d)) {
			r = start_deploy(j, target);
			if (r == 0)
				mark_pending(j, target, d);
		} else {
			r = -EALREADY;
		}
		deployment_free_all(rows, count);
		if (r == 0)
			return true;
	}
	return false;
}
