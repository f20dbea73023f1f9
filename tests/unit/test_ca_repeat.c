/*
 * test_ca_repeat.c - which requests are sent once more when nothing came of them.
 */
#include "suite.h"

#include "renew/ca_request.h"

#define NOON 1795410000

static int64_t
delay(enum acme_action action, enum acme_action sending, enum https_fate fate,
    int status, unsigned tries)
{
	const struct acme_reply reply = { .status = status, .received_at = NOON };
	const struct ca_attempt attempt = { .action = action,
		.sending = sending,
		.fate = fate,
		.reply = &reply,
		.tries = tries };

	return ca_repeat_delay(&attempt);
}

static bool
lost(enum acme_action action, enum https_fate fate)
{
	return delay(action, action, fate, 0, 0) >= 0;
}

static bool
answered(enum acme_action action, int status)
{
	return delay(action, action, HTTPS_ANSWERED, status, 0) >= 0;
}

START_TEST(what_comes_to_the_same)
{
	static const enum acme_action actions[] = { ACME_ACTION_NONCE,
		ACME_ACTION_ACCOUNT, ACME_ACTION_ORDER, ACME_ACTION_AUTHORIZATION,
		ACME_ACTION_CHALLENGE, ACME_ACTION_FINALIZE, ACME_ACTION_CERTIFICATE,
		ACME_ACTION_REVOKE, ACME_ACTION_DEACTIVATE };

	for (size_t i = 0; i < ELEMENTS(actions); i++) {
		ck_assert(lost(actions[i], HTTPS_NOT_SENT));
		ck_assert(lost(actions[i], HTTPS_STALE));
		ck_assert(lost(actions[i], HTTPS_LOST));
		ck_assert(!lost(actions[i], HTTPS_HOPELESS));
		ck_assert(answered(actions[i], 500));
		ck_assert(answered(actions[i], 502));
		ck_assert(answered(actions[i], 503));
		ck_assert(answered(actions[i], 504));
		ck_assert(!answered(actions[i], 501));
		ck_assert(!answered(actions[i], 505));
		for (int status = 100; status < 500; status++)
			ck_assert(!answered(actions[i], status));
	}
}
END_TEST

/* Two orders are worse than a minute's delay. */
START_TEST(new_orders)
{
	ck_assert(lost(ACME_ACTION_NEW_ORDER, HTTPS_NOT_SENT));
	ck_assert(lost(ACME_ACTION_NEW_ORDER, HTTPS_STALE));
	ck_assert(!lost(ACME_ACTION_NEW_ORDER, HTTPS_LOST));
	ck_assert(!lost(ACME_ACTION_NEW_ORDER, HTTPS_HOPELESS));
	ck_assert(answered(ACME_ACTION_NEW_ORDER, 503));
	ck_assert(!answered(ACME_ACTION_NEW_ORDER, 500));
	ck_assert(!answered(ACME_ACTION_NEW_ORDER, 502));
	ck_assert(!answered(ACME_ACTION_NEW_ORDER, 504));
	/* its nonce is another matter */
	ck_assert_int_gt(
	    delay(ACME_ACTION_NEW_ORDER, ACME_ACTION_NONCE, HTTPS_LOST, 0, 0), 0);
}
END_TEST

/* They have a way of their own to come back to it. */
START_TEST(left_to_others)
{
	ck_assert(!lost(ACME_ACTION_KEY_CHANGE, HTTPS_NOT_SENT));
	ck_assert(!answered(ACME_ACTION_KEY_CHANGE, 503));
	ck_assert(!lost(ACME_ACTION_RENEWAL_INFO, HTTPS_LOST));
	ck_assert(!answered(ACME_ACTION_RENEWAL_INFO, 500));
	/* a CA that isn't there: the next one is tried */
	ck_assert(!lost(ACME_ACTION_DIRECTORY, HTTPS_NOT_SENT));
	ck_assert(lost(ACME_ACTION_DIRECTORY, HTTPS_LOST));
	ck_assert(answered(ACME_ACTION_DIRECTORY, 502));
}
END_TEST

/* Not for ever, and each time later. */
START_TEST(a_few_times)
{
	const struct acme_reply reply = { .status = 502 };
	struct ca_attempt attempt = { .action = ACME_ACTION_ORDER,
		.sending = ACME_ACTION_ORDER,
		.fate = HTTPS_ANSWERED,
		.reply = &reply };
	int64_t all = 0, last = 0;

	while (ca_repeat_delay(&attempt) >= 0) {
		ck_assert_int_gt(ca_repeat_delay(&attempt), last);
		last = ca_repeat_delay(&attempt);
		all += last;
		attempt.tries++;
	}
	ck_assert_uint_eq(attempt.tries, 3);
	ck_assert_int_lt(all, 15000);
	attempt.tries = 0;
	attempt.spent = 14500; /* it took that long to say so */
	ck_assert_int_eq(ca_repeat_delay(&attempt), -1);
}
END_TEST

/* One for all: the others needn't find out for themselves. */
START_TEST(a_ca_that_answers_nothing)
{
	const struct acme_reply reply = { .status = 502 };
	struct ca_attempt attempt = { .action = ACME_ACTION_ORDER,
		.sending = ACME_ACTION_ORDER,
		.fate = HTTPS_ANSWERED,
		.reply = &reply,
		.stumbles = true };

	ck_assert_int_eq(ca_repeat_delay(&attempt), -1);
	attempt.stumbles = false;
	ck_assert_int_gt(ca_repeat_delay(&attempt), 0);
}
END_TEST

START_TEST(never_against_retry_after)
{
	static const char *const said[] = { "0", "1", "120",
		"Sun, 22 Nov 2026 13:00:00 GMT" };

	for (size_t i = 0; i < ELEMENTS(said); i++)
		for (int status = 500; status < 505; status++) {
			const struct acme_reply reply = { .status = status,
				.retry_after = (char *)said[i],
				.received_at = NOON };
			const struct ca_attempt attempt = { .action = ACME_ACTION_ORDER,
				.sending = ACME_ACTION_ORDER,
				.fate = HTTPS_ANSWERED,
				.reply = &reply };

			ck_assert_int_eq(ca_repeat_delay(&attempt), -1);
		}
}
END_TEST

/* What a server has closed because it was idle is asked by another one at once. */
START_TEST(stale_connections)
{
	ck_assert_int_lt(
	    delay(ACME_ACTION_ORDER, ACME_ACTION_ORDER, HTTPS_STALE, 0, 0), 500);
	ck_assert_int_ge(
	    delay(ACME_ACTION_ORDER, ACME_ACTION_ORDER, HTTPS_STALE, 0, 1), 1000);
	ck_assert(lost(ACME_ACTION_KEY_CHANGE, HTTPS_STALE));
	ck_assert(lost(ACME_ACTION_RENEWAL_INFO, HTTPS_STALE));
}
END_TEST

SUITE("ca_repeat", what_comes_to_the_same, new_orders, left_to_others, a_few_times,
    a_ca_that_answers_nothing, never_against_retry_after, stale_connections)
