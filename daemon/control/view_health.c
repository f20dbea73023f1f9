/*
 * view_health.c - how worrying is the state of a certificate? A table of rules.
 *
 * Part of view.c, and as pure.
 */
#include "control/view.h"

#include <stdlib.h>

#include "control/facts.h"
#include "scope.h"

#define CRITICAL_PERCENT 12 /* of the life left */
#define WARNING_PERCENT  25
#define PLACEHOLDER_S    3600 /* so long may servers live on a placeholder */

static bool
row_under(const struct issued *row, int64_t now, int64_t percent)
{
	int64_t life = row->not_after - row->not_before;

	return (row->not_after - now) * 100 < life * percent;
}

static bool
under(const struct facts *f, const struct view *v, int64_t percent)
{
	for (size_t i = 0; i < v->row_count; i++)
		if (row_under(v->rows[i], f->now, percent))
			return true;
	return false;
}

/* Is this id one of the numbers in the list? */
static bool
holds_id(const char *list, int64_t id)
{
	while (list != NULL && *list != '\0') {
		char *end;
		long long number = strtoll(list, &end, 10);

		if (end != list && number == id)
			return true;
		list = end + (end == list || *end != '\0');
	}
	return false;
}

static bool
is_ended(const struct facts *f, const struct view *v)
{
	(void)f;
	return v->state == VIEW_EXPIRED || v->state == VIEW_REVOKED;
}

static bool
is_nearly_over(const struct facts *f, const struct view *v)
{
	return under(f, v, CRITICAL_PERCENT);
}

static bool
is_parked_late(const struct facts *f, const struct view *v)
{
	return f->certificate->parked && under(f, v, WARNING_PERCENT);
}

/* Of what a failed target still serves: all that can be looked up are the current
 * certificates. */
static bool
is_served_nearly_over(const struct facts *f, const struct view *v)
{
	(void)v;
	for (size_t i = 0; i < f->deployment_count; i++) {
		const struct deployment *d = &f->deployments[i];

		for (size_t j = 0; j < f->issued_count; j++)
			if (d->state == DEPLOYMENT_FAILED &&
			    holds_id(d->bundled, f->issued[j].id) &&
			    row_under(&f->issued[j], f->now, CRITICAL_PERCENT))
				return true;
	}
	return false;
}

/* It was issued, and breaks a server. */
static bool
is_broken(const struct facts *f, const struct view *v)
{
	(void)v;
	return f->rollback != NULL && f->rollback->target != NULL;
}

static bool
is_rolled_back(const struct facts *f, const struct view *v)
{
	(void)v;
	return f->rollback != NULL;
}

static bool
is_placeholder_long(const struct facts *f, const struct view *v)
{
	int64_t since = f->certificate->placeholder_since;

	(void)v;
	return since != 0 && f->now - since > PLACEHOLDER_S;
}

static bool
is_failing(const struct facts *f, const struct view *v)
{
	return (f->certificate->failures >= 2 || f->wait.since != 0) &&
	    under(f, v, WARNING_PERCENT);
}

static bool
is_parked(const struct facts *f, const struct view *v)
{
	(void)v;
	return f->certificate->parked;
}

static bool
is_not_deployed(const struct facts *f, const struct view *v)
{
	(void)v;
	for (size_t i = 0; i < f->deployment_count; i++)
		if (f->deployments[i].state == DEPLOYMENT_FAILED)
			return true;
	return false;
}

static bool
is_new_failing(const struct facts *f, const struct view *v)
{
	return v->state == VIEW_NEW &&
	    (f->certificate->failures > 0 || f->wait.since != 0);
}

static bool
is_paused_due(const struct facts *f, const struct view *v)
{
	const struct certificate *c = f->certificate;

	if (!c->paused && facts_enabled(f))
		return false;
	return v->state != VIEW_VALID || (c->renew_at != 0 && c->renew_at <= f->now);
}

/* The first that holds decides. */
static const struct rule {
	enum view_health health;
	bool (*holds)(const struct facts *f, const struct view *v);
} rules[] = {
	{ VIEW_CRITICAL, is_ended },
	{ VIEW_CRITICAL, is_nearly_over },
	{ VIEW_CRITICAL, is_parked_late },
	{ VIEW_CRITICAL, is_served_nearly_over },
	{ VIEW_CRITICAL, is_placeholder_long },
	{ VIEW_CRITICAL, is_broken },
	{ VIEW_WARNING, is_failing },
	{ VIEW_WARNING, is_parked },
	{ VIEW_WARNING, is_not_deployed },
	{ VIEW_WARNING, is_rolled_back },
	{ VIEW_WARNING, is_new_failing },
	{ VIEW_WARNING, is_paused_due },
};

enum view_health
view_judge_health(const struct facts *f, const struct view *v)
{
	for (size_t i = 0; i < ELEMENTS(rules); i++)
		if (rules[i].holds(f, v))
			return rules[i].health;
	return VIEW_OK;
}
