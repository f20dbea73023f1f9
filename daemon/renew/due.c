/*
 * due.c - judges from facts: which key types have to be ordered and why, what the
 * bundle should hold, when to look next.
 */
#include "renew/due.h"

#include <string.h>

#include "buffer.h"
#include "json.h"
#include "platform/clock.h"
#include "schedule/wakeup.h"

#define SOON         60                         /* seconds */
#define LONGEST_WAIT (INT64_C(366) * 24 * 3600) /* that a CA may ask for */
#define QUEUED       (6 * 3600) /* those who wait for their CA are looked at again */
#define FRESH_SHARE  10
#define KEEP_SECONDS (INT64_C(14) * 24 * 3600)

const struct issued *
due_find(const struct issued *rows, size_t count, enum acme_key_type key_type)
{
	for (size_t i = 0; i < count; i++)
		if (acme_key_type_is_rsa(rows[i].key_type) ==
		    acme_key_type_is_rsa(key_type))
			return &rows[i];
	return NULL;
}

static bool
issued_by_one_of(const struct issued *i, const struct words *cas)
{
	for (size_t k = 0; k < cas->n; k++)
		if (strcasecmp(cas->v[k], i->ca) == 0)
			return true;
	return false;
}

static bool
same_text(const char *a, const char *b)
{
	return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

char *
due_wish(const struct certificate_spec *spec)
{
	struct buffer text = { 0 };
	char *wish = NULL;

	if (spec->must_staple)
		buffer_puts(&text, "must_staple\n");
	if (spec->common_name)
		buffer_puts(&text, "common_name\n");
	if (spec->lifetime.seconds > 0)
		buffer_printf(
		    &text, "lifetime %lld\n", (long long)spec->lifetime.seconds);
	if (spec->key_files.n > 0)
		buffer_puts(&text, "key_file\n");
	if (spec->csr_files.n > 0)
		buffer_puts(&text, "csr_file\n");
	if (spec->preferred_chain != NULL)
		buffer_printf(&text, "preferred_chain %s\n", spec->preferred_chain);
	return buffer_steal(&text, &wish, NULL) == 0 ? wish : NULL;
}

static bool
same_wish(const struct certificate_spec *spec, const struct issued *i)
{
	_cleanup_free_ char *wish = due_wish(spec);

	/* where it isn't known, or can't be, nothing is ordered for it */
	return i->wish == NULL || wish == NULL || strcmp(i->wish, wish) == 0;
}

/* Is it still what the specification asks for? The profile that was wished for counts,
 * whether the CA had it or not: asking again would change nothing. */
static bool
changed(const struct certificate_spec *spec, const char *names, const struct issued *i,
    enum acme_key_type key_type)
{
	if (i->key_type != key_type || strcmp(i->names, names) != 0)
		return true;
	if (!same_text(spec->profile, i->profile) || !same_wish(spec, i) || i->stale)
		return true;
	return !issued_by_one_of(i, &spec->cas);
}

static uint64_t
most_jitter(const struct certificate_spec *spec, const struct issued *i)
{
	return wakeup_spread(i->not_after - i->not_before, &spec->renew_before);
}

/* When is this one to be renewed, with this jitter? */
static int64_t
point(const struct certificate_spec *spec, const struct issued *i, uint64_t jitter)
{
	return wakeup_suggested(
	    i->not_before, i->not_after, &spec->renew_before, jitter, i->suggested_at);
}

/* Is that so early because its CA wants it? */
static enum renew_reason
why(const struct certificate_spec *spec, const struct issued *i)
{
	return i->suggested_at != 0 &&
		point(spec, i, most_jitter(spec, i)) == i->suggested_at
	    ? RENEW_ARI
	    : RENEW_LIFETIME;
}

/* Whatever a clock that is wrong makes of its life: what was issued only now isn't
 * renewed for its age. */
static bool
is_fresh(const struct certificate_spec *spec, const struct issued *i, int64_t now)
{
	int64_t life = i->not_after - i->not_before;

	return why(spec, i) == RENEW_LIFETIME && i->issued_at <= now &&
	    now < i->issued_at + life / FRESH_SHARE;
}

enum renew_reason
due_reason(const struct certificate *c, const struct certificate_spec *spec,
    const char *names, const struct issued *rows, size_t count,
    enum acme_key_type key_type, int64_t now)
{
	const struct issued *i = due_find(rows, count, key_type);

	if (i == NULL)
		return RENEW_NEW;
	if (i->compromised)
		return RENEW_KEY_COMPROMISE;
	if (i->revoked_at != 0 || i->superseded)
		return RENEW_REVOKED;
	if (changed(spec, names, i, key_type))
		return RENEW_CHANGED;
	if (i->id <= c->forced)
		return RENEW_FORCED;
	/* the planned point is the certificate's; this key type's own earliest one must
	 * have come too, or a pair renewed apart would be renewed together for ever */
	if (c->renew_at > 0 && c->renew_at <= now && !is_fresh(spec, i, now) &&
	    point(spec, i, most_jitter(spec, i)) <= now)
		return why(spec, i);
	return RENEW_NONE;
}

enum renew_reason
due_any(const struct certificate *c, const struct certificate_spec *spec,
    const char *names, const struct issued *rows, size_t count, int64_t now)
{
	for (size_t k = 0; k < spec->key_count; k++) {
		enum renew_reason reason =
		    due_reason(c, spec, names, rows, count, spec->keys[k], now);

		if (reason != RENEW_NONE)
			return reason;
	}
	return RENEW_NONE;
}

/* Rows of kinds of key that aren't configured any more don't count, unless there are no
 * others. */
static bool
counts(const struct certificate_spec *spec, const struct issued *rows, size_t count,
    const struct issued *i)
{
	bool any = false;

	for (size_t k = 0; k < spec->key_count; k++) {
		const struct issued *wanted = due_find(rows, count, spec->keys[k]);

		if (wanted == i)
			return true;
		any = any || wanted != NULL;
	}
	return !any;
}

/* The one whose time comes first. */
static const struct issued *
find_first(const struct certificate_spec *spec, const struct issued *rows, size_t count)
{
	const struct issued *first = NULL;

	for (size_t i = 0; i < count; i++)
		if (counts(spec, rows, count, &rows[i]) &&
		    (first == NULL || point(spec, &rows[i], 0) < point(spec, first, 0)))
			first = &rows[i];
	return first;
}

bool
due_span(const struct certificate *c, const struct certificate_spec *spec,
    const struct issued *rows, size_t count, int64_t *ret_from, int64_t *ret_to)
{
	const struct issued *first = find_first(spec, rows, count);
	int64_t from, to;

	if (first == NULL)
		return false;
	from = point(spec, first, most_jitter(spec, first));
	to = point(spec, first, 0);
	if (from <= c->renew_at && c->renew_at <= to)
		return false;
	*ret_from = from;
	*ret_to = to;
	return true;
}

void
due_plan(struct certificate *c, const struct certificate_spec *spec, const char *names,
    const struct issued *rows, size_t count, int64_t now, int64_t at)
{
	const struct issued *first = find_first(spec, rows, count);
	enum renew_reason reason;
	int64_t from, to;

	if (first == NULL)
		c->renew_at = 0;
	else if (due_span(c, spec, rows, count, &from, &to))
		c->renew_at = at < from ? from : at > to ? to : at;
	reason = due_any(c, spec, names, rows, count, now);
	c->renew_reason = reason != RENEW_NONE ? reason
	    : first != NULL                    ? why(spec, first)
					       : RENEW_NONE;
	if (reason != RENEW_NONE && reason != RENEW_LIFETIME && reason != RENEW_ARI)
		c->renew_at = now;
}

int64_t
due_life(const struct certificate_spec *spec, const struct issued *rows, size_t count)
{
	int64_t shortest = 0;

	for (size_t i = 0; i < count; i++) {
		int64_t life = rows[i].not_after - rows[i].not_before;

		if (counts(spec, rows, count, &rows[i]) && life > 0 &&
		    (shortest == 0 || life < shortest))
			shortest = life;
	}
	return shortest;
}

char *
due_bundle(const struct certificate_spec *spec, const struct issued *rows, size_t count)
{
	struct buffer text = { 0 };
	char *wanted = NULL;
	bool any = false;
	/* without a private key no server starts with one */
	bool placeholder = count == 0 && spec->placeholder && spec->csr_files.n == 0;

	for (size_t k = 0; k < spec->key_count; k++) {
		const struct issued *i = due_find(rows, count, spec->keys[k]);

		if (i != NULL)
			buffer_printf(
			    &text, "%s%lld", any ? "," : "", (long long)i->id);
		any = any || i != NULL;
	}
	/* what is served stays until one of the kind that is wanted now is there */
	if (placeholder)
		buffer_puts(&text, "placeholder");
	if (any || placeholder)
		buffer_printf(&text, " %s %04o %s",
		    spec->key_count > 1 ? "dual" : "single",
		    (unsigned)spec->bundle_mode,
		    spec->bundle_group != NULL ? spec->bundle_group : "");
	return buffer_steal(&text, &wanted, NULL) == 0 ? wanted : NULL;
}

int64_t
due_forget(const struct certificate *c, const struct issued *rows, size_t count)
{
	int64_t end = 0;

	for (size_t i = 0; i < count; i++)
		if (rows[i].not_after > end)
			end = rows[i].not_after;
	return (end != 0 ? end : c->removed_at) + KEEP_SECONDS;
}

static int64_t
earlier(int64_t a, int64_t b)
{
	if (a == 0 || b == 0)
		return a + b;
	return a < b ? a : b;
}

bool
due_is_target(const struct certificate_spec *spec, const char *target)
{
	for (size_t i = 0; i < spec->deploy.n; i++)
		if (strcasecmp(spec->deploy.v[i], target) == 0)
			return true;
	return false;
}

const struct deployment *
due_find_deployment(const struct deployment *rows, size_t count, const char *target)
{
	for (size_t i = 0; i < count; i++)
		if (strcasecmp(rows[i].target, target) == 0)
			return &rows[i];
	return NULL;
}

/* When has this target to be looked at again? 0: it is done with. */
static int64_t
next_deployment(const struct certificate *c, const struct deployment *d, int64_t now)
{
	if (d != NULL && d->state == DEPLOYMENT_FAILED)
		return d->next_attempt;
	if (d != NULL && d->state == DEPLOYMENT_PENDING && d->next_attempt > now)
		return d->next_attempt; /* its hours will come */
	if (d != NULL && d->state != DEPLOYMENT_PENDING && d->bundled != NULL &&
	    strcmp(d->bundled, c->bundled) == 0)
		return d->next_attempt; /* to be looked at, or not */
	return now + SOON;              /* what was written of it was lost */
}

bool
due_holds(const struct certificate *c, const struct target_config *target,
    const struct deployment *d)
{
	if (target == NULL || !target->require)
		return false;
	return d == NULL || d->bundled == NULL || c->bundled == NULL ||
	    strcmp(d->bundled, c->bundled) != 0 ||
	    (d->state != DEPLOYMENT_SERVED &&
		(d->state != DEPLOYMENT_DEPLOYED || target->verify.n > 0));
}

/* The earliest of those that don't wait for another. */
static int64_t
next_of_targets(const struct certificate *c, const struct certificate_spec *spec,
    const struct config *config, const struct deployment *rows, size_t count,
    int64_t now)
{
	int64_t at = 0;

	for (size_t i = 0; i < spec->deploy.n; i++) {
		const char *name = spec->deploy.v[i];
		const struct deployment *d = due_find_deployment(rows, count, name);

		at = earlier(at, next_deployment(c, d, now));
		if (due_holds(c, config_target(config, name), d))
			break;
	}
	return at;
}

bool
due_same_rows(const char *bundled, const char *other)
{
	size_t len = strcspn(bundled, " ");

	return strcspn(other, " ") == len && memcmp(bundled, other, len) == 0;
}

bool
due_is_rolled_back(const struct rollback *rollback, const struct certificate_spec *spec,
    const struct issued *rows, size_t count)
{
	_cleanup_free_ char *wanted = NULL;

	if (rollback == NULL || *rollback->to == '\0')
		return false;
	wanted = due_bundle(spec, rows, count);
	return wanted != NULL && due_same_rows(wanted, rollback->from);
}

int64_t
due_next(const struct certificate *c, const struct certificate_spec *spec,
    const struct config *config, size_t issued_count,
    const struct deployment *deployments, size_t deployment_count, int64_t now)
{
	int64_t at = 0;

	if (c->removed_at != 0 || c->paused || !spec->enabled)
		return 0;
	if (c->queued_ca != NULL)
		at = now + QUEUED;
	else if (!c->parked)
		at = c->failures > 0 && c->next_attempt > 0 ? c->next_attempt
		    : c->next_attempt > c->renew_at         ? c->next_attempt
							    : c->renew_at;
	if (issued_count > 0 && c->bundled != NULL)
		at = earlier(at,
		    next_of_targets(
			c, spec, config, deployments, deployment_count, now));
	/* whatever the facts say, never at once again */
	return at != 0 && at <= now ? now + SOON : at;
}

bool
due_error_is(const struct certificate *c, const char *member, const char *text)
{
	struct json *error = NULL;
	const char *is;
	bool same;

	if (c->last_error == NULL ||
	    json_parse(
		c->last_error, strlen(c->last_error), &json_limits_acme, &error) < 0)
		return false;
	is = json_string(json_get(error, member));
	same = is != NULL && strcmp(is, text) == 0;
	json_free(error);
	return same;
}

/* The last failure was noted by a clock that was ahead. */
static bool
failed_after(const struct certificate *c, int64_t now)
{
	struct json *error = NULL;
	int64_t at = 0;

	if (c->last_error == NULL ||
	    json_parse(
		c->last_error, strlen(c->last_error), &json_limits_acme, &error) < 0)
		return false;
	if (clock_parse(json_string(json_get(error, "at")), &at) < 0)
		at = 0;
	json_free(error);
	return at > now;
}

void
due_heed_clock(struct certificate *c, int64_t now)
{
	if (c->next_attempt > now + LONGEST_WAIT ||
	    (c->next_attempt > now && failed_after(c, now)))
		c->next_attempt = now;
	if (c->failing_since > now)
		c->failing_since = now;
	if (c->last_success > now)
		c->last_success = now;
	if (c->queued_at > now)
		c->queued_at = now;
}

bool
due_told_to_wait(const struct certificate *c, int64_t now)
{
	return c->next_attempt > now &&
	    due_error_is(c, "class", acme_class_name(ACME_LATER));
}
