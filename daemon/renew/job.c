/*
 * job.c - one certificate on its way: order what is due, write the bundle, deploy it.
 *
 * job_step() is the hub. It looks at the facts and starts the first thing that is
 * missing; each callback notes how that went, in the inventory, and steps again.
 * Issued, bundled and deployed are facts of their own: a failure of one never redoes
 * another.
 */
#include "renew/job.h"

#include <errno.h>
#include <string.h>

#include "bundle/bundle.h"
#include "challenge/responder.h"
#include "deploy/deploy.h"
#include "inventory/store.h"
#include "json.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "renew/ca.h"
#include "renew/due.h"
#include "renew/files.h"
#include "renew/news.h"
#include "renew/order.h"
#include "result.h"
#include "schedule/wakeup.h"

#define LISTENER_WAIT_SECONDS 60
#define FILES_SECONDS         60

/* ---- loading ---- */

static int
load_issued(struct job *j)
{
	struct issued *rows;
	size_t count;
	int r;

	r = issued_current(j->renewals->means.store, j->row->id, true, &rows, &count);
	if (r < 0)
		return r;
	issued_free_all(j->issued, j->issued_count);
	j->issued = rows;
	j->issued_count = count;
	return 0;
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
	e = certificate_spec_parse(
	    r->config, j->row->name, j->row->spec, &j->spec, &errors);
	config_errors_clear(&errors);
	if (e < 0)
		return e;
	j->names = order_names(j->spec);
	if (j->names == NULL)
		return -ENOMEM;
	e = load_issued(j);
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
	order_free(j->order);
	deploy_cancel(j->deploy);
	issued_free_all(j->issued, j->issued_count);
	certificate_spec_free(j->spec);
	certificate_free(j->row);
	free(j->names);
	free(j);
	return NULL;
}

/* ---- noting how it went ---- */

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

static void
note_failure(struct job *j, const char *ca, const struct acme_result *failure)
{
	struct certificate *c = j->row;
	int64_t now = clock_now();
	struct json_writer *w = json_writer_new();
	_cleanup_free_ char *before = c->last_error;
	char at[CLOCK_TEXT_SIZE];

	c->last_error = NULL;
	describe(w, failure, now);
	if (w != NULL)
		(void)json_writer_steal(w, &c->last_error, NULL);
	json_writer_free(w);
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
	log_line(log_level(c, failure, before),
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
}

static void
note_text(struct job *j, const char *stage, const char *what, const char *why)
{
	struct acme_result *failure =
	    acme_result_new(ACME_RETRY, stage, "%s: %s", what, why);

	if (failure != NULL)
		note_failure(j, NULL, failure);
	acme_result_free(failure);
}

static void
note_errno(struct job *j, const char *stage, const char *what, int r)
{
	note_text(j, stage, what, strerror(-r));
}

static void
note_success(struct job *j)
{
	struct certificate *c = j->row;

	c->failures = 0;
	c->next_attempt = 0;
	if (j->issued_count > 0)
		c->placeholder_since = 0;
	free(c->last_error);
	c->last_error = NULL;
}

/* ---- order ---- */

bool
job_is_due(const struct job *j)
{
	return due_any(j->row, j->spec, j->names, j->issued, j->issued_count,
		   clock_now()) != RENEW_NONE;
}

bool
job_wants_order(const struct job *j)
{
	if (j->row->paused || !j->spec->enabled || j->row->parked || j->tried ||
	    j->row->next_attempt > clock_now())
		return false;
	return job_is_due(j);
}

/* On an unreachable CA, a refusal or a limit the next CA is tried in the same attempt;
 * a failed validation of the names would fail there too. */
static bool
try_next_ca(struct job *j, const struct acme_result *failure)
{
	if (j->ca + 1 >= j->spec->cas.n || strcmp(failure->stage, "authorize") == 0 ||
	    strcmp(failure->stage, "store") == 0)
		return false;
	if (failure->status != 0 && failure->class == ACME_RETRY &&
	    j->row->failures < 2)
		return false;
	/* at the first attempt; the others are no news */
	log_line(j->row->failures == 0 ? LOG_WARNING : LOG_DEBUG,
	    &(struct log_fields){ .event = LOG_EVENT_OTHER_CA,
		.certificate = j->row->name,
		.ca = j->spec->cas.v[j->ca],
		.problem = failure->type },
	    "no certificate from this CA: %s; trying %s", failure->detail,
	    j->spec->cas.v[j->ca + 1]);
	j->ca++;
	return true;
}

static bool
is_due(const struct job *j, enum acme_key_type type)
{
	return due_reason(j->row, j->spec, j->names, j->issued, j->issued_count, type,
		   clock_now()) != RENEW_NONE;
}

static void
ordered_cb(const struct acme_result *failure, void *arg)
{
	struct job *j = arg;
	const char *ca = j->spec->cas.v[j->ca];
	int r;

	if (failure == NULL) {
		r = load_issued(j);
		j->tried = r < 0 || is_due(j, j->ordered);
		if (r < 0)
			note_errno(j, "store", "cannot read the inventory", r);
		else if (j->tried)
			note_text(j, "order",
			    "the new certificate is to be renewed already",
			    "is the clock right?");
		else
			note_success(j);
		j->row->last_success = clock_now();
		j->unwritten = false;
		j->renewals->stalled_said = false;
	} else if (strcmp(failure->stage, "store") == 0) {
		j->tried =
		    true; /* no failure of the CA's or the names': see stall_cb() */
	} else if (!try_next_ca(j, failure)) {
		note_failure(j, ca, failure);
		j->tried = true;
	}
	j->order = order_free(j->order);
	job_step(j);
}

/* The key of the certificate that is replaced, where it shall stay and still fits. */
static const struct secret *
key_to_reuse(const struct job *j, enum acme_key_type key_type)
{
	const struct issued *i = due_find(j->issued, j->issued_count, key_type);

	return j->spec->reuse_key && i != NULL && i->key_type == key_type ? &i->key
									  : NULL;
}

static int
start_order(struct job *j, enum acme_key_type key_type, enum renew_reason reason)
{
	const char *name = j->spec->cas.v[j->ca];
	struct ca *ca = renewals_ca(j->renewals, name);
	struct order_wish wish = {
		.certificate = j->row->id,
		.name = j->row->name,
		.spec = j->spec,
		.key_type = key_type,
		.reason = reason,
		.reuse_key = key_to_reuse(j, key_type),
	};

	if (ca == NULL)
		return -ENOENT;
	j->row->renew_reason = reason;
	j->ordered = key_type;
	return order_start(&j->renewals->means, ca, &wish, ordered_cb, j, &j->order);
}

/* True: something was started. */
static bool
order_step(struct job *j)
{
	int64_t now = clock_now();
	int r;

	if (!job_wants_order(j))
		return false;
	if (!responder_listening(j->renewals->means.responder)) {
		j->row->next_attempt = now + LISTENER_WAIT_SECONDS;
		return false;
	}
	for (size_t k = 0; k < j->spec->key_count; k++) {
		enum renew_reason reason = due_reason(j->row, j->spec, j->names,
		    j->issued, j->issued_count, j->spec->keys[k], now);

		if (reason == RENEW_NONE)
			continue;
		r = start_order(j, j->spec->keys[k], reason);
		if (r == 0)
			return true;
		note_errno(j, "order", "cannot begin the order", r);
		j->tried = true;
		return false;
	}
	return false;
}

/* ---- bundle ---- */

/* A placeholder that can't be written is said; it stops no order. */
static void
not_written(struct job *j, int r)
{
	char buffer[256];
	const char *why = files_explain(j->spec, r, buffer, sizeof(buffer));

	j->unwritten = true;
	if (j->issued_count > 0)
		note_text(j, "bundle", "cannot write its files", why);
	else
		log_line(LOG_WARNING,
		    &(struct log_fields){
			.event = LOG_EVENT_FILES_FAILED, .certificate = j->row->name },
		    "cannot write its placeholder: %s", why);
}

static void
written(struct job *j, char *bundled)
{
	struct certificate *c = j->row;

	if (j->issued_count == 0 && c->placeholder_since == 0)
		c->placeholder_since = clock_now();
	free(c->bundled);
	c->bundled = bundled;
	log_line(LOG_INFO, &(struct log_fields){ .certificate = c->name },
	    j->issued_count > 0 ? "files written" : "placeholder written");
}

/* True: it has to wait. */
static bool
bundle_step(struct job *j)
{
	const struct certificate *c = j->row;
	_cleanup_free_ char *wanted = due_bundle(j->spec, j->issued, j->issued_count);
	int r;

	if (wanted == NULL || *wanted == '\0' || j->unwritten ||
	    (c->bundled != NULL && strcmp(wanted, c->bundled) == 0 &&
		files_intact(
		    j->renewals->bundles, j->spec, j->issued, j->issued_count)))
		return false;
	j->waiting_for_idle = deploy_reloading(j->renewals->means.deploy);
	if (j->waiting_for_idle)
		return true;
	r = files_write(j->renewals->bundles, j->spec, j->issued, j->issued_count);
	if (r < 0)
		not_written(j, r);
	else
		written(j, steal_ptr(wanted));
	return false;
}

/* ---- deploy ---- */

static int
read_deployment(const struct job *j, const char *target, struct deployment **ret_rows,
    size_t *ret_count, const struct deployment **ret)
{
	int r;

	*ret = NULL;
	r = deployment_list(j->renewals->means.store, j->row->id, ret_rows, ret_count);
	for (size_t i = 0; r == 0 && i < *ret_count; i++)
		if (strcasecmp((*ret_rows)[i].target, target) == 0)
			*ret = &(*ret_rows)[i];
	return r;
}

static void
save_deployment(struct job *j, const char *target, const struct acme_result *failure)
{
	struct deployment *rows = NULL;
	size_t count = 0;
	const struct deployment *before = NULL;
	int64_t now = clock_now();
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
		log_line(LOG_ERR, &f, "deployment failed: %s; it is retried",
		    failure->detail);
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

/* True: a deployment is on its way. Only what a CA has issued is deployed. */
static bool
deploy_step(struct job *j)
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

/* ---- end ---- */

static void
plan(struct job *j)
{
	struct certificate *c = j->row;

	due_plan(c, j->spec, j->names, j->issued, j->issued_count, clock_now(),
	    clock_random(UINT32_MAX));
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
		note_success(j); /* what had failed is wanted no more, or was mended */
	plan(j);
	(void)deployment_list(r->means.store, j->row->id, &rows, &count);
	tidy(j, rows, count);
	j->row->next_at = due_next(j->row, j->spec, j->issued_count, rows, count, now);
	if (j->unwritten && j->issued_count == 0 &&
	    j->row->next_at > now + FILES_SECONDS)
		j->row->next_at = now + FILES_SECONDS;
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
	ordering = order_step(j);
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
	if (!deploy_step(j))
		finish(j);
}
