/*
 * show.c - text and times as renewctl prints them, and its pages about one certificate
 * and the daemon. The list is in columns.c.
 *
 * Called by the verbs. Everything printed comes from the daemon, and passes show_text()
 * on its way.
 */
#include "ctl/show.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "buffer.h"
#include "ctl/show_lines.h"
#include "json.h"
#include "platform/clock.h"
#include "scope.h"

#define LABEL_WIDTH 18

static unsigned
terminal_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	unsigned long width;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	width = columns != NULL ? strtoul(columns, NULL, 10) : 0;
	return width > 0 && width < 10000 ? (unsigned)width : 80;
}

/* NO_COLOR: whatever its value, unless it is empty. */
static bool
wants_colour(void)
{
	const char *no = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return (no == NULL || *no == '\0') && term != NULL && strcmp(term, "dumb") != 0;
}

void
show_init(struct show *s)
{
	*s = (struct show){ .out = stdout, .now = clock_now() };
	s->terminal = isatty(STDOUT_FILENO) == 1;
	s->colour = s->terminal && wants_colour();
	s->width = terminal_width();
}

/* ---- text ---- */

static void
add_escaped(struct buffer *b, unsigned char c)
{
	static const char names[] = "\tt\nn\rr\\\\";

	for (size_t i = 0; i + 1 < sizeof(names); i += 2)
		if (names[i] == (char)c) {
			buffer_printf(b, "\\%c", names[i + 1]);
			return;
		}
	buffer_printf(b, "\\x%02x", c);
}

/* U+0080 to U+009F: terminals obey these like those below a blank. */
static bool
is_c1(const unsigned char *s)
{
	return s[0] == 0xc2 && s[1] >= 0x80 && s[1] <= 0x9f;
}

void
show_text(const struct show *s, struct buffer *b, const char *text)
{
	const unsigned char *u = (const unsigned char *)text;

	if (u == NULL || *u == '\0')
		u = (const unsigned char *)"-";
	for (; *u != '\0'; u++) {
		if (is_c1(u)) {
			add_escaped(b, *u++);
			add_escaped(b, *u);
		} else if (*u < ' ' || *u == 0x7f || (*u == '\\' && !s->terminal)) {
			add_escaped(b, *u);
		} else {
			buffer_add(b, u, 1);
		}
	}
}

void
show_print(const struct show *s, FILE *to, const char *text)
{
	_cleanup_(buffer_free) struct buffer b = { 0 };

	show_text(s, &b, text);
	if (b.data != NULL)
		fputs(b.data, to);
}

static const struct {
	const char *health;
	const char *start;
} colours[] = {
	{ "ok", "\033[32m" },
	{ "warning", "\033[33m" },
	{ "critical", "\033[1;31m" },
};

const char *
show_colour(const struct show *s, const char *health)
{
	for (size_t i = 0; s->colour && health != NULL && i < ELEMENTS(colours); i++)
		if (strcmp(colours[i].health, health) == 0)
			return colours[i].start;
	return "";
}

const char *
show_plain(const struct show *s)
{
	return s->colour ? "\033[0m" : "";
}

/* ---- times ---- */

static const struct {
	int64_t seconds;
	const char *name;
} units[] = {
	{ 365 * 86400, "years" },
	{ 86400, "days" },
	{ 3600, "hours" },
	{ 60, "minutes" },
	{ 1, "seconds" },
};

/* The largest unit of which there are at least two. */
const char *
show_when(int64_t now, int64_t at, char *ret, size_t size)
{
	int64_t distance = at > now ? at - now : now - at;
	size_t i = 0;
	int64_t n;

	if (distance < 2) {
		snprintf(ret, size, "now");
		return ret;
	}
	while (distance < 2 * units[i].seconds)
		i++;
	n = (distance + units[i].seconds / 2) / units[i].seconds;
	if (at > now)
		snprintf(ret, size, "in %" PRId64 " %s", n, units[i].name);
	else
		snprintf(ret, size, "%" PRId64 " %s ago", n, units[i].name);
	return ret;
}

void
show_time(const struct show *s, struct buffer *b, const char *text)
{
	char when[64];
	int64_t at;

	if (s->terminal && text != NULL && clock_parse(text, &at) == 0)
		buffer_puts(b, show_when(s->now, at, when, sizeof(when)));
	else
		show_text(s, b, text);
}

/* ---- lines of a page ---- */

/* Label and text on a terminal, label TAB text elsewhere; there a label is one word. */
void
show_begin_line(const struct show *s, struct buffer *b, const char *label)
{
	if (s->terminal) {
		buffer_printf(b, "%*s  ", LABEL_WIDTH, label);
		return;
	}
	for (; *label != '\0'; label++)
		buffer_add(b, *label == ' ' ? "_" : label, 1);
	buffer_puts(b, "\t");
}

void
show_end_line(const struct show *s, struct buffer *b)
{
	buffer_puts(b, "\n");
	if (!b->failed)
		fputs(b->data, s->out);
	buffer_free(b);
}

void
show_line(const struct show *s, const char *label, const char *text)
{
	struct buffer b = { 0 };

	show_begin_line(s, &b, label);
	show_text(s, &b, text);
	show_end_line(s, &b);
}

/* On a terminal the exact time stands behind the plain words. */
void
show_line_time(
    const struct show *s, const char *label, const char *text, const char *note)
{
	struct buffer b = { 0 };

	show_begin_line(s, &b, label);
	show_time(s, &b, text);
	if (s->terminal && text != NULL) {
		buffer_puts(&b, " (");
		show_text(s, &b, text);
		if (note != NULL) {
			buffer_puts(&b, ", ");
			show_text(s, &b, note);
		}
		buffer_puts(&b, ")");
	}
	show_end_line(s, &b);
}

void
show_line_number(const struct show *s, const char *label, const struct json *number)
{
	struct buffer b = { 0 };
	int64_t n = 0;

	json_integer(number, &n);
	show_begin_line(s, &b, label);
	buffer_printf(&b, "%" PRId64, n);
	show_end_line(s, &b);
}

/* Several fields of one object: on a line elsewhere, one below the other on a terminal,
 * where empty ones are left out. Names in the order of printing. */
void
show_line_fields(const struct show *s, const char *label, const struct json *object,
    const char *const *names, size_t count)
{
	struct buffer b = { 0 };

	show_begin_line(s, &b, label);
	show_text(s, &b, json_string(json_get(object, names[0])));
	for (size_t i = 1; i < count && !s->terminal; i++) {
		buffer_puts(&b, "\t");
		show_text(s, &b, json_string(json_get(object, names[i])));
	}
	show_end_line(s, &b);
	for (size_t i = 1; i < count && s->terminal; i++) {
		const char *text = json_string(json_get(object, names[i]));
		int64_t at;

		if (text != NULL && clock_parse(text, &at) == 0)
			show_line_time(s, names[i], text, NULL);
		else if (text != NULL && *text != '\0')
			show_line(s, names[i], text);
	}
}

const char *
show_text_of(const struct json *object, const char *name)
{
	return json_string(json_get(object, name));
}

/* ---- one certificate ---- */

static void
line_health(const struct show *s, const char *health)
{
	struct buffer b = { 0 };

	show_begin_line(s, &b, "health");
	buffer_puts(&b, show_colour(s, health));
	show_text(s, &b, health);
	buffer_puts(&b, show_plain(s));
	show_end_line(s, &b);
}

static void
line_domains(const struct show *s, const char *label, const struct json *domains)
{
	struct buffer b = { 0 };

	show_begin_line(s, &b, label);
	for (size_t i = 0; i < json_count(domains); i++) {
		if (i > 0)
			buffer_puts(&b, s->terminal ? " " : ",");
		show_text(s, &b, json_string(json_at(domains, i)));
	}
	if (json_count(domains) == 0)
		buffer_puts(&b, "-");
	show_end_line(s, &b);
}

static void
show_error(const struct show *s, const struct json *error)
{
	static const char *const names[] = { "at", "stage", "class", "type", "detail" };
	const struct json *subproblems = json_get(error, "subproblems");

	if (json_type(error) != JSON_OBJECT)
		return;
	show_line_fields(s, "last error", error, names, ELEMENTS(names));
	for (size_t i = 0; i < json_count(subproblems); i++)
		show_line(
		    s, "subproblem", show_text_of(json_at(subproblems, i), "detail"));
}

/* Names that the CA refused, and that the certificate does without. */
static void
show_missing(const struct show *s, const struct json *names)
{
	static const char *const fields[] = { "identifier", "type", "detail" };

	for (size_t i = 0; i < json_count(names); i++)
		show_line_fields(
		    s, "missing name", json_at(names, i), fields, ELEMENTS(fields));
}

static void
show_rows(const struct show *s, const struct json *certificate)
{
	static const char *const issued[] = { "key", "serial", "fingerprint_sha256",
		"issuer", "not_before", "not_after", "chain", "revoked_at" };
	static const char *const deployed[] = { "target", "state", "at", "deployed_at",
		"verified_at", "detail", "type", "where", "check" };
	static const char *const back[] = { "at", "target", "detail" };
	static const char *const revoked[] = { "reason", "key", "serial", "asked_at",
		"next_attempt", "detail" };
	const struct json *rows = json_get(certificate, "certificates");

	for (size_t i = 0; i < json_count(rows); i++) {
		show_line_fields(
		    s, "certificate", json_at(rows, i), issued, ELEMENTS(issued));
		show_missing(s, json_get(json_at(rows, i), "missing"));
	}
	rows = json_get(certificate, "deployments");
	for (size_t i = 0; i < json_count(rows); i++)
		show_line_fields(
		    s, "deployment", json_at(rows, i), deployed, ELEMENTS(deployed));
	if (json_type(json_get(certificate, "rolled_back")) == JSON_OBJECT)
		show_line_fields(s, "rolled back", json_get(certificate, "rolled_back"),
		    back, ELEMENTS(back));
	rows = json_get(certificate, "revocations");
	for (size_t i = 0; i < json_count(rows); i++)
		show_line_fields(
		    s, "to be revoked", json_at(rows, i), revoked, ELEMENTS(revoked));
}

void
show_certificate(const struct show *s, const struct json *c)
{
	show_line(s, "name", show_text_of(c, "name"));
	show_line(s, "origin", show_text_of(c, "origin"));
	line_domains(s, "domains", json_get(c, "domains"));
	if (json_get(c, "domains_unicode") != NULL)
		line_domains(s, "in unicode", json_get(c, "domains_unicode"));
	show_line(s, "ca", show_text_of(c, "ca"));
	show_line(s, "profile", show_text_of(c, "profile"));
	show_line(s, "state", show_text_of(c, "state"));
	line_health(s, show_text_of(c, "health"));
	show_line(s, "activity", show_text_of(c, "activity"));
	show_line(s, "enabled", json_is_true(json_get(c, "enabled")) ? "yes" : "no");
	show_line_time(s, "not after", show_text_of(c, "not_after"), NULL);
	show_line_time(s, "renew at", show_text_of(c, "renew_at"),
	    show_text_of(c, "renew_reason"));
	show_line_number(s, "failures", json_get(c, "failures"));
	show_line_time(s, "next attempt", show_text_of(c, "next_attempt"), NULL);
	show_error(s, json_get(c, "last_error"));
	show_rows(s, c);
}
