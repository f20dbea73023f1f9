/*
 * test_limits.c - what a CA allows and forbids is obeyed, whatever happens to the
 * daemon and its clock; and who waits is served in the right order.
 */
#include "schedule/limits.h"

#include <stdio.h>
#include <string.h>

#include "inventory/inventory.h"
#include "inventory/store.h"
#include "platform/clock.h"
#include "suite.h"

#define NOW       INT64_C(1800000000)
#define DIRECTORY "https://ca.example/directory"

static const struct limit_rates usual = {
	.requests = 18, .burst = 10, .interval_ms = 36000
};

struct scene {
	char dir[64];
	struct store *store;
	struct limits *all;
	struct ca_limits *ca;
};

static void
live(struct scene *s)
{
	char *why = NULL;

	ck_assert_int_eq(store_open(NULL, s->dir, &s->store, &why), 0);
	ck_assert_int_eq(limits_new(s->store, &s->all), 0);
	s->ca = limits_of(s->all, "ca", DIRECTORY);
	ck_assert_ptr_nonnull(s->ca);
	limits_set(s->ca, &usual);
}

static void
die(struct scene *s)
{
	limits_free(s->all);
	ck_assert_int_eq(store_flush(s->store), 0);
	store_close(s->store);
}

static void
begin(struct scene *s)
{
	clock_freeze(NOW);
	snprintf(s->dir, sizeof(s->dir), "/tmp/renewd-limits-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(s->dir));
	live(s);
}

static void
end(struct scene *s)
{
	char command[128];

	die(s);
	clock_thaw();
	snprintf(command, sizeof(command), "%s/renewd.db", s->dir);
	unlink(command);
	snprintf(command, sizeof(command), "%s/renewd.lock", s->dir);
	unlink(command);
	rmdir(s->dir);
}

/* Seconds until the next order may be begun. */
static int64_t
wait(struct scene *s, enum queue_kind kind)
{
	int64_t now = clock_monotonic_ms();

	return (limits_order_at(s->ca, kind, now) - now + 999) / 1000;
}

START_TEST(a_restart_fills_no_bucket)
{
	struct scene s;

	begin(&s);
	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(wait(&s, QUEUE_NEW), 0);
		limits_take_order(s.ca, QUEUE_NEW);
	}
	ck_assert_int_eq(wait(&s, QUEUE_NEW), 36);
	ck_assert_int_eq(wait(&s, QUEUE_ARI), 0); /* apart */
	die(&s);
	clock_advance(10);
	live(&s);
	ck_assert_int_eq(wait(&s, QUEUE_NEW), 26);
	die(&s);
	clock_freeze(NOW - 400 * 86400); /* as after a flat battery */
	live(&s);
	ck_assert_int_le(wait(&s, QUEUE_NEW), 36);
	ck_assert_int_gt(wait(&s, QUEUE_NEW), 0);
	end(&s);
}
END_TEST

START_TEST(never_more_requests_in_a_second)
{
	struct scene s;
	int64_t sent[200];
	int64_t now = 1000;

	begin(&s);
	for (int i = 0; i < 200; i++) {
		now = limits_send_at(s.ca, now);
		limits_take_request(s.ca, now);
		sent[i] = now;
		if (i >= 18)
			ck_assert_int_ge(sent[i] - sent[i - 18], 1000);
		now += i % 7;
	}
	ck_assert_int_lt(sent[199] - sent[0], 11500);
	end(&s);
}
END_TEST

static struct acme_result *
limited(enum acme_scope scope, const char *name, int64_t seconds)
{
	struct acme_result *r = acme_result_new(ACME_LATER, "order", "too many");

	r->status = 429;
	r->not_before = clock_now() + seconds;
	r->scope = scope;
	r->scope_name = name != NULL ? strdup(name) : NULL;
	return r;
}

static int64_t
names_wait(struct scene *s, const char *a, const char *b)
{
	struct acme_identifier identifiers[2];
	char names[600];
	int64_t until;

	acme_identifier_parse(a, &identifiers[0], NULL);
	acme_identifier_parse(b, &identifiers[1], NULL);
	snprintf(names, sizeof(names), "%s %s", a, b);
	until = limits_names_forbidden(s->ca, identifiers, 2, names);
	return until != 0 ? until - clock_now() : 0;
}

START_TEST(without_a_scope_the_account_waits)
{
	struct acme_result *r;
	struct scene s;

	begin(&s);
	r = limited(ACME_SCOPE_UNKNOWN, NULL, 3600);
	limits_heed(s.ca, r, "a b");
	acme_result_free(r);
	ck_assert_int_eq(wait(&s, QUEUE_NEW), 3600);
	ck_assert_int_eq(wait(&s, QUEUE_ARI), 3600);
	ck_assert_int_eq(limits_forbidden(s.ca), NOW + 3600);
	/* what was begun goes on */
	ck_assert_int_le(
	    limits_send_at(s.ca, clock_monotonic_ms()), clock_monotonic_ms());
	r = limited(ACME_SCOPE_UNKNOWN, NULL, 60); /* less than was said before */
	limits_heed(s.ca, r, "a b");
	acme_result_free(r);
	die(&s);
	clock_advance(3599);
	live(&s);
	ck_assert_int_eq(wait(&s, QUEUE_NEW), 1);
	clock_advance(1);
	ck_assert_int_eq(wait(&s, QUEUE_NEW), 0);
	ck_assert_int_eq(limits_forbidden(s.ca), 0);
	end(&s);
}
END_TEST

START_TEST(a_scope_is_all_that_waits)
{
	struct acme_result *r;
	struct scene s;

	begin(&s);
	r = limited(ACME_SCOPE_IDENTIFIER, "a.example", 100);
	limits_heed(s.ca, r, "a.example b.example");
	acme_result_free(r);
	r = limited(ACME_SCOPE_DOMAIN, "example.net", 200);
	limits_heed(s.ca, r, NULL);
	acme_result_free(r);
	r = limited(ACME_SCOPE_NAMES, NULL, 300);
	limits_heed(s.ca, r, "x.test y.test");
	acme_result_free(r);
	die(&s);
	live(&s);
	ck_assert_int_eq(wait(&s, QUEUE_NEW), 0);
	ck_assert_int_eq(names_wait(&s, "a.example", "c.example"), 100);
	ck_assert_int_eq(names_wait(&s, "www.a.example", "c.example"), 0);
	ck_assert_int_eq(names_wait(&s, "a.example", "www.example.net"), 200);
	ck_assert_int_eq(names_wait(&s, "q.test", "xexample.net"), 0);
	ck_assert_int_eq(names_wait(&s, "x.test", "y.test"), 300);
	ck_assert_int_eq(names_wait(&s, "x.test", "z.test"), 0);
	clock_advance(200);
	ck_assert_int_eq(names_wait(&s, "a.example", "www.example.net"), 0);
	end(&s);
}
END_TEST

START_TEST(four_validations_fail_in_an_hour)
{
	struct acme_result *r = acme_result_new(ACME_RETRY, "authorize", "no answer");
	struct acme_subproblem sub = { .identifier = (char *)"bad.example" };
	struct scene s;

	begin(&s);
	r->status = 200;
	r->subproblems = &sub;
	r->subproblem_count = 1;
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(names_wait(&s, "bad.example", "good.example"), 0);
		limits_heed(s.ca, r, NULL);
		clock_advance(60);
	}
	ck_assert_int_eq(names_wait(&s, "bad.example", "good.example"), 3600 - 240);
	ck_assert_int_eq(names_wait(&s, "c.example", "good.example"), 0);
	die(&s);
	live(&s);
	clock_advance(3600 - 240);
	ck_assert_int_eq(names_wait(&s, "bad.example", "good.example"), 0);
	r->subproblems = NULL;
	r->subproblem_count = 0;
	acme_result_free(r);
	end(&s);
}
END_TEST

START_TEST(silence_is_for_all)
{
	struct scene s;
	int64_t now;

	begin(&s);
	limits_silence(s.ca, NOW + 50);
	now = clock_monotonic_ms();
	ck_assert_int_eq(limits_send_at(s.ca, now), now + 50000);
	ck_assert_int_eq(wait(&s, QUEUE_NEW), 50);
	/* the same section with another directory is another CA */
	ck_assert_int_eq(
	    limits_forbidden(limits_of(s.all, "ca", "https://other.example/")), 0);
	end(&s);
}
END_TEST

static void
add_waiting(struct scene *s, const char *name, const char *ca, int64_t end_at,
    int64_t life, int64_t since)
{
	struct certificate *c;

	ck_assert_int_eq(
	    certificate_insert(s->store, name, ORIGIN_CONFIG, "", NOW, NULL), 0);
	ck_assert_int_eq(certificate_get(s->store, name, &c), 0);
	c->queued_ca = strdup(ca);
	c->queued_at = since;
	c->queued_end = end_at;
	c->queued_life = life;
	ck_assert_int_eq(certificate_save(s->store, c), 0);
	certificate_free(c);
}

/* By the share of the life that is left: what is new counts as a fifth. */
START_TEST(the_most_urgent_is_next)
{
	static const char *const expected[] = { "expired", "tenth", "first", "second",
		"quarter" };
	struct scene s;
	struct queue_place places[8];

	begin(&s);
	add_waiting(&s, "second", "ca", 0, 0, NOW - 1);
	add_waiting(&s, "quarter", "ca", NOW + 250, 1000, NOW - 9);
	add_waiting(&s, "tenth", "ca", NOW + 10000, 100000, NOW);
	add_waiting(&s, "expired", "ca", NOW - 5, 100, NOW);
	add_waiting(&s, "first", "ca", 0, 0, NOW - 2);
	add_waiting(&s, "elsewhere", "other", NOW - 5, 100, NOW);
	ck_assert_int_eq(queue_read(s.store, "ca", QUEUE_NEW, NOW, 0.22, places, 8), 5);
	for (size_t i = 0; i < 5; i++) {
		struct certificate *c;

		ck_assert_int_eq(certificate_get_id(s.store, places[i].id, &c), 0);
		ck_assert_str_eq(c->name, expected[i]);
		ck_assert_int_eq(places[i].calm, i == 4);
		certificate_free(c);
	}
	ck_assert_int_eq(queue_dissolve(s.store, "ca", NOW), 0);
	ck_assert_int_eq(queue_read(s.store, "ca", QUEUE_NEW, NOW, 0.22, places, 8), 0);
	ck_assert_int_eq(
	    queue_read(s.store, "other", QUEUE_NEW, NOW, 0.22, places, 8), 1);
	end(&s);
}
END_TEST

/* One attempt at a time, also of a daemon that was begun anew. */
START_TEST(an_outage_is_remembered)
{
	struct scene s;

	begin(&s);
	ck_assert(limits_unanswered(s.ca, 0));
	ck_assert_int_ge(wait(&s, QUEUE_NEW), 48);
	ck_assert_int_ge(wait(&s, QUEUE_ARI), 48);
	ck_assert_int_eq(limits_forbidden(s.ca), 0); /* it has said nothing */
	limits_probe(s.ca);
	ck_assert_int_eq(wait(&s, QUEUE_NEW), 0);
	die(&s);
	clock_advance(86400);
	live(&s);
	ck_assert_int_eq(limits_outage(s.ca)->since, NOW);
	ck_assert_int_eq(wait(&s, QUEUE_NEW), 0);
	ck_assert(limits_answered(s.ca));
	ck_assert(!limits_answered(s.ca));
	die(&s);
	live(&s);
	ck_assert_int_eq(limits_outage(s.ca)->since, 0);
	end(&s);
}
END_TEST

START_TEST(when_the_last_one_may_begin)
{
	struct scene s;
	int64_t now;

	begin(&s);
	now = clock_monotonic_ms();
	ck_assert_int_eq(limits_last_at(s.ca, QUEUE_NEW, 10, now), now);
	ck_assert_int_eq(limits_last_at(s.ca, QUEUE_NEW, 110, now), now + 3600000);
	limits_take_order(s.ca, QUEUE_NEW);
	ck_assert_int_eq(limits_last_at(s.ca, QUEUE_NEW, 10, now), now + 36000);
	end(&s);
}
END_TEST

/* A crowd of urgent ones holds the others for an hour, not for as long as it would take
 * at the pace; nor is that forgotten when the pace is set again. */
START_TEST(urgent_ones_are_part_of_the_pace)
{
	struct scene s;
	int64_t now;

	begin(&s);
	now = clock_monotonic_ms();
	limits_set_pace(s.ca, 120000, 2);
	ck_assert_int_eq(limits_pace_at(s.ca, now), now);
	for (int i = 0; i < 10; i++)
		limits_take_pace(s.ca);
	ck_assert_int_eq(limits_pace_at(s.ca, now), now + 9 * 120000);
	for (int i = 0; i < 500; i++)
		limits_take_pace(s.ca);
	ck_assert_int_gt(limits_pace_at(s.ca, now), now + 3000000);
	ck_assert_int_le(limits_pace_at(s.ca, now), now + 3600000);
	limits_set_pace(s.ca, 120000, 2);
	ck_assert_int_gt(limits_pace_at(s.ca, now), now + 3000000);
	end(&s);
}
END_TEST

SUITE("limits", urgent_ones_are_part_of_the_pace, an_outage_is_remembered,
    when_the_last_one_may_begin, a_restart_fills_no_bucket,
    never_more_requests_in_a_second, without_a_scope_the_account_waits,
    a_scope_is_all_that_waits, four_validations_fail_in_an_hour, silence_is_for_all,
    the_most_urgent_is_next)
