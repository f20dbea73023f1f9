/*
 * test_identifier.c - names and addresses as users write them.
 */
#include "acme.h"

#include <errno.h>
#include <string.h>

#include "suite.h"

#define L63  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define L61  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define N253 L63 "." L63 "." L63 "." L61

static const struct {
	const char *text;
	enum acme_identifier_type type;
	const char *value;
} good[] = {
	{ "example.org", ACME_IDENTIFIER_DNS, "example.org" },
	{ "Example.ORG.", ACME_IDENTIFIER_DNS, "example.org" },
	{ "localhost", ACME_IDENTIFIER_DNS, "localhost" },
	{ "a", ACME_IDENTIFIER_DNS, "a" },
	{ "*.Example.org", ACME_IDENTIFIER_DNS, "*.example.org" },
	{ "*.internal", ACME_IDENTIFIER_DNS, "*.internal" },
	{ "xn--bcher-kva.example", ACME_IDENTIFIER_DNS, "xn--bcher-kva.example" },
	{ "1.example.org", ACME_IDENTIFIER_DNS, "1.example.org" },
	{ "3com.com", ACME_IDENTIFIER_DNS, "3com.com" },
	{ "1.2.3.4a", ACME_IDENTIFIER_DNS, "1.2.3.4a" },
	{ "a--b.example", ACME_IDENTIFIER_DNS, "a--b.example" },
	{ L63 ".org", ACME_IDENTIFIER_DNS, L63 ".org" },
	{ N253, ACME_IDENTIFIER_DNS, N253 },
	{ N253 ".", ACME_IDENTIFIER_DNS, N253 },
	{ "192.0.2.1", ACME_IDENTIFIER_IP, "192.0.2.1" },
	{ "2001:DB8:0:0:0:0:0:1", ACME_IDENTIFIER_IP, "2001:db8::1" },
	{ "[2001:db8::1]", ACME_IDENTIFIER_IP, "2001:db8::1" },
	{ "::", ACME_IDENTIFIER_IP, "::" },
	{ "2001:db8:0:1:1:1:1:1", ACME_IDENTIFIER_IP, "2001:db8:0:1:1:1:1:1" },
	{ "::FFFF:192.0.2.1", ACME_IDENTIFIER_IP, "::ffff:192.0.2.1" },
};

START_TEST(test_good)
{
	for (size_t i = 0; i < ELEMENTS(good); i++) {
		struct acme_identifier id = { 0 };
		const char *why = "";
		int r = acme_identifier_parse(good[i].text, &id, &why);

		ck_assert_msg(r == 0, "%s: %s", good[i].text, why);
		ck_assert_int_eq(id.type, good[i].type);
		ck_assert_str_eq(id.value, good[i].value);
		/* what came out goes in again and stays */
		ck_assert_int_eq(acme_identifier_parse(id.value, &id, NULL), 0);
		ck_assert_str_eq(id.value, good[i].value);
	}
}
END_TEST

/* A part of the sentence, so that each refusal is for its own reason. */
static const struct {
	const char *text;
	const char *why;
} bad[] = {
	{ "", "empty" },
	{ ".", "empty label" },
	{ "..", "empty label" },
	{ "a..b", "empty label" },
	{ ".example.org", "empty label" },
	{ "example.org..", "empty label" },
	{ "-a.org", "begin with a hyphen" },
	{ "a.-b.org", "begin with a hyphen" },
	{ "-", "begin with a hyphen" },
	{ "a-.org", "end with a hyphen" },
	{ "a.org-", "end with a hyphen" },
	{ "a_b.org", "underscore" },
	{ "_acme-challenge.example.org", "underscore" },
	{ L63 "a.org", "63 characters" },
	{ N253 "a", "253 characters" },
	{ N253 "a.", "253 characters" },
	{ N253 "..", "253 characters" },
	{ "*", "needs a name" },
	{ "*.", "needs a name" },
	{ "*..", "needs a name" },
	{ "*a.org", "whole first label" },
	{ "a*.org", "whole first label" },
	{ "a.*.org", "whole first label" },
	{ "*.*.org", "whole first label" },
	{ "**.org", "whole first label" },
	{ "a.*", "whole first label" },
	{ "*.1.2.3.4", "is a number" },
	{ "1.2.3", "is a number" },
	{ "1.2.3.4.", "is a number" },
	{ "256.1.1.1", "is a number" },
	{ "01.2.3.4", "is a number" },
	{ "example.123", "is a number" },
	{ "42", "is a number" },
	{ "https://example.org/", "without scheme" },
	{ "example.org:443", "without scheme" },
	{ "example.org/x", "without scheme" },
	{ "a b.org", "only letters" },
	{ " a.org", "only letters" },
	{ "a.org\n", "only letters" },
	{ "a@b.org", "only letters" },
	{ "a\x01.org", "only letters" },
	{ "b\xc3\xbc"
	  "cher.example",
	    "A-label" },
	{ "[::1", "brackets" },
	{ "[", "brackets" },
	{ "[]", "brackets" },
	{ "[1.2.3.4]", "brackets" },
	{ "[::1]x", "brackets" },
	{ "[::1]:80", "brackets" },
	{ "[1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111]", "brackets" },
	{ "1::2::3", "IPv6" },
	{ "12345::", "IPv6" },
	{ "fe80::1%eth0", "without scheme" },
	{ "1:2", "IPv6" },
};

START_TEST(test_bad)
{
	for (size_t i = 0; i < ELEMENTS(bad); i++) {
		struct acme_identifier id = { .type = 77 };
		const char *why = NULL;
		int r = acme_identifier_parse(bad[i].text, &id, &why);

		ck_assert_msg(r == -EINVAL, "accepted: %s", bad[i].text);
		ck_assert_msg(why != NULL && strstr(why, bad[i].why) != NULL, "%s: %s",
		    bad[i].text, why);
		ck_assert_int_eq(id.type, 77); /* untouched */
		ck_assert_int_eq(
		    acme_identifier_parse(bad[i].text, &id, NULL), -EINVAL);
	}
}
END_TEST

START_TEST(test_very_long)
{
	char text[70000];
	struct acme_identifier id;
	const char *why;

	for (int i = 0; i < 3; i++) {
		memset(text, "a1:"[i], sizeof(text) - 1);
		text[sizeof(text) - 1] = '\0';
		ck_assert_int_eq(acme_identifier_parse(text, &id, &why), -EINVAL);
	}
	text[0] = '[';
	ck_assert_int_eq(acme_identifier_parse(text, &id, &why), -EINVAL);
}
END_TEST

/* Nothing but what RFC 1123 has gets through, wherever it stands. */
START_TEST(test_every_byte)
{
	for (int c = 1; c < 256; c++) {
		char text[] = "ax.org";
		struct acme_identifier id;
		bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    (c >= '0' && c <= '9');

		text[1] = (char)c; /* a hyphen is at the end here */
		if (c == '.')
			continue;
		ck_assert_msg((acme_identifier_parse(text, &id, NULL) == 0) == fine,
		    "byte %d", c);
	}
}
END_TEST

START_TEST(test_equal)
{
	struct acme_identifier a, b, ip;

	ck_assert_int_eq(acme_identifier_parse("A.org", &a, NULL), 0);
	ck_assert_int_eq(acme_identifier_parse("a.ORG.", &b, NULL), 0);
	ck_assert_int_eq(acme_identifier_parse("::1", &ip, NULL), 0);
	ck_assert(acme_identifier_equal(&a, &b));
	ck_assert(!acme_identifier_equal(&a, &ip));
	ck_assert_int_eq(acme_identifier_parse("*.a.org", &b, NULL), 0);
	ck_assert(!acme_identifier_equal(&a, &b));
	b = a;
	b.type = ACME_IDENTIFIER_IP;
	ck_assert(!acme_identifier_equal(&a, &b));
}
END_TEST

SUITE("identifier", test_good, test_bad, test_very_long, test_every_byte, test_equal)
