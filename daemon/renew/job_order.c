/*
 * job_order.c - a job's first step: what is due is ordered, one key type after the
 * other, at the first CA that gives it.
 *
 * Called by job.c. It decides which CA and which key; order.c does the rest.
 */
#include "renew/job.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "platform/clock.h"
#include "platform/log.h"
#include "platform/metrics.h"
#include "renew/ari.h"
#include "renew/ca.h"
#include "renew/due.h"
#include "renew/ocsp.h"
#include "renew/order.h"
#include "renew/queue.h"
#include "renew/repair.h"
#include "schedule/limits.h"

#define CLOCK_WAIT_SECONDS 3600

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
	if (j->row->queued_ca != NULL && !j->handed)
		return false;
	return job_is_due(j);
}

/* The first CA of this attempt that may do it later. */
static void
keep_hope(struct job *j, const struct acme_result *failure)
{
	if (j->hope != NULL || failure->class == ACME_GIVE_UP)
		return;
	j->hope = acme_result_copy(failure);
	j->hope_ca = j->ca;
}

/* An order that a CA has in hand is finished there, whichever CA comes first. */
static bool
find_ca_at_work(struct job *j, enum acme_key_type key_type)
{
	_cleanup_(order_row_freep) struct order_row *row = NULL;

	if (j->order_begun ||
	    order_find(j->renewals->means.store, j->row->id, key_type, &row) < 0 ||
	    row->url == NULL)
		return false;
	for (size_t i = 0; i < j->spec->cas.n; i++)
		if (strcasecmp(j->spec->cas.v[i], row->ca) == 0) {
			const struct ca *ca = renewals_ca(j->renewals, row->ca);

			if (ca != NULL && j->spec->cas.n > 1 &&
			    limits_outage(ca_limits(ca))->since != 0)
				return false; /* others answer, perhaps */
			j->ca = i;
			return true;
		}
	return false;
}

/* Would it be the same at any CA? A failed validation would, but for CAA records, which
 * are about this one. */
static bool
fails_everywhere(const struct acme_result *failure)
{
	if (strcmp(failure->stage, "authorize") == 0)
		return !acme_result_is(failure, "caa");
	return strcmp(failure->stage, "store") == 0 ||
	    strcmp(failure->stage, "key") == 0;
}

/* Neither reached nor refused, but an answer that makes no sense or isn't there yet. */
static bool
may_mend_itself(const struct acme_result *failure)
{
	bool refused = failure->status >= 400 && failure->status < 500;

	return failure->class == ACME_RETRY && failure->status != 0 && !refused;
}

/* At the first attempt; the others are no news. What is the matter with a whole CA has
 * been said there, once. */
static int
next_ca_level(const struct job *j, const struct acme_result *failure)
{
	if (j->row->failures > 0 || strcmp(failure->stage, "account") == 0 ||
	    strcmp(failure->stage, "directory") == 0)
		return LOG_DEBUG;
	return LOG_WARNING;
}

/* On an unreachable CA, a refusal or a limit the next CA is tried in the same attempt,
 * on other problems after two attempts. */
static bool
try_next_ca(struct job *j, const struct acme_result *failure)
{
	if (j->ca + 1 >= j->spec->cas.n || fails_everywhere(failure))
		return false;
	if (may_mend_itself(failure) && j->row->failures < 2)
		return false;
	keep_hope(j, failure);
	log_line(next_ca_level(j, failure),
	    &(struct log_fields){ .event = LOG_EVENT_OTHER_CA,
		.certificate = j->row->name,
		.ca = j->spec->cas.v[j->ca],
		.problem = failure->type },
	    "no certificate from this CA: %s; trying %s", failure->detail,
	    j->spec->cas.v[j->ca + 1]);
	j->ca++;
	return true;
}

/* Did it come to nothing because the CA doesn't answer anybody? */
static bool
is_unanswered(const struct job *j, const char *name, const struct acme_result *failure)
{
	const struct ca *ca = renewals_ca(j->renewals, name);

	return ca != NULL && failure->class != ACME_GIVE_UP &&
	    limits_outage(ca_limits(ca))->since != 0 &&
	    (failure->status == 0 || failure->status >= 500 ||
		strcmp(failure->stage, "directory") == 0) &&
	    strcmp(failure->stage, "authorize") != 0;
}

/* All have failed. One that refuses for good doesn't park it, while another may have it
 * another day. */
static void
note_last(struct job *j, const char *ca, const struct acme_result *failure)
{
	if (failure->class == ACME_GIVE_UP && j->hope != NULL) {
		failure = j->hope;
		ca = j->spec->cas.v[j->hope_ca];
	}
	if (is_unanswered(j, ca, failure)) {
		gate_leave(j);
		gate_wait(j, j->row->renew_reason);
		job_note_unanswered(j, failure);
	} else {
		job_note_failure(j, ca, failure);
	}
	j->hope = acme_result_free(j->hope);
}

static bool
is_due(const struct job *j, enum acme_key_type type)
{
	return due_reason(j->row, j->spec, j->names, j->issued, j->issued_count, type,
		   clock_now()) != RENEW_NONE;
}

/* What it was stopped for is solved: others may be waiting for that. */
static void
ca_gives(struct job *j, const char *name)
{
	static const struct repair_slice later = { 0, 0 };
	struct ca *ca = renewals_ca(j->renewals, name);

	if (ca != NULL && ca_was_stopped(ca))
		repair_begin(j->renewals->repair, &later);
}

static void
count(const struct job *j, const char *result)
{
	metrics_add(j->renewals->means.metrics, METRIC_RENEWALS, 1,
	    (const char *const[METRIC_LABELS_MAX]){
		result, renew_reason_name(j->row->renew_reason), NULL });
}

/* Those who wait for a CA that has said when may have another one. */
static void
heed_limits(struct job *j, const char *name, const struct acme_result *failure)
{
	struct ca *ca = renewals_ca(j->renewals, name);

	if (ca != NULL && failure != NULL && failure->not_before != 0 &&
	    limits_forbidden(ca_limits(ca)) != 0)
		queue_forbidden(j->renewals->queue, ca);
}

static void
ordered_cb(const struct acme_result *failure, void *arg)
{
	struct job *j = arg;
	const char *ca = j->spec->cas.v[j->ca];
	int r;

	heed_limits(j, ca, failure);
	if (failure == NULL) {
		count(j, "issued");
		ari_poke(j->renewals->ari); /* there is one to ask about */
		ocsp_poke(j->renewals->ocsp);
		r = job_load_issued(j);
		j->tried = r < 0 || is_due(j, j->ordered);
		if (r < 0)
			job_note_errno(j, "store", "cannot read the inventory", r);
		else if (j->tried)
			job_note_text(j, "order",
			    "the new certificate is to be renewed already",
			    "is the clock right?");
		else
			job_note_success(j);
		j->row->last_success = clock_now();
		j->written = j->unwritten = false;
		ca_gives(j, ca);
	} else if (strcmp(failure->stage, "clock") == 0) {
		j->row->next_attempt = clock_now() + CLOCK_WAIT_SECONDS;
		j->tried = true;
	} else if (strcmp(failure->stage, "store") == 0) {
		j->tried =
		    true; /* no failure of the CA's or the names': see stall_cb() */
	} else if (!try_next_ca(j, failure)) {
		count(j, "failed");
		note_last(j, ca, failure);
		j->tried = true;
	}
	j->order = order_free(j->order);
	job_step(j);
}

/* Would the CA refuse this key once more? */
static bool
was_refused(const struct job *j)
{
	if (!due_error_is(j->row, "type", "urn:ietf:params:acme:error:badPublicKey") ||
	    due_error_is(j->row, "stage", "account"))
		return false;
	log_line(LOG_WARNING, &(struct log_fields){ .certificate = j->row->name },
	    "its key is not used again, a new one is made: the CA refused it");
	return true;
}

/* The key of the certificate that is replaced, where it shall stay and still fits. */
static const struct secret *
key_to_reuse(const struct job *j, enum acme_key_type key_type)
{
	const struct issued *i = due_find(j->issued, j->issued_count, key_type);

	if (!j->spec->reuse_key || i == NULL || i->key_type != key_type ||
	    i->key.len == 0 || was_refused(j))
		return NULL;
	return &i->key;
}

static int
start_order(struct job *j, struct ca *ca, enum acme_key_type key_type,
    enum renew_reason reason, bool begun)
{
	struct order_wish wish = {
		.certificate = j->row->id,
		.name = j->row->name,
		.spec = j->spec,
		.key_type = key_type,
		.reason = reason,
		.reuse_key = key_to_reuse(j, key_type),
		.repeated = j->row->failures > 0,
		.old = due_find(j->issued, j->issued_count, key_type),
		.counted = !begun,
		.due_at = reason == RENEW_LIFETIME || reason == RENEW_ARI
		    ? j->row->renew_at
		    : 0,
	};

	gate_enter(j, ca);
	j->order_begun = true;
	j->row->renew_reason = reason;
	j->ordered = key_type;
	return order_start(&j->renewals->means, ca, &wish, ordered_cb, j, &j->order);
}

/* True: it is on its way. */
static bool
try_order(struct job *j, enum acme_key_type key_type, enum renew_reason reason)
{
	bool begun = find_ca_at_work(j, key_type);
	struct ca *ca = NULL;
	int r = -ENOENT;

	switch (gate_ask(j, begun, reason, &ca)) {
	case GATE_GO:
		r = start_order(j, ca, key_type, reason, begun);
		break;
	case GATE_LATER:
		if (j->hope != NULL) { /* others were tried, and failed */
			note_last(j, j->spec->cas.v[j->hope_ca], j->hope);
			j->tried = true;
		}
		return false;
	case GATE_QUEUED:
		if (j->hope != NULL) { /* the next doesn't answer, either */
			job_note_unanswered(j, j->hope);
			j->hope = acme_result_free(j->hope);
		}
		return false;
	case GATE_NO_CA:
		break;
	}
	if (r == 0)
		return true;
	job_note_errno(j, "order", "cannot begin the order", r);
	j->tried = true;
	return false;
}

bool
job_order_step(struct job *j)
{
	int64_t now = clock_now();

	if (!job_wants_order(j))
		return false;
	for (size_t k = 0; k < j->spec->key_count; k++) {
		enum renew_reason reason = due_reason(j->row, j->spec, j->names,
		    j->issued, j->issued_count, j->spec->keys[k], now);

		if (reason != RENEW_NONE)
			return try_order(j, j->spec->keys[k], reason);
	}
	return false;
}
