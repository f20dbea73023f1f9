/*
 * spare.c - RSA keys made ahead of need: one at a time, for the renewals of the next
 * day, when no order is under way.
 *
 * An RSA key takes seconds of CPU time, which a day with many renewals would want all
 * at once. Once an hour, and after a reload, it goes through the renewals that are
 * planned, in their order and a few in a turn; the place that it has reached is kept in
 * memory alone. A key is in the inventory until an order takes it (order_begin.c). None
 * of this may delay an order, or fail one: without a spare key it makes its own.
 */
#include "renew/spare.h"

#include <errno.h>

#include "inventory/store.h"
#include "key.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "platform/worker.h"
#include "renew/job.h"
#include "renew/keyjob.h"
#include "renew/own_key.h"
#include "schedule/schedule.h"

#define AHEAD_SECONDS (24 * 3600)
#define KEPT_MAX      64
#define BATCH         64
#define PASS_MS       (INT64_C(3600) * 1000)

struct spares {
	struct renewals *renewals;
	struct worker *worker; /* of idle priority; made for the first key */
	struct keyjob *keyjob;
	int64_t certificate; /* whose key that makes */
	enum acme_key_type key_type;
	bool passing;
	struct renewal_place place; /* that this pass has reached */
	int64_t next_pass;          /* monotonic ms */
};

/* The RSA type that its next renewal needs a new key of; ACME_KEY_NONE: none, or it
 * isn't due soon, or is at work now. */
static enum acme_key_type
type_wanted(const struct renewals *r, int64_t certificate)
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;
	_cleanup_(certificate_spec_freep) struct certificate_spec *spec = NULL;
	_cleanup_(config_errors_clear) struct config_errors errors = { 0 };
	int64_t now = clock_now();

	if (renewals_job(r, certificate) != NULL ||
	    certificate_get_id(r->means.store, certificate, &c) < 0)
		return ACME_KEY_NONE;
	if (c->removed_at != 0 || c->paused || c->parked || c->renew_at <= now ||
	    c->renew_at > now + AHEAD_SECONDS)
		return ACME_KEY_NONE;
	if (certificate_spec_parse(r->config, c->name, c->spec, &spec, &errors) < 0 ||
	    !spec->enabled || spec->reuse_key || own_key_wanted(spec))
		return ACME_KEY_NONE;
	for (size_t i = 0; i < spec->key_count; i++)
		if (acme_key_type_is_rsa(spec->keys[i]))
			return spec->keys[i];
	return ACME_KEY_NONE;
}

static void
keep(struct spares *s, const struct acme_key *key)
{
	struct store *store = s->renewals->means.store;
	char spki[ACME_FINGERPRINT_SIZE];
	struct spare_key spare = {
		.certificate = s->certificate,
		.key_type = s->key_type,
		.spki = spki,
		.made_at = clock_now(),
	};
	int r;

	r = acme_key_fingerprint(key, spki);
	if (r == 0)
		r = acme_key_to_der(key, &spare.key.data, &spare.key.len);
	if (r == 0)
		r = spare_key_insert(store, &spare);
	secret_clear(&spare.key);
	if (r < 0)
		log_line(LOG_DEBUG, NULL, "a key made ahead is not kept: %s",
		    store_explain(r));
}

/* Meanwhile it may have been ordered, or be wanted differently. */
static void
made_cb(struct acme_key *key, void *arg)
{
	struct spares *s = arg;

	s->keyjob = NULL;
	if (key != NULL && type_wanted(s->renewals, s->certificate) == s->key_type)
		keep(s, key);
	acme_key_free(key);
	schedule_poke(s->renewals->means.schedule);
}

static int
make(struct spares *s, int64_t certificate, enum acme_key_type type)
{
	int r = 0;

	if (s->worker == NULL)
		r = worker_new_idle(s->renewals->means.base, &s->worker);
	if (r == 0)
		r = keyjob_start(s->worker, type, made_cb, s, &s->keyjob);
	s->certificate = certificate;
	s->key_type = type;
	return r;
}

/* Begins the first key that is wanted of the next few; true: begun. */
static bool
make_one_of(struct spares *s, const struct renewal_place *places, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		enum acme_key_type type;

		s->place = places[i];
		if (!places[i].bare)
			continue;
		type = type_wanted(s->renewals, places[i].id);
		if (type != ACME_KEY_NONE)
			return make(s, places[i].id, type) == 0;
	}
	return false;
}

static void
go_on(struct spares *s)
{
	const struct renewals *r = s->renewals;
	struct renewal_place places[BATCH];
	int count = spare_key_places(
	    r->means.store, &s->place, clock_now() + AHEAD_SECONDS, places, BATCH);

	if (count < 0) {
		s->passing = false;
		return;
	}
	if (make_one_of(s, places, (size_t)count))
		return;
	if (count == BATCH)
		schedule_poke(r->means.schedule);
	else
		s->passing = false;
}

/* Orders come first. */
static bool
may_work(const struct spares *s)
{
	const struct renewals *r = s->renewals;
	int64_t kept;

	if (s->keyjob != NULL || r->ordering > 0 || r->stalled_until > clock_now())
		return false;
	if (!s->passing && clock_monotonic_ms() < s->next_pass)
		return false;
	return spare_key_count(r->means.store, &kept) == 0 && kept < KEPT_MAX;
}

void
renewals_look_ahead(struct renewals *r)
{
	struct spares *s = r->spares;

	if (!may_work(s))
		return;
	if (!s->passing) {
		s->passing = true;
		s->place = (struct renewal_place){ .at = clock_now() };
		s->next_pass = clock_monotonic_ms() + PASS_MS;
	}
	go_on(s);
}

int
spares_new(struct renewals *r, struct spares **ret)
{
	struct spares *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -ENOMEM;
	s->renewals = r;
	*ret = s;
	return 0;
}

struct spares *
spares_free(struct spares *s)
{
	if (s == NULL)
		return NULL;
	keyjob_forget(s->keyjob);
	worker_free(s->worker);
	free(s);
	return NULL;
}

void
spares_begin(struct spares *s)
{
	s->passing = false;
	s->next_pass = 0;
}
