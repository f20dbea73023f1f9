/*
 * attempt.c - tells from two looks at a certificate what became of a renewal.
 *
 * Called by renew.c at each look. One that nobody has begun yet may look idle, so it
 * has ended only when something has changed that only an attempt changes.
 */
#include "ctl/attempt.h"

#include <stddef.h>
#include <string.h>

#include "json.h"

/* Between two stages a job may be seen idle for a moment. */
#define SETTLE_MS 5000

static const char *
text_of(const struct json *object, const char *name)
{
	return json_string(json_get(object, name));
}

static bool
is(const struct json *certificate, const char *activity)
{
	const char *text = text_of(certificate, "activity");

	return text != NULL && strcmp(text, activity) == 0;
}

/* NULL counts as a text of its own. */
static bool
same(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

static bool
has_fingerprint(const struct json *certificate, const char *fingerprint)
{
	const struct json *rows = json_get(certificate, "certificates");

	for (size_t i = 0; i < json_count(rows); i++)
		if (same(text_of(json_at(rows, i), "fingerprint_sha256"), fingerprint))
			return true;
	return false;
}

static bool
is_issued(const struct attempt *a, const struct json *now)
{
	const struct json *rows = json_get(now, "certificates");

	for (size_t i = 0; i < json_count(rows); i++)
		if (!has_fingerprint(
			a->before, text_of(json_at(rows, i), "fingerprint_sha256")))
			return true;
	return false;
}

/* A deployment that failed is warned of, and is no failure of the renewal. */
static bool
has_failed(const struct attempt *a, const struct json *now)
{
	const struct json *error = json_get(now, "last_error");
	const struct json *earlier = json_get(a->before, "last_error");
	const char *stage = text_of(error, "stage");
	int64_t failures = 0;
	int64_t failures_before = 0;

	json_integer(json_get(now, "failures"), &failures);
	json_integer(json_get(a->before, "failures"), &failures_before);
	if (failures > failures_before)
		return true;
	return json_type(error) == JSON_OBJECT &&
	    (stage == NULL || strcmp(stage, "deploy") != 0) &&
	    !same(text_of(error, "at"), text_of(earlier, "at"));
}

static bool
is_pending(const struct json *now)
{
	const struct json *rows = json_get(now, "deployments");

	for (size_t i = 0; i < json_count(rows); i++)
		if (same(text_of(json_at(rows, i), "state"), "pending"))
			return true;
	return false;
}

/* Has it been at rest long enough? */
static bool
has_settled(struct attempt *a, int64_t now_ms)
{
	if (a->idle_since == 0)
		a->idle_since = now_ms;
	return now_ms - a->idle_since >= SETTLE_MS;
}

/* It won't go on by itself for now: told to wait, parked, paused. */
static bool
is_held(const struct attempt *a, const struct json *now)
{
	if (is(now, "paused"))
		return true;
	if (is(now, "parked"))
		return a->ran || !is(a->before, "parked");
	/* for its turn at the CA it waits without a time, and goes on by itself */
	if (is(now, "waiting") && text_of(now, "next_attempt") != NULL)
		return a->ran || !is(a->before, "waiting") ||
		    !same(text_of(now, "next_attempt"),
			text_of(a->before, "next_attempt"));
	return false;
}

enum attempt_state
attempt_judge(struct attempt *a, const struct json *now, int64_t now_ms)
{
	if (is(now, "ordering") || is(now, "deploying")) {
		a->ran = true;
		a->idle_since = 0;
		return ATTEMPT_RUNS;
	}
	if (has_failed(a, now))
		return ATTEMPT_FAILED;
	if (is_issued(a, now))
		return is_pending(now) && !has_settled(a, now_ms) ? ATTEMPT_RUNS
								  : ATTEMPT_DONE;
	if (is_held(a, now))
		return ATTEMPT_FAILED;
	if (a->ran && has_settled(a, now_ms))
		return ATTEMPT_FAILED;
	return ATTEMPT_RUNS;
}
