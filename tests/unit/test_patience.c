/*
 * test_patience.c - a CA is looked at when it is ready: the time of the first look
 * finds its way there, and one look in twenty is too early.
 */
#include "patience.h"

#include "suite.h"

/* A CA that takes so long, looked at a thousand times: how often was that too early? */
static unsigned
misses(struct patience *p, int64_t takes)
{
	unsigned count = 0;

	for (size_t i = 0; i < 1000; i++) {
		bool ready = patience_ms(p, PATIENCE_ISSUE) >= takes;

		patience_learn(p, PATIENCE_ISSUE, ready);
		count += !ready;
	}
	return count;
}

START_TEST(learns)
{
	static const int64_t all[] = { 0, 30, 300, 1500, 4000 };

	for (size_t i = 0; i < ELEMENTS(all); i++) {
		_cleanup_(patience_freep) struct patience *p = patience_new();

		ck_assert_int_eq(patience_ms(p, PATIENCE_ISSUE), 500);
		ck_assert_uint_le(misses(p, all[i]), 1000 / 16);
		ck_assert_int_le(
		    patience_ms(p, PATIENCE_ISSUE), all[i] > 20 ? 2 * all[i] : 32);
		ck_assert_int_ge(patience_ms(p, PATIENCE_ISSUE), all[i] / 2);
		/* the other leg is another matter */
		ck_assert_int_eq(patience_ms(p, PATIENCE_VALIDATION), 150);
	}
}
END_TEST

START_TEST(has_bounds)
{
	_cleanup_(patience_freep) struct patience *p = patience_new();

	misses(p, 1000000);
	ck_assert_int_eq(patience_ms(p, PATIENCE_ISSUE), 10000);
	misses(p, 0);
	ck_assert_int_eq(patience_ms(p, PATIENCE_ISSUE), 20);
}
END_TEST

START_TEST(outlives_its_session)
{
	struct patience *p = patience_new();
	struct patience *other = patience_ref(p);

	patience_free(p);
	patience_learn(other, PATIENCE_VALIDATION, false);
	ck_assert_int_eq(patience_ms(other, PATIENCE_VALIDATION), 300);
	patience_free(other);
	/* no session: nothing to learn, and the usual time */
	patience_learn(NULL, PATIENCE_VALIDATION, false);
	ck_assert_int_eq(patience_ms(NULL, PATIENCE_VALIDATION), 150);
}
END_TEST

SUITE("patience", learns, has_bounds, outlives_its_session)
