/*
 * window.c - hours of local time, found around a point in time.
 *
 * Pure but for the system's time zone. Days are stepped by the calendar, never by 24
 * hours: on two days of the year there are more or less of them.
 */
#include "schedule/window.h"

#include <time.h>

#define DAYS 8 /* a week on, the same window opens again */

/* So many minutes after midnight of the day that is so many days off. */
static int64_t
at(const struct tm *today, int day, int minutes, int *ret_weekday)
{
	struct tm tm = { .tm_year = today->tm_year,
		.tm_mon = today->tm_mon,
		.tm_mday = today->tm_mday + day,
		.tm_hour = minutes / 60,
		.tm_min = minutes % 60,
		.tm_isdst = -1 };
	struct tm noon = tm;

	noon.tm_hour = 12;
	(void)mktime(&noon);
	*ret_weekday = noon.tm_wday;
	return mktime(&tm);
}

int64_t
window_next(const struct windows *windows, int64_t now)
{
	const time_t seconds = now;
	int64_t next = 0;
	struct tm today;

	if (windows->n == 0 || localtime_r(&seconds, &today) == NULL)
		return now;
	for (size_t i = 0; i < windows->n; i++)
		for (int day = -1; day <= DAYS; day++) {
			const struct window *w = &windows->v[i];
			bool over_night = w->to <= w->from;
			int weekday, other;
			int64_t from = at(&today, day, w->from, &weekday);
			int64_t to = at(&today, day + over_night, w->to, &other);

			if ((w->days & 1U << weekday) == 0)
				continue;
			if (from <= now && now < to)
				return now;
			if (from > now && (next == 0 || from < next))
				next = from;
		}
	return next != 0 ? next : now;
}
