/*
 * test_ctl.c - what renewctl prints, and when it takes a renewal for ended.
 */
#include <stdio.h>
#include <string.h>

#include "buffer.h"
#include "ctl/attempt.h"
#include "ctl/show.h"
#include "json.h"
#include "platform/clock.h"
#include "suite.h"

#define NOW ((int64_t)1800000000) /* 2027-01-15T08:00:00Z */

static const struct json_limits limits = { 65536, 8, 1000 };

static struct json *
read_json(const char *text)
{
	struct json *j = NULL;

	ck_assert_int_eq(json_parse(text, strlen(text), &limits, &j), 0);
	return j;
}

/* ---- text and times ---- */

static const struct {
	const char *text;
	const char *piped;
	const char *terminal;
} texts[] = {
	{ NULL, "-", "-" },
	{ "", "-", "-" },
	{ "plain", "plain", "plain" },
	{ "a\tb\nc\rd", "a\\tb\\nc\\rd", "a\\tb\\nc\\rd" },
	{ "\033[31m\177", "\\x1b[31m\\x7f", "\\x1b[31m\\x7f" },
	{ "back\\slash", "back\\\\slash", "back\\slash" },
	{ "\302\233"
	  "31m",
	    "\\xc2\\x9b31m", "\\xc2\\x9b31m" },
	{ "m\303\274ller", "m\303\274ller", "m\303\274ller" },
	{ "\302\240", "\302\240", "\302\240" },
};

START_TEST(test_text)
{
	for (size_t i = 0; i < ELEMENTS(texts); i++) {
		_cleanup_(buffer_free) struct buffer piped = { 0 };
		_cleanup_(buffer_free) struct buffer terminal = { 0 };

		show_text(&(struct show){ 0 }, &piped, texts[i].text);
		show_text(&(struct show){ .terminal = true }, &terminal, texts[i].text);
		ck_assert_str_eq(piped.data, texts[i].piped);
		ck_assert_str_eq(terminal.data, texts[i].terminal);
	}
}
END_TEST

static const struct {
	int64_t distance;
	const char *text;
} times[] = {
	{ 0, "now" },
	{ 1, "now" },
	{ -1, "now" },
	{ 2, "in 2 seconds" },
	{ 119, "in 119 seconds" },
	{ 120, "in 2 minutes" },
	{ -3599, "60 minutes ago" },
	{ 7200, "in 2 hours" },
	{ 47 * 3600, "in 47 hours" },
	{ 2 * 86400, "in 2 days" },
	{ 23 * 86400 + 40000, "in 23 days" },
	{ -3 * 86400, "3 days ago" },
	{ (int64_t)3 * 365 * 86400, "in 3 years" },
};

START_TEST(test_when)
{
	char out[64];

	for (size_t i = 0; i < ELEMENTS(times); i++)
		ck_assert_str_eq(
		    show_when(NOW, NOW + times[i].distance, out, sizeof(out)),
		    times[i].text);
}
END_TEST

/* ---- the list ---- */

#define ROWS                                                                         \
  "[{\"name\":\"a.example\",\"state\":\"valid\",\"health\":\"ok\","                  \
  "\"activity\":\"idle\",\"ca\":\"le\",\"not_after\":\"2027-02-10T08:00:00Z\","      \
  "\"renew_at\":\"2027-01-17T08:00:00Z\",\"domains\":[\"a.example\",\"b\\u001b\"]}," \
  "{\"name\":\"b\",\"state\":\"new\",\"health\":\"critical\",\"activity\":7,"        \
  "\"ca\":null,\"not_after\":null,\"renew_at\":\"never\"},3]"

static char *
listed(struct show *s)
{
	struct json *rows = read_json(ROWS);
	char *text = NULL;
	size_t len;

	s->out = open_memstream(&text, &len);
	s->now = NOW;
	show_list(s, rows, true);
	fclose(s->out);
	json_free(rows);
	return text;
}

START_TEST(test_list_piped)
{
	_cleanup_free_ char *text = listed(&(struct show){ 0 });

	ck_assert_str_eq(text,
	    "a.example\tvalid\tok\tidle\tle\t2027-02-10T08:00:00Z\t"
	    "2027-01-17T08:00:00Z\ta.example,b\\x1b\n"
	    "b\tnew\tcritical\t-\t-\t-\tnever\t-\n"
	    "-\t-\t-\t-\t-\t-\t-\t-\n");
}
END_TEST

/* Whatever the width: no line is longer, unless nothing is left to leave out. */
START_TEST(test_list_fits)
{
	for (unsigned width = 1; width < 200; width++) {
		struct show s = { .terminal = true, .width = width };
		_cleanup_free_ char *text = listed(&s);
		char *rest = text;
		char *line;

		while ((line = strsep(&rest, "\n")) != NULL)
			if (width >= 34)
				ck_assert_msg(
				    strlen(line) <= width, "%u: %s", width, line);
	}
}
END_TEST

START_TEST(test_list_colour)
{
	struct show s = { .terminal = true, .colour = true, .width = 120 };
	_cleanup_free_ char *coloured = listed(&s);
	_cleanup_free_ char *plain =
	    listed(&(struct show){ .terminal = true, .width = 120 });

	ck_assert_ptr_nonnull(strstr(coloured, "\033[1;31mcritical\033[0m"));
	ck_assert_ptr_nonnull(strstr(coloured, "in 26 days"));
	ck_assert_ptr_null(strchr(plain, '\033'));
}
END_TEST

/* Pages made of nonsense are printed, not crashed on. */
START_TEST(test_pages_hostile)
{
	static const char *const pages[] = { "{}", "[]", "3", "null",
		("{\"domains\":3,\"certificates\":[1,[],{}],\"deployments\":{\"a\":1},"
		 "\"last_error\":{\"subproblems\":[1]},\"failures\":\"x\"}"),
		"{\"counts\":[1],\"jobs\":1,\"next\":[],\"cas\":[1,{}]}",
		"{\"counts\":{\"state\":{\"a\":\"b\"}},\"cas\":{\"x\":null}}" };

	for (size_t i = 0; i < 2 * ELEMENTS(pages); i++) {
		struct show s = { .terminal = i % 2 == 0, .width = 80, .now = NOW };
		struct json *j = read_json(pages[i / 2]);
		_cleanup_free_ char *text = NULL;
		size_t len = 0;

		s.out = open_memstream(&text, &len);
		show_certificate(&s, j);
		show_status(&s, j);
		show_list(&s, j, true);
		fclose(s.out);
		json_free(j);
		ck_assert_uint_gt(len, 0);
	}
}
END_TEST

/* ---- attempts ---- */

#define C(activity, failures, fingerprint, more)          \
  "{\"activity\":\"" activity "\",\"failures\":" failures \
  ",\"certificates\":[{\"fingerprint_sha256\":\"" fingerprint "\"}]" more "}"
#define ERROR(at, stage) ",\"last_error\":{\"at\":\"" at "\",\"stage\":\"" stage "\"}"
#define DEPLOYED(state)  ",\"deployments\":[{\"state\":\"" state "\"}]"
#define NEXT(at)         ",\"next_attempt\":\"" at "\""

static const struct {
	const char *what;
	const char *before;
	const char *first; /* seen at work in between; NULL: not */
	const char *now;
	enum attempt_state state;
} attempts[] = {
	{ "queued", C("idle", "0", "aa", ""), NULL, C("idle", "0", "aa", ""),
	    ATTEMPT_RUNS },
	{ "ordering", C("idle", "0", "aa", ""), NULL, C("ordering", "0", "aa", ""),
	    ATTEMPT_RUNS },
	{ "deploying", C("idle", "0", "aa", ""), NULL, C("deploying", "0", "bb", ""),
	    ATTEMPT_RUNS },
	{ "issued", C("idle", "0", "aa", ""), NULL, C("idle", "0", "bb", ""),
	    ATTEMPT_DONE },
	{ "issued at last", C("idle", "3", "aa", ERROR("1", "order")), NULL,
	    C("idle", "0", "bb", ""), ATTEMPT_DONE },
	{ "the first", "{\"activity\":\"idle\",\"failures\":0,\"certificates\":[]}",
	    NULL, C("idle", "0", "aa", ""), ATTEMPT_DONE },
	{ "not deployed yet", C("idle", "0", "aa", ""), NULL,
	    C("idle", "0", "bb", DEPLOYED("pending")), ATTEMPT_RUNS },
	{ "deployment failed", C("idle", "0", "aa", ""), NULL,
	    C("idle", "0", "bb", DEPLOYED("failed") ERROR("2", "deploy")),
	    ATTEMPT_DONE },
	{ "failed", C("idle", "0", "aa", ""), NULL,
	    C("waiting", "1", "aa", ERROR("2", "order")), ATTEMPT_FAILED },
	{ "an error of before", C("idle", "1", "aa", ERROR("1", "order")), NULL,
	    C("idle", "1", "aa", ERROR("1", "order")), ATTEMPT_RUNS },
	{ "failed again", C("idle", "1", "aa", ERROR("1", "order")), NULL,
	    C("idle", "1", "aa", ERROR("2", "order")), ATTEMPT_FAILED },
	{ "one key failed", C("idle", "0", "aa", ""), NULL,
	    C("waiting", "1", "bb", ERROR("2", "order")), ATTEMPT_FAILED },
	{ "parked now", C("idle", "0", "aa", ""), NULL, C("parked", "0", "aa", ""),
	    ATTEMPT_FAILED },
	{ "parked still", C("parked", "1", "aa", ""), NULL, C("parked", "1", "aa", ""),
	    ATTEMPT_RUNS },
	{ "parked again", C("parked", "1", "aa", ""), C("ordering", "1", "aa", ""),
	    C("parked", "1", "aa", ""), ATTEMPT_FAILED },
	{ "paused", C("idle", "0", "aa", ""), NULL, C("paused", "0", "aa", ""),
	    ATTEMPT_FAILED },
	{ "waiting still", C("waiting", "1", "aa", NEXT("5")), NULL,
	    C("waiting", "1", "aa", NEXT("5")), ATTEMPT_RUNS },
	{ "told to wait", C("waiting", "1", "aa", NEXT("5")), NULL,
	    C("waiting", "1", "aa", NEXT("9")), ATTEMPT_FAILED },
	{ "between stages", C("idle", "0", "aa", ""), C("ordering", "0", "aa", ""),
	    C("idle", "0", "aa", ""), ATTEMPT_RUNS },
	{ "asked for while deploying", C("deploying", "0", "aa", ""),
	    C("deploying", "0", "aa", ""), C("idle", "0", "aa", ""), ATTEMPT_RUNS },
	{ "nonsense", "{}", NULL, "{\"certificates\":3,\"last_error\":[]}",
	    ATTEMPT_RUNS },
};

START_TEST(test_attempts)
{
	for (size_t i = 0; i < ELEMENTS(attempts); i++) {
		struct json *before = read_json(attempts[i].before);
		struct json *now = read_json(attempts[i].now);
		struct attempt a = { .before = before };
		enum attempt_state state;

		if (attempts[i].first != NULL) {
			struct json *first = read_json(attempts[i].first);

			state = attempt_judge(&a, first, 1000);
			ck_assert_int_eq(state, ATTEMPT_RUNS);
			json_free(first);
		}
		state = attempt_judge(&a, now, 2000);
		ck_assert_msg(
		    state == attempts[i].state, "%s: %d", attempts[i].what, state);
		json_free(now);
		json_free(before);
	}
}
END_TEST

/* What rests long enough has ended. */
START_TEST(test_attempt_settles)
{
	struct json *before = read_json(C("idle", "0", "aa", ""));
	struct json *pending = read_json(C("idle", "0", "bb", DEPLOYED("pending")));
	struct json *ordering = read_json(C("ordering", "0", "aa", ""));
	struct attempt a = { .before = before };
	struct attempt b = { .before = before };

	ck_assert_int_eq(attempt_judge(&a, pending, 1000), ATTEMPT_RUNS);
	ck_assert_int_eq(attempt_judge(&a, pending, 3000), ATTEMPT_RUNS);
	ck_assert_int_eq(attempt_judge(&a, pending, 60000), ATTEMPT_DONE);
	ck_assert_int_eq(attempt_judge(&b, before, 1000), ATTEMPT_RUNS);
	ck_assert_int_eq(attempt_judge(&b, before, 600000), ATTEMPT_RUNS);
	ck_assert_int_eq(attempt_judge(&b, ordering, 600000), ATTEMPT_RUNS);
	ck_assert_int_eq(attempt_judge(&b, before, 601000), ATTEMPT_RUNS);
	ck_assert_int_eq(attempt_judge(&b, before, 660000), ATTEMPT_FAILED);
	json_free(before);
	json_free(pending);
	json_free(ordering);
}
END_TEST

SUITE("ctl", test_text, test_when, test_list_piped, test_list_fits, test_list_colour,
    test_pages_hostile, test_attempts, test_attempt_settles)
