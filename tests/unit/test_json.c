/*
 * test_json.c - JSON read with limits, and written.
 */
#include "json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "buffer.h"
#include "suite.h"

static const struct json_limits wide = {
	.size = 8 * 1024 * 1024,
	.depth = 20000,
	.values = 2000000,
};

DEFINE_CLEANUP(struct json, json_free)
DEFINE_CLEANUP(struct json_writer, json_writer_free)

/* From a block of exactly this size, so that reading behind its end is found. */
static int
parse_exactly(
    const char *text, size_t len, const struct json_limits *limits, struct json **ret)
{
	_cleanup_free_ char *copy = malloc(len > 0 ? len : 1);

	memcpy(copy, text, len);
	return json_parse(copy, len, limits, ret);
}

static int
try_parse(const char *text, size_t len, const struct json_limits *limits)
{
	struct json *j = NULL;
	int r = parse_exactly(text, len, limits, &j);

	if (r < 0)
		ck_assert_ptr_null(j);
	json_free(j);
	return r;
}

static struct json *
parsed(const char *text)
{
	struct json *j = NULL;
	int r = parse_exactly(text, strlen(text), &wide, &j);

	ck_assert_msg(r == 0, "refused (%d): %s", r, text);
	return j;
}

START_TEST(test_getters)
{
	_cleanup_(json_freep) struct json *j = parsed(
	    " { \"s\": \"text\", \"n\": -42, \"t\": true, \"f\": false, \"z\": null,"
	    "\"a\": [1, [\"in\", {}], {\"deep\": [\"x\"]}], \"e\": \"\", \"\": 7 }\n");
	const struct json *a = json_get(j, "a");
	int64_t n = 0;

	ck_assert_int_eq(json_type(j), JSON_OBJECT);
	ck_assert_uint_eq(json_count(j), 8);
	ck_assert_str_eq(json_string(json_get(j, "s")), "text");
	ck_assert_str_eq(json_string(json_get(j, "e")), "");
	ck_assert_int_eq(json_integer(json_get(j, "n"), &n), 0);
	ck_assert_int_eq(n, -42);
	ck_assert_int_eq(json_integer(json_get(j, ""), &n), 0);
	ck_assert_int_eq(n, 7);
	ck_assert(json_is_true(json_get(j, "t")) && !json_is_false(json_get(j, "t")));
	ck_assert(json_is_false(json_get(j, "f")) && !json_is_true(json_get(j, "f")));
	ck_assert_ptr_nonnull(json_get(j, "z"));
	ck_assert_int_eq(json_type(json_get(j, "z")), JSON_NULL);
	ck_assert_uint_eq(json_count(a), 3);
	ck_assert_str_eq(json_string(json_at(json_at(a, 1), 0)), "in");
	ck_assert_uint_eq(json_count(json_at(json_at(a, 1), 1)), 0);
	ck_assert_str_eq(json_string(json_at(json_get(json_at(a, 2), "deep"), 0)), "x");
	ck_assert_str_eq(json_name_at(j, 0), "s");
	ck_assert_str_eq(json_name_at(j, 7), "");
	ck_assert_ptr_null(json_name_at(j, 8));
	ck_assert_ptr_null(json_name_at(a, 0));
	ck_assert_ptr_null(json_at(a, 3));
}
END_TEST

START_TEST(test_getters_take_anything)
{
	_cleanup_(json_freep) struct json *j = parsed("[1,\"x\",null,{\"a\":1}]");
	int64_t n = 99;

	for (size_t i = 0; i < 6; i++) {
		const struct json *v = json_at(j, i); /* NULL for the last two */

		if (i != 1)
			ck_assert_ptr_null(json_string(v));
		if (i != 0)
			ck_assert_int_eq(json_integer(v, &n), -EINVAL);
		if (i != 3) {
			ck_assert_ptr_null(json_get(v, "a"));
			ck_assert_uint_eq(json_count(v), 0);
			ck_assert_ptr_null(json_at(v, 0));
		}
		ck_assert(!json_is_true(v) && !json_is_false(v));
	}
	ck_assert_int_eq(n, 99);
	ck_assert_int_eq(json_type(NULL), JSON_NULL);
	ck_assert_ptr_null(json_string(json_get(json_at(json_get(NULL, "x"), 3), "y")));
	ck_assert_ptr_null(json_free(NULL));
}
END_TEST

static const struct {
	const char *text;
	bool whole;
	int64_t value;
} numbers[] = {
	{ "0", true, 0 },
	{ "-0", true, 0 },
	{ "9223372036854775807", true, INT64_MAX },
	{ "-9223372036854775808", true, INT64_MIN },
	{ "9223372036854775808", false, 0 },
	{ "-9223372036854775809", false, 0 },
	{ "1.5", false, 0 },
	{ "1e3", false, 0 },
	{ "99999999999999999999999999999999999999999999999", false, 0 },
	{ "\"1\"", false, 0 },
	{ "true", false, 0 },
};

START_TEST(test_integers)
{
	for (size_t i = 0; i < ELEMENTS(numbers); i++) {
		_cleanup_(json_freep) struct json *j = parsed(numbers[i].text);
		int64_t n = 5;
		int r = json_integer(j, &n);

		ck_assert_msg(
		    r == (numbers[i].whole ? 0 : -EINVAL), "%s", numbers[i].text);
		ck_assert_int_eq(n, numbers[i].whole ? numbers[i].value : 5);
	}
}
END_TEST

START_TEST(test_strings_are_decoded)
{
	_cleanup_(json_freep) struct json *j =
	    parsed("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\",\"\\u00e4\\u20AC\\ud83d\\ude00\","
		   "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\",\"\\\\ud800\"]");

	ck_assert_str_eq(json_string(json_at(j, 0)), "\"\\/\b\f\n\r\t");
	ck_assert_str_eq(
	    json_string(json_at(j, 1)), "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
	ck_assert_str_eq(json_string(json_at(j, 2)), json_string(json_at(j, 1)));
	ck_assert_str_eq(json_string(json_at(j, 3)), "\\ud800");
}
END_TEST

static const char *const refused[] = {
	"",
	" ",
	"{",
	"}",
	"[",
	"]",
	"nul",
	"nulll",
	"tru",
	"True",
	"NaN",
	"-",
	"+1",
	"01",
	"1.",
	".5",
	"1e",
	"0x10",
	"'a'",
	"\"",
	"\"a",
	"a",
	"[1,]",
	"[,1]",
	"[1 2]",
	"[1]]",
	"{\"a\"}",
	"{\"a\":}",
	"{\"a\":1,}",
	"{a:1}",
	"{1:2}",
	"{\"a\":1}}",
	"{\"a\" 1}",
	"{\"a\":1 \"b\":2}",
	"[1}",
	"{\"a\":1]",
	"1 2",
	"{}{}",
	"{} x",
	"[] // c",
	"/**/[]",
	"\"\\x\"",
	"\"\\u12\"",
	"\"\\u12g4\"",
	"\"\t\"",
	"\"\n\"",
	"\"\x01\"",
	"\xef\xbb\xbf{}",
	/* a name twice, also in another spelling, and far apart */
	"{\"a\":1,\"a\":1}",
	"{\"a\":1,\"b\":2,\"\\u0061\":3}",
	"{\"\":1,\"\":2}",
	"[[{\"x\":{\"k\":1,\"l\":2,\"k\":3}}]]",
	/* NUL */
	"\"\\u0000\"",
	"\"a\\u0000b\"",
	"{\"a\\u0000\":1}",
	/* surrogates on their own */
	"\"\\ud800\"",
	"\"\\udc00\"",
	"\"\\ud800x\"",
	"\"\\ud800\\u0041\"",
	"\"\\ud800\\ud800\"",
	"\"\\udc00\\ud800\"",
	"\"\\ud800\\\\u\"",
	"\"\\ud800\\n\"",
	"\"\\uD83D\\\\uDE00\"",
	"{\"\\udbff\":1}",
	/* not UTF-8: stray, cut short, overlong, surrogates, beyond U+10FFFF */
	"\"\x80\"",
	"\"\xff\"",
	"\"\xc3\"",
	"\"\xe2\x82\"",
	"\"\xf0\x9f\x98\"",
	"\"\xc0\x80\"",
	"\"\xc1\xbf\"",
	"\"\xe0\x80\x80\"",
	"\"\xf0\x80\x80\x80\"",
	"\"\xed\xa0\x80\"",
	"\"\xed\xbf\xbf\"",
	"\"\xf4\x90\x80\x80\"",
	"\"\xf8\x88\x80\x80\x80\"",
	"{\"\xff\":1}",
};

START_TEST(test_refused)
{
	for (size_t i = 0; i < ELEMENTS(refused); i++)
		ck_assert_msg(
		    try_parse(refused[i], strlen(refused[i]), &wide) == -EBADMSG,
		    "accepted, or not for the reason: %s", refused[i]);
	ck_assert_int_eq(try_parse("\"a\0b\"", 5, &wide), -EBADMSG);
	ck_assert_int_eq(try_parse("{}\0", 3, &wide), -EBADMSG);
	ck_assert_int_eq(try_parse("\0", 1, &wide), -EBADMSG);
}
END_TEST

/* The same name is fine in different objects, and next to its beginnings. */
START_TEST(test_names_that_only_look_alike)
{
	_cleanup_(json_freep) struct json *j =
	    parsed("{\"a\":{\"a\":{\"a\":1}},\"A\":1,\"aa\":2,\"\":3,\"b\":[{\"a\":1},"
		   "{\"a\":1}]}");

	ck_assert_uint_eq(json_count(j), 5);
	ck_assert_uint_eq(json_count(json_get(j, "b")), 2);
}
END_TEST

static const char order[] =
    "{\"status\":\"valid\",\"expires\":\"2026-01-20T14:09:07.99Z\",\"identifiers\":[{"
    "\"type\":\"dns\",\"value\":\"www.example.org\"},{\"type\":\"dns\",\"value\":\"b\\u00fc"
    "cher\\ud83d\\ude00\"}],\"n\":-12.5e+3,\"x\":[true,false,null,[[]],{}]}";

START_TEST(test_truncated_at_every_byte)
{
	size_t len = strlen(order);

	ck_assert_int_eq(try_parse(order, len, &json_limits_acme), 0);
	for (size_t i = 0; i < len; i++)
		ck_assert_msg(try_parse(order, i, &json_limits_acme) == -EBADMSG,
		    "cut at %zu", i);
}
END_TEST

/* Whatever stands at whichever place: an answer, and no harm (under ASan, too). */
START_TEST(test_every_byte_replaced)
{
	char text[sizeof(order)];

	for (size_t i = 0; i < strlen(order); i++)
		for (int c = 0; c < 256; c += 3) {
			int r;

			memcpy(text, order, sizeof(order));
			text[i] = (char)c;
			r = try_parse(text, strlen(order), &json_limits_acme);
			ck_assert(r == 0 || r == -EBADMSG);
		}
}
END_TEST

static char *
repeat(const char *head, const char *part, size_t count, const char *tail)
{
	struct buffer b = { 0 };
	char *text = NULL;

	buffer_puts(&b, head);
	for (size_t i = 0; i < count; i++)
		buffer_puts(&b, part);
	buffer_puts(&b, tail);
	ck_assert_int_eq(buffer_steal(&b, &text, NULL), 0);
	return text;
}

START_TEST(test_depth)
{
	_cleanup_free_ char *arrays = repeat("", "[", 10000, "");
	_cleanup_free_ char *objects = repeat("", "{\"a\":", 10000, "");
	_cleanup_free_ char *closing = repeat("1", "]", 10000, "");
	_cleanup_free_ char *whole = repeat(arrays, closing, 1, "");
	_cleanup_(json_freep) struct json *j = parsed(whole);
	const struct json *v = j;
	size_t depth = 0;

	while (json_type(v) == JSON_ARRAY) {
		v = json_at(v, 0);
		depth++;
	}
	ck_assert_uint_eq(depth, 10000);
	ck_assert_int_eq(try_parse(whole, strlen(whole), &json_limits_acme), -E2BIG);
	/* stopped on the way, before the end that isn't there is found missing */
	ck_assert_int_eq(try_parse(arrays, strlen(arrays), &json_limits_acme), -E2BIG);
	ck_assert_int_eq(
	    try_parse(objects, strlen(objects), &json_limits_acme), -E2BIG);
	ck_assert_int_eq(
	    try_parse("[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]", 32, &json_limits_acme), 0);
	ck_assert_int_eq(
	    try_parse("[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", 34, &json_limits_acme),
	    -E2BIG);
}
END_TEST

START_TEST(test_size)
{
	struct json_limits limits = { .size = 10, .depth = 1, .values = 1 };
	_cleanup_free_ char *big = repeat("\"", "0123456789abcdef", 65536, "\"");
	_cleanup_free_ char *escaped = repeat("\"", "\\u00e4\\n", 100000, "\"");
	_cleanup_free_ char *open = repeat("\"", "\\n", 500000, "");
	_cleanup_free_ char *digits = repeat("", "1", 1000000, "");
	_cleanup_(json_freep) struct json *j = parsed(big);
	_cleanup_(json_freep) struct json *k = parsed(escaped);
	_cleanup_(json_freep) struct json *d = parsed(digits);

	ck_assert_uint_eq(strlen(json_string(j)), 1024 * 1024);
	ck_assert_uint_eq(strlen(json_string(k)), 300000);
	ck_assert_int_eq(json_type(d), JSON_NUMBER);
	ck_assert_int_eq(try_parse(open, strlen(open), &wide), -EBADMSG);
	ck_assert_int_eq(try_parse(big, strlen(big), &json_limits_acme), -E2BIG);
	ck_assert_int_eq(try_parse("\"12345678\"", 10, &limits), 0);
	ck_assert_int_eq(try_parse("\"123456789\"", 11, &limits), -E2BIG);
	ck_assert_int_eq(try_parse("          1", 11, &limits), -E2BIG);
}
END_TEST

START_TEST(test_values)
{
	struct json_limits limits = { .size = 100, .depth = 5, .values = 3 };
	struct json_limits none = { .size = 100, .depth = 5, .values = 0 };
	_cleanup_free_ char *many = repeat("[0", ",0", 20000, "]");
	_cleanup_free_ char *most = repeat("[0", ",0", 19998, "]");
	_cleanup_free_ char *lots = repeat("[0", ",{\"a\":[]}", 300000, "]");
	_cleanup_(json_freep) struct json *j = parsed(lots);

	ck_assert_uint_eq(json_count(j), 300001);
	ck_assert_int_eq(json_type(json_get(json_at(j, 300000), "a")), JSON_ARRAY);
	ck_assert_int_eq(try_parse(many, strlen(many), &json_limits_acme), -E2BIG);
	ck_assert_int_eq(try_parse(most, strlen(most), &json_limits_acme), 0);
	ck_assert_int_eq(try_parse("[1,2]", 5, &limits), 0);
	ck_assert_int_eq(try_parse("[1,2,3]", 7, &limits), -E2BIG);
	ck_assert_int_eq(try_parse("{\"a\":[1]}", 9, &limits), 0);
	ck_assert_int_eq(try_parse("[[],[],", 7, &limits), 0 - EBADMSG);
	ck_assert_int_eq(try_parse("[[],[],{", 8, &limits), -E2BIG);
	ck_assert_int_eq(try_parse("1", 1, &none), -E2BIG);
}
END_TEST

START_TEST(test_many_names)
{
	struct buffer b = { 0 };
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ char *twice = NULL;

	buffer_puts(&b, "{\"n5\":0");
	for (int i = 100; i < 50000; i++)
		buffer_printf(&b, ",\"n%d\":%d", i, i);
	ck_assert_int_eq(buffer_steal(&b, &text, NULL), 0);
	twice = repeat(text, ",\"n5\":1}", 1, "");
	ck_assert_int_eq(try_parse(twice, strlen(twice), &wide), -EBADMSG);
	twice[strlen(twice) - 5] = '6';
	ck_assert_int_eq(try_parse(twice, strlen(twice), &wide), 0);
}
END_TEST

/* ---- Writing ---- */

static void
ck_writes(struct json_writer *w, const char *expected)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;

	ck_assert_int_eq(json_writer_steal(w, &text, &len), 0);
	ck_assert_str_eq(text, expected);
	ck_assert_uint_eq(len, strlen(expected));
}

START_TEST(test_write)
{
	_cleanup_(json_writer_freep) struct json_writer *w = json_writer_new();

	json_open_object(w);
	json_member_string(w, "s", "a\"b\\c\n\x01/\xc3\xa4");
	json_member_string(w, "none", NULL);
	json_member_integer(w, "min", INT64_MIN);
	json_member_integer(w, "max", INT64_MAX);
	json_member_bool(w, "t", true);
	json_member_null(w, "z");
	json_member_raw(w, "raw", "{\"x\":[1,2]}");
	json_member_raw(w, "no", NULL);
	json_member_raw(w, "empty", "");
	json_name(w, "a");
	json_open_array(w);
	json_put_raw(w, "[]");
	json_put_bool(w, false);
	json_open_object(w);
	json_close_object(w);
	json_put_string(w, "");
	json_close_array(w);
	json_close_object(w);
	ck_writes(w,
	    "{\"s\":\"a\\\"b\\\\c\\n\\u0001/\xc3\xa4\",\"none\":null,"
	    "\"min\":-9223372036854775808,\"max\":9223372036854775807,\"t\":true,"
	    "\"z\":null,\"raw\":{\"x\":[1,2]},\"no\":null,\"empty\":null,"
	    "\"a\":[[],false,{},\"\"]}");
	json_put_string(w, "again");
	ck_writes(w, "\"again\"");
	json_put_raw(w, "[1]");
	ck_writes(w, "[1]");
}
END_TEST

/* What can't be UTF-8 is replaced, and the rest stays. */
START_TEST(test_write_broken_utf8)
{
	_cleanup_(json_writer_freep) struct json_writer *w = json_writer_new();

	json_open_object(w);
	json_member_string(w, "k\xff",
	    "\x80"
	    "a\xc3\xa4\xc3"
	    "b\xed\xa0\x80\xf0\x9f\x98");
	json_close_object(w);
	ck_writes(w,
	    "{\"k\xef\xbf\xbd\":\"\xef\xbf\xbd"
	    "a\xc3\xa4\xef\xbf\xbd"
	    "b"
	    "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf"
	    "\xbd\"}");
}
END_TEST

static void
ck_wrong(struct json_writer *w)
{
	char *text = NULL;

	ck_assert_int_eq(json_writer_steal(w, &text, NULL), -EINVAL);
	ck_assert_ptr_null(text);
	/* and it is usable again */
	json_put_integer(w, 1);
	ck_writes(w, "1");
}

START_TEST(test_write_wrong_nesting)
{
	_cleanup_(json_writer_freep) struct json_writer *w = json_writer_new();

	ck_wrong(w); /* nothing */
	json_open_object(w);
	ck_wrong(w); /* open */
	json_open_object(w);
	json_close_array(w);
	ck_wrong(w);
	json_close_object(w);
	ck_wrong(w);
	json_open_object(w);
	json_put_string(w, "value without a name");
	json_close_object(w);
	ck_wrong(w);
	json_open_object(w);
	json_name(w, "name without a value");
	json_close_object(w);
	ck_wrong(w);
	json_open_object(w);
	json_name(w, "a");
	json_name(w, "b");
	ck_wrong(w);
	json_open_array(w);
	json_name(w, "a");
	json_close_array(w);
	ck_wrong(w);
	json_put_null(w);
	json_put_null(w);
	ck_wrong(w);
	for (int i = 0; i < 1000; i++)
		json_open_array(w);
	for (int i = 0; i < 1000; i++)
		json_close_array(w);
	ck_wrong(w);
}
END_TEST

START_TEST(test_write_deep)
{
	_cleanup_(json_writer_freep) struct json_writer *w = json_writer_new();
	_cleanup_free_ char *text = NULL;

	for (int i = 0; i < 100; i++)
		json_open_array(w);
	for (int i = 0; i < 100; i++)
		json_close_array(w);
	ck_assert_int_eq(json_writer_steal(w, &text, NULL), 0);
	ck_assert_uint_eq(strlen(text), 200);
}
END_TEST

START_TEST(test_write_to_nowhere)
{
	char *text = NULL;

	json_open_object(NULL);
	json_member_string(NULL, "a", "b");
	json_member_raw(NULL, "a", "1");
	json_member_integer(NULL, "a", 1);
	json_member_bool(NULL, "a", true);
	json_member_null(NULL, "a");
	json_open_array(NULL);
	json_close_array(NULL);
	json_close_object(NULL);
	ck_assert_int_eq(json_writer_steal(NULL, &text, NULL), -ENOMEM);
	ck_assert_ptr_null(text);
	ck_assert_ptr_null(json_writer_free(NULL));
}
END_TEST

/* All that was written can be read, and is the same. */
/* Values one after the other, in the same memory. */
START_TEST(test_write_lent)
{
	struct json_writer *w = json_writer_new();
	const char *text = NULL;
	char *last = NULL;
	size_t len = 0;

	json_open_array(w);
	json_put_integer(w, 1);
	json_put_integer(w, -2);
	json_close_array(w);
	ck_assert_int_eq(json_writer_lend(w, &text, &len), 0);
	ck_assert_str_eq(text, "[1,-2]");
	ck_assert_uint_eq(len, 6);
	ck_assert_int_eq(json_writer_lend(w, &text, &len), -EINVAL);
	json_open_object(w);
	ck_assert_int_eq(json_writer_lend(w, &text, &len), -EINVAL);
	json_put_string(w, NULL);
	ck_assert_int_eq(json_writer_lend(w, &text, &len), 0);
	ck_assert_str_eq(text, "null");
	json_put_bool(w, true);
	ck_assert_int_eq(json_writer_steal(w, &last, NULL), 0);
	ck_assert_str_eq(last, "true");
	free(last);
	json_writer_free(w);
}
END_TEST

START_TEST(test_round_trip)
{
	_cleanup_(json_writer_freep) struct json_writer *w = json_writer_new();
	_cleanup_(json_freep) struct json *j = NULL;
	_cleanup_free_ char *text = NULL;
	char every[256];
	size_t len;

	for (int c = 1; c < 128; c++)
		every[c - 1] = (char)c;
	every[127] = '\0';
	json_open_object(w);
	json_member_string(w, every, every);
	json_close_object(w);
	ck_assert_int_eq(json_writer_steal(w, &text, &len), 0);
	ck_assert_int_eq(json_parse(text, len, &json_limits_acme, &j), 0);
	ck_assert_str_eq(json_string(json_get(j, every)), every);
}
END_TEST

SUITE("json", test_getters, test_getters_take_anything, test_integers,
    test_strings_are_decoded, test_refused, test_names_that_only_look_alike,
    test_truncated_at_every_byte, test_every_byte_replaced, test_depth, test_size,
    test_values, test_many_names, test_write, test_write_broken_utf8,
    test_write_wrong_nesting, test_write_deep, test_write_to_nowhere, test_write_lent,
    test_round_trip)
