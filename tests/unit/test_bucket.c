/*
 * test_bucket.c - so many at once, then one an interval, whatever happens to the clock.
 */
#include "schedule/bucket.h"

#include <stdlib.h>

#include "suite.h"

START_TEST(burst_then_interval)
{
	struct bucket b = { .interval = 36000, .burst = 10 };
	int64_t now = 1000000;

	ck_assert_uint_eq(bucket_left(&b, now), 10);
	for (unsigned i = 0; i < 10; i++) {
		ck_assert_int_eq(bucket_at(&b, now), now);
		bucket_take(&b, now);
	}
	ck_assert_uint_eq(bucket_left(&b, now), 0);
	for (unsigned i = 0; i < 5; i++) {
		ck_assert_int_eq(bucket_at(&b, now), now + 36000);
		now = bucket_at(&b, now);
		ck_assert_uint_eq(bucket_left(&b, now), 1);
		bucket_take(&b, now);
	}
	ck_assert_uint_eq(bucket_left(&b, now + 36000 * 4), 4);
	ck_assert_uint_eq(bucket_left(&b, now + 36000 * 400), 10);
}
END_TEST

START_TEST(no_limit)
{
	struct bucket b = { .burst = 1 };

	for (unsigned i = 0; i < 1000; i++) {
		ck_assert_int_eq(bucket_at(&b, 5), 5);
		bucket_take(&b, 5);
	}
}
END_TEST

/* In no stretch of time are there more than burst + stretch / interval. */
START_TEST(never_more_than_allowed)
{
	unsigned seed = 7;

	for (unsigned round = 0; round < 20; round++) {
		struct bucket b = { .interval = 1 + rand_r(&seed) % 1000,
			.burst = 1 + (unsigned)rand_r(&seed) % 20 };
		static int64_t taken[2000];
		unsigned count = 0;
		int64_t now = 0;

		while (count < 500) {
			now += rand_r(&seed) % 500;
			if (bucket_at(&b, now) > now)
				continue;
			bucket_take(&b, now);
			taken[count++] = now;
		}
		for (unsigned i = 0; i < count; i++)
			for (unsigned k = i; k < count; k++)
				if (k - i + 1 >
				    b.burst + (taken[k] - taken[i]) / b.interval)
					ck_abort_msg("%u taken in a row", k - i + 1);
	}
}
END_TEST

START_TEST(clocks_that_were_wrong)
{
	struct bucket b = { .interval = 1000, .burst = 5 };

	bucket_restore(&b, INT64_C(99999999999999), 50000);
	ck_assert_int_eq(bucket_at(&b, 50000), 51000);
	bucket_restore(&b, 3, 50000);
	ck_assert_uint_eq(bucket_left(&b, 50000), 5);
}
END_TEST

SUITE("bucket", burst_then_interval, no_limit, never_more_than_allowed,
    clocks_that_were_wrong)
