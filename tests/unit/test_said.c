/*
 * test_said.c - what was said is not said again until it is another, or was over.
 */
#include "renew/said.h"

#include <stdio.h>

#include "suite.h"

START_TEST(once_until_it_changes)
{
	_cleanup_(said_freep) struct said *s = NULL;

	ck_assert_int_eq(said_new(&s), 0);
	ck_assert(!said_before(s, 1, SAID_FAILURE, "a"));
	ck_assert(said_before(s, 1, SAID_FAILURE, "a"));
	ck_assert(!said_before(s, 1, SAID_FILES, "a"));
	ck_assert(!said_before(s, 2, SAID_FAILURE, "a"));
	ck_assert(!said_before(s, 1, SAID_FAILURE, "b"));
	ck_assert(!said_before(s, 1, SAID_FAILURE, "a"));
	ck_assert(said_forget(s, 1, SAID_FAILURE));
	ck_assert(!said_forget(s, 1, SAID_FAILURE));
	ck_assert(said_before(s, 1, SAID_FILES, "a"));
	ck_assert(!said_before(s, 1, SAID_FAILURE, "a"));
}
END_TEST

START_TEST(of_many)
{
	_cleanup_(said_freep) struct said *s = NULL;
	char text[32];

	ck_assert_int_eq(said_new(&s), 0);
	for (int turn = 0; turn < 2; turn++)
		for (int i = 0; i < 10000; i++) {
			snprintf(text, sizeof(text), "problem %d", i % 7);
			ck_assert(said_before(s, i, SAID_FILES, text) == (turn > 0));
		}
	for (int i = 0; i < 10000; i += 2)
		ck_assert(said_forget(s, i, SAID_FILES));
	ck_assert(!said_before(s, 0, SAID_FILES, "problem 0"));
	ck_assert(said_before(s, 1, SAID_FILES, "problem 1"));
}
END_TEST

SUITE("said", once_until_it_changes, of_many)
