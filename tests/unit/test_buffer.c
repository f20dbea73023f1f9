/*
 * test_buffer.c - buffers: growth, sticking errors, giving away.
 */
#include "buffer.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "suite.h"

START_TEST(test_empty_gives_empty_string)
{
	struct buffer b = { 0 };
	char *text = NULL;
	size_t len = 1;

	buffer_puts(&b, "");
	buffer_printf(&b, "%s", "");
	buffer_add(&b, NULL, 0);
	ck_assert_int_eq(buffer_steal(&b, &text, &len), 0);
	ck_assert_str_eq(text, "");
	ck_assert_uint_eq(len, 0);
	free(text);
	buffer_free(&b);
	buffer_free(NULL);
}
END_TEST

START_TEST(test_grows_and_stays_terminated)
{
	_cleanup_(buffer_free) struct buffer b = { 0 };
	_cleanup_free_ char *text = NULL;
	size_t len;

	for (size_t i = 0; i < 10000; i++) {
		buffer_add(&b, "x", 1);
		ck_assert_uint_eq(b.len, i + 1);
		ck_assert(b.data[b.len] == '\0' && b.len < b.size);
	}
	buffer_printf(&b, "%d-%s", 42, "end");
	ck_assert_int_eq(buffer_steal(&b, &text, &len), 0);
	ck_assert_uint_eq(len, 10006);
	ck_assert_uint_eq(strspn(text, "x"), 10000);
	ck_assert_str_eq(text + 10000, "42-end");
	ck_assert_ptr_null(b.data);
}
END_TEST

START_TEST(test_exact_fits)
{
	for (size_t len = 120; len < 140; len++) {
		_cleanup_(buffer_free) struct buffer b = { 0 };

		buffer_printf(&b, "%*s", (int)len, "");
		buffer_printf(&b, "%c", 'y');
		ck_assert_uint_eq(b.len, len + 1);
		ck_assert_uint_eq(strlen(b.data), len + 1);
		ck_assert_int_eq(b.data[len], 'y');
	}
}
END_TEST

START_TEST(test_usable_after_steal)
{
	_cleanup_(buffer_free) struct buffer b = { 0 };
	_cleanup_free_ char *first = NULL;
	_cleanup_free_ char *second = NULL;

	buffer_puts(&b, "one");
	ck_assert_int_eq(buffer_steal(&b, &first, NULL), 0);
	buffer_puts(&b, "two");
	ck_assert_int_eq(buffer_steal(&b, &second, NULL), 0);
	ck_assert_str_eq(first, "one");
	ck_assert_str_eq(second, "two");
}
END_TEST

START_TEST(test_bytes_with_nul)
{
	_cleanup_(buffer_free) struct buffer b = { 0 };

	buffer_add(&b, "a\0b", 3);
	buffer_puts(&b, "c");
	ck_assert_uint_eq(b.len, 4);
	ck_assert_mem_eq(b.data, "a\0bc", 5);
}
END_TEST

START_TEST(test_errors_stick)
{
	_cleanup_(buffer_free) struct buffer b = { 0 };
	char *text = NULL;

	buffer_puts(&b, "kept");
	buffer_add(&b, "x", SIZE_MAX); /* never read: there is no such memory */
	ck_assert(b.failed);
	buffer_puts(&b, "more");
	ck_assert_uint_eq(b.len, 4);
	ck_assert_int_eq(buffer_steal(&b, &text, NULL), -ENOMEM);
	ck_assert_ptr_null(text);
}
END_TEST

SUITE("buffer", test_empty_gives_empty_string, test_grows_and_stays_terminated,
    test_exact_fits, test_usable_after_steal, test_bytes_with_nul, test_errors_stick)
