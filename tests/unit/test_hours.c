/*
 * test_hours.c - renewals are put where the fewest are planned, and nowhere else than
 * they may be.
 */
#include "renew/hours.h"

#include <stdio.h>
#include <unistd.h>

#include "inventory/inventory.h"
#include "platform/clock.h"
#include "renew/due.h"
#include "suite.h"

#define HOUR INT64_C(3600)
#define DAY  (24 * HOUR)
#define NOW  (INT64_C(500000) * HOUR) /* an hour begins */

struct scene {
	char dir[64];
	struct store *store;
	struct hours *hours;
	uint64_t chance;
};

static void
begin(struct scene *s)
{
	char *why = NULL;

	clock_freeze(NOW);
	snprintf(s->dir, sizeof(s->dir), "/tmp/renewd-hours-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(s->dir));
	ck_assert_int_eq(store_open(NULL, s->dir, &s->store, &why), 0);
	ck_assert_int_eq(hours_new(s->store, &s->hours), 0);
	s->chance = 1;
}

static void
end(struct scene *s)
{
	char path[128];

	hours_free(s->hours);
	ck_assert_int_eq(store_flush(s->store), 0);
	store_close(s->store);
	clock_thaw();
	snprintf(path, sizeof(path), "%s/renewd.db", s->dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/renewd.lock", s->dir);
	unlink(path);
	rmdir(s->dir);
}

static uint64_t
chance(struct scene *s)
{
	s->chance = s->chance * UINT64_C(6364136223846793005) + 1442695040888963407;
	return s->chance ^ s->chance >> 29;
}

/* As a job plans. */
static int64_t
put(struct scene *s, int64_t from, int64_t to)
{
	int64_t at = hours_pick(s->hours, from, to, chance(s));

	hours_move(s->hours, 0, at);
	return at;
}

/* However many there are: no hour has more than one more than another. */
START_TEST(all_hours_of_a_span_get_as_many)
{
	unsigned counts[48] = { 0 };
	struct scene s;

	begin(&s);
	for (unsigned i = 0; i < 48 * 20 + 7; i++) {
		int64_t at = put(&s, NOW + DAY, NOW + 3 * DAY - 1);

		ck_assert_int_ge(at, NOW + DAY);
		ck_assert_int_lt(at, NOW + 3 * DAY);
		counts[(at - NOW - DAY) / HOUR]++;
	}
	for (size_t i = 0; i < 48; i++) {
		ck_assert_uint_ge(counts[i], 20);
		ck_assert_uint_le(counts[i], 21);
	}
	end(&s);
}
END_TEST

START_TEST(the_one_hour_with_less_is_found)
{
	struct scene s;

	begin(&s);
	for (int64_t i = 0; i < 270; i++)
		if (i != 123)
			hours_move(s.hours, 0, NOW + DAY + i * HOUR);
	/* nothing is counted before its day is read from the inventory */
	(void)put(&s, NOW + 600 * DAY, NOW + 601 * DAY);
	(void)hours_pick(s.hours, NOW + DAY, NOW + DAY + 270 * HOUR - 1, 0);
	for (int64_t i = 0; i < 270; i++)
		if (i != 123)
			hours_move(s.hours, 0, NOW + DAY + i * HOUR);
	ck_assert_int_eq(put(&s, NOW + DAY, NOW + DAY + 270 * HOUR - 1) / HOUR,
	    (NOW + DAY) / HOUR + 123);
	/* and is left again when one is planned anew */
	hours_move(s.hours, NOW + DAY, NOW + 2 * DAY);
	ck_assert_int_eq(
	    put(&s, NOW + DAY, NOW + DAY + 270 * HOUR - 1) / HOUR, (NOW + DAY) / HOUR);
	end(&s);
}
END_TEST

/* Spans that begin and end within an hour, and those that are over. */
START_TEST(it_stays_in_the_span)
{
	struct scene s;

	begin(&s);
	for (int i = 0; i < 2000; i++) {
		int64_t from = NOW + (int64_t)(chance(&s) % (uint64_t)(2 * DAY)) - DAY;
		int64_t to = from + (int64_t)(chance(&s) % (uint64_t)(5 * HOUR));
		int64_t at = put(&s, from, to);

		ck_assert_int_le(at, to);
		ck_assert_int_ge(at, from);
		ck_assert(at >= NOW || at == to);
	}
	ck_assert_int_eq(put(&s, NOW - 2, NOW - 1), NOW - 1);
	ck_assert_int_eq(put(&s, NOW + 5, NOW + 5), NOW + 5);
	end(&s);
}
END_TEST

START_TEST(equal_hours_are_taken_by_chance)
{
	unsigned counts[10] = { 0 };
	struct scene s;

	begin(&s);
	for (int i = 0; i < 1000; i++) {
		int64_t at = hours_pick(
		    s.hours, NOW + DAY, NOW + DAY + 10 * HOUR - 1, chance(&s));

		counts[(at - NOW - DAY) / HOUR]++;
	}
	for (size_t i = 0; i < 10; i++)
		ck_assert_uint_ge(counts[i], 60);
	end(&s);
}
END_TEST

START_TEST(years_away_is_no_matter)
{
	struct scene s;
	int64_t at;

	begin(&s);
	at = put(&s, NOW + DAY, NOW + 36500 * DAY);
	ck_assert_int_gt(at, NOW);
	ck_assert_int_le(at, NOW + 36500 * DAY);
	end(&s);
}
END_TEST

/* 500 of six days that were issued one right after the other: after some rounds they
 * are spread as far as each may be moved, and no hour has twice the mean of its span.
 */
START_TEST(a_block_dissolves)
{
	const struct certificate_spec spec = { .key_count = 1 };
	int64_t at[500];
	unsigned most = 0;
	struct scene s;

	begin(&s);
	for (size_t i = 0; i < ELEMENTS(at); i++)
		at[i] = NOW + (int64_t)i * 36;
	for (int round = 0; round < 12; round++)
		for (size_t i = 0; i < ELEMENTS(at); i++) {
			const struct issued row = { .key_type = ACME_KEY_ECDSA_P256,
				.not_before = at[i],
				.not_after = at[i] + 6 * DAY };
			struct certificate c = { .renew_at = 0 };
			int64_t from, to;

			ck_assert(due_span(&c, &spec, &row, 1, &from, &to));
			ck_assert_int_eq(from, at[i] + 3 * DAY);
			ck_assert_int_eq(to, from + 6 * DAY / 20);
			at[i] = put(&s, from, to);
		}
	for (size_t i = 0; i < ELEMENTS(at); i++) {
		unsigned count = 0;

		for (size_t k = 0; k < ELEMENTS(at); k++)
			count += at[k] / HOUR == at[i] / HOUR;
		most = count > most ? count : most;
	}
	ck_assert_uint_le(most, 2 * ELEMENTS(at) / 75);
	end(&s);
}
END_TEST

SUITE("hours", all_hours_of_a_span_get_as_many, the_one_hour_with_less_is_found,
    it_stays_in_the_span, equal_hours_are_taken_by_chance, years_away_is_no_matter,
    a_block_dissolves)
