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

#include "rfc3339.h"

#define DRAWN_AT_ONCE 32 /* 256 bytes */

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

/* Many at once, as each call of the kernel costs more than what it brings. */
static void
draw_many(uint64_t *values, size_t size)
{
	ssize_t n;

	/* Up to 256 bytes come whole once the pool is seeded; before that a signal may
	 * interrupt the wait. A kernel without getrandom() is not supported. */
	do
		n = getrandom(values, size, 0);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)size)
		abort();
}

static uint64_t
draw(void)
{
	static _Thread_local uint64_t values[DRAWN_AT_ONCE];
	static _Thread_local size_t left;

	if (left == 0) {
		draw_many(values, sizeof(values));
		left = DRAWN_AT_ONCE;
	}
	return values[--left];
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

static void
put_number(char *at, int digits, int number, char after)
{
	at[digits] = after;
	for (; digits > 0; number /= 10)
		at[--digits] = (char)('0' + number % 10);
}

const char *
clock_format(int64_t seconds, char ret[CLOCK_TEXT_SIZE])
{
	const int64_t first = -62167219200, last = 253402300799; /* years 0 to 9999 */
	struct tm tm = { 0 };
	time_t t = seconds < first ? first : seconds > last ? last : seconds;

	gmtime_r(&t, &tm);
	/* by hand: a list has some for each certificate, and snprintf(3) is slow */
	put_number(ret, 4, tm.tm_year + 1900, '-');
	put_number(ret + 5, 2, tm.tm_mon + 1, '-');
	put_number(ret + 8, 2, tm.tm_mday, 'T');
	put_number(ret + 11, 2, tm.tm_hour, ':');
	put_number(ret + 14, 2, tm.tm_min, ':');
	put_number(ret + 17, 2, tm.tm_sec, 'Z');
	ret[20] = '\0';
	return ret;
}

int
clock_parse(const char *text, int64_t *ret)
{
	return rfc3339_parse(text, ret);
}
