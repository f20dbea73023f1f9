/*
 * test_window.c - schedule/window.c in a place whose clocks change twice a year.
 */
#include "schedule/window.h"

#include <stdlib.h>
#include <time.h>

#include "scope.h"
#include "suite.h"

#define MON_FRI 0x3eU
#define SUNDAY  0x01U
#define ALL     0x7fU

/* "2026-03-29 02:30" there; DST as the calendar says. */
static int64_t
at(const char *text)
{
	struct tm tm = { .tm_isdst = -1 };

	ck_assert_ptr_nonnull(strptime(text, "%Y-%m-%d %H:%M", &tm));
	return mktime(&tm);
}

static const struct {
	struct windows windows;
	const char *now, *next; /* next NULL: it is open */
} cases[] = {
	{ { .n = 0 }, "2026-11-26 12:00", NULL },
	/* Thursday */
	{ { { { MON_FRI, 120, 300 } }, 1 }, "2026-11-26 01:59", "2026-11-26 02:00" },
	{ { { { MON_FRI, 120, 300 } }, 1 }, "2026-11-26 02:00", NULL },
	{ { { { MON_FRI, 120, 300 } }, 1 }, "2026-11-26 04:59", NULL },
	{ { { { MON_FRI, 120, 300 } }, 1 }, "2026-11-26 05:00", "2026-11-27 02:00" },
	/* over the weekend */
	{ { { { MON_FRI, 120, 300 } }, 1 }, "2026-11-27 05:00", "2026-11-30 02:00" },
	/* over midnight, of the day that it begins on */
	{ { { { SUNDAY, 22 * 60, 120 } }, 1 }, "2026-11-30 01:59", NULL },
	{ { { { SUNDAY, 22 * 60, 120 } }, 1 }, "2026-11-29 01:00", "2026-11-29 22:00" },
	{ { { { SUNDAY, 22 * 60, 120 } }, 1 }, "2026-11-30 02:00", "2026-12-06 22:00" },
	/* the earlier of two, whatever their order */
	{ { { { ALL, 1200, 1260 }, { ALL, 600, 660 } }, 2 }, "2026-11-26 09:00",
	    "2026-11-26 10:00" },
	{ { { { ALL, 1200, 1260 }, { ALL, 600, 660 } }, 2 }, "2026-11-26 12:00",
	    "2026-11-26 20:00" },
	/* a whole day */
	{ { { { SUNDAY, 0, 24 * 60 } }, 1 }, "2026-11-29 23:59", NULL },
	{ { { { SUNDAY, 0, 24 * 60 } }, 1 }, "2026-11-30 00:00", "2026-12-06 00:00" },
	/* the day with 23 hours: 04:00 is 04:00 */
	{ { { { ALL, 240, 300 } }, 1 }, "2026-03-29 00:30", "2026-03-29 04:00" },
	{ { { { ALL, 240, 300 } }, 1 }, "2026-03-29 04:30", NULL },
	/* and with 25 */
	{ { { { ALL, 240, 300 } }, 1 }, "2026-10-25 05:00", "2026-10-26 04:00" },
};

START_TEST(hours)
{
	setenv("TZ", "Europe/Berlin", 1);
	tzset();
	/* where there are no time zones all of this would hold, and show nothing */
	ck_assert_int_eq(at("2026-03-30 00:00") - at("2026-03-29 00:00"), 23 * 3600);
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		int64_t now = at(cases[i].now);
		int64_t want = cases[i].next != NULL ? at(cases[i].next) : now;
		int64_t next = window_next(&cases[i].windows, now);

		ck_assert_msg(next == want, "case %zu, %s: %lld off", i, cases[i].now,
		    (long long)(next - want));
	}
}
END_TEST

SUITE("window", hours)
