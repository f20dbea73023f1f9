/*
 * renewal.c - the set of jobs: who may begin, who is at work, which CAs there are.
 *
 * What one job does is in job.c.
 */
#include "renew/renewal.h"

#include <errno.h>
#include <string.h>

#include "bundle/writer.h"
#include "deploy/deploy.h"
#include "inventory/store.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "renew/ari.h"
#include "renew/ca.h"
#include "renew/deactivate.h"
#include "renew/due.h"
#include "renew/hours.h"
#include "renew/job.h"
#include "renew/ocsp.h"
#include "renew/order.h"
#include "renew/queue.h"
#include "renew/removal.h"
#include "renew/repair.h"
#include "renew/revoker.h"
#include "renew/said.h"
#include "renew/selftest.h"
#include "renew/spare.h"
#include "schedule/limits.h"
#include "schedule/schedule.h"

#define STALL_SECONDS      60
#define UNREADABLE_SECONDS 3600
#define SOME_US            20000

DEFINE_CLEANUP(struct renewals, renewals_free)

/* ---- jobs ---- */

struct job *
renewals_job(const struct renewals *r, int64_t certificate)
{
	struct job *j;

	TAILQ_FOREACH (j, &r->jobs, entry)
		if (j->row->id == certificate)
			return j;
	return NULL;
}

/* The server has read what it was told to: bundles may be switched again. */
static void
idle_cb(void *arg)
{
	struct renewals *r = arg;
	struct job *j;
	struct job *next;

	writer_poke(r->writer);
	for (j = TAILQ_FIRST(&r->jobs); j != NULL; j = next) {
		next = TAILQ_NEXT(j, entry);
		if (j->waiting_for_idle) {
			j->waiting_for_idle = false;
			job_step(j);
		}
	}
}

/* A server that reads files finds them all of one generation. */
static bool
may_switch_cb(void *arg)
{
	const struct renewals *r = arg;

	return !deploy_reloading(r->means.deploy);
}

void
renewals_stall(struct renewals *r, int error)
{
	r->stalled_until = clock_now() + STALL_SECONDS;
	/* damage says the store itself, and no room may have been said before */
	if (!r->stalled_said && error != -EUCLEAN &&
	    (error != -ENOSPC || !selftest_said_full(r->selftest)))
		log_line(LOG_CRIT, LOG_ABOUT(STORE_FAILED),
		    "the inventory cannot be written: %s; nothing is begun until it can, "
		    "trying again each minute",
		    store_explain(error));
	r->stalled_said = true;
}

static void
resume(struct renewals *r)
{
	if (r->stalled_said)
		log_line(LOG_NOTICE, LOG_ABOUT(STORE_WORKS),
		    "the inventory can be written again");
	r->stalled_said = false;
	r->stalled_until = 0;
	schedule_poke(r->means.schedule);
}

static void
commits_cb(int error, void *arg)
{
	if (error < 0)
		renewals_stall(arg, error);
	else
		resume(arg);
}

int
renewals_new(const struct renewal_means *means, struct renewals **ret)
{
	_cleanup_(renewals_freep) struct renewals *r = calloc(1, sizeof(*r));
	int e;

	if (r == NULL)
		return -ENOMEM;
	r->means = *means;
	TAILQ_INIT(&r->jobs);
	e = limits_new(means->store, &r->means.limits);
	if (e == 0)
		e = queue_new(r, &r->queue);
	if (e == 0)
		e = writer_new(means->base, &r->writer);
	if (e == 0)
		e = selftest_new(r, &r->selftest);
	if (e == 0)
		e = said_new(&r->said);
	if (e == 0)
		e = hours_new(means->store, &r->hours);
	if (e == 0)
		e = revoker_new(r, &r->revoker);
	if (e == 0)
		e = deactivator_new(r, &r->deactivator);
	if (e == 0)
		e = repair_new(r, &r->repair);
	if (e == 0)
		e = ari_new(r, &r->ari);
	if (e == 0)
		e = ocsp_new(r, &r->ocsp);
	if (e == 0)
		e = spares_new(r, &r->spares);
	if (e < 0)
		return e;
	writer_on_switch(r->writer, may_switch_cb, r);
	deploy_on_idle(means->deploy, idle_cb, r);
	store_on_failure(means->store, commits_cb, r);
	*ret = steal_ptr(r);
	return 0;
}

static void
free_cas(struct ca **cas, size_t count)
{
	for (size_t i = 0; i < count; i++)
		ca_unref(cas[i]);
	free(cas);
}

struct renewals *
renewals_free(struct renewals *r)
{
	struct job *j;

	if (r == NULL)
		return NULL;
	r->revoker = revoker_free(r->revoker);
	r->deactivator = deactivator_free(r->deactivator);
	ari_free(r->ari);
	ocsp_free(r->ocsp);
	spares_free(r->spares);
	deploy_on_idle(r->means.deploy, NULL, NULL);
	store_on_failure(r->means.store, NULL, NULL);
	while ((j = TAILQ_FIRST(&r->jobs)) != NULL) {
		TAILQ_REMOVE(&r->jobs, j, entry);
		job_free(j);
	}
	writer_free(r->writer);
	repair_free(r->repair);
	accounts_drop(r);
	free_cas(r->cas, r->ca_count);
	said_free(r->said);
	hours_free(r->hours);
	selftest_free(r->selftest);
	queue_free(r->queue);
	limits_free(r->means.limits);
	free(r);
	return NULL;
}

void
renewals_ended(struct renewals *r)
{
	schedule_poke(r->means.schedule);
	queue_poke(r->queue);
	revoker_poke(r->revoker);
	deactivator_poke(r->deactivator);
}

/* What the configuration has against it. */
static void
unreadable(struct renewals *r, struct certificate *c)
{
	_cleanup_(config_errors_clear) struct config_errors errors = { 0 };
	_cleanup_(certificate_spec_freep) struct certificate_spec *spec = NULL;

	(void)certificate_spec_parse(r->config, c->name, c->spec, &spec, &errors);
	job_note_unreadable(c,
	    errors.n > 0 && errors.v[0].message != NULL ? errors.v[0].message
							: "it cannot be read");
}

void
renewals_unloadable(struct renewals *r, int64_t certificate, int error)
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;

	if (certificate_get_id(r->means.store, certificate, &c) < 0)
		return;
	if (c->removed_at != 0) {
		removal_look(r, c);
		return;
	}
	c->next_at = 0;
	if (error == -EBADMSG) {
		unreadable(r, c);
	} else if (error != -ENOENT) {
		c->next_at = clock_now() + UNREADABLE_SECONDS;
		log_line(LOG_ERR,
		    &(struct log_fields){
			.certificate = c->name, .retry_at = c->next_at },
		    "cannot work on it, trying again in an hour: %s",
		    store_explain(error));
	}
	(void)certificate_save(r->means.store, c);
}

void
renewals_clock_set(struct renewals *r, int64_t by)
{
	int64_t now = clock_now();

	log_line(LOG_NOTICE, LOG_ABOUT(CLOCK_SET),
	    "the clock was set %s by %lld seconds: what was planned is looked at again",
	    by > 0 ? "ahead" : "back", (long long)(by > 0 ? by : -by));
	if (r->stalled_until > now + STALL_SECONDS)
		r->stalled_until = 0;
	(void)inventory_heed_clock(r->means.store, now);
	schedule_poke(r->means.schedule);
	spares_begin(r->spares);
	ari_poke(r->ari);
	revoker_poke(r->revoker);
	deactivator_poke(r->deactivator);
}

void
renewals_invite(struct renewals *r, int64_t certificate)
{
	r->invited[r->invited_next++ % INVITED_MAX] = certificate;
}

static bool
take_invitation(struct renewals *r, int64_t certificate)
{
	bool found = false;

	for (size_t i = 0; i < INVITED_MAX; i++)
		if (r->invited[i] == certificate) {
			r->invited[i] = 0;
			found = true;
		}
	return found;
}

bool
renewals_due(struct renewals *r, int64_t certificate)
{
	_cleanup_(job_freep) struct job *loaded = NULL;
	struct job *j;
	int e;

	if (r->stalled_until > clock_now() || !writer_has_room(r->writer) ||
	    !selftest_ready(r->selftest))
		return false;
	if (renewals_job(r, certificate) != NULL)
		return true;
	e = job_load(r, certificate, &loaded);
	if (e < 0) {
		renewals_unloadable(r, certificate, e);
		return true;
	}
	/* where it still has to wait, that is seen anew */
	free(loaded->row->queued_ca);
	loaded->row->queued_ca = NULL;
	loaded->invited = take_invitation(r, certificate);
	j = steal_ptr(loaded);
	TAILQ_INSERT_TAIL(&r->jobs, j, entry);
	job_step(j);
	return true;
}

static size_t
count_jobs(const struct renewals *r)
{
	const struct job *j;
	size_t count = 0;

	TAILQ_FOREACH (j, &r->jobs, entry)
		count++;
	return count;
}

void
renewals_jobs(const struct renewals *r, size_t *ret_active, size_t *ret_queued)
{
	int64_t due = 0;
	int64_t waiting = 0;

	*ret_active = count_jobs(r);
	(void)queue_count_all(r->means.store, &waiting);
	*ret_queued = (size_t)waiting;
	/* those at work are due until they are done */
	if (certificate_count_due(r->means.store, clock_now(), &due) == 0 &&
	    due > (int64_t)*ret_active)
		*ret_queued += (size_t)due - *ret_active;
}

enum renewal_activity
renewals_activity(const struct renewals *r, int64_t certificate)
{
	const struct job *j = renewals_job(r, certificate);

	if (j == NULL)
		return RENEWAL_NONE;
	return j->ordering ? RENEWAL_ORDERING : RENEWAL_DEPLOYING;
}

/* ---- configuration ---- */

struct ca *
renewals_ca(const struct renewals *r, const char *name)
{
	for (size_t i = 0; i < r->ca_count; i++)
		if (strcasecmp(ca_name(r->cas[i]), name) == 0)
			return r->cas[i];
	return NULL;
}

static int
set_limits(struct renewals *r, const struct ca_config *config)
{
	struct ca_limits *l =
	    limits_of(r->means.limits, config->name, config->directory);

	if (l == NULL)
		return -ENOMEM;
	limits_set(l,
	    &(struct limit_rates){ .requests = config->max_requests,
		.burst = config->order_burst,
		.interval_ms = config->order_interval.seconds * 1000,
		.max_orders = config->max_orders });
	return 0;
}

/* The CA as it is, with its account and connections, unless it is another one now. */
static int
keep_or_make(struct renewals *r, const struct ca_config *config, struct ca **ret)
{
	struct ca *ca = renewals_ca(r, config->name);

	if (ca != NULL) {
		ca_go_on(ca);
		r->revive = ca_was_stopped(ca) || r->revive;
	}
	if (ca == NULL || !ca_take(ca, config))
		return ca_new(&r->means, config, ret);
	*ret = ca_ref(ca);
	return 0;
}

int
renewals_configure(
    struct renewals *r, const struct config *config, struct bundles *bundles)
{
	struct ca **cas = calloc(config->ca_count + 1, sizeof(*cas));
	size_t count = 0;
	int e = cas != NULL ? 0 : -ENOMEM;
	struct job *j;

	for (size_t i = 0; i < config->ca_count && e == 0; i++) {
		e = set_limits(r, &config->cas[i]);
		if (e == 0)
			e = keep_or_make(r, &config->cas[i], &cas[count]);
		if (e == 0)
			count++;
	}
	if (e < 0) {
		free_cas(cas, count);
		return e;
	}
	TAILQ_FOREACH (j, &r->jobs, entry)
		j->stale = true;
	free_cas(r->cas, r->ca_count);
	r->cas = cas;
	r->ca_count = count;
	r->generation++;
	r->config = config;
	r->bundles = bundles;
	e = queue_configure(r->queue);
	if (e < 0)
		return e;
	revoker_poke(r->revoker);
	deactivator_poke(r->deactivator);
	ari_poke(r->ari);
	ocsp_poke(r->ocsp);
	spares_begin(r->spares);
	for (size_t i = 0; i < count; i++)
		ca_look(cas[i]);
	return 0;
}

bool
renewals_wants_repair(struct renewals *r)
{
	bool wanted = r->revive;

	r->revive = false;
	return wanted;
}

/* ---- start ---- */

static int
publish_cb(const struct order_row *row, void *arg)
{
	order_publish_stored(arg, row);
	return 0;
}

/* Ids, so that no row is written while rows are read. */
struct some {
	int64_t *ids;
	size_t count;
};

static int
collect(struct some *some, int64_t id)
{
	int64_t *grown = reallocarray(some->ids, some->count + 1, sizeof(*grown));

	if (grown == NULL)
		return -ENOMEM;
	some->ids = grown;
	some->ids[some->count++] = id;
	return 0;
}

int
renewals_repair(struct renewals *r)
{
	/* before it is ready, and when it was told of new [defaults] */
	static const struct repair_slice at_start = { 800000, 100000 };
	static const struct repair_slice later = { 20000, 20000 };
	int e = 0;

	if (!r->started) /* later each token has an owner */
		e = order_walk(r->means.store, publish_cb, &r->means);
	if (!r->started && e == 0)
		e = inventory_heed_clock(r->means.store, clock_now());
	if (e == 0)
		repair_begin(r->repair, r->started ? &later : &at_start);
	r->started = true;
	return e;
}

/* By the text: parsing them all would cost much for the few that there are. */
static int
own_cb(const struct certificate *c, void *arg)
{
	if (strstr(c->spec, "key_file") == NULL && strstr(c->spec, "csr_file") == NULL)
		return 0;
	return collect(arg, c->id);
}

int
renewals_repair_own(struct renewals *r)
{
	struct some own = { 0 };
	int e = certificate_walk(r->means.store, own_cb, &own);

	for (size_t i = 0; i < own.count && e == 0; i++)
		repair_one(r->repair, own.ids[i]);
	free(own.ids);
	return e;
}

int
renewals_repair_one(struct renewals *r, const char *name)
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;
	int e;

	e = certificate_get(r->means.store, name, &c);
	if (e == 0)
		repair_one(r->repair, c->id);
	return e;
}

void
renewals_repair_some(struct renewals *r, char *const *names, size_t count)
{
	const uint64_t end = clock_monotonic_us() + SOME_US;

	for (size_t i = 0; i < count; i++) {
		if (clock_monotonic_us() > end) {
			(void)renewals_repair(r);
			return;
		}
		(void)renewals_repair_one(r, names[i]);
	}
}

bool
renewals_repairing(const struct renewals *r, size_t *ret_done, size_t *ret_all)
{
	return repair_progress(r->repair, ret_done, ret_all);
}

const char *
renewals_held(const struct renewals *r, int64_t *ret_since)
{
	return selftest_why(r->selftest, ret_since);
}
