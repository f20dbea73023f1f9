/*
 * test_wakeup.c - renewal points and delays: their properties over many inputs.
 */
#include "schedule/wakeup.h"

#include "config/config.h"
#include "suite.h"

#define DAY INT64_C(86400)

static const struct duration automatic = { 0 };

START_TEST(renews_at_a_third_left)
{
	int64_t at = wakeup_renewal(0, 90 * DAY, &automatic, 0);

	ck_assert_int_eq(at, 60 * DAY);
}
END_TEST

START_TEST(renews_short_ones_at_half)
{
	ck_assert_int_eq(wakeup_renewal(0, 6 * DAY, &automatic, 0), 3 * DAY);
	ck_assert_int_eq(wakeup_renewal(0, 6 * DAY, &automatic, 12345), 3 * DAY);
	ck_assert_int_eq(wakeup_renewal(0, 3600, &automatic, 0), 1800);
}
END_TEST

START_TEST(renews_as_configured)
{
	const struct duration days = { .seconds = 10 * DAY };
	const struct duration share = { .share = 250000 };
	const struct duration far_too_much = { .seconds = 80 * DAY };

	ck_assert_int_eq(wakeup_renewal(0, 90 * DAY, &days, 0), 80 * DAY);
	ck_assert_int_eq(wakeup_renewal(0, 100 * DAY, &share, 0), 75 * DAY);
	ck_assert_int_eq(wakeup_renewal(0, 90 * DAY, &far_too_much, 0), 45 * DAY);
}
END_TEST

/* Whatever the life, the wish and the chance: within the life, never before its half.
 */
START_TEST(renewal_is_always_in_the_second_half)
{
	static const int64_t lives[] = { 1, 60, 3600, 6 * DAY, 10 * DAY, 45 * DAY,
		90 * DAY, 398 * DAY, 3650 * DAY };
	const struct duration wishes[] = { { 0 }, { .seconds = 1 },
		{ .seconds = 30 * DAY }, { .seconds = INT64_MAX / 4 }, { .share = 1 },
		{ .share = 500000 } };

	for (size_t l = 0; l < ELEMENTS(lives); l++)
		for (size_t w = 0; w < ELEMENTS(wishes); w++)
			for (uint64_t jitter = 0; jitter < 5000000; jitter += 9973) {
				int64_t at = wakeup_renewal(
				    1000, 1000 + lives[l], &wishes[w], jitter);

				ck_assert_int_ge(at, 1000 + lives[l] / 2);
				ck_assert_int_le(at, 1000 + lives[l]);
			}
	/* a nonsense life is renewed at once */
	ck_assert_int_eq(wakeup_renewal(500, 400, &automatic, 7), 500);
}
END_TEST

/* Issued together, renewed apart: the points fill the span, not one moment. */
START_TEST(renewals_are_spread)
{
	int64_t first = INT64_MAX;
	int64_t last = 0;

	for (uint64_t jitter = 0; jitter < 4000000000; jitter += 1234577) {
		int64_t at = wakeup_renewal(0, 90 * DAY, &automatic, jitter);

		first = at < first ? at : first;
		last = at > last ? at : last;
	}
	ck_assert_int_gt(last - first, 90 * DAY / 60);
	ck_assert_int_le(last, 60 * DAY);
}
END_TEST

START_TEST(delays_grow_and_stay_bounded)
{
	static const int64_t lives[] = { 0, 3600, 6 * DAY, 45 * DAY, 90 * DAY };

	for (size_t l = 0; l < ELEMENTS(lives); l++)
		for (uint64_t jitter = 0; jitter < 200000; jitter += 331) {
			int64_t before = 0;

			for (unsigned n = 1; n < 40; n++) {
				int64_t delay =
				    wakeup_retry(0, n, NULL, lives[l], jitter);

				ck_assert_int_gt(delay, 0);
				ck_assert_int_le(delay, DAY + DAY / 5 + 1);
				if (lives[l] == 6 * DAY)
					ck_assert_int_le(
					    delay, 6 * DAY / 40 * 6 / 5 + 1);
				/* the next step is longer whatever chance says */
				if (before > 0 && n <= 4 && lives[l] == 0)
					ck_assert_int_gt(delay, before);
				before = wakeup_retry(0, n, NULL, lives[l], 0);
			}
		}
	ck_assert_int_ge(wakeup_retry(0, 1, NULL, 90 * DAY, 0), 48);
	ck_assert_int_le(wakeup_retry(0, 1, NULL, 90 * DAY, 12345), 72);
}
END_TEST

START_TEST(the_ca_has_the_last_word)
{
	const struct acme_result told = { .class = ACME_LATER, .not_before = 1000000 };

	for (uint64_t jitter = 0; jitter < 1000; jitter++)
		for (unsigned n = 1; n < 10; n++)
			ck_assert_int_ge(
			    wakeup_retry(500, n, &told, 90 * DAY, jitter), 1000000);
}
END_TEST

START_TEST(deployments_are_retried_sooner)
{
	ck_assert_int_le(wakeup_redeploy(0, 1, 99), 12);
	ck_assert_int_ge(wakeup_redeploy(0, 1, 99), 8);
	ck_assert_int_le(wakeup_redeploy(0, 100, UINT64_MAX), 3600 * 6 / 5);
}
END_TEST

SUITE("wakeup", renews_at_a_third_left, renews_short_ones_at_half, renews_as_configured,
    renewal_is_always_in_the_second_half, renewals_are_spread,
    delays_grow_and_stay_bounded, the_ca_has_the_last_word,
    deployments_are_retried_sooner)
