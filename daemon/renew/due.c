/*
 * due.c - judges from facts: which key types have to be ordered and why, what the
 * bundle should hold, when to look next.
 */
#include "renew/due.h"

#include <string.h>

#include "buffer.h"
#include "schedule/wakeup.h"

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

/* Is it still what the specification asks for? A profile that the CA didn't have when
 * it was ordered is no difference: asking again would change nothing. */
static bool
changed(const struct certificate_spec *spec, const char *names, const struct issued *i,
    enum acme_key_type key_type)
{
	if (i->key_type != key_type || strcmp(i->names, names) != 0)
		return true;
	if (i->profile != NULL &&
	    (spec->profile == NULL || strcmp(spec->profile, i->profile) != 0))
		return true;
	return !issued_by_one_of(i, &spec->cas);
}

enum renew_reason
due_reason(const struct certificate *c, const struct certificate_spec *spec,
    const char *names, const struct issued *rows, size_t count,
    enum acme_key_type key_type, int64_t now)
{
	const struct issued *i = due_find(rows, count, key_type);
	int64_t life;

	if (i == NULL)
		return RENEW_NEW;
	if (i->revoked_at != 0)
		return RENEW_REVOKED;
	if (changed(spec, names, i, key_type))
		return RENEW_CHANGED;
	if (i->id <= c->forced)
		return RENEW_FORCED;
	/* the planned point is the certificate's; this key type's own earliest one must
	 * have come too, or a pair renewed apart would be renewed together for ever */
	life = i->not_after - i->not_before;
	if (c->renew_at > 0 && c->renew_at <= now &&
	    wakeup_renewal(i->not_before, i->not_after, &spec->renew_before,
		life > 0 ? (uint64_t)life / 50 : 0) <= now)
		return RENEW_LIFETIME;
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

void
due_plan(struct certificate *c, const struct certificate_spec *spec, const char *names,
    const struct issued *rows, size_t count, int64_t now, uint64_t jitter)
{
	int64_t earliest = 0;
	int64_t latest = 0;
	int64_t picked = 0;
	enum renew_reason reason;

	for (size_t i = 0; i < count; i++) {
		uint64_t width =
		    (uint64_t)(rows[i].not_after - rows[i].not_before) / 50;
		int64_t early = wakeup_renewal(
		    rows[i].not_before, rows[i].not_after, &spec->renew_before, width);
		int64_t late = wakeup_renewal(
		    rows[i].not_before, rows[i].not_after, &spec->renew_before, 0);

		if (picked != 0 && late >= latest)
			continue;
		earliest = early;
		latest = late;
		picked = wakeup_renewal(
		    rows[i].not_before, rows[i].not_after, &spec->renew_before, jitter);
	}
	if (c->renew_at < earliest || c->renew_at > latest)
		c->renew_at = picked;
	reason = due_any(c, spec, names, rows, count, now);
	c->renew_reason = reason != RENEW_NONE ? reason
	    : count > 0                        ? RENEW_LIFETIME
					       : RENEW_NONE;
	if (reason == RENEW_NEW || reason == RENEW_CHANGED || reason == RENEW_REVOKED ||
	    reason == RENEW_FORCED)
		c->renew_at = now;
}

int64_t
due_life(const struct issued *rows, size_t count)
{
	int64_t shortest = 0;

	for (size_t i = 0; i < count; i++) {
		int64_t life = rows[i].not_after - rows[i].not_before;

		if (shortest == 0 || life < shortest)
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

	for (size_t k = 0; k < spec->key_count; k++) {
		const struct issued *i = due_find(rows, count, spec->keys[k]);

		if (i != NULL)
			buffer_printf(
			    &text, "%s%lld", any ? "," : "", (long long)i->id);
		any = any || i != NULL;
	}
	if (!any && spec->placeholder)
		buffer_puts(&text, "placeholder");
	if (any || spec->placeholder)
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

static bool
is_target(const struct certificate_spec *spec, const char *target)
{
	for (size_t i = 0; i < spec->deploy.n; i++)
		if (strcasecmp(spec->deploy.v[i], target) == 0)
			return true;
	return false;
}

int64_t
due_next(const struct certificate *c, const struct certificate_spec *spec,
    const struct deployment *deployments, size_t deployment_count, int64_t now)
{
	int64_t at = 0;

	if (c->removed_at != 0 || c->paused || !spec->enabled)
		return 0;
	if (!c->parked)
		at = c->failures > 0 || c->next_attempt > c->renew_at ? c->next_attempt
								      : c->renew_at;
	for (size_t i = 0; i < deployment_count; i++)
		if (deployments[i].state == DEPLOYMENT_FAILED &&
		    is_target(spec, deployments[i].target))
			at = earlier(at, deployments[i].next_attempt);
	/* whatever the facts say, never the same moment again */
	return at != 0 && at <= now ? now + 1 : at;
}
