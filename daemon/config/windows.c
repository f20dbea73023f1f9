/*
 * windows.c - the value that says when something may happen: days and hours.
 *
 * What it means at a given time is schedule/window.c's.
 */
#include "config/values.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "buffer.h"
#include "config/ini.h"

#define DAYS      7
#define ALL_DAYS  0x7fU
#define DAY_SHORT 3 /* letters */

static const char *const day_names[DAYS] = { "Sunday", "Monday", "Tuesday", "Wednesday",
	"Thursday", "Friday", "Saturday" };

/* "Mon" or "Monday"; 0 is Sunday, -1 none. */
static int
find_day(const char *text, size_t len)
{
	for (int i = 0; i < DAYS; i++)
		if ((len == DAY_SHORT || len == strlen(day_names[i])) &&
		    strncasecmp(text, day_names[i], len) == 0)
			return i;
	return -1;
}

/* "Mon" or "Fri-Mon", as bits; 0: it is neither. */
static unsigned
read_days(const char *word)
{
	size_t len = strcspn(word, "-");
	int from = find_day(word, len), to = from;
	unsigned days;

	if (word[len] == '-')
		to = find_day(word + len + 1, strlen(word + len + 1));
	if (from < 0 || to < 0)
		return 0;
	days = 1U << from;
	for (int day = from; day != to;) {
		day = (day + 1) % DAYS;
		days |= 1U << day;
	}
	return days;
}

/* "02:00", to "24:00"; NULL: it isn't. */
static const char *
read_time(const char *text, int *ret)
{
	for (int i = 0; i < 5; i++)
		if (i == 2 ? text[i] != ':' : !isdigit((unsigned char)text[i]))
			return NULL;
	*ret = ((text[0] - '0') * 10 + text[1] - '0') * 60 + (text[3] - '0') * 10 +
	    text[4] - '0';
	return text[3] < '6' && *ret <= 24 * 60 ? text + 5 : NULL;
}

static bool
read_hours(const char *word, struct window *ret)
{
	const char *end = read_time(word, &ret->from);

	if (end == NULL || *end != '-')
		return false;
	end = read_time(end + 1, &ret->to);
	return end != NULL && *end == '\0' && ret->from != ret->to &&
	    ret->from < 24 * 60;
}

static int
read_windows(struct parse *p, struct words *w, void *object)
{
	struct windows windows = { .n = 0 };
	unsigned days = 0;
	int r = value_check_words(p, w, false);

	for (size_t i = 0; i < w->n && r == 0; i++) {
		struct window window = { 0 };
		unsigned more = read_days(w->v[i]);

		days |= more;
		if (more != 0)
			continue;
		if (!read_hours(w->v[i], &window))
			return value_must_be(
			    p, "days and hours such as Mon-Fri 02:00-05:00", w->v[i]);
		if (windows.n == WINDOWS_MAX)
			return value_error(p, "\"%s\" may have at most %d windows",
			    p->key->name, WINDOWS_MAX);
		window.days = days != 0 ? days : ALL_DAYS;
		windows.v[windows.n++] = window;
		days = 0;
	}
	if (r == 0 && days != 0)
		r = value_error(p,
		    "\"%s\" must have hours such as 02:00-05:00 after %s", p->key->name,
		    w->v[w->n - 1]);
	if (r == 0)
		*(struct windows *)value_field(p->key, object) = windows;
	return r;
}

static void
print_windows(struct buffer *out, const struct schema_key *key, const void *object)
{
	const struct windows *w = (const void *)((const char *)object + key->offset);

	for (size_t i = 0; i < w->n; i++) {
		const struct window *it = &w->v[i];

		if (i > 0)
			buffer_puts(out, " ");
		for (int day = 0; day < DAYS && it->days != ALL_DAYS; day++)
			if (it->days & 1U << day)
				buffer_printf(out, "%.*s ", DAY_SHORT, day_names[day]);
		buffer_printf(out, "%02d:%02d-%02d:%02d", it->from / 60, it->from % 60,
		    it->to / 60, it->to % 60);
	}
}

static void
clear_windows(const struct schema_key *key, void *object)
{
	((struct windows *)value_field(key, object))->n = 0;
}

const struct value_type value_windows = { INI_LIST, read_windows, print_windows,
	clear_windows, NULL };
