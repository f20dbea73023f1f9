/*
 * test_base64url.c - the vectors of RFC 4648 and RFC 7515, and all that isn't
 * base64url.
 */
#include "base64url.h"

#include <errno.h>
#include <string.h>

#include "suite.h"

static const struct {
	const char *data;
	size_t len;
	const char *text;
} vectors[] = {
	/* RFC 4648 section 10, without padding */
	{ "", 0, "" },
	{ "f", 1, "Zg" },
	{ "fo", 2, "Zm8" },
	{ "foo", 3, "Zm9v" },
	{ "foob", 4, "Zm9vYg" },
	{ "fooba", 5, "Zm9vYmE" },
	{ "foobar", 6, "Zm9vYmFy" },
	/* RFC 7515 appendix C */
	{ "\x03\xec\xff\xe0\xc1", 5, "A-z_4ME" },
	/* RFC 7515 section 3.3 */
	{ "{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}", 30,
	    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9" },
	{ "\0\0\0", 3, "AAAA" },
	{ "\xff\xff\xff", 3, "____" },
	{ "\xfb\xef\xbe", 3, "----" },
};

START_TEST(test_vectors)
{
	for (size_t i = 0; i < ELEMENTS(vectors); i++) {
		_cleanup_free_ char *text = NULL;
		_cleanup_free_ unsigned char *data = NULL;
		size_t len;

		ck_assert_int_eq(
		    base64url_encode(vectors[i].data, vectors[i].len, &text), 0);
		ck_assert_str_eq(text, vectors[i].text);
		ck_assert_int_eq(base64url_decode(text, strlen(text), &data, &len), 0);
		ck_assert_ptr_nonnull(data);
		ck_assert_uint_eq(len, vectors[i].len);
		ck_assert_int_eq(memcmp(data, vectors[i].data, len), 0);
	}
}
END_TEST

START_TEST(test_round_trip)
{
	unsigned char bytes[300];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 167 + 13);
	for (size_t n = 0; n <= sizeof(bytes); n++) {
		_cleanup_free_ char *text = NULL;
		_cleanup_free_ unsigned char *data = NULL;
		size_t len;

		ck_assert_int_eq(base64url_encode(bytes, n, &text), 0);
		ck_assert_uint_eq(strlen(text), (n * 4 + 2) / 3);
		ck_assert_int_eq(base64url_decode(text, strlen(text), &data, &len), 0);
		ck_assert_uint_eq(len, n);
		ck_assert_int_eq(memcmp(data, bytes, n), 0);
	}
}
END_TEST

static int
decode(const char *text, size_t text_len)
{
	_cleanup_free_ unsigned char *data = NULL;
	size_t len;

	return base64url_decode(text, text_len, &data, &len);
}

START_TEST(test_refused)
{
	static const char *const texts[] = {
		"A",
		"AAAAA", /* impossible lengths */
		"Zg==",
		"Zm8=",
		"=",
		"====", /* padding */
		"Zh",
		"Zm9",
		"AB",
		"AAB", /* trailing bits that aren't zero */
		"ab+/",
		"ab c",
		"ab\nc",
		" abc",
		"abc ",
		"ab.c",
		"\xc3\xa4zz",
		"ab\x7f_",
	};

	for (size_t i = 0; i < ELEMENTS(texts); i++)
		ck_assert_msg(decode(texts[i], strlen(texts[i])) == -EBADMSG,
		    "accepted: %s", texts[i]);
	ck_assert_int_eq(decode("ab\0d", 4), -EBADMSG);
}
END_TEST

/* Exactly 64 characters stand for something. */
START_TEST(test_alphabet)
{
	size_t accepted = 0;

	for (int c = 0; c < 256; c++) {
		char text[4] = { 'A', 'A', 'A', (char)c };

		accepted += decode(text, 4) == 0;
	}
	ck_assert_uint_eq(accepted, 64);
}
END_TEST

/* No two texts decode to the same bytes: of the last characters only those with zero
 * bits behind are accepted. */
START_TEST(test_one_text_per_value)
{
	size_t two = 0;
	size_t three = 0;

	for (int c = 0; c < 256; c++) {
		char text[3] = { 'A', 'A', (char)c };
		char shorter[2] = { 'A', (char)c };

		three += decode(text, 3) == 0;
		two += decode(shorter, 2) == 0;
	}
	ck_assert_uint_eq(three, 16);
	ck_assert_uint_eq(two, 4);
}
END_TEST

SUITE("base64url", test_vectors, test_round_trip, test_refused, test_alphabet,
    test_one_text_per_value)
