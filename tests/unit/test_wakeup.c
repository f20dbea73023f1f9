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
	/* and a little later, by chance */
	ck_assert_int_eq(wakeup_renewal(0, 6 * DAY, &automatic, 6 * DAY / 20), 3 * DAY);
	ck_assert_int_eq(
	    wakeup_renewal(0, 6 * DAY, &automatic, 0), 3 * DAY + 6 * DAY / 20);
	ck_assert_int_eq(wakeup_renewal(0, 3600, &automatic, 180), 1800);
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

/* ---- renewal information ---- */

/* Whatever the window and the chance: inside, the end excluded, and both ends are kept
 * away from where there is room. */
START_TEST(points_are_in_the_window)
{
	static const int64_t widths[] = { 1, 2, 3, 19, 20, 21, 60, 3600, 11520, DAY,
		30 * DAY, 400 * DAY, INT64_C(250000000000) };

	for (size_t w = 0; w < ELEMENTS(widths); w++)
		for (uint64_t i = 0; i < 2000; i++) {
			uint64_t jitter = i * UINT64_C(9223372036854775783) + i;
			int64_t at = wakeup_window(1000, 1000 + widths[w], jitter);

			ck_assert_int_ge(at, 1000);
			ck_assert_int_lt(at, 1000 + widths[w]);
			if (widths[w] >= 20) {
				ck_assert_int_gt(at, 1000);
				ck_assert_int_le(at,
				    1000 + widths[w] - widths[w] / 20 +
					(widths[w] > 6000 ? widths[w] / 20 - 300 : 0));
			}
		}
}
END_TEST

/* All of the window is used, evenly: each tenth gets about a tenth. */
START_TEST(points_are_uniform)
{
	const int64_t width = 11520; /* of a certificate of 160 hours */
	unsigned tenths[10] = { 0 };
	uint64_t seed = 1;

	for (int i = 0; i < 100000; i++) {
		int64_t at;

		seed = seed * UINT64_C(6364136223846793005) +
		    UINT64_C(1442695040888963407);
		at = wakeup_window(0, width, seed >> 16);
		tenths[(at - 1) * 10 / (width - 300)]++;
	}
	for (size_t i = 0; i < ELEMENTS(tenths); i++) {
		ck_assert_uint_gt(tenths[i], 9500);
		ck_assert_uint_lt(tenths[i], 10500);
	}
}
END_TEST

/* The CA's word, within what is ours to say: never after a twentieth is left, never
 * after what was configured, and as it says wherever both allow it. */
START_TEST(suggestions_are_bounded)
{
	static const int64_t lives[] = { 1, 60, 3600, 6 * DAY, 45 * DAY, 90 * DAY,
		398 * DAY };
	const struct duration wishes[] = { { 0 }, { .seconds = 1 },
		{ .seconds = 30 * DAY }, { .share = 100000 }, { .share = 500000 } };

	for (size_t l = 0; l < ELEMENTS(lives); l++)
		for (size_t w = 0; w < ELEMENTS(wishes); w++)
			for (int64_t k = -20; k <= 60; k++) {
				int64_t life = lives[l];
				int64_t last = 1000 + life - life / 20;
				int64_t said = 1000 + life * k / 40;
				uint64_t jitter = (uint64_t)(k + 20) * 7919;
				int64_t own = wakeup_renewal(
				    1000, 1000 + life, &wishes[w], jitter);
				int64_t most = w == 0 || own > last ? last : own;
				int64_t at;

				if (said == 0)
					continue;
				at = wakeup_suggested(
				    1000, 1000 + life, &wishes[w], jitter, said);
				ck_assert_int_eq(at, said < most ? said : most);
			}
}
END_TEST

START_TEST(without_a_suggestion_nothing_changes)
{
	const struct duration days = { .seconds = 10 * DAY };

	for (uint64_t jitter = 0; jitter < 5000000; jitter += 99991) {
		ck_assert_int_eq(wakeup_suggested(0, 90 * DAY, &automatic, jitter, 0),
		    wakeup_renewal(0, 90 * DAY, &automatic, jitter));
		ck_assert_int_eq(wakeup_suggested(0, 90 * DAY, &days, jitter, 0),
		    wakeup_renewal(0, 90 * DAY, &days, jitter));
	}
	/* a nonsense life is renewed at once, whatever anybody says */
	ck_assert_int_eq(wakeup_suggested(500, 400, &automatic, 7, 9999), 500);
}
END_TEST

/* The first time there is no reason to doubt it; again so soon there is. */
START_TEST(windows_that_are_always_over_are_doubted)
{
	ck_assert_int_eq(wakeup_calm(1000, 0, 90 * DAY), 0);
	ck_assert_int_eq(wakeup_calm(50 * DAY, 1000, 90 * DAY), 0);
	ck_assert_int_eq(wakeup_calm(1060, 1000, 90 * DAY), 1060 + 6 * 3600);
	ck_assert_int_eq(wakeup_calm(1060, 1000, 20 * 3600), 1060 + 3600);
	ck_assert_int_eq(wakeup_calm(1000 + 6 * 3600, 1000, 90 * DAY), 0);
	ck_assert_int_eq(wakeup_calm(1060, 1000, 0), 0);
	/* so an endless row of such windows costs four certificates a day, not more */
	for (int64_t life = 60; life < 400 * DAY; life += 86399) {
		int64_t pause = life / 20 < 6 * 3600 ? life / 20 : 6 * 3600;

		ck_assert_int_eq(
		    wakeup_calm(2000, 1999, life), pause > 1 ? 2000 + pause : 0);
	}
}
END_TEST

START_TEST(the_ca_says_when_to_ask_again)
{
	const int64_t now = 1000000;

	ck_assert_int_eq(wakeup_ask(now, 0), now + 6 * 3600);
	ck_assert_int_eq(wakeup_ask(now, now + 7200), now + 7200);
	ck_assert_int_eq(wakeup_ask(now, now), now + 60);
	ck_assert_int_eq(wakeup_ask(now, now - 9999), now + 60);
	ck_assert_int_eq(wakeup_ask(now, now + 60), now + 60);
	ck_assert_int_eq(wakeup_ask(now, now + DAY + 1), now + DAY);
	ck_assert_int_eq(wakeup_ask(now, INT64_MAX), now + DAY);
}
END_TEST

START_TEST(temporary_errors_are_tried_three_times)
{
	const int64_t now = 1000000;
	static const int64_t delays[] = { 1, 2, 5 };

	for (unsigned n = 1; n <= 3; n++) {
		ck_assert_int_eq(wakeup_ask_retry(now, n, 0), now + delays[n - 1]);
		ck_assert_int_eq(wakeup_ask_retry(now, n, now + 90), now + 90);
		ck_assert_int_eq(wakeup_ask_retry(now, n, now + 9 * DAY), now + DAY);
	}
	for (unsigned n = 4; n < 10; n++)
		ck_assert_int_eq(wakeup_ask_retry(now, n, now + 90), 0);
	for (uint64_t jitter = 0; jitter < 5000; jitter++) {
		int64_t at = wakeup_ask_later(now, jitter);

		ck_assert_int_ge(at, now + 6 * 3600);
		ck_assert_int_le(at, now + 6 * 3600 + 600);
	}
}
END_TEST

/* Two thirds more than come on average, and no wait worth the name for few. */
START_TEST(the_pace_follows_the_mean)
{
	int64_t interval;
	unsigned burst;

	wakeup_pace(0, 0, &interval, &burst);
	ck_assert_int_eq(interval, 600000);
	ck_assert_uint_eq(burst, 10);
	/* 500 of 6 days, 4750 each of 45 and 90: 17.6 an hour */
	wakeup_pace(500.0 / (6 * 86400), 4750.0 / (45 * 86400) + 4750.0 / (90 * 86400),
	    &interval, &burst);
	ck_assert_int_ge(interval, 3600000 / 31);
	ck_assert_int_le(interval, 3600000 / 28);
	ck_assert_uint_eq(burst, 2);
}
END_TEST

SUITE("wakeup", the_pace_follows_the_mean, renews_at_a_third_left,
    renews_short_ones_at_half, renews_as_configured,
    renewal_is_always_in_the_second_half, renewals_are_spread,
    delays_grow_and_stay_bounded, the_ca_has_the_last_word,
    deployments_are_retried_sooner, points_are_in_the_window, points_are_uniform,
    suggestions_are_bounded, without_a_suggestion_nothing_changes,
    windows_that_are_always_over_are_doubted, the_ca_says_when_to_ask_again,
    temporary_errors_are_tried_three_times)
