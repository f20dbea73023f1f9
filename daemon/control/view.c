/*
 * view.c - judges a certificate: how it is, what is being done; and shows it.
 *
 * Called for every certificate that the control socket shows or counts. It must never
 * read or write anything but its arguments, so that the rules can be tested as a table.
 */
#include "control/view.h"

#include <assert.h>
#include <string.h>

#include "config/names.h"
#include "control/facts.h"
#include "json.h"
#include "platform/clock.h"
#include "renew/ocsp_response.h"
#include "renew/renewal.h"

static const char *const state_names[VIEW_STATES] = {
	[VIEW_REVOKED] = "revoked",
	[VIEW_EXPIRED] = "expired",
	[VIEW_NEW] = "new",
	[VIEW_VALID] = "valid",
};

static const char *const health_names[VIEW_HEALTHS] = {
	[VIEW_CRITICAL] = "critical",
	[VIEW_WARNING] = "warning",
	[VIEW_OK] = "ok",
};

static const char *const activity_names[VIEW_ACTIVITIES] = {
	[VIEW_IDLE] = "idle",
	[VIEW_ORDERING] = "ordering",
	[VIEW_DEPLOYING] = "deploying",
	[VIEW_WAITING] = "waiting",
	[VIEW_PARKED] = "parked",
	[VIEW_PAUSED] = "paused",
};

const char *
view_state_name(enum view_state state)
{
	assert(state < VIEW_STATES);
	return state_names[state];
}

const char *
view_health_name(enum view_health health)
{
	assert(health < VIEW_HEALTHS);
	return health_names[health];
}

const char *
view_activity_name(enum view_activity activity)
{
	assert(activity < VIEW_ACTIVITIES);
	return activity_names[activity];
}

/* ---- which certificates count ---- */

static const struct issued *
newest(const struct facts *f, bool rsa)
{
	const struct issued *found = NULL;

	for (size_t i = 0; i < f->issued_count; i++) {
		const struct issued *row = &f->issued[i];

		if (acme_key_type_is_rsa(row->key_type) != rsa)
			continue;
		if (found == NULL || row->issued_at > found->issued_at)
			found = row;
	}
	return found;
}

static bool
take(struct view *v, const struct issued *row)
{
	if (row == NULL)
		return false;
	v->rows[v->row_count++] = row;
	return true;
}

/* Those of the configured kinds of key; where there are none yet (the keys were
 * changed, the text can't be read), whatever is there, as servers still use it. Says
 * whether none is missing. */
static bool
choose(const struct facts *f, struct view *v)
{
	size_t keys = f->spec != NULL ? f->spec->key_count : 0;
	bool complete = true;

	for (size_t i = 0; i < keys && i < ELEMENTS(v->rows); i++)
		complete &= take(v, newest(f, acme_key_type_is_rsa(f->spec->keys[i])));
	if (v->row_count > 0)
		return complete;
	take(v, newest(f, false));
	take(v, newest(f, true));
	return f->spec == NULL && v->row_count > 0;
}

/* ---- state and activity ---- */

static enum view_state
row_state(const struct issued *row, int64_t now)
{
	if (row->revoked_at != 0)
		return VIEW_REVOKED;
	return row->not_after <= now ? VIEW_EXPIRED : VIEW_VALID;
}

static enum view_state
judge_state(const struct facts *f, const struct view *v, bool complete)
{
	enum view_state worst = complete ? VIEW_VALID : VIEW_NEW;

	for (size_t i = 0; i < v->row_count; i++) {
		enum view_state state = row_state(v->rows[i], f->now);

		if (state < worst)
			worst = state;
	}
	return worst;
}

/* What runs comes first: an order in flight is finished also while paused. */
static enum view_activity
judge_activity(const struct facts *f)
{
	const struct certificate *c = f->certificate;

	switch (f->doing) {
	case RENEWAL_ORDERING:
		return VIEW_ORDERING;
	case RENEWAL_DEPLOYING:
		return VIEW_DEPLOYING;
	case RENEWAL_NONE:
		break;
	}
	if (c->paused || !facts_enabled(f))
		return VIEW_PAUSED;
	if (c->parked)
		return VIEW_PARKED;
	if (c->next_attempt > f->now || c->queued_ca != NULL)
		return VIEW_WAITING;
	/* at the scheduler's next look, or when there is room for it */
	return f->due != RENEW_NONE && c->next_at != 0 && c->next_at <= f->now
	    ? VIEW_ORDERING
	    : VIEW_IDLE;
}

void
view_judge(const struct facts *f, struct view *ret)
{
	struct view v = { 0 };
	bool complete;

	complete = choose(f, &v);
	for (size_t i = 0; i < v.row_count; i++)
		if (i == 0 || v.rows[i]->not_after < v.not_after)
			v.not_after = v.rows[i]->not_after;
	v.state = judge_state(f, &v, complete);
	v.activity = judge_activity(f);
	v.health = view_judge_health(f, &v);
	*ret = v;
}

/* ---- as JSON ---- */

void
view_member_time(struct json_writer *w, const char *name, int64_t at)
{
	char text[CLOCK_TEXT_SIZE];

	json_member_string(w, name, at != 0 ? clock_format(at, text) : NULL);
}

/* The names of what was issued stand in where the text can't be read. */
static void
write_issued_names(struct json_writer *w, const struct facts *f, const struct view *v)
{
	_cleanup_free_ char *names = NULL;
	char *rest;
	char *word;

	names = strdup(v->row_count > 0 ? v->rows[0]->names : f->certificate->name);
	rest = names;
	while ((word = strsep(&rest, " ")) != NULL)
		if (*word != '\0')
			json_put_string(w, word);
}

static void
write_domains(struct json_writer *w, const struct facts *f, const struct view *v)
{
	json_name(w, "domains");
	json_open_array(w);
	if (f->spec == NULL)
		write_issued_names(w, f, v);
	for (size_t i = 0; f->spec != NULL && i < f->spec->identifier_count; i++)
		json_put_string(w, f->spec->identifiers[i].value);
	json_close_array(w);
}

/* As people read them, where that is another way: in the order of domains. */
static void
write_unicode(struct json_writer *w, const struct facts *f)
{
	const struct certificate_spec *spec = f->spec;
	bool any = false;

	for (size_t i = 0; spec != NULL && i < spec->identifier_count && !any; i++)
		any = strstr(spec->identifiers[i].value, "xn--") != NULL;
	if (!any)
		return;
	json_name(w, "domains_unicode");
	json_open_array(w);
	for (size_t i = 0; i < spec->identifier_count; i++) {
		const char *name = spec->identifiers[i].value;
		_cleanup_free_ char *text = name_to_unicode(name);

		json_put_string(w, text != NULL ? text : name);
	}
	json_close_array(w);
}

/* The issuer's section; before the first issue the first one that will be asked. */
const char *
view_ca(const struct facts *f, const struct view *v)
{
	const struct issued *row = v->row_count > 0 ? v->rows[0] : NULL;

	if (v->row_count > 1 && v->rows[1]->issued_at > row->issued_at)
		row = v->rows[1];
	if (row != NULL)
		return row->ca;
	return f->spec != NULL && f->spec->cas.n > 0 ? f->spec->cas.v[0] : NULL;
}

static void
write_row(struct json_writer *w, const struct issued *row)
{
	json_open_object(w);
	json_member_string(w, "key", acme_key_type_name(row->key_type));
	json_member_string(w, "serial", row->serial);
	json_member_string(w, "fingerprint_sha256", row->fingerprint);
	json_member_string(w, "issuer", row->issuer);
	view_member_time(w, "not_before", row->not_before);
	view_member_time(w, "not_after", row->not_after);
	json_member_string(w, "chain", row->top);
	json_member_raw(w, "missing", row->missing != NULL ? row->missing : "[]");
	if (row->revoked_at != 0)
		view_member_time(w, "revoked_at", row->revoked_at);
	if (row->ocsp_status != OCSP_NONE) {
		json_member_string(w, "ocsp", ocsp_status_name(row->ocsp_status));
		view_member_time(w, "ocsp_next_update", row->ocsp_next_update);
	}
	json_close_object(w);
}

static bool
is_required(const struct facts *f, const char *target)
{
	const struct target_config *t =
	    f->config != NULL ? config_target(f->config, target) : NULL;

	return t != NULL && t->require;
}

static void
write_deployment(
    struct json_writer *w, const struct facts *f, const struct deployment *d)
{
	json_open_object(w);
	json_member_string(w, "target", d->target);
	json_member_bool(w, "required", is_required(f, d->target));
	json_member_string(w, "state", deployment_state_name(d->state));
	view_member_time(w, "at", d->at);
	view_member_time(w, "deployed_at", d->deployed_at);
	view_member_time(w, "verified_at", d->verified_at);
	json_member_string(w, "detail", d->detail != NULL ? d->detail : "");
	view_target_write(w, f, d);
	json_close_object(w);
}

static void
write_rollback(struct json_writer *w, const struct rollback *r)
{
	json_name(w, "rolled_back");
	json_open_object(w);
	view_member_time(w, "at", r->at);
	json_member_string(w, "target", r->target);
	json_member_string(w, "detail", r->detail);
	json_close_object(w);
}

/* What is asked for and not done. */
static void
write_revocation(struct json_writer *w, const struct revocation *r, int64_t now)
{
	json_open_object(w);
	json_member_string(w, "reason", acme_reason_name(r->reason));
	json_member_string(w, "key", acme_key_type_name(r->key_type));
	json_member_string(w, "serial", r->serial);
	view_member_time(w, "asked_at", r->asked_at);
	view_member_time(w, "next_attempt",
	    !r->waits && r->next_attempt > now ? r->next_attempt : 0);
	json_member_string(w, "detail",
	    r->detail != NULL ? r->detail
		: r->waits    ? "it is replaced first"
			      : "the CA is asked");
	json_close_object(w);
}

static void
write_revocations(struct json_writer *w, const struct facts *f)
{
	json_name(w, "revocations");
	json_open_array(w);
	for (size_t i = 0; i < f->revocation_count; i++)
		write_revocation(w, &f->revocations[i], f->now);
	json_close_array(w);
}

static int64_t
renew_at(const struct facts *f)
{
	const struct certificate *c = f->certificate;

	/* while it backs off, that is when the renewal will be tried */
	if (c->failures > 0 && c->next_attempt > c->renew_at)
		return c->next_attempt;
	if (f->due == RENEW_NONE || (c->renew_at != 0 && c->renew_at <= f->now))
		return c->renew_at;
	return c->next_at != 0 && c->next_at <= f->now ? c->next_at : f->now;
}

/* Who waits for a CA that doesn't answer hasn't tried it itself. */
static void
write_last_error(struct json_writer *w, const struct facts *f)
{
	_cleanup_free_ char *theirs = NULL;
	const char *own = f->certificate->last_error;

	if (own == NULL && f->wait.unanswered != NULL)
		theirs = job_describe(f->wait.unanswered, f->wait.since);
	json_member_raw(w, "last_error", own != NULL ? own : theirs);
}

static void
write_plans(struct json_writer *w, const struct facts *f)
{
	const struct certificate *c = f->certificate;
	enum renew_reason why = f->due != RENEW_NONE ? f->due : c->renew_reason;

	view_member_time(w, "renew_at", renew_at(f));
	json_member_string(
	    w, "renew_reason", why != RENEW_NONE ? renew_reason_name(why) : NULL);
	json_member_integer(w, "failures", c->failures);
	view_member_time(w, "next_attempt",
	    c->next_attempt > f->now ? c->next_attempt : f->wait.until);
	write_last_error(w, f);
}

void
view_write(struct json_writer *w, const struct facts *f, const struct view *v)
{
	const struct certificate *c = f->certificate;

	json_open_object(w);
	json_member_string(w, "name", c->name);
	json_member_string(w, "origin", certificate_origin_name(c->origin));
	write_domains(w, f, v);
	write_unicode(w, f);
	json_member_string(w, "ca", view_ca(f, v));
	json_member_string(w, "profile", f->spec != NULL ? f->spec->profile : NULL);
	json_member_string(w, "state", view_state_name(v->state));
	json_member_string(w, "health", view_health_name(v->health));
	json_member_string(w, "activity", view_activity_name(v->activity));
	json_member_bool(w, "enabled", facts_enabled(f));
	json_name(w, "certificates");
	json_open_array(w);
	for (size_t i = 0; i < v->row_count; i++)
		write_row(w, v->rows[i]);
	json_close_array(w);
	view_member_time(w, "not_after", v->not_after);
	write_plans(w, f);
	json_name(w, "deployments");
	json_open_array(w);
	for (size_t i = 0; i < f->deployment_count; i++)
		write_deployment(w, f, &f->deployments[i]);
	json_close_array(w);
	if (f->rollback != NULL)
		write_rollback(w, f->rollback);
	if (f->revocation_count > 0)
		write_revocations(w, f);
	json_close_object(w);
}
