/*
 * test_due.c - what a CA suggests in the plan of a certificate: when it is due, and
 * why.
 */
#include "renew/due.h"

#include "suite.h"

#define DAY INT64_C(86400)
#define NOW (INT64_C(1800000000))

/* A certificate of 90 days that was issued now, of each of two kinds of key. */
struct scene {
	struct certificate row;
	struct certificate_spec spec;
	struct issued issued[2];
};

static void
begin(struct scene *s, size_t keys)
{
	*s = (struct scene){ .spec = { .enabled = true, .key_count = keys } };
	s->spec.keys[0] = ACME_KEY_ECDSA_P256;
	s->spec.keys[1] = ACME_KEY_RSA_2048;
	s->spec.cas.v = calloc(1, sizeof(char *));
	s->spec.cas.v[0] = (char *)"ca";
	s->spec.cas.n = 1;
	for (size_t i = 0; i < 2; i++)
		s->issued[i] = (struct issued){ .id = 1 + (int64_t)i,
			.key_type = s->spec.keys[i],
			.ca = (char *)"ca",
			.names = (char *)"a",
			.not_before = NOW,
			.not_after = NOW + 90 * DAY };
}

static void
end(struct scene *s)
{
	free(s->spec.cas.v);
}

static void
plan(struct scene *s, int64_t now)
{
	due_plan(
	    &s->row, &s->spec, "a", s->issued, s->spec.key_count, now, NOW + 55 * DAY);
}

static enum renew_reason
reason(struct scene *s, size_t key, int64_t now)
{
	return due_reason(&s->row, &s->spec, "a", s->issued, s->spec.key_count,
	    s->spec.keys[key], now);
}

START_TEST(the_suggested_point_is_the_plan)
{
	struct scene s;

	begin(&s, 1);
	plan(&s, NOW);
	ck_assert_int_eq(s.row.renew_reason, RENEW_LIFETIME);
	s.issued[0].suggested_at = NOW + 20 * DAY;
	plan(&s, NOW);
	ck_assert_int_eq(s.row.renew_at, NOW + 20 * DAY);
	ck_assert_int_eq(s.row.renew_reason, RENEW_ARI);
	ck_assert_int_eq(reason(&s, 0, NOW + 20 * DAY - 1), RENEW_NONE);
	ck_assert_int_eq(reason(&s, 0, NOW + 20 * DAY), RENEW_ARI);
	ck_assert_int_eq(
	    due_next(&s.row, &s.spec, &(struct config){ 0 }, 1, NULL, 0, NOW),
	    NOW + 20 * DAY);
	/* it moves with the CA's word, to later as well */
	s.issued[0].suggested_at = NOW + 70 * DAY;
	plan(&s, NOW);
	ck_assert_int_eq(s.row.renew_at, NOW + 70 * DAY);
	/* and is as of before once there is none any more */
	s.issued[0].suggested_at = 0;
	plan(&s, NOW);
	ck_assert_int_eq(s.row.renew_reason, RENEW_LIFETIME);
	ck_assert_int_le(s.row.renew_at, NOW + 60 * DAY);
	end(&s);
}
END_TEST

START_TEST(the_last_line_holds)
{
	int64_t last = NOW + 90 * DAY - 90 * DAY / 20;
	struct scene s;

	begin(&s, 1);
	s.issued[0].suggested_at = NOW + 1000 * DAY;
	plan(&s, NOW);
	ck_assert_int_eq(s.row.renew_at, last);
	ck_assert_int_eq(s.row.renew_reason, RENEW_LIFETIME);
	ck_assert_int_eq(reason(&s, 0, last - 1), RENEW_NONE);
	ck_assert_int_eq(reason(&s, 0, last), RENEW_LIFETIME);
	end(&s);
}
END_TEST

START_TEST(renew_before_is_the_latest)
{
	struct scene s;

	begin(&s, 1);
	s.spec.renew_before.seconds = 40 * DAY;
	s.issued[0].suggested_at = NOW + 70 * DAY;
	plan(&s, NOW);
	ck_assert_int_le(s.row.renew_at, NOW + 50 * DAY);
	ck_assert_int_eq(s.row.renew_reason, RENEW_LIFETIME);
	ck_assert_int_eq(reason(&s, 0, s.row.renew_at), RENEW_LIFETIME);
	s.issued[0].suggested_at = NOW + 10 * DAY;
	plan(&s, NOW);
	ck_assert_int_eq(s.row.renew_at, NOW + 10 * DAY);
	ck_assert_int_eq(s.row.renew_reason, RENEW_ARI);
	end(&s);
}
END_TEST

/* Each kind of key has a certificate of its own, and is renewed by its own window. */
START_TEST(two_kinds_have_two_windows)
{
	struct scene s;

	begin(&s, 2);
	s.issued[0].suggested_at = NOW + 50 * DAY;
	s.issued[1].suggested_at = NOW + 20 * DAY;
	plan(&s, NOW);
	ck_assert_int_eq(s.row.renew_at, NOW + 20 * DAY);
	ck_assert_int_eq(reason(&s, 0, NOW + 20 * DAY), RENEW_NONE);
	ck_assert_int_eq(reason(&s, 1, NOW + 20 * DAY), RENEW_ARI);
	end(&s);
}
END_TEST

/* What has other reasons doesn't wait for a window, and failures keep their delays. */
START_TEST(other_reasons_and_delays_stay)
{
	struct scene s;

	begin(&s, 1);
	s.issued[0].suggested_at = NOW + 70 * DAY;
	s.row.forced = 1;
	plan(&s, NOW);
	ck_assert_int_eq(s.row.renew_reason, RENEW_FORCED);
	ck_assert_int_eq(s.row.renew_at, NOW);
	s.row.forced = 0;
	s.issued[0].suggested_at = NOW - DAY;
	s.row.failures = 1;
	s.row.next_attempt = NOW + 600;
	plan(&s, NOW);
	ck_assert_int_eq(s.row.renew_reason, RENEW_ARI);
	ck_assert_int_eq(
	    due_next(&s.row, &s.spec, &(struct config){ 0 }, 1, NULL, 0, NOW),
	    NOW + 600);
	end(&s);
}
END_TEST

/* What was issued only now isn't renewed for its age, whatever its clock says. */
START_TEST(a_tenth_of_the_life_is_left_alone)
{
	struct scene s;

	begin(&s, 1);
	s.issued[0].issued_at = NOW + 80 * DAY;
	s.row.renew_at = NOW + 60 * DAY;
	ck_assert_int_eq(reason(&s, 0, NOW + 89 * DAY - 1), RENEW_NONE);
	ck_assert_int_eq(reason(&s, 0, NOW + 89 * DAY), RENEW_LIFETIME);
	s.row.forced = 1;
	ck_assert_int_eq(reason(&s, 0, NOW + 81 * DAY), RENEW_FORCED);
	s.row.forced = 0;
	s.issued[0].suggested_at = NOW + 81 * DAY;
	ck_assert_int_eq(reason(&s, 0, NOW + 81 * DAY), RENEW_ARI);
	s.issued[0].revoked_at = NOW + 81 * DAY;
	ck_assert_int_eq(reason(&s, 0, NOW + 81 * DAY), RENEW_REVOKED);
	end(&s);
}
END_TEST

/* A delay that a clock of years ahead has set is over when it is right again; one of
 * this clock is not, nor what a CA has asked for. */
START_TEST(delays_of_a_wrong_clock_are_over)
{
	struct certificate c = { .failures = 4,
		.next_attempt = NOW + 1000 * DAY + 21600,
		.failing_since = NOW + 1000 * DAY,
		.last_success = NOW + 999 * DAY,
		.queued_at = NOW + 1000 * DAY,
		.last_error = (char *)"{\"at\":\"2029-10-11T08:00:00Z\"}" };

	due_heed_clock(&c, NOW);
	ck_assert_int_eq(c.next_attempt, NOW);
	ck_assert_int_eq(c.failing_since, NOW);
	ck_assert_int_eq(c.last_success, NOW);
	ck_assert_int_eq(c.queued_at, NOW);
	c.last_error = (char *)"{\"at\":\"2027-01-15T07:59:00Z\"}";
	c.next_attempt = NOW + 30 * DAY;
	due_heed_clock(&c, NOW);
	ck_assert_int_eq(c.next_attempt, NOW + 30 * DAY);
	/* by days only */
	c.last_error = (char *)"{\"at\":\"2027-01-16T08:00:00Z\"}";
	c.next_attempt = NOW + 2 * DAY;
	due_heed_clock(&c, NOW);
	ck_assert_int_eq(c.next_attempt, NOW);
}
END_TEST

SUITE("due", a_tenth_of_the_life_is_left_alone, delays_of_a_wrong_clock_are_over,
    the_suggested_point_is_the_plan, the_last_line_holds, renew_before_is_the_latest,
    two_kinds_have_two_windows, other_reasons_and_delays_stay)
