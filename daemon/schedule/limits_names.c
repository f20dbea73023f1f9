/*
 * limits_names.c - what a CA forbids of single names, domains and sets of names, and
 * the names that it could not validate. Part of limits.c; kept in the inventory alone.
 */
#include "schedule/limits_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scope.h"

#define HOUR_MS        INT64_C(3600000)
#define FAILED_AN_HOUR 4   /* authorizations that failed, of one name */
#define WHAT_SIZE      300 /* a kind, and an identifier of 253 bytes */

void
limits_forbid_name(
    struct ca_limits *l, const char *kind, const char *name, int64_t until)
{
	_cleanup_free_ char *what = NULL;

	limits_prune(l->all);
	if (asprintf(&what, "%s %s", kind, name) >= 0)
		(void)limit_put(
		    l->all->store, l->ca, l->directory, what, until * 1000, wall_ms());
}

/* One of FAILED_AN_HOUR; the number at its end is only there to tell them apart. */
static void
count_failed(struct ca_limits *l, const char *name)
{
	_cleanup_free_ char *what = NULL;
	int64_t now = wall_ms();

	limits_prune(l->all);
	if (asprintf(&what, "failed %s %lld", name, (long long)clock_monotonic_ms()) >=
	    0)
		(void)limit_put(
		    l->all->store, l->ca, l->directory, what, now + HOUR_MS, now);
}

/* Names that a CA could not validate. */
void
limits_heed_failed(struct ca_limits *l, const struct acme_result *failure)
{
	for (size_t i = 0; i < failure->subproblem_count; i++) {
		const char *name = failure->subproblems[i].identifier;

		if (name != NULL && *name != '\0')
			count_failed(l, name);
	}
}

/* ---- may they be ordered? ---- */

static int64_t
name_until(struct ca_limits *l, const char *kind, const char *name)
{
	_cleanup_free_ char *what = NULL;
	int64_t now = wall_ms();
	int64_t until, said_at;

	if (asprintf(&what, "%s %s", kind, name) < 0 ||
	    limit_get(l->all->store, l->ca, l->directory, what, &until, &said_at) < 0 ||
	    until <= now || said_at > now)
		return 0;
	return (until + 999) / 1000;
}

static int64_t
failed_until(struct ca_limits *l, const char *name)
{
	char prefix[WHAT_SIZE];
	int64_t count = 0, first = 0;

	snprintf(prefix, sizeof(prefix), "failed %s ", name);
	if (limit_count(l->all->store, l->ca, l->directory, prefix, wall_ms(), &count,
		&first) < 0 ||
	    count < FAILED_AN_HOUR)
		return 0;
	return (first + 999) / 1000;
}

/* Is there anything about names at all? Mostly not. */
static bool
knows_names(struct ca_limits *l)
{
	static const char *const kinds[] = { "name", "domain", "failed" };
	int64_t count = 0, first;

	for (size_t i = 0; i < ELEMENTS(kinds) && count == 0; i++)
		(void)limit_count(l->all->store, l->ca, l->directory, kinds[i],
		    wall_ms(), &count, &first);
	return count > 0;
}

static int64_t
identifier_until(struct ca_limits *l, const char *name)
{
	const char *domain = strncmp(name, "*.", 2) == 0 ? name + 2 : name;
	int64_t until = later(name_until(l, "name", name), failed_until(l, domain));

	if (domain != name)
		until = later(until, name_until(l, "name", domain));
	/* a domain's limit is that of all under it */
	for (const char *d = domain; d != NULL; d = strchr(d, '.')) {
		d += *d == '.';
		until = later(until, name_until(l, "domain", d));
	}
	return until;
}

int64_t
limits_names_forbidden(struct ca_limits *l, const struct acme_identifier *identifiers,
    size_t count, const char *names)
{
	int64_t until = 0;

	if (!knows_names(l))
		return 0;
	for (size_t i = 0; i < count; i++)
		until = later(until, identifier_until(l, identifiers[i].value));
	return names != NULL ? later(until, name_until(l, "names", names)) : until;
}
