/*
 * test_filter.c - filters of the list: what a query means, what it must not hold, and
 * which certificates match.
 */
#include "control/filter.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "control/facts.h"
#include "control/reload.h"
#include "renew/due.h"
#include "suite.h"

#define DAY 86400
#define NOW ((int64_t)1800000000)

static int
parse(const char *text, struct filter *f, const char **field)
{
	struct evkeyvalq query;
	const char *why = NULL;
	int r;

	TAILQ_INIT(&query);
	ck_assert_int_eq(evhttp_parse_query_str(text, &query), 0);
	*field = NULL;
	r = filter_parse(f, &query, field, &why);
	ck_assert_int_eq(why != NULL, r == -EINVAL);
	evhttp_clear_headers(&query);
	return r;
}

START_TEST(wrong_values_name_their_parameter)
{
	static const struct {
		const char *query;
		const char *field; /* NULL: fine */
	} cases[] = {
		{ "", NULL },
		{ "limit=3&after=x", NULL },
		{ "state=valid&health=critical&ca=x&q=y&expires_within=2w", NULL },
		{ "state=", "state" },
		{ "state=Valid", "state" },
		{ "health=bad", "health" },
		{ "expires_within=", "expires_within" },
		{ "expires_within=30", "expires_within" },
		{ "expires_within=1/3", "expires_within" },
		{ "expires_within=25%25", "expires_within" },
		{ "expires_within=-1d", "expires_within" },
		{ "expires_within=99999999999d", "expires_within" },
		{ "expires_within=1d1h", "expires_within" },
	};

	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct filter f;
		const char *field;
		int r = parse(cases[i].query, &f, &field);

		ck_assert_int_eq(r, cases[i].field != NULL ? -EINVAL : 0);
		if (cases[i].field != NULL)
			ck_assert_str_eq(field, cases[i].field);
		filter_clear(&f);
	}
}
END_TEST

struct scene {
	struct certificate certificate;
	struct certificate_spec spec;
	struct acme_identifier identifiers[2];
	struct issued issued;
	struct facts facts;
	struct view view;
};

/* Valid for 10 days more, from the CA "first". */
static void
set_scene(struct scene *s)
{
	*s = (struct scene){ 0 };
	s->certificate.name = (char *)"shop";
	snprintf(s->identifiers[0].value, sizeof(s->identifiers[0].value), "%s",
	    "www.example.net");
	snprintf(s->identifiers[1].value, sizeof(s->identifiers[1].value), "%s",
	    "192.0.2.1");
	s->spec.identifiers = s->identifiers;
	s->spec.identifier_count = 2;
	s->spec.enabled = true;
	s->spec.key_count = 1;
	s->spec.keys[0] = ACME_KEY_ECDSA_P256;
	s->issued.ca = (char *)"first";
	s->issued.names = (char *)"stored.example.net";
	s->issued.key_type = ACME_KEY_ECDSA_P256;
	s->issued.not_before = NOW - (int64_t)20 * DAY;
	s->issued.not_after = NOW + (int64_t)10 * DAY;
	s->facts = (struct facts){ .certificate = &s->certificate,
		.spec = &s->spec,
		.issued = &s->issued,
		.issued_count = 1,
		.now = NOW };
	view_judge(&s->facts, &s->view);
}

static bool
matches(const struct scene *s, const char *query)
{
	const char *field;
	struct filter f;
	bool result;

	ck_assert_int_eq(parse(query, &f, &field), 0);
	result = filter_matches(&f, &s->facts, &s->view);
	filter_clear(&f);
	return result;
}

START_TEST(all_parameters_must_match)
{
	static const struct {
		const char *query;
		bool expected;
	} cases[] = {
		{ "", true },
		{ "state=valid", true },
		{ "state=new", false },
		{ "health=ok", true },
		{ "health=critical", false },
		{ "ca=FIRST", true },
		{ "ca=second", false },
		{ "q=SHO", true },
		{ "q=www.exam", true },
		{ "q=192.0", true },
		{ "q=nothing", false },
		{ "q=", true },
		{ "expires_within=10d", true },
		{ "expires_within=9d", false },
		{ "expires_within=9d&state=valid", false },
		{ "state=valid&health=ok&ca=first&q=shop&expires_within=30d", true },
	};
	struct scene s;

	set_scene(&s);
	for (size_t i = 0; i < ELEMENTS(cases); i++)
		ck_assert_msg(matches(&s, cases[i].query) == cases[i].expected, "%s",
		    cases[i].query);
}
END_TEST

START_TEST(what_isnt_issued_or_readable)
{
	struct scene s;

	set_scene(&s);
	s.facts.spec = NULL; /* its text can't be read any more */
	view_judge(&s.facts, &s.view);
	ck_assert(matches(&s, "q=stored"));
	ck_assert(!matches(&s, "q=www"));
	set_scene(&s);
	s.facts.issued_count = 0;
	view_judge(&s.facts, &s.view);
	ck_assert(matches(&s, "state=new"));
	ck_assert(!matches(&s, "expires_within=9999w"));
	ck_assert(!matches(&s, "ca=first"));
	/* what has ended is about to end, too */
	set_scene(&s);
	s.issued.not_after = NOW - 1;
	view_judge(&s.facts, &s.view);
	ck_assert(matches(&s, "expires_within=0s&state=expired"));
}
END_TEST

START_TEST(removed_ones_are_kept_past_their_end)
{
	struct issued rows[2] = { { .not_after = NOW }, { .not_after = NOW + DAY } };
	struct certificate c = { .removed_at = NOW - 5 };

	ck_assert_int_eq(due_forget(&c, rows, 2), NOW + (int64_t)15 * DAY);
	ck_assert_int_eq(due_forget(&c, rows, 1), NOW + (int64_t)14 * DAY);
	ck_assert_int_eq(due_forget(&c, NULL, 0), NOW - 5 + (int64_t)14 * DAY);
}
END_TEST

START_TEST(reloads_note_names)
{
	struct reload r = { 0 };
	char name[16];

	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		ck_assert_int_eq(reload_note(&r, RELOAD_CHANGED, name), 0);
	}
	ck_assert_uint_eq(r.names[RELOAD_CHANGED].n, 40);
	ck_assert_str_eq(r.names[RELOAD_CHANGED].v[39], "c39");
	ck_assert_uint_eq(r.names[RELOAD_ADDED].n, 0);
	ck_assert_str_eq(reload_change_name(RELOAD_REMOVED), "removed");
	reload_clear(&r);
	ck_assert_uint_eq(r.names[RELOAD_CHANGED].n, 0);
}
END_TEST

SUITE("filter", wrong_values_name_their_parameter, all_parameters_must_match,
    what_isnt_issued_or_readable, removed_ones_are_kept_past_their_end,
    reloads_note_names)
