/*
 * job_order.c - a job's first step: what is due is ordered, one key type after the
 * other, at the first CA that gives it.
 *
 * Called by job.c. It decides which CA and which key; order.c does the rest.
 */
#include "renew/job.h"

#include <errno.h>
#include <string.h>

#include "challenge/responder.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "renew/ca.h"
#include "renew/due.h"
#include "renew/order.h"

#define LISTENER_WAIT_SECONDS 60

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
	struct ca *ca = renewals_ca(j->renewals, name);

	if (ca != NULL && ca_was_stopped(ca))
		renewals_revive(j->renewals);
}

static void
ordered_cb(const struct acme_result *failure, void *arg)
{
	struct job *j = arg;
	const char *ca = j->spec->cas.v[j->ca];
	int r;

	if (failure == NULL) {
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
		j->unwritten = false;
		ca_gives(j, ca);
	} else if (strcmp(failure->stage, "store") == 0) {
		j->tried =
		    true; /* no failure of the CA's or the names': see stall_cb() */
	} else if (!try_next_ca(j, failure)) {
		job_note_failure(j, ca, failure);
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

bool
job_order_step(struct job *j)
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
		job_note_errno(j, "order", "cannot begin the order", r);
		j->tried = true;
		return false;
	}
	return false;
}
