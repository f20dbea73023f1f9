/*
 * utf8.c - is it UTF-8 (RFC 3629), and do escapes in JSON stand for characters?
 *
 * Used by json for what it reads and writes; yajl's own check lets overlong forms and
 * surrogates through. Nothing here changes what it looks at.
 */
#include "utf8.h"

#include <string.h>

#include "scope.h"

/* Bytes of the character at c (RFC 3629 section 4), 0 where it is broken. */
static size_t
utf8_length(const unsigned char *c, size_t left)
{
	static const struct {
		unsigned char first, last; /* of the first byte */
		unsigned char second_min, second_max;
		size_t length;
	} forms[] = {
		{ 0x00, 0x7f, 0, 0, 1 },
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 },
		{ 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	size_t i = 0;

	while (i < ELEMENTS(forms) && (*c < forms[i].first || *c > forms[i].last))
		i++;
	if (i == ELEMENTS(forms) || forms[i].length > left)
		return 0;
	if (forms[i].length == 1)
		return 1;
	if (c[1] < forms[i].second_min || c[1] > forms[i].second_max)
		return 0;
	for (size_t k = 2; k < forms[i].length; k++)
		if ((c[k] & 0xc0) != 0x80)
			return 0;
	return forms[i].length;
}

size_t
utf8_span(const char *text, size_t len)
{
	size_t at = 0;

	while (at < len) {
		size_t step = utf8_length((const unsigned char *)text + at, len - at);

		if (step == 0)
			break;
		at += step;
	}
	return at;
}

/* What \uXXXX at this place stands for, or -1 where there is no such thing. */
static int
unicode_escape(const char *text, size_t left)
{
	int code = 0;

	if (left < 6 || text[0] != '\\' || text[1] != 'u')
		return -1;
	for (size_t i = 2; i < 6; i++) {
		static const char digits[] = "0123456789abcdefABCDEF";
		const char *digit = text[i] != '\0' ? strchr(digits, text[i]) : NULL;
		int value;

		if (digit == NULL)
			return -1;
		value = (int)(digit - digits);
		code = code * 16 + (value < 16 ? value : value - 6);
	}
	return code;
}

bool
utf8_escapes_ok(const char *text, size_t len)
{
	const char *end = text + len;

	while ((text = memchr(text, '\\', (size_t)(end - text))) != NULL) {
		int code = unicode_escape(text, (size_t)(end - text));
		int second;

		if (code < 0) {
			text += end - text > 1 ? 2 : 1;
			continue;
		}
		text += 6;
		if (code < 0xd800 || code > 0xdfff)
			continue;
		second = unicode_escape(text, (size_t)(end - text));
		if (code > 0xdbff || second < 0xdc00 || second > 0xdfff)
			return false;
		text += 6;
	}
	return true;
}
