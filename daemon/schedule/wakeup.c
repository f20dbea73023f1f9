/*
 * wakeup.c - the arithmetic of when: renewal points, delays after failures.
 *
 * Pure functions of their arguments: chance and time are passed in, so that every claim
 * about them can be tested over all inputs.
 */
#include "schedule/wakeup.h"

#include <stdbool.h>

#include "config/config.h"

#define MINUTE INT64_C(60)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* Under this life a certificate is renewed at half of it, not a third, and delays are
 * capped tighter. */
#define SHORT_LIFE (10 * DAY)

static const int64_t retry_delays[] = { 1 * MINUTE, 10 * MINUTE, 100 * MINUTE, 6 * HOUR,
	24 * HOUR };
/* With this share of the life left it is renewed whatever the CA suggests. */
#define LAST_LINE 20
/* The span over which renewals are spread, as a share of the life. */
#define EARLIER_SHARE 8
#define LATER_SHARE   20
#define GUARD_MAX     (5 * MINUTE)
#define ASK_MIN       MINUTE
#define ASK_MAX       DAY
#define ASK_USUAL     (6 * HOUR)

static const int64_t redeploy_delays[] = { 10, 1 * MINUTE, 10 * MINUTE, 1 * HOUR };
static const int64_t ask_delays[] = { 1, 2, 5 };

/* The delay of the n-th failure (1: the first), the last one for all after. */
static int64_t
pick(const int64_t *delays, size_t count, unsigned n)
{
	size_t i = n > 0 ? n - 1 : 0;

	return delays[i < count ? i : count - 1];
}

/* +-20 %. */
static int64_t
spread(int64_t delay, uint64_t jitter)
{
	int64_t width = delay * 2 / 5;

	return delay - delay / 5 + (int64_t)(jitter % (uint64_t)(width + 1));
}

/* Half of a short life is the earliest, so the span for chance is after it. */
static bool
goes_later(int64_t life, const struct duration *renew_before)
{
	return life < SHORT_LIFE && renew_before->seconds == 0 &&
	    renew_before->share == 0;
}

uint64_t
wakeup_spread(int64_t life, const struct duration *renew_before)
{
	if (life <= 0)
		return 0;
	return (uint64_t)life /
	    (goes_later(life, renew_before) ? LATER_SHARE : EARLIER_SHARE);
}

int64_t
wakeup_renewal(int64_t not_before, int64_t not_after,
    const struct duration *renew_before, uint64_t jitter)
{
	int64_t life = not_after - not_before;
	int64_t left;

	if (life <= 0)
		return not_before;
	left = duration_seconds(renew_before, life);
	if (left <= 0)
		left = life < SHORT_LIFE ? life / 2 : life / 3;
	if (left > life / 2)
		left = life / 2;
	if (goes_later(life, renew_before))
		left -= life / LATER_SHARE;
	left += (int64_t)(jitter % (wakeup_spread(life, renew_before) + 1));
	/* never past half of the life */
	if (left > life / 2)
		left = life / 2;
	return not_after - left;
}

/* ---- renewal information ---- */

int64_t
wakeup_window(int64_t start, int64_t end, uint64_t jitter)
{
	int64_t guard = (end - start) / 20;
	int64_t first = start + 1;
	int64_t last;

	if (guard > GUARD_MAX)
		guard = GUARD_MAX;
	if (guard < 1)
		guard = 1; /* the end is no part of it */
	last = end - guard;
	if (last < first)
		return start;
	return first + (int64_t)(jitter % (uint64_t)(last - first + 1));
}

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t
wakeup_suggested(int64_t not_before, int64_t not_after,
    const struct duration *renew_before, uint64_t jitter, int64_t suggested)
{
	int64_t own = wakeup_renewal(not_before, not_after, renew_before, jitter);
	int64_t life = not_after - not_before;
	bool is_auto = renew_before->seconds == 0 && renew_before->share == 0;

	if (suggested == 0 || life <= 0)
		return own;
	suggested = earlier(suggested, not_after - life / LAST_LINE);
	return is_auto ? suggested : earlier(suggested, own);
}

int64_t
wakeup_calm(int64_t issued_at, int64_t issued_before, int64_t life)
{
	int64_t pause = earlier(ASK_USUAL, life / LAST_LINE);

	if (issued_before == 0 || pause <= 0 || issued_at - issued_before >= pause)
		return 0;
	return issued_at + pause;
}

int64_t
wakeup_ask(int64_t now, int64_t retry_at)
{
	if (retry_at == 0)
		return now + ASK_USUAL;
	if (retry_at < now + ASK_MIN)
		return now + ASK_MIN;
	return earlier(retry_at, now + ASK_MAX);
}

int64_t
wakeup_ask_retry(int64_t now, unsigned failures, int64_t retry_at)
{
	int64_t at;

	if (failures > ELEMENTS(ask_delays))
		return 0;
	at = now + pick(ask_delays, ELEMENTS(ask_delays), failures);
	return retry_at > at ? earlier(retry_at, now + ASK_MAX) : at;
}

int64_t
wakeup_ask_later(int64_t now, uint64_t jitter)
{
	return now + ASK_USUAL + (int64_t)(jitter % (10 * MINUTE + 1));
}

/* ---- how many at a time ---- */

/* Where they are few nobody needs them even, and people want to see them done. */
#define PACE_LEAST 6 /* an hour */
#define PACE_BURST 10

void
wakeup_pace(double short_lives, double long_lives, int64_t *ret_interval_ms,
    unsigned *ret_burst)
{
	/* the middle of the spans over which renewals are spread */
	double short_part = 0.5 + 0.5 / LATER_SHARE;
	double long_part = 2.0 / 3 - 0.5 / EARLIER_SHARE;
	double mean = (short_lives / short_part + long_lives / long_part) * HOUR;
	/* Those of a bulk come back in an eighth of their life: where the second time
	 * of those of 45 days meets the first of those of 90, less doesn't suffice, and
	 * they would all become urgent on one day. */
	double pace = mean * 5 / 3;

	if (pace <= PACE_LEAST) {
		*ret_interval_ms = HOUR * 1000 / PACE_LEAST;
		*ret_burst = PACE_BURST;
		return;
	}
	*ret_interval_ms = (int64_t)((double)HOUR * 1000 / pace);
	*ret_burst = (unsigned)(pace / 20) + 1;
}

/* ---- after failures ---- */

int64_t
wakeup_retry(int64_t now, unsigned failures, const struct acme_result *result,
    int64_t life, uint64_t jitter)
{
	int64_t delay = pick(retry_delays, ELEMENTS(retry_delays), failures);
	int64_t most = life > 0 ? life / (life < SHORT_LIFE ? 40 : 20) : delay;
	int64_t at;

	if (delay > most)
		delay = most;
	if (delay < 1)
		delay = 1;
	at = now + spread(delay, jitter);
	if (result != NULL && at < result->not_before)
		at = result->not_before;
	return at;
}

int64_t
wakeup_redeploy(int64_t now, unsigned failures, uint64_t jitter)
{
	int64_t delay = pick(redeploy_delays, ELEMENTS(redeploy_delays), failures);

	return now + spread(delay, jitter);
}
