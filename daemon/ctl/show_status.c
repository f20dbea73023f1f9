/*
 * show_status.c - the daemon as a whole, as renewctl status prints it: what it has to
 * do, what its CAs allow, and who waits for that.
 */
#include "ctl/show.h"

#include <inttypes.h>
#include <stdio.h>

#include "buffer.h"
#include "ctl/show_lines.h"
#include "json.h"
#include "scope.h"

/* "2 valid, 1 new" */
static void
line_counts(const struct show *s, const char *label, const struct json *counts)
{
	struct buffer b = { 0 };

	show_begin_line(s, &b, label);
	for (size_t i = 0; i < json_count(counts); i++) {
		int64_t n = 0;

		json_integer(json_at(counts, i), &n);
		if (i > 0)
			buffer_puts(&b, s->terminal ? ", " : "\t");
		buffer_printf(&b, "%" PRId64 " ", n);
		show_text(s, &b, json_name_at(counts, i));
	}
	show_end_line(s, &b);
}

static int64_t
number_of(const struct json *object, const char *name)
{
	int64_t n = 0;

	json_integer(json_get(object, name), &n);
	return n;
}

/* What it allows, and who waits for that. */
static void
show_limits(const struct show *s, const struct json *limits)
{
	int64_t waiting = number_of(limits, "waiting");
	int64_t interval = number_of(limits, "order_interval");
	struct buffer b = { 0 };

	show_begin_line(s, &b, "");
	buffer_printf(&b, "%" PRId64 " of %" PRId64 " orders in flight",
	    number_of(limits, "orders_active"), number_of(limits, "max_orders"));
	if (interval > 0)
		buffer_printf(&b,
		    ", %" PRId64 " of %" PRId64 " could begin now, one more in %" PRId64
		    " s",
		    number_of(limits, "orders_left"), number_of(limits, "order_burst"),
		    interval);
	show_end_line(s, &b);
	if (waiting == 0)
		return;
	show_begin_line(s, &b, "");
	buffer_printf(&b, "%" PRId64 " certificates wait for ", waiting);
	show_text(s, &b, show_text_of(limits, "waiting_for"));
	if (show_text_of(limits, "done_at") != NULL) {
		buffer_puts(&b, ", the last one's turn is ");
		show_time(s, &b, show_text_of(limits, "done_at"));
	}
	show_end_line(s, &b);
}

/* On one line: numbers that have no limit are "-". */
static void
line_limits(const struct show *s, const struct json *ca)
{
	static const char *const numbers[] = { "max_requests", "order_burst",
		"order_interval", "orders_left", "ari_left", "max_orders",
		"orders_active", "waiting" };
	static const char *const texts[] = { "waiting_for", "done_at" };
	const struct json *limits = json_get(ca, "limits");
	struct buffer b = { 0 };
	int64_t n;

	show_begin_line(s, &b, "limits");
	show_text(s, &b, show_text_of(ca, "name"));
	for (size_t i = 0; i < ELEMENTS(numbers); i++)
		if (json_integer(json_get(limits, numbers[i]), &n) == 0)
			buffer_printf(&b, "\t%" PRId64, n);
		else
			buffer_puts(&b, "\t-");
	for (size_t i = 0; i < ELEMENTS(texts); i++) {
		buffer_puts(&b, "\t");
		show_text(s, &b, show_text_of(limits, texts[i]));
	}
	show_end_line(s, &b);
}

static void
show_ca(const struct show *s, const struct json *ca)
{
	static const char *const names[] = { "name", "directory", "not_before",
		"last_error", "unanswered_since", "next_attempt" };
	struct buffer b = { 0 };

	if (!s->terminal) {
		show_line_fields(s, "ca", ca, names, ELEMENTS(names));
		line_limits(s, ca);
		return;
	}
	show_begin_line(s, &b, "ca");
	show_text(s, &b, show_text_of(ca, "name"));
	buffer_puts(&b, "  ");
	show_text(s, &b, show_text_of(ca, "directory"));
	if (show_text_of(ca, "not_before") != NULL) {
		buffer_puts(&b, ", no new order before ");
		show_text(s, &b, show_text_of(ca, "not_before"));
	}
	show_end_line(s, &b);
	if (show_text_of(ca, "last_error") != NULL)
		show_line(s, "", show_text_of(ca, "last_error"));
	if (show_text_of(ca, "unanswered_since") != NULL) {
		show_line_time(
		    s, "no answer since", show_text_of(ca, "unanswered_since"), NULL);
		show_line_time(
		    s, "tried again", show_text_of(ca, "next_attempt"), NULL);
	}
	show_limits(s, json_get(ca, "limits"));
}

void
show_status(const struct show *s, const struct json *status)
{
	static const char *const next_names[] = { "name", "at", "why" };
	const struct json *counts = json_get(status, "counts");
	const struct json *jobs = json_get(status, "jobs");
	const struct json *next = json_get(status, "next");
	const struct json *cas = json_get(status, "cas");
	const struct json *held = json_get(status, "self_test");

	show_line(s, "version", show_text_of(status, "version"));
	show_line_number(s, "pid", json_get(status, "pid"));
	show_line_time(s, "since", show_text_of(status, "since"), NULL);
	line_counts(s, "state", json_get(counts, "state"));
	line_counts(s, "health", json_get(counts, "health"));
	line_counts(s, "activity", json_get(counts, "activity"));
	show_line_number(s, "jobs active", json_get(jobs, "active"));
	show_line_number(s, "jobs queued", json_get(jobs, "queued"));
	if (!s->terminal)
		show_line_fields(s, "next", next, next_names, ELEMENTS(next_names));
	else
		show_line_time(
		    s, "next", show_text_of(next, "at"), show_text_of(next, "name"));
	if (json_type(held) == JSON_OBJECT)
		show_line(s, "orders wait", show_text_of(held, "detail"));
	for (size_t i = 0; i < json_count(cas); i++)
		show_ca(s, json_at(cas, i));
	show_line_time(s, "last tick",
	    show_text_of(json_get(status, "scheduler"), "last_tick"), NULL);
}
