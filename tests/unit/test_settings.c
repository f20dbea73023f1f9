/*
 * test_settings.c - keys and values of a client, to the canonical text of a section:
 * the same as a file would give, and never anything that breaks out of its line.
 */
#include <errno.h>
#include <string.h>

#include "config/config.h"
#include "suite.h"

static int
compose(const struct config_setting *settings, size_t count, char **ret,
    struct config_errors *errors)
{
	*errors = (struct config_errors){ 0 };
	*ret = NULL;
	return certificate_spec_text("a.example", settings, count, ret, errors);
}

START_TEST(texts_and_lists_are_the_same)
{
	static const char *const words[] = { "a.example", "b.example" };
	const struct config_setting list[] = {
		{ "enabled", "yes", NULL, 0 },
		{ "domains", NULL, words, 2 },
	};
	const struct config_setting text[] = {
		{ "domains", " a.example,  b.example ", NULL, 0 },
		{ "enabled", "yes", NULL, 0 },
	};
	struct config_errors errors;
	char *one;
	char *other;

	ck_assert_int_eq(compose(list, 2, &one, &errors), 0);
	ck_assert_int_eq(compose(text, 2, &other, &errors), 0);
	ck_assert_str_eq(one, "domains = a.example b.example\nenabled = yes\n");
	ck_assert_str_eq(one, other);
	free(one);
	free(other);
}
END_TEST

START_TEST(nothing_is_nothing)
{
	const struct config_setting settings[] = {
		{ "profile", "", NULL, 0 },
		{ "domains", NULL, NULL, 0 },
	};
	struct config_errors errors;
	char *text;

	ck_assert_int_eq(compose(settings, 2, &text, &errors), 0);
	ck_assert_str_eq(text, "");
	free(text);
	ck_assert_int_eq(compose(NULL, 0, &text, &errors), 0);
	ck_assert_str_eq(text, "");
	free(text);
}
END_TEST

START_TEST(words_stay_words)
{
	static const char *const words[] = { "a b", "c\"d", "e;f", "", "g\\h", "#i" };
	const struct config_setting setting = { "domains", NULL, words, 6 };
	struct config_errors errors;
	char *text;
	char *again;

	ck_assert_int_eq(compose(&setting, 1, &text, &errors), 0);
	ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
	/* what was read back gives the same text */
	text[strlen(text) - 1] = '\0';
	ck_assert_int_eq(compose(&(struct config_setting){ "domains",
				     strchr(text, '=') + 1, NULL, 0 },
			     1, &again, &errors),
	    0);
	again[strlen(again) - 1] = '\0';
	ck_assert_str_eq(text, again);
	free(text);
	free(again);
}
END_TEST

START_TEST(nothing_breaks_out_of_its_line)
{
	static const char *const bad[] = { "a\nkeys = rsa-2048", "a\r", "a\tb",
		"\x1b[m", "\x7f" };

	for (size_t i = 0; i < ELEMENTS(bad); i++) {
		const struct config_setting settings[] = {
			{ "profile", bad[i], NULL, 0 },
			{ "domains", NULL, &bad[i], 1 },
		};
		struct config_errors errors;
		char *text;

		ck_assert_int_eq(compose(settings, 2, &text, &errors), -EBADMSG);
		ck_assert_str_eq(text, "domains =\nprofile =\n");
		free(text);
		ck_assert_uint_eq(errors.n, 2);
		ck_assert_str_eq(errors.v[0].field, "profile");
		ck_assert_str_eq(errors.v[1].field, "domains");
		config_errors_clear(&errors);
	}
}
END_TEST

START_TEST(names_of_keys_are_checked)
{
	const struct config_setting settings[] = {
		{ "domain", "a", NULL, 0 },
		{ "keys", "ecdsa-p256", NULL, 0 },
		{ "keys", "rsa-2048", NULL, 0 },
		{ "a\nb", "c", NULL, 0 },
		{ "", "c", NULL, 0 },
	};
	struct config_errors errors;
	char *text;

	ck_assert_int_eq(compose(settings, 5, &text, &errors), -EBADMSG);
	ck_assert_uint_eq(errors.n, 4);
	ck_assert_ptr_nonnull(strstr(errors.v[0].message, "did you mean \"domains\"?"));
	ck_assert_ptr_nonnull(strstr(errors.v[1].message, "duplicate key"));
	ck_assert_ptr_null(strchr(errors.v[2].message, '\n'));
	ck_assert_str_eq(text, "keys = ecdsa-p256\n"); /* so its value can be judged */
	free(text);
	config_errors_clear(&errors);
}
END_TEST

SUITE("settings", texts_and_lists_are_the_same, nothing_is_nothing, words_stay_words,
    nothing_breaks_out_of_its_line, names_of_keys_are_checked)
