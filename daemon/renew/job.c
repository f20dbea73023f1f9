/*
 * job.c - one certificate on its way: order what is due, write the bundle, deploy it.
 *
 * job_step() is the hub. It looks at the facts and starts the first thing that is
 * missing; each callback notes how that went, in the inventory, and steps again.
 * Issued, bundled and deployed are facts of their own: a failure of one never redoes
 * another. Its steps are in job_order.c, here, and job_deploy.c.
 */
#include "renew/job.h"

#include <errno.h>
#include <string.h>

#include "bundle/writer.h"
#include "deploy/deploy.h"
#include "deploy/verify.h"
#include "inventory/store.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "renew/due.h"
#include "renew/files.h"
#include "renew/hours.h"
#include "renew/order.h"
#include "renew/own_key.h"
#include "renew/restaple.h"
#include "renew/rollback.h"
#include "renew/said.h"

/* ---- loading ---- */

int
job_load_issued(struct job *j)
{
	struct issued *rows;
	size_t count;
	int r;

	r = issued_current(j->renewals->means.store, j->row->id, true, &rows, &count);
	if (r < 0)
		return r;
	own_key_compare(j->spec, rows, count);
	issued_free_all(j->issued, j->issued_count);
	j->issued = rows;
	j->issued_count = count;
	return rollback_load(j);
}

int
job_load(struct renewals *r, int64_t certificate, struct job **ret)
{
	_cleanup_(job_freep) struct job *j = calloc(1, sizeof(*j));
	struct config_errors errors = { 0 };
	int e;

	if (j == NULL)
		return -ENOMEM;
	j->renewals = r;
	j->generation = r->generation;
	e = certificate_get_id(r->means.store, certificate, &j->row);
	if (e < 0)
		return e;
	if (j->row->removed_at != 0)
		return -ENOENT;
	due_heed_clock(j->row, clock_now());
	e = certificate_spec_parse(
	    r->config, j->row->name, j->row->spec, &j->spec, &errors);
	config_errors_clear(&errors);
	if (e < 0)
		return e;
	j->names = order_names(j->spec);
	if (j->names == NULL)
		return -ENOMEM;
	e = job_load_issued(j);
	if (e < 0)
		return e;
	*ret = steal_ptr(j);
	return 0;
}

struct job *
job_free(struct job *j)
{
	if (j == NULL)
		return NULL;
	gate_leave(j);
	order_free(j->order);
	writing_forget(j->writing);
	acme_result_free(j->hope);
	deploy_cancel(j->deploy);
	if (j->verify != NULL)
		j->renewals->verifying--;
	verify_free(j->verify);
	rollback_clear(j);
	free(j->broken);
	free(j->wanted);
	issued_free_all(j->issued, j->issued_count);
	certificate_spec_free(j->spec);
	certificate_free(j->row);
	free(j->names);
	free(j);
	return NULL;
}

/* ---- bundle ---- */

static void
note_written(struct job *j, int r)
{
	struct certificate *c = j->row;

	j->written = r == 0;
	j->unwritten = r < 0;
	if (r < 0) {
		job_note_unwritten(j, r);
		return;
	}
	if (j->issued_count == 0 && c->placeholder_since == 0)
		c->placeholder_since = clock_now();
	rollback_note_files(c, steal_ptr(j->wanted));
	if (j->issued_count > 0)
		restaple_place(j);
	said_forget(j->renewals->said, c->id, SAID_FILES);
	log_line(LOG_INFO, &(struct log_fields){ .certificate = c->name },
	    j->issued_count > 0 ? "files written" : "placeholder written");
}

static void
written_cb(int r, void *arg)
{
	struct job *j = arg;

	j->writing = NULL;
	note_written(j, r);
	job_step(j);
}

/* What they are to hold is noted: it may be another by the time they are written. */
static bool
wants_files(struct job *j, const struct certificate_spec *spec,
    const struct issued *rows, size_t count)
{
	const char *bundled = j->row->bundled;
	bool (*look)(struct bundles * bundles, const struct certificate_spec *spec,
	    const struct issued *rows, size_t count);

	free(j->wanted);
	j->wanted = due_bundle(spec, rows, count);
	if (j->unwritten || j->wanted == NULL || *j->wanted == '\0')
		return false;
	if (bundled == NULL || strcmp(j->wanted, bundled) != 0)
		return true;
	/* what is inside of placeholders is looked at by repair.c */
	look = count > 0 ? files_intact : files_there;
	return !j->written && !look(j->renewals->bundles, spec, rows, count);
}

/* True: it has to wait. A placeholder isn't: nothing waits for the disk there. */
static bool
bundle_step(struct job *j)
{
	struct renewals *r = j->renewals;
	const struct certificate_spec *spec = rollback_spec(j);
	size_t count;
	const struct issued *rows = rollback_rows(j, &count);
	int e;

	if (j->writing != NULL)
		return true;
	if (!wants_files(j, spec, rows, count))
		return false;
	j->waiting_for_idle = deploy_reloading(r->means.deploy);
	if (j->waiting_for_idle)
		return true;
	if (count == 0) {
		note_written(j, files_write(r->bundles, spec, NULL, 0));
		return false;
	}
	e = files_start(
	    r->writer, r->bundles, spec, rows, count, written_cb, j, &j->writing);
	if (e < 0)
		note_written(j, e);
	return j->writing != NULL;
}

/* ---- end ---- */

static void
plan(struct job *j)
{
	struct certificate *c = j->row;
	struct hours *hours = j->renewals->hours;
	int64_t before = c->renew_at;
	int64_t now = clock_now();
	int64_t from, to, at = 0;

	/* chance alone would leave peaks */
	if (due_span(c, j->spec, j->issued, j->issued_count, &from, &to))
		at = hours_pick(hours, from, to, clock_random(UINT64_MAX));
	due_plan(c, j->spec, j->names, j->issued, j->issued_count, now, at);
	hours_move(hours, before, c->renew_at);
	if (c->renew_reason != RENEW_FORCED && c->failures == 0)
		c->forced = 0;
}

static bool
is_wanted_key(const struct job *j, enum acme_key_type type)
{
	for (size_t k = 0; k < j->spec->key_count; k++)
		if (j->spec->keys[k] == type)
			return true;
	return false;
}

/* Orders of key types, and news of targets, that it doesn't have any more. */
static void
tidy(struct job *j, struct deployment *rows, size_t count)
{
	struct store *store = j->renewals->means.store;

	for (size_t i = 0; i < count; i++)
		if (!due_is_target(j->spec, rows[i].target))
			(void)deployment_delete(store, j->row->id, rows[i].target);
	for (int type = ACME_KEY_ECDSA_P256; type <= ACME_KEY_RSA_4096; type++) {
		_cleanup_(order_row_freep) struct order_row *row = NULL;

		if (!is_wanted_key(j, (enum acme_key_type)type) &&
		    order_find(store, j->row->id, (enum acme_key_type)type, &row) == 0)
			(void)order_delete(store, row->id);
	}
}

/* What others have written while the job ran is theirs: a pause, a removal, another
 * text. A job that was loaded by what doesn't hold any more is due again at once. */
static void
heed_others(struct job *j)
{
	_cleanup_(certificate_freep) struct certificate *now = NULL;
	bool changed;

	if (certificate_get_id(j->renewals->means.store, j->row->id, &now) < 0)
		return;
	changed = j->stale || strcmp(now->spec, j->row->spec) != 0;
	if (changed) { /* what stopped it may not be wanted any more */
		j->row->parked = false;
		j->row->next_attempt = 0;
	}
	if (changed || j->again || j->generation != j->renewals->generation ||
	    now->paused != j->row->paused || now->removed_at != 0)
		j->row->next_at = clock_now();
	j->row->paused = now->paused;
}

void
job_drop(struct job *j)
{
	struct renewals *r = j->renewals;

	if (j->ordering)
		r->ordering--;
	TAILQ_REMOVE(&r->jobs, j, entry);
	job_free(j);
	renewals_ended(r);
}

/* When to look again; what has gone back to the generation before, when that ends. */
static int64_t
next_time(const struct job *j, const struct deployment *rows, size_t count, int64_t now)
{
	int64_t at = due_next(
	    j->row, j->spec, j->renewals->config, j->issued_count, rows, count, now);
	int64_t end = rollback_end(j);

	return end != 0 && at > end ? end : at;
}

void
job_replan(struct job *j)
{
	struct store *store = j->renewals->means.store;
	struct certificate *c = j->row;
	struct deployment *rows = NULL;
	size_t count = 0;
	int64_t now = clock_now();

	plan(j);
	if (c->next_at == 0 || c->next_at > now) { /* else it waits for its turn */
		(void)deployment_list(store, c->id, &rows, &count);
		c->next_at = job_wants_order(j) ? now : next_time(j, rows, count, now);
		deployment_free_all(rows, count);
	}
	(void)certificate_save(store, c);
}

/* Nothing is left to do now: when is the next time? */
static void
finish(struct job *j)
{
	struct renewals *r = j->renewals;
	struct deployment *rows = NULL;
	size_t count = 0;
	int64_t now = clock_now();
	int e;

	if (!j->tried && !j->unwritten && j->row->failures > 0 && !job_is_due(j))
		job_note_success(
		    j); /* what had failed is wanted no more, or was mended */
	plan(j);
	(void)deployment_list(r->means.store, j->row->id, &rows, &count);
	tidy(j, rows, count);
	/* the plan may have become another while it ran, as by what the CA wants */
	j->row->next_at = !j->order_begun && job_wants_order(j)
	    ? now
	    : next_time(j, rows, count, now);
	if (j->unwritten &&
	    (j->row->next_at == 0 || j->row->next_at > now + JOB_FILES_SECONDS))
		j->row->next_at = now + JOB_FILES_SECONDS;
	deployment_free_all(rows, count);
	heed_others(j);
	e = certificate_save(r->means.store, j->row);
	if (e < 0)
		renewals_stall(r, e);
	job_drop(j);
}

void
job_step(struct job *j)
{
	struct renewals *r = j->renewals;
	bool ordering;

	if (j->issued_count == 0 && bundle_step(j))
		return; /* a placeholder first: servers may be waiting for it */
	ordering = job_order_step(j);
	if (!ordering)
		gate_leave(j);
	if (j->ordering != ordering) {
		j->ordering = ordering;
		r->ordering += ordering ? 1 : (size_t)-1;
		if (!ordering)
			renewals_ended(r); /* there is room for another */
	}
	if (ordering || bundle_step(j))
		return;
	/* what was reached is kept; next_at stays, so that a crash from here on has the
	 * deployments looked at again */
	plan(j);
	(void)certificate_save(r->means.store, j->row);
	if (!job_deploy_step(j))
		finish(j);
}
