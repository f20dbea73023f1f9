/*
 * test_revocations.c - the inventory of what is to be revoked, of compromised keys and
 * of authorizations; and what they make of a certificate.
 */
#include "inventory/revocations.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "inventory/authorizations.h"
#include "inventory/store.h"
#include "platform/file.h"
#include "renew/due.h"
#include "renew/revoke_wait.h"
#include "suite.h"

static char dir[] = "/tmp/renewd-revocations-XXXXXX";
static struct store *store;

static void
begin(void)
{
	char *why = NULL;

	memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(store_open(NULL, dir, &store, &why), 0);
}

static void
end(void)
{
	store_close(store);
	file_remove_tree(AT_FDCWD, dir);
}

static int64_t
add_certificate(const char *name, const char *spec)
{
	int64_t id = 0;

	ck_assert_int_eq(certificate_insert(store, name, ORIGIN_API, spec, 1, &id), 0);
	return id;
}

static int64_t
issue(int64_t certificate, const char *names, const char *spki, const char *key)
{
	struct issued row = { .certificate = certificate,
		.key_type = ACME_KEY_ECDSA_P256,
		.ca = (char *)"ca",
		.account = 7,
		.names = (char *)names,
		.serial = (char *)"0a",
		.fingerprint = (char *)"ff",
		.issuer = (char *)"CN=x",
		.top = (char *)"x",
		.not_before = 100,
		.not_after = 1000,
		.issued_at = 100,
		.spki = (char *)spki,
		.key = { (unsigned char *)key, strlen(key) },
		.chain = (char *)"PEM" };

	ck_assert_int_eq(issued_insert(store, &row), 0);
	return row.id;
}

static void
ask(int64_t issued, enum acme_reason reason, int64_t now)
{
	ck_assert_int_eq(revocation_ask(store,
			     &(struct revocation){ .issued = issued,
				 .reason = reason,
				 .waits = reason == ACME_REASON_SUPERSEDED,
				 .asked_at = now }),
	    0);
}

START_TEST(wishes_last_until_they_are_done)
{
	struct revocation *rows;
	struct issued *row;
	size_t count;
	int64_t at;
	int64_t a;
	int64_t b;

	begin();
	a = issue(add_certificate("a", ""), "a", "s1", "k1");
	b = issue(add_certificate("b", ""), "b", "s2", "k2");
	ck_assert_int_eq(revocation_next(store, &at), -ENOENT);
	ask(a, ACME_REASON_UNSPECIFIED, 500);
	ask(b, ACME_REASON_SUPERSEDED, 400);
	ck_assert_int_eq(store_flush(store), 0);
	ck_assert_int_eq(revocation_next(store, &at), 0);
	ck_assert_int_eq(at, 500);
	ck_assert_int_eq(revocation_due(store, 499, &rows, &count), 0);
	ck_assert_uint_eq(count, 0);
	revocation_free_all(rows, count);
	ck_assert_int_eq(revocation_due(store, 500, &rows, &count), 0);
	ck_assert_uint_eq(count, 1); /* the other waits */
	ck_assert_int_eq(rows[0].issued, a);
	ck_assert_str_eq(rows[0].name, "a");
	ck_assert_str_eq(rows[0].serial, "0a");
	ck_assert_int_eq(rows[0].not_after, 1000);
	rows[0].failures = 2;
	rows[0].next_attempt = 700;
	rows[0].detail = strdup("no answer");
	ck_assert_int_eq(revocation_save(store, rows), 0);
	revocation_free_all(rows, count);
	ck_assert_int_eq(revocation_list(store, 1, &rows, &count), 0);
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(rows[0].failures, 2);
	ck_assert_str_eq(rows[0].detail, "no answer");
	revocation_free_all(rows, count);
	ck_assert_int_eq(revocation_waiting(store, &rows, &count), 0);
	ck_assert_uint_eq(count, 1);
	ck_assert_int_eq(rows[0].issued, b);
	revocation_free_all(rows, count);
	ck_assert_int_eq(issued_set_revoked(store, a, 600), 0);
	ck_assert_int_eq(revocation_delete(store, a), 0);
	ck_assert_int_eq(issued_get(store, a, &row), 0);
	ck_assert_int_eq(row->revoked_at, 600);
	ck_assert_str_eq(row->chain, "PEM");
	issued_free_all(row, 1);
	ck_assert_int_eq(issued_get(store, 99, &row), -ENOENT);
	ck_assert_int_eq(revocation_next(store, &at), -ENOENT);
	ck_assert_int_eq(certificate_delete(store, 2), 0);
	ck_assert_int_eq(revocation_waiting(store, &rows, &count), 0);
	ck_assert_uint_eq(count, 0);
	revocation_free_all(rows, count);
	end();
}
END_TEST

/* Asked again: the worst reason stays, a removal too, and it is tried at once. */
START_TEST(a_wish_can_only_grow)
{
	static const struct {
		enum acme_reason first;
		enum acme_reason second;
		enum acme_reason result;
	} cases[] = {
		{ 0, 5, 5 },
		{ 4, 0, 0 },
		{ 0, 4, 4 },
		{ 5, 1, 1 },
		{ 1, 0, 1 },
		{ 1, 4, 1 },
		{ 4, 1, 1 },
	};

	begin();
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct revocation *rows;
		size_t count;
		char name[8];
		int64_t certificate;
		int64_t id;

		snprintf(name, sizeof(name), "c%zu", i);
		certificate = add_certificate(name, "");
		id = issue(certificate, name, name, name);
		ck_assert_int_eq(revocation_ask(store,
				     &(struct revocation){ .issued = id,
					 .reason = cases[i].first,
					 .waits = cases[i].first == 4,
					 .removal = true,
					 .asked_at = 10 }),
		    0);
		ask(id, cases[i].second, 20);
		ck_assert_int_eq(revocation_list(store, certificate, &rows, &count), 0);
		ck_assert_uint_eq(count, 1);
		ck_assert_int_eq(rows[0].reason, cases[i].result);
		ck_assert_int_eq(rows[0].waits, cases[i].result == 4);
		ck_assert(rows[0].removal);
		ck_assert_int_eq(rows[0].next_attempt, 20);
		ck_assert_int_eq(rows[0].asked_at, 10);
		revocation_free_all(rows, count);
	}
	end();
}
END_TEST

/* All with the key: of other names, older ones, and rows of before fingerprints. */
START_TEST(a_compromised_key_is_found_everywhere)
{
	const struct secret key = { (unsigned char *)"shared", 6 };
	struct compromised_row *rows;
	struct issued *current;
	size_t count;
	int64_t a = 0;
	int64_t b = 0;
	int64_t ids[4];

	begin();
	a = add_certificate("a", "");
	b = add_certificate("b", "");
	ids[0] = issue(a, "a", NULL, "shared");
	ids[1] = issue(a, "a", "s1", "shared");
	ids[2] = issue(b, "b", "s1", "shared");
	ids[3] = issue(add_certificate("c", ""), "c", "s2", "other");
	ck_assert_int_eq(issued_set_revoked(store, ids[1], 150), 0);
	ck_assert_int_eq(compromised_has(store, "s1"), 0);
	ck_assert_int_eq(compromised_add(store, "s1", &key, 200), 0);
	ck_assert_int_eq(compromised_add(store, "s1", &key, 201), 0);
	ck_assert_int_eq(compromised_has(store, "s1"), 1);
	ck_assert_int_eq(compromised_has(store, "s2"), 0);
	ck_assert_int_eq(compromised_rows(store, "s1", 200, &rows, &count), 0);
	ck_assert_uint_eq(count, 3);
	ck_assert_int_eq(rows[0].issued, ids[0]);
	ck_assert(!rows[0].current && rows[0].revocable);
	ck_assert(rows[1].current && !rows[1].revocable);
	ck_assert_int_eq(rows[2].certificate, b);
	ck_assert(rows[2].current && rows[2].revocable);
	free(rows);
	/* what has expired needs nothing */
	ck_assert_int_eq(compromised_rows(store, "s1", 1000, &rows, &count), 0);
	ck_assert(!rows[0].revocable && !rows[2].revocable);
	free(rows);
	ck_assert_int_eq(issued_current(store, b, false, &current, &count), 0);
	ck_assert(current[0].compromised && !current[0].superseded);
	issued_free_all(current, count);
	ck_assert_int_eq(issued_current(store, 3, false, &current, &count), 0);
	ck_assert(!current[0].compromised);
	issued_free_all(current, count);
	ask(ids[3], ACME_REASON_SUPERSEDED, 200);
	ck_assert_int_eq(issued_current(store, 3, false, &current, &count), 0);
	ck_assert(current[0].superseded);
	issued_free_all(current, count);
	end();
}
END_TEST

/* ---- what is ordered for it ---- */

START_TEST(what_is_ordered_in_its_place)
{
	static const struct {
		bool compromised, superseded;
		int64_t revoked_at;
		enum renew_reason reason;
	} cases[] = {
		{ false, false, 0, RENEW_NONE },
		{ false, false, 5, RENEW_REVOKED },
		{ false, true, 0, RENEW_REVOKED },
		{ true, false, 0, RENEW_KEY_COMPROMISE },
		{ true, true, 5, RENEW_KEY_COMPROMISE },
	};
	const char *ca = "ca";
	const struct certificate_spec spec = { .enabled = true,
		.key_count = 1,
		.keys = { ACME_KEY_ECDSA_P256 },
		.cas = { (char **)&ca, 1 } };
	const struct certificate c = { 0 };

	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		const struct issued row = { .id = 1,
			.key_type = ACME_KEY_ECDSA_P256,
			.ca = (char *)ca,
			.names = (char *)"a",
			.not_before = 0,
			.not_after = 1000000,
			.compromised = cases[i].compromised,
			.superseded = cases[i].superseded,
			.revoked_at = cases[i].revoked_at };

		ck_assert_int_eq(due_any(&c, &spec, "a", &row, 1, 10), cases[i].reason);
	}
}
END_TEST

/* ---- those who wait ---- */

struct heard {
	unsigned times;
	bool failed;
	struct revoke_wait *other; /* to be forgotten in the callback */
};

static void
heard_cb(const struct revoke_outcome *outcome, void *arg)
{
	struct heard *h = arg;

	h->times++;
	h->failed = outcome->failure != NULL;
	h->other = revoke_forget(h->other);
}

START_TEST(who_waits_hears_once)
{
	static const int64_t two[] = { 1, 2 };
	static const int64_t three[] = { 2, 3, 4 };
	struct acme_result *failure = acme_result_new(ACME_RETRY, "revoke", "no");
	const struct revoke_outcome done = { 0 };
	const struct revoke_outcome failed = { .failure = failure };
	struct revoke_waits waits;
	struct revoke_wait *w;
	struct heard a = { 0 };
	struct heard b = { 0 };
	struct heard c = { 0 };

	revoke_waits_init(&waits);
	ck_assert_int_eq(revoke_waits_add(&waits, two, 2, heard_cb, &a, &w), 0);
	ck_assert_int_eq(revoke_waits_add(&waits, three, 3, heard_cb, &b, &w), 0);
	revoke_waits_tell(&waits, 9, &failed);
	revoke_waits_tell(&waits, 1, &done);
	ck_assert_uint_eq(a.times, 0);
	revoke_waits_tell(&waits, 2, &done);
	ck_assert(a.times == 1 && !a.failed);
	ck_assert_uint_eq(b.times, 0);
	ck_assert_int_eq(revoke_waits_add(&waits, three, 3, heard_cb, &c, &b.other), 0);
	revoke_waits_tell(&waits, 3, &failed);
	ck_assert(b.times == 1 && b.failed);
	ck_assert_uint_eq(c.times, 0); /* it was forgotten */
	revoke_waits_tell(&waits, 4, &done);
	ck_assert_uint_eq(b.times, 1);
	ck_assert_int_eq(revoke_waits_add(&waits, two, 2, heard_cb, &c, &w), 0);
	revoke_waits_clear(&waits);
	acme_result_free(failure);
}
END_TEST

/* ---- authorizations ---- */

static void
authorize(const char *name, const char *url, int64_t expires)
{
	ck_assert_int_eq(authorization_add(store,
			     &(struct authorization){ .account = 7,
				 .identifier = (char *)name,
				 .url = (char *)url,
				 .expires = expires }),
	    0);
}

/* The next to be looked at, by its name; "" for none. */
static const char *
next_name(void)
{
	static char name[64];
	struct authorization *a;

	name[0] = '\0';
	if (authorization_next(store, &a) == 0) {
		snprintf(name, sizeof(name), "%s", a->identifier);
		authorization_free(a);
	}
	return name;
}

START_TEST(names_that_go_are_looked_at)
{
	struct authorization *a;
	int64_t id;

	begin();
	id = add_certificate("www", "");
	issue(id, "a.test b.test", "s1", "k");
	authorize("a.test", "https://ca/1", 500);
	authorize("b.test", "https://ca/2", 600);
	authorize("c.test", "https://ca/3", 700);
	ck_assert_str_eq(next_name(), "");
	issue(id, "b.test", "s2", "k");
	ck_assert_int_eq(authorization_release(store, id, 50), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(authorization_next(store, &a), 0);
		ck_assert_int_eq(authorization_wanted(store, a),
		    strcmp(a->identifier, "b.test") == 0);
		ck_assert_int_eq(authorization_delete(store, a->id), 0);
		authorization_free(a);
	}
	ck_assert_str_eq(next_name(), ""); /* c.test was never its */
	authorize("b.test", "https://ca/3b", 600);
	ck_assert_int_eq(authorization_release(store, id, 60), 0);
	authorize("b.test", "https://ca/3b", 650); /* validated once more: in use */
	ck_assert_str_eq(next_name(), "");
	ck_assert_int_eq(authorization_release(store, id, 60), 0);
	ck_assert_int_eq(certificate_delete(store, id), 0);
	ck_assert_int_eq(authorization_next(store, &a), 0);
	ck_assert_int_eq(authorization_wanted(store, a), 0);
	ck_assert_int_eq(a->expires, 650);
	a->failures = 3;
	a->next_attempt = 90;
	ck_assert_int_eq(authorization_save(store, a), 0);
	authorization_free(a);
	ck_assert_int_eq(authorization_next(store, &a), 0);
	ck_assert_uint_eq(a->failures, 3);
	ck_assert_int_eq(a->next_attempt, 90);
	authorization_free(a);
	ck_assert_int_eq(authorization_prune(store, 649), 0);
	ck_assert_str_eq(next_name(), "b.test");
	ck_assert_int_eq(authorization_delete_waiting(store, 7), 0);
	ck_assert_str_eq(next_name(), "");
	end();
}
END_TEST

START_TEST(names_that_are_wanted_elsewhere)
{
	static const struct {
		const char *spec; /* of a certificate named other.test */
		const char *name;
		int wanted;
	} cases[] = {
		{ "domains = x.test a.test\nca = ca\n", "a.test", 1 },
		{ "domains = a.test\n", "a.test", 1 },
		{ "domains = www.a.test\n", "a.test", 0 },
		{ "domains = a.test.org\n", "a.test", 0 },
		{ "domains = *.a.test\n", "*.a.test", 1 },
		{ "domains = *.a.test\n", "a.test", 0 },
		{ "ca = ca\n", "other.test", 1 }, /* its own name */
		{ "domains = x.test\n", "other.test", 0 },
		{ "", "a.test", 0 },
	};

	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		const struct authorization a = { .account = 7,
			.identifier = (char *)cases[i].name };
		struct order_row order = { .account = 7,
			.ca = (char *)"ca",
			.names = (char *)"z.test",
			.key_type = ACME_KEY_RSA_2048 };
		const struct authorization z = { .account = 7,
			.identifier = (char *)"z.test" };
		const struct authorization other = { .account = 8,
			.identifier = (char *)"z.test" };

		begin();
		order.certificate = add_certificate("other.test", cases[i].spec);
		ck_assert_msg(
		    authorization_wanted(store, &a) == cases[i].wanted, "case %zu", i);
		ck_assert_int_eq(order_insert(store, &order), 0);
		ck_assert_int_eq(authorization_wanted(store, &z), 1);
		ck_assert_int_eq(authorization_wanted(store, &other), 0);
		/* one that was removed asks for nothing any more */
		ck_assert_int_eq(
		    certificate_set_removed(store, order.certificate, 1), 0);
		ck_assert_int_eq(authorization_wanted(store, &a), 0);
		end();
	}
}
END_TEST

SUITE("revocations", wishes_last_until_they_are_done, a_wish_can_only_grow,
    a_compromised_key_is_found_everywhere, what_is_ordered_in_its_place,
    who_waits_hears_once, names_that_go_are_looked_at, names_that_are_wanted_elsewhere)
