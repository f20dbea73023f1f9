/*
 * clock.c - the system's clocks and random numbers, and times as text.
 *
 * Called from all over daemon/. The only mutable state is the frozen clock of tests;
 * nothing in renewd itself ever freezes it.
 */
#include "platform/clock.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#define DAY 86400

static struct {
	bool frozen;
	int64_t seconds;
	int64_t monotonic_ms;
} test_clock;

static int64_t
read_ms(clockid_t id)
{
	struct timespec ts;
	int r = clock_gettime(id, &ts);

	assert(r == 0);
	(void)r;
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t
clock_now(void)
{
	struct timespec ts;

	if (test_clock.frozen)
		return test_clock.seconds;
	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec;
}

int64_t
clock_monotonic_ms(void)
{
	return test_clock.frozen ? test_clock.monotonic_ms : read_ms(CLOCK_BOOTTIME);
}

uint64_t
clock_monotonic_us(void)
{
	struct timespec ts;
	int r = clock_gettime(CLOCK_MONOTONIC, &ts);

	assert(r == 0);
	(void)r;
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

void
clock_freeze(int64_t seconds)
{
	test_clock.monotonic_ms = clock_monotonic_ms();
	test_clock.seconds = seconds;
	test_clock.frozen = true;
}

void
clock_advance(int64_t seconds)
{
	assert(test_clock.frozen);
	test_clock.seconds += seconds;
	test_clock.monotonic_ms += seconds * 1000;
}

void
clock_thaw(void)
{
	test_clock.frozen = false;
}

static uint64_t
draw(void)
{
	uint64_t value = 0;
	ssize_t n;

	/* Up to 256 bytes come whole once the pool is seeded; before that a signal may
	 * interrupt the wait. A kernel without getrandom() is not supported. */
	do
		n = getrandom(&value, sizeof(value), 0);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(value))
		abort();
	return value;
}

uint64_t
clock_random(uint64_t limit)
{
	uint64_t value, unfair;

	assert(limit > 0);
	/* 2^64 is no multiple of most limits: the lowest 2^64 % limit values are drawn
	 * again, or small results would come more often. */
	unfair = -limit % limit;
	do
		value = draw();
	while (value < unfair);
	return value % limit;
}

const char *
clock_format(int64_t seconds, char ret[CLOCK_TEXT_SIZE])
{
	const int64_t first = -62167219200, last = 253402300799; /* years 0 to 9999 */
	struct tm tm = { 0 };
	time_t t = seconds < first ? first : seconds > last ? last : seconds;

	gmtime_r(&t, &tm);
	snprintf(ret, CLOCK_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02dZ",
	    (tm.tm_year + 1900) % 10000, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
	    tm.tm_min, tm.tm_sec);
	return ret;
}

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
clock_parse(const char *text, int64_t *ret)
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
