/*
 * rfc3339.c - times as text (RFC 3339) to seconds since 1970. Strict: what isn't one is
 * refused, also a day that the month doesn't have, and a leap second where none can be.
 *
 * Used for what CAs send, and by platform/clock.c. Must not depend on the time zone.
 */
#include "rfc3339.h"

#include <errno.h>
#include <stdbool.h>
#include <time.h>

#define DAY 86400

/* Exactly `digits` digits whose value is from min to max, and the text is moved past
 * them. */
static bool
take_number(const char **text, int digits, int min, int max, int *ret)
{
	const char *s = *text;
	int value = 0;

	for (int i = 0; i < digits; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		value = value * 10 + (s[i] - '0');
	}
	if (value < min || value > max)
		return false;
	*text = s + digits;
	*ret = value;
	return true;
}

/* One character of a set. */
static bool
take_char(const char **text, const char *set, char *ret)
{
	for (; *set != '\0'; set++)
		if (**text == *set) {
			*ret = *(*text)++;
			return true;
		}
	return false;
}

/* RFC 3339 section 5.6, time-secfrac: read and dropped. */
static bool
skip_fraction(const char **text)
{
	if (**text != '.')
		return true;
	if (*++*text < '0' || **text > '9')
		return false;
	while (**text >= '0' && **text <= '9')
		++*text;
	return true;
}

/* time-offset, in seconds east of UTC. */
static bool
take_offset(const char **text, int *ret)
{
	int hours, minutes;
	char c;

	if (!take_char(text, "Zz+-", &c))
		return false;
	*ret = 0;
	if (c == 'Z' || c == 'z')
		return true;
	if (!take_number(text, 2, 0, 23, &hours) || *(*text)++ != ':' ||
	    !take_number(text, 2, 0, 59, &minutes))
		return false;
	*ret = (hours * 60 + minutes) * (c == '-' ? -60 : 60);
	return true;
}

static int
days_in(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (leap && month == 2);
}

static bool
take_date(const char **text, struct tm *ret)
{
	int year, month;
	char c;

	if (!take_number(text, 4, 0, 9999, &year) || !take_char(text, "-", &c) ||
	    !take_number(text, 2, 1, 12, &month) || !take_char(text, "-", &c) ||
	    !take_number(text, 2, 1, days_in(year, month), &ret->tm_mday))
		return false;
	ret->tm_year = year - 1900;
	ret->tm_mon = month - 1;
	return true;
}

static bool
take_time(const char **text, struct tm *ret)
{
	char c;

	return take_number(text, 2, 0, 23, &ret->tm_hour) && take_char(text, ":", &c) &&
	    take_number(text, 2, 0, 59, &ret->tm_min) && take_char(text, ":", &c) &&
	    take_number(text, 2, 0, 60, &ret->tm_sec) && skip_fraction(text);
}

int
rfc3339_parse(const char *text, int64_t *ret)
{
	struct tm tm = { 0 };
	int64_t seconds;
	bool leap_second;
	int offset;
	char c;

	if (text == NULL || !take_date(&text, &tm) || !take_char(&text, "Tt", &c) ||
	    !take_time(&text, &tm) || !take_offset(&text, &offset) || *text != '\0')
		return -EINVAL;
	leap_second = tm.tm_sec == 60; /* timegm() makes it the next second */
	seconds = (int64_t)timegm(&tm) - offset;
	/* Leap seconds end a day in UTC, and nowhere else. */
	if (leap_second && seconds % DAY != 0)
		return -EINVAL;
	*ret = seconds;
	return 0;
}
