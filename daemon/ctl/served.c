/*
 * served.c - the answer of /v1/served as people and scripts read it: a line for each
 * certificate that a HAProxy has loaded.
 */
#include "ctl/show.h"

#include <string.h>

#include "buffer.h"
#include "json.h"
#include "scope.h"

static void
show_row(const struct show *s, const struct json *row)
{
	static const char *const fields[] = { "target", "file", "serial", "not_after",
		"certificate", "socket" };
	const char *name = json_string(json_get(row, "certificate"));
	const char *known = name == NULL             ? "unknown"
	    : json_is_true(json_get(row, "current")) ? "current"
						     : "old";
	_cleanup_(buffer_free) struct buffer b = { 0 };

	buffer_puts(&b, known);
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		buffer_puts(&b, s->terminal ? "  " : "\t");
		show_text(s, &b, json_string(json_get(row, fields[i])));
	}
	buffer_puts(&b, "\n");
	if (!b.failed)
		fputs(b.data, s->out);
}

void
show_served(const struct show *s, const struct json *served)
{
	const struct json *rows = json_get(served, "served");
	const struct json *problems = json_get(served, "problems");

	for (size_t i = 0; i < json_count(rows); i++)
		show_row(s, json_at(rows, i));
	for (size_t i = 0; i < json_count(problems); i++) {
		const struct json *p = json_at(problems, i);

		fputs("renewctl: ", stderr);
		show_print(s, stderr, json_string(json_get(p, "socket")));
		fputs(": ", stderr);
		show_print(s, stderr, json_string(json_get(p, "detail")));
		fputs("\n", stderr);
	}
}
