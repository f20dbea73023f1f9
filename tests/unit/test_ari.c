/*
 * test_ari.c - what an answer about renewal information makes of its row (RFC 9773
 * section 4.3): the point, the next question, and what is wrong.
 */
#include "renew/ari.h"

#include <string.h>

#include "suite.h"

#define NOW  INT64_C(1800000000) /* 2027-01-15T08:00:00Z */
#define HOUR INT64_C(3600)
#define DAY  (24 * HOUR)

#define WINDOW(start, end) \
  "{\"suggestedWindow\":{\"start\":\"" start "\",\"end\":\"" end "\"}}"

static const char future[] = WINDOW("2027-02-01T00:00:00Z", "2027-02-02T00:00:00Z");
static const char other[] = WINDOW("2027-02-03T00:00:00Z", "2027-02-04T00:00:00Z");
static const char past[] = WINDOW("2027-01-15T06:00:00Z", "2027-01-15T07:00:00Z");

static struct renewal_info *
new_row(void)
{
	struct renewal_info *row = calloc(1, sizeof(*row));

	row->issued_at = NOW;
	row->not_before = NOW;
	row->not_after = NOW + 90 * DAY;
	return row;
}

static enum ari_outcome
give(struct renewal_info *row, int status, const char *body, const char *retry_after,
    int64_t now, uint64_t jitter)
{
	struct acme_reply reply = { .status = status,
		.error = status == 0 ? "it broke off" : NULL,
		.retry_after = retry_after,
		.body = body,
		.body_len = body != NULL ? strlen(body) : 0,
		.received_at = now };

	return ari_answer(row, &reply, now, jitter);
}

START_TEST(a_point_is_picked_once)
{
	struct renewal_info *row = new_row();
	int64_t at;

	ck_assert_int_eq(give(row, 200, future, "7200", NOW, 4711), ARI_MOVED);
	ck_assert_int_eq(row->ask_at, NOW + 7200);
	ck_assert_int_eq(row->asked_at, NOW);
	ck_assert(row->start < row->at && row->at < row->end);
	at = row->at;
	for (uint64_t jitter = 0; jitter < 100; jitter++)
		ck_assert_int_eq(
		    give(row, 200, future, "7200", NOW + 7200, jitter), ARI_SAME);
	ck_assert_int_eq(row->at, at);
	ck_assert_int_eq(give(row, 200, other, "7200", NOW + 7200, 4711), ARI_MOVED);
	ck_assert_int_eq(row->at, at + 2 * DAY);
	ck_assert_int_eq(give(row, 200, past, "7200", NOW + 9000, 4711), ARI_MOVED);
	ck_assert_int_eq(row->at, NOW + 9000);
	renewal_info_free(row);
}
END_TEST

START_TEST(a_past_window_for_each_is_doubted)
{
	struct renewal_info *row = new_row();

	row->issued_before = NOW - 60;
	ck_assert_int_eq(give(row, 200, past, "7200", NOW, 1), ARI_MOVED);
	ck_assert_int_eq(row->at, NOW + 6 * HOUR);
	renewal_info_free(row);
}
END_TEST

static const struct {
	int status;
	const char *body;
	const char *retry_after;
	bool lasts;
	int64_t least; /* until the next question */
	int64_t most;
} errors[] = {
	{ 404, NULL, NULL, true, 6 * HOUR, 6 * HOUR + 600 },
	{ 400, "{}", "60", true, 6 * HOUR, 6 * HOUR + 600 },
	{ 429, NULL, "36000", true, 36000, 36000 },
	{ 429, NULL, "9999999", true, DAY, DAY },
	{ 301, NULL, NULL, true, 6 * HOUR, 6 * HOUR + 600 },
	{ 204, NULL, NULL, true, 6 * HOUR, 6 * HOUR + 600 },
	{ 200, NULL, "60", true, 6 * HOUR, 6 * HOUR + 600 },
	{ 200, "", "60", true, 6 * HOUR, 6 * HOUR + 600 },
	{ 200, "nonsense", "60", true, 6 * HOUR, 6 * HOUR + 600 },
	{ 200, WINDOW("2027-02-02T00:00:00Z", "2027-02-01T00:00:00Z"), "60", true,
	    6 * HOUR, 6 * HOUR + 600 },
	{ 500, NULL, NULL, false, 1, 1 },
	{ 502, "<html>", NULL, false, 1, 1 },
	{ 503, NULL, "120", false, 120, 120 },
	{ 0, NULL, NULL, false, 1, 1 },
};

START_TEST(errors_change_no_window)
{
	struct renewal_info *row = new_row();
	int64_t at;
	enum ari_outcome outcome;

	ck_assert_int_eq(give(row, 200, future, "7200", NOW, 4711), ARI_MOVED);
	at = row->at;
	outcome = give(row, errors[_i].status, errors[_i].body, errors[_i].retry_after,
	    NOW + 7200, 99);
	ck_assert_int_eq(outcome, errors[_i].lasts ? ARI_FAILED : ARI_AGAIN);
	ck_assert(errors[_i].lasts == (row->problem != NULL));
	ck_assert_int_ge(row->ask_at - NOW - 7200, errors[_i].least);
	ck_assert_int_le(row->ask_at - NOW - 7200, errors[_i].most);
	ck_assert_int_eq(row->at, at);
	ck_assert_int_eq(row->asked_at, NOW + 7200);
	/* the next good answer ends it */
	ck_assert_int_eq(give(row, 200, future, NULL, NOW + 9000, 1), ARI_SAME);
	ck_assert_int_eq(row->ask_at, NOW + 9000 + 6 * HOUR);
	ck_assert_ptr_null(row->problem);
	ck_assert_uint_eq(row->failures, 0);
	renewal_info_free(row);
}
END_TEST

START_TEST(temporary_errors_end)
{
	static const int64_t delays[] = { 1, 2, 5 };
	struct renewal_info *row = new_row();

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 3; i++) {
			ck_assert_int_eq(give(row, 500, NULL, NULL, NOW, 0), ARI_AGAIN);
			ck_assert_int_eq(row->ask_at, NOW + delays[i]);
		}
		ck_assert_int_eq(give(row, 500, NULL, NULL, NOW, 0), ARI_FAILED);
		ck_assert_int_eq(row->ask_at, NOW + 6 * HOUR);
		ck_assert_ptr_nonnull(strstr(row->problem, "500"));
	}
	renewal_info_free(row);
}
END_TEST

/* A clock that is slow makes "now" of a revocation into "later". */
START_TEST(a_slow_clock_decides_nothing)
{
	static const struct {
		const char *date;
		enum ari_outcome outcome;
	} dates[] = {
		{ "Fri, 15 Jan 2027 08:00:00 GMT", ARI_MOVED },
		{ "Fri, 15 Jan 2027 08:59:00 GMT", ARI_MOVED },
		{ "Fri, 15 Jan 2027 09:01:00 GMT", ARI_FAILED },
		{ "Fri, 15 Jan 2027 02:00:00 GMT", ARI_MOVED }, /* from a cache */
		{ "nonsense", ARI_MOVED },
	};

	for (size_t i = 0; i < ELEMENTS(dates); i++) {
		struct renewal_info *row = new_row();
		struct acme_reply reply = { .status = 200,
			.date = dates[i].date,
			.body = future,
			.body_len = strlen(future),
			.received_at = NOW };

		ck_assert_int_eq(ari_answer(row, &reply, NOW, 1), dates[i].outcome);
		renewal_info_free(row);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("ari");
	TCase *tcase = tcase_create("ari");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, a_point_is_picked_once);
	tcase_add_test(tcase, a_past_window_for_each_is_doubted);
	tcase_add_loop_test(tcase, errors_change_no_window, 0, ELEMENTS(errors));
	tcase_add_test(tcase, temporary_errors_end);
	tcase_add_test(tcase, a_slow_clock_decides_nothing);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
