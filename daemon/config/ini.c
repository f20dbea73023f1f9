/*
 * ini.c - our reader of INI text: lines to sections, keys and errors, in place.
 *
 * A value may go on in indented lines; blank lines and comments between them don't end
 * it. Joined values are moved together over what was read already, so nothing is ever
 * allocated. Never interprets a value: only quotes and comments are known here.
 */
#include "config/ini.h"

#include <string.h>

#include "buffer.h"
#include "utf8.h"

enum line_kind { LINE_BLANK, LINE_HEADER, LINE_KEY, LINE_INDENTED };

struct line {
	enum line_kind kind;
	char *text;
	size_t len;        /* without CR and LF */
	char *next;        /* where the next one begins */
	const char *error; /* or NULL */
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static enum line_kind
classify(const char *text, size_t len)
{
	size_t i = 0;

	while (i < len && is_blank(text[i]))
		i++;
	if (i == len || text[i] == '#' || text[i] == ';')
		return LINE_BLANK;
	if (i > 0)
		return LINE_INDENTED;
	return text[0] == '[' ? LINE_HEADER : LINE_KEY;
}

/* NUL is refused everywhere; other control characters, and what isn't UTF-8, where
 * they would count. */
static const char *
find_fault(const struct ini *in, const struct line *l)
{
	if (l->len > in->line_max)
		return "line is longer than 64 KiB";
	if (memchr(l->text, '\0', l->len) != NULL)
		return "NUL byte in line";
	if (l->kind == LINE_BLANK)
		return NULL;
	for (size_t i = 0; i < l->len; i++) {
		unsigned char c = (unsigned char)l->text[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return "control character in line";
	}
	if (utf8_span(l->text, l->len) != l->len)
		return "line is not UTF-8";
	return NULL;
}

/* Looks at the line at pos without taking it. */
static bool
peek(const struct ini *in, struct line *ret)
{
	size_t rest = (size_t)(in->end - in->pos);
	char *newline;

	if (rest == 0)
		return false;
	newline = memchr(in->pos, '\n', rest);
	ret->text = in->pos;
	ret->len = newline != NULL ? (size_t)(newline - in->pos) : rest;
	ret->next = newline != NULL ? newline + 1 : in->end;
	if (ret->len > 0 && ret->text[ret->len - 1] == '\r')
		ret->len--;
	ret->kind = classify(ret->text, ret->len);
	ret->error = find_fault(in, ret);
	return true;
}

static void
take(struct ini *in, const struct line *l)
{
	in->pos = l->next;
	in->line++;
}

static enum ini_what
fail(struct ini *in, struct ini_item *ret, const char *message)
{
	in->skip = true;
	ret->line = in->line;
	ret->message = message;
	ret->what = INI_ERROR;
	return ret->what;
}

/* Ends a text at `end`, or before the blanks that stand there. */
static char *
terminate(char *start, char *end)
{
	while (start < end && is_blank(*start))
		start++;
	while (end > start && is_blank(end[-1]))
		end--;
	*end = '\0';
	return start;
}

static enum ini_what
read_header(struct ini *in, const struct line *l, struct ini_item *ret)
{
	char *close = memchr(l->text, ']', l->len);
	char *rest;
	char *kind;
	size_t kind_len;

	ret->header = true;
	if (close == NULL)
		return fail(in, ret, "section header without \"]\"");
	rest = close + 1;
	while (rest < l->text + l->len && is_blank(*rest))
		rest++;
	if (rest < l->text + l->len && *rest != ';')
		return fail(in, ret, "text after the \"]\" of a section header");
	kind = terminate(l->text + 1, close);
	if (*kind == '\0')
		return fail(in, ret, "section header without a name");
	kind_len = strcspn(kind, " \t");
	ret->name = kind + kind_len;
	if (*ret->name != '\0')
		ret->name += 1 + strspn(ret->name + 1, " \t");
	kind[kind_len] = '\0';
	ret->kind = kind;
	ret->header = false;
	ret->what = INI_SECTION;
	return ret->what;
}

/* Cuts blanks and a comment off a value or a part of one; false: a quote is open. */
static bool
trim_value(char **text, size_t *len)
{
	bool quoted = false;
	size_t start = 0, end = 0;

	for (size_t i = 0; i < *len; i++) {
		char c = (*text)[i];

		if (!quoted && c == ';' && i > 0 && is_blank((*text)[i - 1]))
			break;
		if (quoted && c == '\\' && i + 1 < *len)
			i += (*text)[i + 1] == '"' || (*text)[i + 1] == '\\';
		else if (c == '"')
			quoted = !quoted;
		if (quoted || !is_blank(c))
			end = i + 1;
	}
	while (start < end && is_blank((*text)[start]))
		start++;
	*text += start;
	*len = end - start;
	return !quoted;
}

/* Moves what indented lines say behind the value; it never grows beyond what was read,
 * as a line's end and an indent become one blank. NULL, or what is wrong. */
static const char *
join_lines(struct ini *in, const char *value, char **end)
{
	struct line l;

	while (peek(in, &l) && (l.kind == LINE_BLANK || l.kind == LINE_INDENTED)) {
		take(in, &l);
		if (l.error != NULL)
			return l.error;
		if (l.kind == LINE_BLANK)
			continue;
		if (!trim_value(&l.text, &l.len))
			return "a double quote is not closed in its line";
		if (*end > value)
			*(*end)++ = ' ';
		memmove(*end, l.text, l.len);
		*end += l.len;
	}
	return NULL;
}

static enum ini_what
read_key(struct ini *in, const struct line *l, struct ini_item *ret)
{
	char *equals = memchr(l->text, '=', l->len);
	unsigned line = in->line;
	const char *error;
	char *value, *end;
	size_t len;

	if (equals == NULL || equals == l->text)
		return fail(in, ret, "expected \"key = value\" or \"[section]\"");
	ret->key = terminate(l->text, equals);
	value = equals + 1;
	len = (size_t)(l->text + l->len - value);
	if (!trim_value(&value, &len))
		return fail(in, ret, "a double quote is not closed in its line");
	end = value + len;
	error = join_lines(in, value, &end);
	if (error != NULL)
		return fail(in, ret, error);
	*end = '\0';
	ret->line = line;
	ret->value = value;
	ret->what = INI_KEY;
	return ret->what;
}

void
ini_open(struct ini *in, char *text, size_t len)
{
	size_t bom = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;

	*in = (struct ini){
		.pos = text + bom,
		.end = text + len,
		.line_max = INI_LINE_MAX,
	};
}

enum ini_what
ini_next(struct ini *in, struct ini_item *ret)
{
	struct line l;

	*ret = (struct ini_item){ .what = INI_END };
	while (peek(in, &l)) {
		take(in, &l);
		ret->line = in->line;
		ret->header = l.kind == LINE_HEADER && l.error != NULL;
		if (l.error != NULL)
			return fail(in, ret, l.error);
		if (l.kind == LINE_BLANK || (l.kind == LINE_INDENTED && in->skip))
			continue;
		if (l.kind == LINE_INDENTED)
			return fail(
			    in, ret, "indented line, but no value to go on with");
		in->skip = false;
		return l.kind == LINE_HEADER ? read_header(in, &l, ret)
					     : read_key(in, &l, ret);
	}
	return INI_END;
}

bool
ini_word(const char **pos, const char *separators, char *out)
{
	const char *p = *pos + strspn(*pos, separators);
	bool quoted = false;

	if (*p == '\0')
		return false;
	for (; *p != '\0' && (quoted || strchr(separators, *p) == NULL); p++) {
		if (quoted && *p == '\\' && (p[1] == '"' || p[1] == '\\'))
			*out++ = *++p;
		else if (*p == '"')
			quoted = !quoted;
		else
			*out++ = *p;
	}
	*out = '\0';
	*pos = p;
	return true;
}

void
ini_quote(struct buffer *out, const char *word)
{
	if (*word != '\0' && word[strcspn(word, " \t,;\"")] == '\0') {
		buffer_puts(out, word);
		return;
	}
	buffer_puts(out, "\"");
	for (; *word != '\0'; word++) {
		if (*word == '"' || *word == '\\')
			buffer_puts(out, "\\");
		buffer_add(out, word, 1);
	}
	buffer_puts(out, "\"");
}
