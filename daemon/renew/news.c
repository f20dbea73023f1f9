/*
 * news.c - is a failure the one that was said before?
 *
 * Called by job.c: a problem is logged once, not at each attempt, and a restart doesn't
 * make it new. What it compares with is stored, and written by ourselves.
 */
#include "renew/news.h"

#include <string.h>

#include "json.h"
#include "scope.h"

static bool
same(const struct json *before, const char *name, const char *now)
{
	const char *then = json_string(json_get(before, name));

	return then != NULL && now != NULL ? strcmp(then, now) == 0 : then == now;
}

/* A CA's detail may differ at each attempt; its type says what the problem is. */
static bool
same_problem(const struct json *before, const struct acme_result *failure)
{
	return same(before, "stage", failure->stage) &&
	    same(before, "type", failure->type) &&
	    same(before, "class", acme_class_name(failure->class)) &&
	    (failure->type != NULL || same(before, "detail", failure->detail));
}

bool
news_is_old(const char *before, const struct acme_result *failure)
{
	struct json *j;
	bool old;

	if (before == NULL ||
	    json_parse(before, strlen(before), &json_limits_acme, &j) < 0)
		return false;
	old = same_problem(j, failure);
	json_free(j);
	return old;
}
