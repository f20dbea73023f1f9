/*
 * revoke.c - what a wish to revoke means: which certificates, and what becomes of them.
 *
 * Called by control/. All of it is one commit, and nothing of it happens here:
 * revoker.c and the jobs find it in the inventory.
 */
#include "renew/revoke.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "inventory/revocations.h"
#include "key.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "renew/due.h"
#include "renew/job.h"
#include "renew/revoker.h"
#include "result.h"
#include "schedule/schedule.h"

/* One call. */
struct asking {
	struct renewals *renewals;
	const struct revoke_wish *wish;
	int64_t now;
	int64_t *ids; /* issued rows to wait for */
	size_t count;
};

/* ---- what becomes of a certificate ---- */

/* Its row as it is. A job at work has another picture of it: it begins again. */
static int
take_row(struct renewals *r, int64_t certificate, struct certificate **ret)
{
	struct job *j = renewals_job(r, certificate);
	int e;

	if (j != NULL) {
		e = certificate_save(r->means.store, j->row);
		job_drop(j);
		if (e < 0)
			return e;
	}
	return certificate_get_id(r->means.store, certificate, ret);
}

static int
order_now(struct asking *a, int64_t certificate)
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;
	int r;

	r = take_row(a->renewals, certificate, &c);
	if (r < 0 || c->removed_at != 0)
		return r;
	c->parked = false;
	if (!due_told_to_wait(c, a->now))
		c->next_attempt = 0;
	c->next_at = a->now;
	return certificate_save(a->renewals->means.store, c);
}

int
revoke_park(struct renewals *r, int64_t certificate, const char *text)
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;
	struct acme_result *why;
	int e;

	e = take_row(r, certificate, &c);
	if (e < 0 || c->removed_at != 0)
		return e;
	why = acme_result_new(ACME_GIVE_UP, REVOKE_STAGE, "%s", text);
	free(c->last_error);
	c->last_error = job_describe(why, clock_now());
	acme_result_free(why);
	c->parked = true;
	c->next_attempt = 0;
	c->next_at = clock_now();
	e = certificate_save(r->means.store, c);
	schedule_poke(r->means.schedule);
	return e;
}

static int
park(struct asking *a, int64_t certificate)
{
	char text[200];

	snprintf(text, sizeof(text),
	    "it is to be revoked (%s), so nothing is ordered for it",
	    acme_reason_name(a->wish->reason));
	return revoke_park(a->renewals, certificate, text);
}

/* ---- which are revoked ---- */

static int
want(struct asking *a, int64_t issued)
{
	const struct revocation row = { .issued = issued,
		.reason = a->wish->reason,
		.waits = a->wish->reason == ACME_REASON_SUPERSEDED,
		.removal = a->wish->removal,
		.asked_at = a->now };
	int64_t *grown = reallocarray(a->ids, a->count + 1, sizeof(*grown));

	if (grown == NULL)
		return -ENOMEM;
	a->ids = grown;
	a->ids[a->count++] = issued;
	return revocation_ask(a->renewals->means.store, &row);
}

static int
fingerprint(const struct issued *row, char ret[ACME_FINGERPRINT_SIZE])
{
	_cleanup_(acme_key_freep) struct acme_key *key = NULL;
	int r;

	/* the key itself isn't here where the request was made elsewhere */
	if (row->spki != NULL && strlen(row->spki) + 1 == ACME_FINGERPRINT_SIZE) {
		memcpy(ret, row->spki, ACME_FINGERPRINT_SIZE);
		return 0;
	}
	r = acme_key_from_der(row->key.data, row->key.len, &key);
	return r == 0 ? acme_key_fingerprint(key, ret) : r;
}

static int
note_other(struct asking *a, int64_t certificate, const char *name)
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;
	int r;

	r = certificate_get_id(a->renewals->means.store, certificate, &c);
	if (r < 0 || strcmp(c->name, name) == 0)
		return r;
	return history_add(a->renewals->means.store,
	    &(struct history_event){ .at = a->now,
		.kind = "key-compromised",
		.certificate = c->name,
		.detail = name });
}

/* All that have the key, whatever they are called and however old they are. */
static int
compromise(struct asking *a, const struct certificate *c, const struct issued *row)
{
	_cleanup_free_ struct compromised_row *rows = NULL;
	struct store *store = a->renewals->means.store;
	char spki[ACME_FINGERPRINT_SIZE];
	size_t count = 0;
	int r;

	r = fingerprint(row, spki);
	if (r == 0)
		r = compromised_add(store, spki, &row->key, a->now);
	if (r == 0)
		r = compromised_rows(store, spki, a->now, &rows, &count);
	for (size_t i = 0; i < count && r == 0; i++) {
		if (rows[i].revocable)
			r = want(a, rows[i].issued);
		if (r == 0 && rows[i].current)
			r = note_other(a, rows[i].certificate, c->name);
		if (r == 0 && rows[i].current)
			r = order_now(a, rows[i].certificate);
	}
	if (r == 0)
		log_line(LOG_WARNING,
		    &(struct log_fields){
			.event = LOG_EVENT_KEY_COMPROMISED, .certificate = c->name },
		    "its key (%s) is compromised and never used again; certificates with it: %zu",
		    acme_key_type_name(row->key_type), count);
	return r;
}

static bool
is_meant(const struct revoke_wish *wish, const struct issued *row)
{
	return wish->keys == REVOKE_ALL_KEYS ||
	    acme_key_type_is_rsa(row->key_type) == (wish->keys == REVOKE_RSA);
}

static int
ask_row(struct asking *a, const struct certificate *c, const struct issued *row)
{
	if (a->wish->reason == ACME_REASON_KEY_COMPROMISE)
		return compromise(a, c, row);
	if (row->revoked_at != 0 || row->not_after <= a->now)
		return 0;
	return want(a, row->id);
}

static int
ask_rows(struct asking *a, const struct certificate *c, const struct issued *rows,
    size_t count)
{
	bool any = false;
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++) {
		if (!is_meant(a->wish, &rows[i]))
			continue;
		any = true;
		r = ask_row(a, c, &rows[i]);
	}
	return r == 0 && !any ? -ENODATA : r;
}

/* ---- the call ---- */

static int
follow(struct asking *a, const struct certificate *c)
{
	switch (a->wish->reason) {
	case ACME_REASON_KEY_COMPROMISE: /* done for each that has it */
		return 0;
	case ACME_REASON_SUPERSEDED:
		return a->count > 0 ? order_now(a, c->id) : 0;
	case ACME_REASON_UNSPECIFIED:
	case ACME_REASON_CESSATION_OF_OPERATION:
		break;
	}
	return a->count > 0 ? park(a, c->id) : 0;
}

/* -EPERM, -ESRCH: nothing will be ordered in its place. */
static int
can_be_replaced(struct renewals *r, const struct certificate *c)
{
	_cleanup_(job_freep) struct job *j = NULL;
	int e;

	if (c->removed_at != 0)
		return -ESRCH;
	e = job_load(r, c->id, &j);
	if (e < 0)
		return e;
	return j->row->paused || !j->spec->enabled ? -EPERM : 0;
}

static int
ask(struct asking *a, const struct certificate *c)
{
	struct issued *rows = NULL;
	size_t count = 0;
	int r = 0;

	if (a->wish->reason == ACME_REASON_SUPERSEDED)
		r = can_be_replaced(a->renewals, c);
	if (r == 0)
		r = issued_current(
		    a->renewals->means.store, c->id, true, &rows, &count);
	if (r == 0)
		r = ask_rows(a, c, rows, count);
	issued_free_all(rows, count);
	return r == 0 ? follow(a, c) : r;
}

int
renewals_found_revoked(
    struct renewals *r, int64_t certificate, int64_t issued, bool key_compromise)
{
	const struct revoke_wish wish = { .reason = ACME_REASON_KEY_COMPROMISE };
	struct asking a = { .renewals = r, .wish = &wish, .now = clock_now() };
	_cleanup_(certificate_freep) struct certificate *c = NULL;
	struct issued *row = NULL;
	int e = issued_set_revoked(r->means.store, issued, a.now);

	if (e == 0)
		e = certificate_get_id(r->means.store, certificate, &c);
	if (e == 0 && key_compromise)
		e = issued_get(r->means.store, issued, &row);
	if (e == 0)
		e = row != NULL ? compromise(&a, c, row) : order_now(&a, certificate);
	if (row != NULL)
		issued_free_all(row, 1);
	free(a.ids);
	schedule_poke(r->means.schedule);
	revoker_poke(r->revoker);
	return e;
}

int
renewals_revoke(struct renewals *r, const struct certificate *c,
    const struct revoke_wish *wish, revoke_done_cb *cb, void *arg,
    struct revoke_wait **ret)
{
	struct asking a = { .renewals = r, .wish = wish, .now = clock_now() };
	struct revoke_wait *wait = NULL;
	int e;

	e = ask(&a, c);
	if (e == 0 && cb != NULL && a.count > 0)
		e = revoker_wait(r->revoker, a.ids, a.count, cb, arg, &wait);
	free(a.ids);
	if (e < 0)
		return e;
	schedule_poke(r->means.schedule);
	revoker_poke(r->revoker);
	if (ret != NULL)
		*ret = wait;
	return 0;
}
