/*
 * test_ini.c - the INI reader: the whole grammar, and what is refused, line by line.
 *
 * Each case is a text and what the reader makes of it, written one item a line:
 * "LINE [kind|name]", "LINE key=value" or "LINE !message" (with "(key)" or "(header)").
 */
#include "config/ini.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "buffer.h"
#include "suite.h"

static void
describe(struct buffer *out, const struct ini_item *item)
{
	buffer_printf(out, "%u ", item->line);
	if (item->what == INI_SECTION)
		buffer_printf(out, "[%s|%s]\n", item->kind, item->name);
	else if (item->what == INI_KEY)
		buffer_printf(out, "%s=%s\n", item->key, item->value);
	else
		buffer_printf(out, "!%s%s%s%s%s\n", item->message,
		    item->key != NULL ? " (" : "", item->key != NULL ? item->key : "",
		    item->key != NULL ? ")" : "", item->header ? " (header)" : "");
}

/* In memory of exactly its size, so that sanitizers see a byte too far. */
static char *
read_all(const char *text, size_t len)
{
	_cleanup_(buffer_free) struct buffer out = { 0 };
	_cleanup_free_ char *copy = malloc(len + 1);
	struct ini_item item;
	struct ini in;
	char *all;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, text, len);
	copy[len] = '\0';
	ini_open(&in, copy, len);
	while (ini_next(&in, &item) != INI_END)
		describe(&out, &item);
	ck_assert_int_eq(ini_next(&in, &item), INI_END);
	ck_assert_int_eq(buffer_steal(&out, &all, NULL), 0);
	return all;
}

#define NO_VALUE "indented line, but no value to go on with"
#define EXPECTED "expected \"key = value\" or \"[section]\""
#define OPEN     "a double quote is not closed in its line"

static const struct {
	const char *text;
	const char *expected;
} cases[] = {
	{ "", "" },
	{ "\n\n  \n\t\n", "" },
	{ "# a\n; b\n  # c\n\t; d\n", "" },
	{ "[renewd]\n", "1 [renewd|]\n" },
	{ "[ca letsencrypt]", "1 [ca|letsencrypt]\n" },
	{ "[ ca \t le ]\t; why\n", "1 [ca|le]\n" },
	{ "[ca a b]\n", "1 [ca|a b]\n" },
	{ "[a];x\n", "1 [a|]\n" },
	{ "[a] x\nk=1\n",
	    "1 !text after the \"]\" of a section header (header)\n2 k=1\n" },
	{ "[a\n", "1 !section header without \"]\" (header)\n" },
	{ "[]\n[ ]\n",
	    "1 !section header without a name (header)\n"
	    "2 !section header without a name (header)\n" },
	/* keys */
	{ "a=1", "1 a=1\n" },
	{ "a = 1 \t\nb\t=\t2\n", "1 a=1\n2 b=2\n" },
	{ "a =\nb=\n", "1 a=\n2 b=\n" },
	{ "a = b = c\n", "1 a=b = c\n" },
	{ "two words = x\n", "1 two words=x\n" },
	{ "nothing\nb = 1\n", "1 !" EXPECTED "\n2 b=1\n" },
	{ "= x\n", "1 !" EXPECTED "\n" },
	/* comments */
	{ "a = 1 ; x\n", "1 a=1\n" },
	{ "a = 1;x\n", "1 a=1;x\n" },
	{ "a = 1;x ;y\n", "1 a=1;x\n" },
	{ "a = 1\t;x\n", "1 a=1\n" },
	{ "a = ; x\n", "1 a=\n" },
	{ "a =;x\n", "1 a=;x\n" },
	{ "a = 1 # x\n", "1 a=1 # x\n" },
	{ "a = \"1 ; x\" ; y\n", "1 a=\"1 ; x\"\n" },
	{ "a = \"\\\" ; x\"\n", "1 a=\"\\\" ; x\"\n" },
	/* quotes */
	{ "a = \" x \"\n", "1 a=\" x \"\n" },
	{ "a = \"x\nb = 1\n", "1 !" OPEN " (a)\n2 b=1\n" },
	{ "a = \"x\\\"\n", "1 !" OPEN " (a)\n" },
	{ "a = \"x\\\\\"\n", "1 a=\"x\\\\\"\n" },
	{ "a = x\\\" y ; z\"\n", "1 a=x\\\" y ; z\"\n" },
	/* continuation */
	{ "a = 1\n  2\n\t3\nb = 4\n", "1 a=1 2 3\n4 b=4\n" },
	{ "a =\n  2\n  3", "1 a=2 3\n" },
	{ "a = 1 ; one\n  2 ; two\n  ; none\n  # none\n  3\n", "1 a=1 2 3\n" },
	{ "a = 1\n\n# c\n  2\n\nb = 3\n", "1 a=1 2\n6 b=3\n" },
	{ "a = 1\n  [x]\n  b = 2\n", "1 a=1 [x] b = 2\n" },
	{ "  a = 1\n", "1 !" NO_VALUE "\n" },
	{ "[a]\n  b = 1\n  c = 2\nd = 3\n", "1 [a|]\n2 !" NO_VALUE "\n4 d=3\n" },
	{ "nothing\n  more\n  still\n", "1 !" EXPECTED "\n" },
	{ "a = 1\n  \"2\n  3\nb = 4\n", "2 !" OPEN " (a)\n4 b=4\n" },
	/* ends of lines, marks */
	{ "[a]\r\nb = 1\r\n  2\r\n\r\nc = 3\r\n", "1 [a|]\n2 b=1 2\n5 c=3\n" },
	{ "\xef\xbb\xbf[a]\nb=1\n", "1 [a|]\n2 b=1\n" },
	{ "\xef\xbb\xbf", "" },
	{ "a = b\rc\n", "1 !control character in line\n" },
	{ "a = \x1b[31m\nb = \x7f\n",
	    "1 !control character in line\n"
	    "2 !control character in line\n" },
	{ "# \x1b[31m\f\n", "" },
	{ "a = 1\n  \x01\n", "2 !control character in line (a)\n" },
	{ "a = \xc3\xa4\n", "1 a=\xc3\xa4\n" },
	{ "# \xff\na = \xc3\xa4\xff\nb = \xc3\n",
	    "2 !line is not UTF-8\n3 !line is not UTF-8\n" },
	{ "[a\x01]\nb = 1\n", "1 !control character in line (header)\n2 b=1\n" },
};

START_TEST(grammar)
{
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		_cleanup_free_ char *all =
		    read_all(cases[i].text, strlen(cases[i].text));

		if (strcmp(all, cases[i].expected) != 0)
			ck_abort_msg("%s\ngave\n%s\ninstead of\n%s", cases[i].text, all,
			    cases[i].expected);
	}
}
END_TEST

START_TEST(nul_bytes)
{
	static const char text[] = "a = 1\nb = 2\0x\n# \0\nc = 3\n  \0\nd = 4\n";
	_cleanup_free_ char *all = read_all(text, sizeof(text) - 1);

	ck_assert_str_eq(all,
	    "1 a=1\n2 !NUL byte in line\n3 !NUL byte in line\n"
	    "5 !NUL byte in line (c)\n6 d=4\n");
}
END_TEST

/* "a = xxx", CR LF, "b = 1": 64 KiB without the line's end is the most. */
static char *
long_line(size_t len, const char *prefix)
{
	_cleanup_(buffer_free) struct buffer text = { 0 };
	char *all;

	buffer_puts(&text, prefix);
	for (size_t i = strlen(strrchr(prefix, '\n') + 1); i < len; i++)
		buffer_puts(&text, "x");
	buffer_puts(&text, "\r\nb = 1\n");
	ck_assert(!text.failed);
	all = read_all(text.data, text.len);
	return all;
}

START_TEST(long_lines)
{
	_cleanup_free_ char *fits = long_line(65536, "[s]\na = ");
	_cleanup_free_ char *over = long_line(65537, "[s]\na = ");
	_cleanup_free_ char *comment = long_line(65537, "[s]\n# ");
	_cleanup_free_ char *more = long_line(65537, "[s]\na = 1\n  ");

	ck_assert_ptr_nonnull(strstr(fits, "\n2 a=xxx"));
	ck_assert_uint_eq(strlen(fits), strlen("1 [s|]\n2 a=\n3 b=1\n") + 65536 - 4);
	ck_assert_str_eq(over, "1 [s|]\n2 !line is longer than 64 KiB\n3 b=1\n");
	ck_assert_str_eq(comment, "1 [s|]\n2 !line is longer than 64 KiB\n3 b=1\n");
	ck_assert_str_eq(more, "1 [s|]\n3 !line is longer than 64 KiB (a)\n4 b=1\n");
}
END_TEST

/* A value may be longer than a line. */
START_TEST(long_values)
{
	_cleanup_(buffer_free) struct buffer text = { 0 };
	_cleanup_free_ char *all = NULL;

	buffer_puts(&text, "a =\n");
	for (size_t i = 0; i < 100000; i++)
		buffer_puts(&text, " x\n");
	all = read_all(text.data, text.len);
	ck_assert_uint_eq(strlen(all), strlen("1 a=\n") + 2 * 100000 - 1);
}
END_TEST

static const struct {
	const char *separators;
	const char *raw;
	const char *words; /* each in <> */
} words[] = {
	{ INI_TEXT, "", "" },
	{ INI_TEXT, "a b, c", "<a b, c>" },
	{ INI_TEXT, "\" a \"b", "< a b>" },
	{ INI_TEXT, "\"\"", "<>" },
	{ INI_TEXT, "\"a\\\"\\\\\\n\"", "<a\"\\\\n>" },
	{ INI_TEXT, "C:\\x\\\\y", "<C:\\x\\\\y>" },
	{ INI_LIST, "a b", "<a><b>" },
	{ INI_LIST, ", a,,b ,\tc,", "<a><b><c>" },
	{ INI_LIST, ",", "" },
	{ INI_LIST, "\"a b\",c\"d e\"f", "<a b><cd ef>" },
	{ INI_LIST, "\"\" \"\"", "<><>" },
	{ INI_COMMAND, "/bin/x --a=b,c  \"d e\"", "</bin/x><--a=b,c><d e>" },
};

START_TEST(splitting)
{
	for (size_t i = 0; i < ELEMENTS(words); i++) {
		_cleanup_(buffer_free) struct buffer out = { 0 };
		const char *pos = words[i].raw;
		char word[64];

		buffer_puts(&out, "");
		while (ini_word(&pos, words[i].separators, word))
			buffer_printf(&out, "<%s>", word);
		ck_assert_str_eq(out.data != NULL ? out.data : "", words[i].words);
	}
}
END_TEST

/* What is quoted is read back as it was, as a text and as a word of a list. */
START_TEST(quoting)
{
	static const char *const texts[] = { "", "a", "a b", " a", "a;b", ";", "a,b",
		"\"", "\\", "\\\"", "a\\", "\"a\\\\\" ;x", "# x", "\ta" };
	static const char *const separators[] = { INI_TEXT, INI_LIST, INI_COMMAND };

	for (size_t i = 0; i < ELEMENTS(texts) * ELEMENTS(separators); i++) {
		_cleanup_(buffer_free) struct buffer text = { 0 };
		struct ini_item item;
		struct ini in;
		char word[64];

		buffer_puts(&text, "key = ");
		ini_quote(&text, texts[i / ELEMENTS(separators)]);
		ini_open(&in, text.data, text.len);
		ck_assert_int_eq(ini_next(&in, &item), INI_KEY);
		ck_assert(
		    ini_word(&item.value, separators[i % ELEMENTS(separators)], word));
		ck_assert_str_eq(word, texts[i / ELEMENTS(separators)]);
		ck_assert_str_eq(item.value, "");
	}
}
END_TEST

/* Whatever comes: it ends, counts lines, and stays inside the text. */
START_TEST(noise)
{
	static const char alphabet[] = "[]=;#\"\\ \t\r\n\nab\0\xef\x80,";
	uint32_t seed = 1;

	for (int round = 0; round < 20000; round++) {
		char text[48];
		size_t len;

		seed = seed * 1664525 + 1013904223;
		len = (seed >> 16) % sizeof(text);
		for (size_t i = 0; i < len; i++) {
			seed = seed * 1664525 + 1013904223;
			text[i] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
		}
		free(read_all(text, len));
	}
}
END_TEST

SUITE("ini", grammar, nul_bytes, long_lines, long_values, splitting, quoting, noise)
