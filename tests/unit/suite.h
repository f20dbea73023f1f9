/*
 * suite.h - the main of a unit test program: one suite, run in one go.
 *
 * A test file defines its START_TESTs and a table of them, and ends with
 *	SUITE("name", a_test, b_test)
 * CK_FORK=no and a debugger work as usual.
 */
#ifndef SUITE_H
#define SUITE_H

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "scope.h"

static inline int
suite_run(const char *name, const TTest *const tests[], size_t count)
{
	Suite *suite = suite_create(name);
	TCase *tcase = tcase_create(name);
	SRunner *runner;
	int failed;

	signal(SIGHUP, SIG_DFL); /* nohup(1) ignores it, which shells inherit */
	tcase_set_timeout(tcase, 60);
	for (size_t i = 0; i < count; i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Looks every 10 ms, for so many seconds, until it is so: for what another process
 * does. Whether it came to be is for the test to check. */
#define WAIT_UNTIL(seconds, condition)                         \
  for (int i_ = 0; i_ < (seconds)*100 && !(condition); i_++) { \
    usleep(10000);                                             \
  }

#define SUITE(name, ...)                            \
  int main(void)                                    \
  {                                                 \
    const TTest *const tests[] = { __VA_ARGS__ };   \
    return suite_run(name, tests, ELEMENTS(tests)); \
  }

#endif
