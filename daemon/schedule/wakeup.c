/*
 * wakeup.c - the arithmetic of when: renewal points, delays after failures.
 *
 * Pure functions of their arguments: chance and time are passed in, so that every claim
 * about them can be tested over all inputs.
 */
#include "schedule/wakeup.h"

#include "config/config.h"

#define MINUTE INT64_C(60)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* Under this life a certificate is renewed at half of it, not a third, and delays are
 * capped tighter. */
#define SHORT_LIFE (10 * DAY)

static const int64_t retry_delays[] = { 1 * MINUTE, 10 * MINUTE, 100 * MINUTE, 6 * HOUR,
	24 * HOUR };
static const int64_t redeploy_delays[] = { 10, 1 * MINUTE, 10 * MINUTE, 1 * HOUR };

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
	/* spread towards earlier, but never past half of the life */
	left += (int64_t)(jitter % (uint64_t)(life / 50 + 1));
	if (left > life / 2)
		left = life / 2;
	return not_after - left;
}

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
