/*
 * job_deploy.c - a job's last step: its targets are told of what the files hold, one
 * after the other, in their hours.
 *
 * Called by job.c. What each target has taken is a fact of its own: a failure here
 * orders nothing, and is retried with its own delays. What is served after that is
 * job_served.c's.
 */
#include "renew/job.h"

#include <errno.h>
#include <string.h>

#include "deploy/deploy.h"
#include "inventory/store.h"
#include "platform/clock.h"
#include "renew/due.h"
#include "renew/rollback.h"
#include "renew/telling.h"

void
job_next_target(struct job *j)
{
	j->redeployed = false;
	j->target++;
}

/* ---- telling ---- */

static void
deployed_cb(const struct acme_result *failure, void *arg)
{
	struct job *j = arg;
	struct deployment *rows = NULL;
	size_t count = 0;
	const struct deployment *before = NULL;
	bool busy = false;

	j->deploy = NULL;
	(void)telling_read(j, telling_target(j), &rows, &count, &before);
	if (failure != NULL)
		telling_failed(j, before, failure->detail);
	else
		telling_deployed(j, before);
	deployment_free_all(rows, count);
	if (failure != NULL) {
		job_heed_failure(j, failure);
		return;
	}
	if (telling_verifies(telling_config(j)) &&
	    telling_read(j, telling_target(j), &rows, &count, &before) == 0) {
		busy = before != NULL && job_look(j, before, true);
		deployment_free_all(rows, count);
	}
	if (busy)
		return;
	job_next_target(j);
	job_step(j);
}

static int
start(struct job *j)
{
	_cleanup_(job_free_subject) struct job_subject subject = { 0 };
	int r = job_subject(j, telling_config(j), &subject);

	if (r < 0)
		return r;
	return deploy_start(j->renewals->means.deploy, telling_target(j), &subject.it,
	    deployed_cb, j, &j->deploy);
}

bool
job_tell(struct job *j, const struct deployment *before)
{
	if (start(j) < 0)
		return false;
	telling_pending(j, before);
	return true;
}

/* ---- which is next ---- */

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
	if (d->state == DEPLOYMENT_PENDING)
		return d->next_attempt > clock_now() && telling_at(t, d) > clock_now();
	return !telling_verifies(t) ||
	    (d->next_attempt > clock_now() && job_files_right(j, t, why, sizeof(why)));
}

/* Nobody looks there any more. */
static void
forget_look(struct job *j, const struct deployment *before)
{
	struct deployment d = telling_row(j, before);

	d.next_attempt = 0;
	(void)deployment_save(j->renewals->means.store, &d);
}

/* Is there one before the present target that it has to wait for? */
static bool
is_held(const struct job *j)
{
	struct deployment *rows = NULL;
	size_t count = 0;
	bool held = false;

	if (j->target == 0 ||
	    deployment_list(j->renewals->means.store, j->row->id, &rows, &count) < 0)
		return false;
	for (size_t i = 0; i < j->target && i < j->spec->deploy.n && !held; i++) {
		const char *name = j->spec->deploy.v[i];

		held = due_holds(j->row, config_target(j->renewals->config, name),
		    due_find_deployment(rows, count, name));
	}
	deployment_free_all(rows, count);
	return held;
}

bool
job_wants_deploy(const struct job *j)
{
	struct deployment *rows = NULL;
	size_t count = 0;
	bool wants = false, held = false;

	if (j->issued_count == 0 || j->row->bundled == NULL || j->spec->deploy.n == 0 ||
	    deployment_list(j->renewals->means.store, j->row->id, &rows, &count) < 0)
		return false;
	for (size_t i = 0; i < j->spec->deploy.n && !wants && !held; i++) {
		const char *name = j->spec->deploy.v[i];
		const struct target_config *t =
		    config_target(j->renewals->config, name);
		const struct deployment *d = due_find_deployment(rows, count, name);

		wants = !settled(j, d, t);
		held = due_holds(j->row, t, d);
	}
	deployment_free_all(rows, count);
	return wants;
}

/* True: something was started. */
static bool
step_target(struct job *j, const struct deployment *d)
{
	const struct target_config *t = telling_config(j);
	int64_t at;

	if (settled(j, d, t)) {
		if (has_taken(j, d) && !telling_verifies(t) && d->next_attempt != 0)
			forget_look(j, d);
		return false;
	}
	if (has_taken(j, d))
		return job_look(j, d, false);
	at = telling_at(t, d);
	if (at > clock_now()) {
		telling_postpone(j, d, at);
		return false;
	}
	return job_tell(j, d);
}

bool
job_deploy_step(struct job *j)
{
	if (j->issued_count == 0 || j->row->bundled == NULL)
		return false;
	for (; j->target < j->spec->deploy.n && !is_held(j); job_next_target(j)) {
		const struct deployment *d;
		struct deployment *rows = NULL;
		size_t count = 0;
		bool started = false;

		if (telling_read(j, telling_target(j), &rows, &count, &d) == 0)
			started = step_target(j, d);
		deployment_free_all(rows, count);
		if (started)
			return true;
	}
	return false;
}
