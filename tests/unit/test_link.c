/*
 * test_link.c - Link fields of all kinds, good, odd and broken.
 */
#include "platform/link.h"

#include <string.h>

#include "buffer.h"
#include "suite.h"

static const struct {
	const char *field;
	const char *targets; /* with relation "alternate", by blanks */
} cases[] = {
	{ "<https://ca/1>;rel=\"alternate\"", "https://ca/1" },
	{ "<https://ca/1>;rel=alternate", "https://ca/1" },
	{ "<https://ca/1> ; rel = \"Alternate\"", "https://ca/1" },
	{ "<https://ca/1>;rel=\"alternate\", <https://ca/2>;rel=\"alternate\"",
	    "https://ca/1 https://ca/2" },
	{ "<https://ca/1>;rel=\"up\",<https://ca/2>;rel=\"alternate\"",
	    "https://ca/2" },
	{ "<https://ca/a,b;c>;rel=\"alternate\"", "https://ca/a,b;c" },
	{ "<https://ca/1>;title=\"x, <y>; rel=alternate\";rel=\"alternate\"",
	    "https://ca/1" },
	{ "<https://ca/1>;title=\"a \\\" b\";rel=\"index alternate\"", "https://ca/1" },
	{ "<https://ca/1>;rel=\"up\";rel=\"alternate\"", "" }, /* the first counts */
	{ "<https://ca/1>;x;rel=\"alternate\";y=", "https://ca/1" },
	{ "<https://ca/1>;rel=\"alternates\"", "" },
	{ "<https://ca/1>;rel=\"not-alternate\"", "" },
	{ "<https://ca/1>;title=\"alternate\"", "" },
	{ "<https://ca/1>", "" },
	{ "<https://ca/1", "" },
	{ "https://ca/1;rel=\"alternate\"", "" },
	{ "<>;rel=\"alternate\"", "" },
	{ "<https://ca/1>;rel=\"alternate", "https://ca/1" },
	{ "<https://ca/1>;rel=\"alternate\\", "" },
	{ "<https://ca/1>;rel=", "" },
	{ "<https://ca/1>;", "" },
	{ ",, ,<https://ca/1>;rel=\"alternate\",,", "https://ca/1" },
	{ "", "" },
	{ "<", "" },
	{ ";", "" },
};

START_TEST(targets)
{
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		/* exactly as long as it is, so that a sanitizer sees who reads on */
		size_t len = strlen(cases[i].field);
		_cleanup_free_ char *field = malloc(len + (len == 0));
		_cleanup_(buffer_free) struct buffer all = { 0 };
		const char *at = field;
		const char *target;
		size_t target_len;

		memcpy(field, cases[i].field, len);
		while (link_next(&at, field + len, "alternate", &target, &target_len)) {
			if (all.len > 0)
				buffer_puts(&all, " ");
			buffer_add(&all, target, target_len);
		}
		ck_assert(at <= field + len);
		ck_assert_str_eq(all.data != NULL ? all.data : "", cases[i].targets);
	}
}
END_TEST

/* Every beginning of every field, and zeros in between: it always ends. */
START_TEST(broken_anywhere)
{
	for (size_t i = 0; i < ELEMENTS(cases); i++)
		for (size_t len = 0; len <= strlen(cases[i].field); len++)
			for (int zero = 0; zero < 2; zero++) {
				_cleanup_free_ char *field = malloc(len + 1);
				const char *at = field;
				const char *target;
				size_t target_len;
				unsigned links = 0;

				memcpy(field, cases[i].field, len);
				if (zero && len > 0)
					field[len / 2] = '\0';
				while (link_next(&at, field + len, "alternate", &target,
				    &target_len))
					ck_assert_uint_lt(links++, 10);
			}
}
END_TEST

SUITE("link", targets, broken_anywhere)
