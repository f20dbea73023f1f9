/*
 * test_outage.c - a CA that doesn't answer is tried less and less often, never so
 * seldom that those who wait for it couldn't be served within the hour, and said once a
 * day.
 */
#include "schedule/outage.h"

#include <stdlib.h>

#include "suite.h"

#define NOW  INT64_C(1800000000)
#define DAYS 20

START_TEST(weeks_of_it)
{
	struct outage o = { 0 };
	int64_t ms = 5000, before = 0;
	unsigned said = 0, probes = 0;

	srand(1);
	while (ms < DAYS * INT64_C(86400000)) {
		said += outage_note(&o, ms, NOW + ms / 1000, 0, (uint64_t)rand());
		probes++;
		ck_assert_int_eq(o.since, NOW + 5);
		ck_assert_int_ge(o.probe_at - ms, probes == 1 ? 48000 : before * 4 / 5);
		ck_assert_int_le(o.probe_at - ms, OUTAGE_PROBE_SECONDS * 1000);
		ck_assert_int_eq(
		    (o.probe_at - ms) / 1000, o.shown_at - (NOW + ms / 1000));
		before = o.probe_at - ms;
		ms = o.probe_at;
	}
	ck_assert_uint_eq(said, DAYS);
	ck_assert_uint_lt(probes, DAYS * 185);
	ck_assert(outage_end(&o));
	ck_assert(!outage_end(&o));
	ck_assert_int_eq(o.since, 0);
}
END_TEST

/* Those that were on their way when it was noticed say the same once more. */
START_TEST(stragglers_tell_nothing_new)
{
	struct outage o = { 0 };
	int64_t at;

	ck_assert(outage_note(&o, 1000, NOW, 0, 0));
	at = o.probe_at;
	for (unsigned i = 0; i < 15; i++)
		ck_assert(!outage_note(&o, 1001 + i, NOW, 0, i));
	ck_assert_int_eq(o.probe_at, at);
	ck_assert_uint_eq(o.probes, 1);
}
END_TEST

START_TEST(what_the_ca_said_is_obeyed)
{
	struct outage o = { 0 };

	outage_note(&o, 0, NOW, NOW + 7200, 3);
	ck_assert_int_eq(o.probe_at, 7200 * 1000);
	ck_assert_int_eq(o.shown_at, NOW + 7200);
}
END_TEST

START_TEST(a_clock_that_was_set)
{
	struct outage o = { 0 };

	ck_assert(outage_note(&o, 0, NOW + 1000 * INT64_C(86400), 0, 0));
	ck_assert(outage_note(&o, o.probe_at, NOW, 0, 0));
	ck_assert_int_eq(o.since, NOW);
	ck_assert(!outage_note(&o, o.probe_at, NOW + 120, 0, 0));
}
END_TEST

SUITE("outage", weeks_of_it, stragglers_tell_nothing_new, what_the_ca_said_is_obeyed,
    a_clock_that_was_set)
