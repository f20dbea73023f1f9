/*
 * json_writer.c - writes JSON, a value at a time.
 *
 * Used by libacme for what it sends, and by renewd for its API and stored facts. Calls
 * that don't nest make it wrong, which sticks until the text is asked for.
 */
#include "json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "scope.h"
#include "utf8.h"

#define DEPTH_MAX 100
#define WIDE_MAX  64 /* bytes, of which the last may begin a character */

struct json_writer {
	struct buffer out;
	bool wrong; /* calls that didn't nest */
	bool named; /* the next value has its name */
	bool comma; /* something stands before it */
	bool lent;  /* what is in out goes with the next value */
	size_t depth;
	char open[DEPTH_MAX]; /* what closes it: ']' or '}' */
};

struct json_writer *
json_writer_new(void)
{
	return calloc(1, sizeof(struct json_writer));
}

struct json_writer *
json_writer_free(struct json_writer *w)
{
	if (w == NULL)
		return NULL;
	buffer_free(&w->out);
	free(w);
	return NULL;
}

static bool
in_object(const struct json_writer *w)
{
	return w->depth > 0 && w->open[w->depth - 1] == '}';
}

/* May a value come now? Then with a comma, where one has to stand before it. */
static bool
value_next(struct json_writer *w)
{
	if (w == NULL || w->wrong)
		return false;
	if (w->lent)
		buffer_clear(&w->out);
	w->lent = false;
	if (in_object(w) ? !w->named : w->depth == 0 && w->out.len > 0)
		w->wrong = true;
	if (!w->wrong && w->comma && !w->named)
		buffer_add(&w->out, ",", 1);
	w->named = false;
	w->comma = true;
	return !w->wrong;
}

static void
open_value(struct json_writer *w, char closing)
{
	if (!value_next(w))
		return;
	if (w->depth >= DEPTH_MAX) {
		w->wrong = true;
		return;
	}
	buffer_add(&w->out, closing == '}' ? "{" : "[", 1);
	w->open[w->depth++] = closing;
	w->comma = false;
}

static void
close_value(struct json_writer *w, char closing)
{
	if (w == NULL || w->wrong)
		return;
	if (w->named || w->depth == 0 || w->open[w->depth - 1] != closing) {
		w->wrong = true;
		return;
	}
	buffer_add(&w->out, &closing, 1);
	w->depth--;
	w->comma = true;
}

void
json_open_object(struct json_writer *w)
{
	open_value(w, '}');
}

void
json_close_object(struct json_writer *w)
{
	close_value(w, '}');
}

void
json_open_array(struct json_writer *w)
{
	open_value(w, ']');
}

void
json_close_array(struct json_writer *w)
{
	close_value(w, ']');
}

/* ---- text ---- */

/* RFC 8259 section 7 */
static bool
is_plain(unsigned char c)
{
	return c >= ' ' && c < 0x80 && c != '"' && c != '\\';
}

static void
add_escaped(struct buffer *b, char c)
{
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
	const char *found = strchr(from, c);

	if (found != NULL)
		buffer_add(b, (const char[]){ '\\', to[found - from] }, 2);
	else
		buffer_printf(b, "\\u%04X", (unsigned char)c);
}

/* Bytes of more than 7 bits: what of them is UTF-8; or else one that isn't, which
 * becomes U+FFFD. Returns how many were taken. */
static size_t
add_wide(struct buffer *b, const char *text)
{
	size_t len = 0;
	size_t sound;

	/* not all of a long run of what isn't, again from each of its bytes */
	while (len < WIDE_MAX && (unsigned char)text[len] >= 0x80)
		len++;
	sound = utf8_span(text, len);
	if (sound == 0) {
		buffer_puts(b, "\xef\xbf\xbd");
		return 1;
	}
	buffer_add(b, text, sound);
	return sound;
}

static void
write_text(struct json_writer *w, const char *text)
{
	struct buffer *b = &w->out;

	buffer_add(b, "\"", 1);
	while (*text != '\0') {
		size_t plain = 0;

		while (is_plain((unsigned char)text[plain]))
			plain++;
		buffer_add(b, text, plain);
		text += plain;
		if ((unsigned char)*text >= 0x80)
			text += add_wide(b, text);
		else if (*text != '\0')
			add_escaped(b, *text++);
	}
	buffer_add(b, "\"", 1);
}

void
json_name(struct json_writer *w, const char *name)
{
	if (w == NULL || w->wrong)
		return;
	if (!in_object(w) || w->named) {
		w->wrong = true;
		return;
	}
	if (w->comma)
		buffer_add(&w->out, ",", 1);
	write_text(w, name);
	buffer_add(&w->out, ":", 1);
	w->named = true;
}

/* ---- values ---- */

void
json_put_string(struct json_writer *w, const char *text)
{
	if (text == NULL)
		json_put_null(w);
	else if (value_next(w))
		write_text(w, text);
}

void
json_put_integer(struct json_writer *w, int64_t value)
{
	if (value_next(w))
		buffer_printf(&w->out, "%" PRId64, value);
}

void
json_put_bool(struct json_writer *w, bool value)
{
	if (value_next(w))
		buffer_puts(&w->out, value ? "true" : "false");
}

void
json_put_null(struct json_writer *w)
{
	if (value_next(w))
		buffer_puts(&w->out, "null");
}

void
json_put_raw(struct json_writer *w, const char *text)
{
	if (text == NULL || text[0] == '\0')
		json_put_null(w);
	else if (value_next(w))
		buffer_puts(&w->out, text);
}

void
json_member_string(struct json_writer *w, const char *name, const char *text)
{
	json_name(w, name);
	json_put_string(w, text);
}

void
json_member_integer(struct json_writer *w, const char *name, int64_t value)
{
	json_name(w, name);
	json_put_integer(w, value);
}

void
json_member_bool(struct json_writer *w, const char *name, bool value)
{
	json_name(w, name);
	json_put_bool(w, value);
}

void
json_member_null(struct json_writer *w, const char *name)
{
	json_name(w, name);
	json_put_null(w);
}

void
json_member_raw(struct json_writer *w, const char *name, const char *text)
{
	json_name(w, name);
	json_put_raw(w, text);
}

/* ---- the text ---- */

/* Is it whole? In any case the next value begins anew. */
static int
end(struct json_writer *w)
{
	int r = 0;

	if (w->wrong || w->lent || w->depth > 0 || w->out.len == 0)
		r = -EINVAL;
	if (w->out.failed)
		r = -ENOMEM;
	w->wrong = false;
	w->named = false;
	w->comma = false;
	w->lent = false;
	w->depth = 0;
	return r;
}

int
json_writer_steal(struct json_writer *w, char **ret, size_t *ret_len)
{
	int r;

	if (w == NULL)
		return -ENOMEM;
	r = end(w);
	if (r == 0)
		r = buffer_steal(&w->out, ret, ret_len);
	buffer_free(&w->out);
	return r;
}

int
json_writer_lend(struct json_writer *w, const char **ret, size_t *ret_len)
{
	int r = end(w);

	if (r < 0) {
		buffer_free(&w->out);
		return r;
	}
	w->lent = true;
	*ret = w->out.data;
	*ret_len = w->out.len;
	return 0;
}
