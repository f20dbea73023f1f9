/*
 * request.c - what administrators ask of one certificate: to be renewed, paused,
 * deployed again, forgotten.
 *
 * Called by the handlers of control/. A job that is at work holds a copy of its row:
 * what is changed here is changed there, too, or the job would write the old over it.
 */
#include "renew/renewal.h"

#include <errno.h>

#include "deploy/deploy.h"
#include "platform/clock.h"
#include "renew/ari.h"
#include "renew/ca.h"
#include "renew/due.h"
#include "renew/files.h"
#include "renew/job.h"
#include "renew/removal.h"
#include "renew/rollback.h"
#include "renew/telling.h"
#include "schedule/limits.h"
#include "schedule/schedule.h"

static int64_t
last_id(const struct job *j)
{
	int64_t id = 0;

	for (size_t i = 0; i < j->issued_count; i++)
		if (j->issued[i].id > id)
			id = j->issued[i].id;
	return id;
}

static bool
files_are_intact(const struct job *j)
{
	size_t count;
	const struct issued *rows = rollback_rows(j, &count);

	return files_intact(j->renewals->bundles, rollback_spec(j), rows, count);
}

/* The scheduler hands it in at its next look. */
static int
look_now(struct renewals *r, struct certificate *c)
{
	int e;

	c->next_at = clock_now();
	e = certificate_save(r->means.store, c);
	if (e == 0) {
		r->stalled_until = 0; /* it can be written again */
		schedule_poke(r->means.schedule);
	}
	return e;
}

/* One that is at the CA is what was asked for. One that deploys what it has got is done
 * with that first, and comes again: the wish is noted in its row. */
static int
ask_running(struct job *j, bool force, enum renewal_answer *ret)
{
	*ret = RENEWAL_RUNNING;
	if (!force || j->ordering || j->issued_count == 0)
		return 0;
	j->again = true;
	j->row->forced = last_id(j);
	j->row->parked = false;
	j->row->next_attempt = 0;
	return certificate_save(j->renewals->means.store, j->row);
}

/* What a CA was stopped for may be done: whoever asks says that it is worth a try. */
static void
let_cas_go_on(struct renewals *r, const struct job *j)
{
	for (size_t i = 0; i < j->spec->cas.n; i++) {
		struct ca *ca = renewals_ca(r, j->spec->cas.v[i]);

		if (ca == NULL)
			continue;
		ca_go_on(ca);
		limits_probe(ca_limits(ca));
	}
	renewals_invite(r, j->row->id);
}

int
renewals_ask(
    struct renewals *r, struct certificate *c, bool force, enum renewal_answer *ret)
{
	_cleanup_(job_freep) struct job *j = NULL;
	struct job *running = renewals_job(r, c->id);
	int64_t now = clock_now();
	int64_t until;
	bool due;
	int e;

	e = job_load(r, c->id, &j);
	if (e < 0)
		return e;
	due = due_any(j->row, j->spec, j->names, j->issued, j->issued_count, now) !=
	    RENEW_NONE;
	if (j->row->paused || !j->spec->enabled) {
		*ret = RENEWAL_PAUSED;
		return 0;
	}
	if (running != NULL)
		return ask_running(running, force, ret);
	if (!due && !force) {
		*ret = RENEWAL_NOT_DUE;
		if (!files_are_intact(j))
			return look_now(r, j->row);
		return 0;
	}
	until = gate_until(j);
	if (until > now) {
		c->next_attempt = until; /* for who asks */
		*ret = RENEWAL_NOT_ALLOWED;
		return 0;
	}
	let_cas_go_on(r, j);
	if (j->row->parked)
		j->row->failing_since = now;
	if (force && j->issued_count > 0)
		j->row->forced = last_id(j);
	j->row->parked = false;
	j->row->next_attempt = 0;
	*ret = RENEWAL_STARTED;
	return look_now(r, j->row);
}

bool
renewals_look(struct renewals *r, const struct certificate *c,
    void (*told_cb)(void *arg), void *arg)
{
	return ari_ask(r->ari, c->id, told_cb, arg);
}

void
renewals_look_forget(struct renewals *r, void *arg)
{
	ari_forget(r->ari, arg);
}

/* ---- what is changed ---- */

void
renewals_changed(struct renewals *r, int64_t certificate)
{
	struct job *j = renewals_job(r, certificate);

	if (j != NULL)
		j->stale = true;
	schedule_poke(r->means.schedule);
}

int
renewals_pause(struct renewals *r, struct certificate *c, bool paused)
{
	struct job *j = renewals_job(r, c->id);
	int e;

	c->paused = paused;
	c->next_at = paused && j == NULL ? 0 : clock_now();
	e = certificate_save(r->means.store, c);
	if (e < 0)
		return e;
	if (j != NULL)
		j->row->paused = paused;
	renewals_changed(r, c->id);
	return 0;
}

static int
forget_deployment(struct renewals *r, struct deployment *d)
{
	d->hurry_at = 0; /* asked for now is now */
	return telling_forget(r, d);
}

/* Its job looks at once. One that isn't deployed is looked at when it is. */
static int
forget_look(struct renewals *r, struct deployment *d)
{
	if (d->state != DEPLOYMENT_DEPLOYED && d->state != DEPLOYMENT_SERVED)
		return 0;
	d->next_attempt = 0;
	return deployment_save(r->means.store, d);
}

static bool
has_target(const struct job *j, bool verified)
{
	for (size_t i = 0; i < j->spec->deploy.n; i++) {
		const struct target_config *t =
		    config_target(j->renewals->config, j->spec->deploy.v[i]);

		if (!verified || telling_verifies(t))
			return true;
	}
	return false;
}

static int
ask_targets(struct renewals *r, struct certificate *c, bool verified,
    int (*forget)(struct renewals *r, struct deployment *d))
{
	_cleanup_(job_freep) struct job *fresh = NULL;
	struct deployment *rows = NULL;
	size_t count = 0;
	int e;

	e = job_load(r, c->id, &fresh);
	if (e < 0)
		return e;
	if (!has_target(fresh, verified))
		return -ENODEV;
	if (fresh->issued_count == 0)
		return -ENODATA;
	e = deployment_list(r->means.store, c->id, &rows, &count);
	for (size_t i = 0; i < count && e == 0; i++)
		e = forget(r, &rows[i]);
	deployment_free_all(rows, count);
	if (e == 0) {
		c->next_at = clock_now();
		e = certificate_save(r->means.store, c);
	}
	if (e == 0)
		renewals_changed(r, c->id);
	return e;
}

int
renewals_deploy(struct renewals *r, struct certificate *c)
{
	_cleanup_(rollback_freep) struct rollback *row = NULL;
	int e = rollback_get(r->means.store, c->id, &row);

	if (e == 0)
		e = rollback_delete(r->means.store, c->id);
	if (e < 0 && e != -ENOENT)
		return e;
	e = ask_targets(r, c, false, forget_deployment);
	if (e != -ENODEV || row == NULL || *row->to == '\0')
		return e;
	e = look_now(r, c);
	if (e == 0)
		renewals_changed(r, c->id);
	return e;
}

int
renewals_rollback(struct renewals *r, struct certificate *c)
{
	_cleanup_(job_freep) struct job *fresh = NULL;
	int e;

	e = job_load(r, c->id, &fresh);
	if (e < 0)
		return e;
	if (fresh->issued_count == 0)
		return -ENODATA;
	e = rollback_begin(fresh, NULL, NULL);
	if (e < 0)
		return e;
	c->next_at = clock_now();
	e = certificate_save(r->means.store, c);
	if (e == 0)
		renewals_changed(r, c->id);
	return e;
}

int
renewals_verify(struct renewals *r, struct certificate *c)
{
	return ask_targets(r, c, true, forget_look);
}

int
renewals_purge(struct renewals *r, const struct certificate *c)
{
	struct job *j = renewals_job(r, c->id);

	if (deploy_reloading(r->means.deploy))
		return -EBUSY;
	if (j != NULL)
		job_drop(j);
	return removal_purge(r, c);
}
