/*
 * columns.c - the list of certificates: columns that fit the terminal, or fields
 * separated by tabs.
 *
 * Part of show.h, called by the verb `list` once a page. The order of the fields is
 * fixed: scripts read them. New ones are added at the end.
 */
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "ctl/show.h"
#include "json.h"
#include "scope.h"

#define GAP         2  /* blanks between columns */
#define DOMAINS_MIN 16 /* with less room, other columns go first */
#define NAME_MIN    12
#define DROPS       5 /* the highest of columns[].drop */

static void
add_member(
    const struct show *s, struct buffer *b, const struct json *c, const char *name)
{
	show_text(s, b, json_string(json_get(c, name)));
}

static void
add_name(const struct show *s, struct buffer *b, const struct json *c)
{
	add_member(s, b, c, "name");
}

static void
add_state(const struct show *s, struct buffer *b, const struct json *c)
{
	add_member(s, b, c, "state");
}

static void
add_health(const struct show *s, struct buffer *b, const struct json *c)
{
	add_member(s, b, c, "health");
}

static void
add_activity(const struct show *s, struct buffer *b, const struct json *c)
{
	add_member(s, b, c, "activity");
}

static void
add_ca(const struct show *s, struct buffer *b, const struct json *c)
{
	add_member(s, b, c, "ca");
}

static void
add_not_after(const struct show *s, struct buffer *b, const struct json *c)
{
	show_time(s, b, json_string(json_get(c, "not_after")));
}

static void
add_renew_at(const struct show *s, struct buffer *b, const struct json *c)
{
	show_time(s, b, json_string(json_get(c, "renew_at")));
}

static void
add_domains(const struct show *s, struct buffer *b, const struct json *c)
{
	const struct json *domains = json_get(c, "domains");

	if (json_count(domains) == 0)
		buffer_puts(b, "-");
	for (size_t i = 0; i < json_count(domains); i++) {
		if (i > 0)
			buffer_puts(b, ",");
		show_text(s, b, json_string(json_at(domains, i)));
	}
}

enum { NAME, STATE, HEALTH, ACTIVITY, CA, NOT_AFTER, RENEW_AT, DOMAINS, COLUMNS };

static const struct column {
	const char *title; /* on a terminal */
	void (*add)(const struct show *s, struct buffer *b, const struct json *c);
	unsigned drop; /* the higher, the earlier it goes where there is no room */
} columns[COLUMNS] = {
	[NAME] = { "NAME", add_name, 0 },
	[STATE] = { "STATE", add_state, 1 },
	[HEALTH] = { "HEALTH", add_health, 0 },
	[ACTIVITY] = { "ACTIVITY", add_activity, 2 },
	[CA] = { "CA", add_ca, 4 },
	[NOT_AFTER] = { "EXPIRES", add_not_after, 0 },
	[RENEW_AT] = { "RENEWAL", add_renew_at, 3 },
	[DOMAINS] = { "DOMAINS", add_domains, 5 },
};

/* How wide each column is printed; 0: not at all. */
struct layout {
	size_t width[COLUMNS];
};

/* In characters; a continuation byte of UTF-8 takes no room. */
static size_t
text_width(const char *text)
{
	size_t width = 0;

	for (; *text != '\0'; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static void
measure(const struct show *s, const struct json *certificates, struct layout *l)
{
	for (size_t k = 0; k < COLUMNS; k++)
		l->width[k] = strlen(columns[k].title);
	for (size_t i = 0; i < json_count(certificates); i++)
		for (size_t k = 0; k < DOMAINS; k++) {
			_cleanup_(buffer_free) struct buffer b = { 0 };
			size_t width;

			columns[k].add(s, &b, json_at(certificates, i));
			width = b.data != NULL ? text_width(b.data) : 0;
			if (width > l->width[k])
				l->width[k] = width;
		}
	l->width[DOMAINS] = DOMAINS_MIN;
}

static size_t
total(const struct layout *l)
{
	size_t sum = 0;

	for (size_t k = 0; k < COLUMNS; k++)
		if (l->width[k] > 0)
			sum += l->width[k] + (sum > 0 ? GAP : 0);
	return sum;
}

/* Columns are left out until the rest fits; then DOMAINS takes what is left over, or
 * NAME is cut. */
static void
fit(const struct show *s, struct layout *l)
{
	for (unsigned drop = DROPS; drop > 0 && total(l) > s->width; drop--)
		for (size_t k = 0; k < COLUMNS; k++)
			if (columns[k].drop == drop)
				l->width[k] = 0;
	if (l->width[DOMAINS] > 0) {
		l->width[DOMAINS] += s->width - total(l);
	} else if (total(l) > s->width) {
		size_t over = total(l) - s->width;

		l->width[NAME] =
		    l->width[NAME] > over + NAME_MIN ? l->width[NAME] - over : NAME_MIN;
	}
}

/* Cut to width with a last ".."; padded to it unless it is the last of the line. */
static void
print_cell(const struct show *s, const char *text, size_t width, bool last)
{
	size_t have = text_width(text);
	size_t keep = have > width ? width - 2 : have;

	for (size_t n = 0; *text != '\0'; text++) {
		n += ((unsigned char)*text & 0xc0) != 0x80;
		if (n > keep)
			break;
		fputc(*text, s->out);
	}
	if (have > width)
		fputs("..", s->out);
	for (size_t n = have; !last && n < width; n++)
		fputc(' ', s->out);
}

static bool
is_last(const struct layout *l, size_t column)
{
	for (size_t k = column + 1; k < COLUMNS; k++)
		if (l->width[k] > 0)
			return false;
	return true;
}

/* c NULL: the titles. */
static void
print_row(const struct show *s, const struct layout *l, const struct json *c)
{
	const char *health = json_string(json_get(c, "health"));

	for (size_t k = 0; k < COLUMNS; k++) {
		_cleanup_(buffer_free) struct buffer b = { 0 };
		bool coloured = k == HEALTH && c != NULL;

		if (l->width[k] == 0)
			continue;
		if (c != NULL)
			columns[k].add(s, &b, c);
		else
			buffer_puts(&b, columns[k].title);
		if (coloured)
			fputs(show_colour(s, health), s->out);
		print_cell(s, b.data != NULL ? b.data : "", l->width[k], is_last(l, k));
		if (coloured)
			fputs(show_plain(s), s->out);
		fprintf(s->out, "%*s", is_last(l, k) ? 0 : GAP, "");
	}
	fputc('\n', s->out);
}

static void
print_fields(const struct show *s, const struct json *c)
{
	_cleanup_(buffer_free) struct buffer b = { 0 };

	for (size_t k = 0; k < COLUMNS; k++) {
		if (k > 0)
			buffer_puts(&b, "\t");
		columns[k].add(s, &b, c);
	}
	buffer_puts(&b, "\n");
	if (!b.failed)
		fputs(b.data, s->out);
}

void
show_list(const struct show *s, const struct json *certificates, bool first)
{
	struct layout l;

	if (!s->terminal) {
		for (size_t i = 0; i < json_count(certificates); i++)
			print_fields(s, json_at(certificates, i));
		return;
	}
	measure(s, certificates, &l);
	fit(s, &l);
	if (first)
		print_row(s, &l, NULL);
	for (size_t i = 0; i < json_count(certificates); i++)
		print_row(s, &l, json_at(certificates, i));
}
