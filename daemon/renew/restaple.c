/*
 * restaple.c - see restaple.h.
 *
 * A server that reads responses only when it is reloaded isn't reloaded for each: what
 * it has is good for a while, and any reload gives it all that there are. So one that
 * has a thousand certificates is reloaded as often as one that has one: when the first
 * of what it has loaded nears its end. It must never reload outside of a target's
 * hours, nor put a response beside files that it isn't about.
 */
#include "renew/restaple.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bundle/staple.h"
#include "bundle/writer.h"
#include "deploy/deploy.h"
#include "inventory/ocsp.h"
#include "inventory/store.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "renew/due.h"
#include "renew/job.h"
#include "renew/ocsp.h"
#include "renew/ocsp_response.h"
#include "renew/telling.h"

#define ROWS_MAX 64 /* in a turn of the loop */
/* Many that are issued together get their first one together. */
#define FIRST_SECONDS 600
/* A reload, or a run by socket, may have read the files so long before it was seen to
 * be over. */
#define RELOAD_SECONDS 120
/* While a job of the certificate has its targets, it is asked again. */
#define BUSY_SECONDS 10

/* ---- to the servers ---- */

/* A quarter of its time is left then, for hours that have to be waited for, and for a
 * server that is away. */
void
restaple_plan(struct ocsp_row *row, int64_t now)
{
	int64_t life = row->next_update - row->this_update;

	row->written_at = now;
	if (row->reload_at != 0)
		return;
	row->reload_at = row->response_len == 0 || life <= 0
	    ? now + FIRST_SECONDS
	    : row->this_update + life / 4 * 3;
}

/* It has what the files hold. One that is still to be told gets the response with it,
 * in its hours and when its attempt is due. */
static bool
is_settled(const struct deployment *d, const struct certificate *c)
{
	return (d->state == DEPLOYMENT_DEPLOYED || d->state == DEPLOYMENT_SERVED) &&
	    d->bundled != NULL && c->bundled != NULL &&
	    strcmp(d->bundled, c->bundled) == 0;
}

/* written_at 0: those that take it without a reload. Otherwise all that haven't got it
 * since. */
static bool
is_meant(const struct renewals *r, const struct certificate *c,
    const struct certificate_spec *spec, const struct deployment *d, int64_t written_at)
{
	const struct target_config *t = config_target(r->config, d->target);
	int64_t since = written_at + RELOAD_SECONDS;

	if (!due_is_target(spec, d->target) || !is_settled(d, c))
		return false;
	if (deploy_takes_staples(t)) /* a crash or a run has kept it from being told */
		return written_at == 0 || d->deployed_at < since;
	if (written_at == 0 || !deploy_reads_staples(t, spec->must_staple))
		return false;
	/* at a path of its own it was put by nobody but its own deployment */
	if (t->bundle_path != NULL)
		return d->deployed_at < since;
	return !deployment_any_since(r->means.store, d->target, since, clock_now());
}

/* What is current is served again, also where nobody has to be told. */
static int
tell(struct renewals *r, struct certificate *c, const struct certificate_spec *spec,
    int64_t written_at)
{
	struct deployment *rows = NULL;
	size_t count = 0;
	bool any = false;
	int e = deployment_list(r->means.store, c->id, &rows, &count);

	for (size_t i = 0; i < count && e == 0; i++) {
		if (!is_meant(r, c, spec, &rows[i], written_at))
			continue;
		any = true;
		if (written_at == 0)
			rows[i].hurry_at = 0; /* no reload has to wait for its hours */
		e = telling_forget(r, &rows[i]);
	}
	deployment_free_all(rows, count);
	if (e < 0 || !any)
		return e;
	c->next_at = clock_now();
	e = certificate_save(r->means.store, c);
	renewals_changed(r, c->id);
	return e;
}

static void
tell_due(struct renewals *r, struct ocsp_row *row)
{
	_cleanup_(job_freep) struct job *j = NULL;
	bool busy = renewals_job(r, row->certificate) != NULL;

	/* what the job notes at its end would hide that something is wanted */
	row->reload_at = busy ? clock_now() + BUSY_SECONDS : 0;
	if (ocsp_save(r->means.store, row) < 0 || busy || row->unwanted ||
	    job_load(r, row->certificate, &j) < 0)
		return;
	(void)tell(r, j->row, j->spec, row->written_at);
}

void
restaple_due(struct renewals *r, int64_t now)
{
	int64_t ids[ROWS_MAX];
	int count = ocsp_to_reload(r->means.store, now, ids, ROWS_MAX);

	for (int i = 0; i < count; i++) {
		_cleanup_(ocsp_row_freep) struct ocsp_row *row = NULL;

		if (ocsp_get(r->means.store, ids[i], &row) == 0)
			tell_due(r, row);
	}
}

/* ---- to the files ---- */

/* What is known of a certificate's current ones, and good. */
struct current {
	struct ocsp_row *rows[2];
	size_t row_count;
	struct staple staples[2];
	size_t count;
};

static void
free_current(struct current *c)
{
	for (size_t i = 0; i < c->row_count; i++)
		ocsp_row_free(c->rows[i]);
}

static int
read_current(const struct job *j, struct current *ret)
{
	int e = 0;

	if (j->old_count == 0) /* those of before have none */
		e = ocsp_current(
		    j->renewals->means.store, j->row->id, ret->rows, &ret->row_count);
	for (size_t i = 0; i < ret->row_count; i++) {
		const struct ocsp_row *row = ret->rows[i];

		if (row->status == OCSP_GOOD && row->next_update > clock_now())
			ret->staples[ret->count++] = (struct staple){ .rsa = row->rsa,
				.data = row->response,
				.len = row->response_len };
	}
	return e;
}

static void
say_unplaced(const char *certificate, int e)
{
	log_line(LOG_WARNING,
	    (&(struct log_fields){
		.event = LOG_EVENT_OCSP_FAILED, .certificate = certificate }),
	    "its OCSP response can't be put beside its files: %s", strerror(-e));
}

void
restaple_place(const struct job *j)
{
	_cleanup_(free_current) struct current c = { 0 };
	int e = read_current(j, &c);

	if (e == 0)
		e = staple_write(j->renewals->bundles, j->row->name,
		    j->spec->key_count > 1, c.staples, c.count);
	if (e < 0)
		say_unplaced(j->row->name, e);
}

/* A response on its way to the files, in a thread. */
struct publication {
	struct renewals *renewals;
	int64_t certificate, issued;
	bool first;
};

/* All wait for the first one of a certificate that has to have one; and those that take
 * it at once for the end of a job. */
static void
hurry(struct renewals *r, int64_t issued)
{
	_cleanup_(ocsp_row_freep) struct ocsp_row *row = NULL;

	if (ocsp_get(r->means.store, issued, &row) < 0)
		return;
	row->reload_at = clock_now();
	if (ocsp_save(r->means.store, row) < 0)
		return;
	restaple_due(r, row->reload_at);
	ocsp_poke(r->ocsp); /* which sleeps for longer than a job takes */
}

static bool
takes_at_once(const struct renewals *r, const struct certificate_spec *spec)
{
	for (size_t i = 0; i < spec->deploy.n; i++)
		if (deploy_takes_staples(config_target(r->config, spec->deploy.v[i])))
			return true;
	return false;
}

static void
published_cb(int e, void *arg)
{
	_cleanup_free_ struct publication *p = arg;
	struct renewals *r = p->renewals;
	_cleanup_(job_freep) struct job *j = NULL;
	bool wait; /* is there somebody who waits for it? */

	if (e == -ECANCELED || job_load(r, p->certificate, &j) < 0)
		return;
	if (e < 0) { /* a later look at all files puts it there */
		say_unplaced(j->row->name, e);
		return;
	}
	wait = p->first && j->spec->must_staple;
	if (renewals_job(r, p->certificate) != NULL)
		wait = wait || takes_at_once(r, j->spec);
	else if (tell(r, j->row, j->spec, 0) < 0)
		wait = false;
	if (wait)
		hurry(r, p->issued);
}

void
restaple_publish(struct renewals *r, const struct ocsp_row *row, bool first)
{
	_cleanup_(job_freep) struct job *j = NULL;
	_cleanup_(free_current) struct current c = { 0 };
	_cleanup_free_ struct publication *p = calloc(1, sizeof(*p));
	_cleanup_free_ char *wanted = NULL;
	int e;

	if (p == NULL || job_load(r, row->certificate, &j) < 0 ||
	    j->row->bundled == NULL)
		return;
	/* files that aren't written yet get it with them */
	wanted = due_bundle(j->spec, j->issued, j->issued_count);
	if (wanted == NULL || strcmp(wanted, j->row->bundled) != 0)
		return;
	*p = (struct publication){ .renewals = r,
		.certificate = row->certificate,
		.issued = row->issued,
		.first = first };
	e = read_current(j, &c);
	if (e == 0)
		e = writer_staple(r->writer, r->bundles, j->row->name,
		    j->spec->key_count > 1, c.staples, c.count, published_cb, p);
	if (e == 0)
		(void)steal_ptr(p);
	else
		say_unplaced(j->row->name, e);
}
