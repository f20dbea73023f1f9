/*
 * test_clock.c - times as text and back, chance without bias, and the frozen clock.
 */
#include "suite.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "platform/clock.h"

static const struct {
	const char *text;
	int64_t seconds;
} good[] = {
	{ "1970-01-01T00:00:00Z", 0 },
	{ "1969-12-31T23:59:59Z", -1 },
	{ "2026-11-23T05:00:00Z", 1795410000 },
	{ "2026-11-23t05:00:00z", 1795410000 },
	{ "2026-11-23T05:00:00.999999999Z", 1795410000 },
	{ "2026-11-23T05:00:00.5+00:00", 1795410000 },
	{ "2026-11-23T07:30:00+02:30", 1795410000 },
	{ "2026-11-22T23:00:00-06:00", 1795410000 },
	{ "2026-11-23T05:00:00-00:00", 1795410000 },
	{ "2024-02-29T00:00:00Z", 1709164800 },
	{ "2000-02-29T12:00:00Z", 951825600 },
	{ "2016-12-31T23:59:60Z", 1483228800 },
	{ "2017-01-01T01:59:60+02:00", 1483228800 },
	{ "0000-01-01T00:00:00Z", -62167219200 },
	{ "9999-12-31T23:59:59Z", 253402300799 },
	{ "2038-01-19T03:14:08Z", 2147483648 },
};

static const char *const bad[] = {
	"",
	"Z",
	"2026",
	"2026-11-23",
	"2026-11-23T05:00:00",
	"2026-11-23 05:00:00Z",
	"2026-11-23T05:00Z",
	" 2026-11-23T05:00:00Z",
	"2026-11-23T05:00:00Z ",
	"2026-11-23T05:00:00ZZ",
	"2026-11-23T05:00:00Z\n",
	"2026-11-23T05:00:00.Z",
	"2026-11-23T05:00:00,5Z",
	"2026-00-23T05:00:00Z",
	"2026-13-23T05:00:00Z",
	"2026-11-00T05:00:00Z",
	"2026-11-31T05:00:00Z",
	"2025-02-29T05:00:00Z",
	"1900-02-29T05:00:00Z",
	"2026-11-23T24:00:00Z",
	"2026-11-23T05:60:00Z",
	"2026-11-23T05:00:61Z",
	"2026-11-23T05:00:60Z",
	"2016-12-31T23:59:60+02:00",
	"2026-11-23T05:00:00+0200",
	"2026-11-23T05:00:00+02",
	"2026-11-23T05:00:00+2:00",
	"2026-11-23T05:00:00+24:00",
	"2026-11-23T05:00:00+02:60",
	"-026-11-23T05:00:00Z",
	"+2026-11-23T05:00:00Z",
	"12026-11-23T05:00:00Z",
	"2026-1-23T05:00:00Z",
	"2026-+1-23T05:00:00Z",
	"2026-11-23T 5:00:00Z",
	"2026-11-23T05:00:00UTC",
	"2026-11-23T05:00:00.5",
	"2026-11-23T05:00:00+",
};

START_TEST(parse_reads_what_rfc3339_allows)
{
	for (size_t i = 0; i < ELEMENTS(good); i++) {
		int64_t seconds = 42;

		ck_assert_msg(
		    clock_parse(good[i].text, &seconds) == 0, "%s", good[i].text);
		ck_assert_msg(seconds == good[i].seconds, "%s", good[i].text);
	}
}
END_TEST

START_TEST(parse_refuses_all_else)
{
	int64_t seconds = 42;

	for (size_t i = 0; i < ELEMENTS(bad); i++)
		ck_assert_msg(clock_parse(bad[i], &seconds) == -EINVAL, "%s", bad[i]);
	ck_assert_int_eq(clock_parse(NULL, &seconds), -EINVAL);
	ck_assert_int_eq(seconds, 42);
}
END_TEST

START_TEST(format_is_what_parse_reads)
{
	static const int64_t step = 86400 * 13 + 3607;
	char text[CLOCK_TEXT_SIZE];

	ck_assert_str_eq(clock_format(1795410000, text), "2026-11-23T05:00:00Z");
	for (int64_t t = -62167219200; t <= 253402300799; t += step) {
		int64_t back;

		ck_assert_int_eq(clock_parse(clock_format(t, text), &back), 0);
		ck_assert_int_eq(back, t);
	}
}
END_TEST

START_TEST(format_stays_in_four_digits)
{
	char text[CLOCK_TEXT_SIZE];

	ck_assert_str_eq(clock_format(INT64_MAX, text), "9999-12-31T23:59:59Z");
	ck_assert_str_eq(clock_format(INT64_MIN, text), "0000-01-01T00:00:00Z");
}
END_TEST

START_TEST(frozen_clocks_move_by_hand)
{
	struct timespec real;
	int64_t ms;

	clock_freeze(1000);
	ms = clock_monotonic_ms();
	ck_assert_int_eq(clock_now(), 1000);
	clock_advance(60 * 86400);
	ck_assert_int_eq(clock_now(), 1000 + 60 * 86400);
	ck_assert_int_eq(clock_monotonic_ms() - ms, 60 * 86400 * INT64_C(1000));
	/* Setting the wall clock doesn't move the monotonic one. */
	ms = clock_monotonic_ms();
	clock_freeze(5);
	ck_assert_int_eq(clock_now(), 5);
	ck_assert_int_eq(clock_monotonic_ms(), ms);
	clock_thaw();
	ck_assert_int_eq(clock_gettime(CLOCK_REALTIME, &real), 0);
	ck_assert_int_ge(clock_now(), real.tv_sec);
	ck_assert_int_le(clock_now(), real.tv_sec + 10);
}
END_TEST

START_TEST(monotonic_goes_on)
{
	const struct timespec pause = { .tv_nsec = 5000000 };
	int64_t before = clock_monotonic_ms();

	nanosleep(&pause, NULL); /* what is measured */
	ck_assert_int_ge(clock_monotonic_ms(), before + 5);
	ck_assert_int_lt(clock_monotonic_ms(), before + 30000);
}
END_TEST

START_TEST(random_keeps_below_its_limit)
{
	static const uint64_t limits[] = { 2, 3, 62, 1000, UINT64_C(1) << 63,
		(UINT64_C(1) << 63) + 1, UINT64_MAX };

	for (int i = 0; i < 100; i++) {
		ck_assert_uint_eq(clock_random(1), 0);
		for (size_t k = 0; k < ELEMENTS(limits); k++)
			ck_assert_uint_lt(clock_random(limits[k]), limits[k]);
	}
}
END_TEST

START_TEST(random_has_no_bias)
{
	/* With a plain modulo the lower third would come twice as often. */
	const uint64_t third = UINT64_C(1) << 62;
	unsigned counts[3] = { 0 };

	for (int i = 0; i < 30000; i++)
		counts[clock_random(3 * third) / third]++;
	for (size_t i = 0; i < 3; i++) {
		/* 10,000 expected; this is 12 standard deviations. */
		ck_assert_uint_gt(counts[i], 9000);
		ck_assert_uint_lt(counts[i], 11000);
	}
}
END_TEST

SUITE("clock", parse_reads_what_rfc3339_allows, parse_refuses_all_else,
    format_is_what_parse_reads, format_stays_in_four_digits, frozen_clocks_move_by_hand,
    monotonic_goes_on, random_keeps_below_its_limit, random_has_no_bias)
