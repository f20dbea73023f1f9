/*
 * test_inventory.c - what is in the database: rows that go in come out, by name, by
 * when they are due, and by what they were for.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#include "store_fixture.h"

START_TEST(certificates_keep_all_fields)
{
	struct certificate *c;
	struct store *s;
	int64_t id;

	make_dir();
	s = open_store(NULL);
	id = add_certificate(s, "Www.Example.net", 10);
	ck_assert_int_eq(
	    certificate_insert(s, "www.example.NET", ORIGIN_API, "", 1, NULL), -EEXIST);
	ck_assert_int_eq(certificate_get(s, "WWW.example.net", &c), 0);
	ck_assert_int_eq(c->id, id);
	ck_assert_str_eq(c->name, "Www.Example.net");
	ck_assert_int_eq(c->next_at, 10);
	c->paused = true;
	c->parked = true;
	c->forced = 7;
	c->next_at = 20;
	c->renew_at = 30;
	c->renew_reason = RENEW_CHANGED;
	c->failures = 4;
	c->next_attempt = 50;
	c->last_error = strdup("{\"detail\":\"x\"}");
	c->last_success = 60;
	c->bundled = strdup("1,2 dual");
	c->placeholder_since = 70;
	ck_assert_int_eq(certificate_save(s, c), 0);
	certificate_free(c);
	store_close(s);
	s = open_store(NULL); /* from disk */
	ck_assert_int_eq(certificate_get_id(s, id, &c), 0);
	ck_assert(c->paused && c->parked && c->forced == 7 && c->next_at == 20);
	ck_assert(c->renew_at == 30 && c->renew_reason == RENEW_CHANGED);
	ck_assert(c->failures == 4 && c->next_attempt == 50 && c->last_success == 60);
	ck_assert_str_eq(c->last_error, "{\"detail\":\"x\"}");
	ck_assert_str_eq(c->bundled, "1,2 dual");
	ck_assert_int_eq(c->placeholder_since, 70);
	certificate_free(c);
	ck_assert_int_eq(certificate_get(s, "nobody", &c), -ENOENT);
	store_close(s);
	file_remove_tree(AT_FDCWD, dir);
}
END_TEST

START_TEST(due_is_in_order)
{
	int64_t ids[10];
	int64_t at;
	char *name = NULL;
	enum renew_reason reason;
	struct store *s;

	make_dir();
	s = open_store(NULL);
	add_certificate(s, "late", 300);
	add_certificate(s, "soon", 100);
	add_certificate(s, "then", 200);
	ck_assert_int_eq(certificate_due(s, 99, ids, 10), 0);
	ck_assert_int_eq(certificate_due(s, 200, ids, 10), 2);
	ck_assert_int_eq(ids[0], 2);
	ck_assert_int_eq(ids[1], 3);
	ck_assert_int_eq(certificate_due(s, 1000, ids, 1), 1);
	ck_assert_int_eq(certificate_next(s, 200, &at, &name, &reason), 0);
	ck_assert_int_eq(at, 300);
	ck_assert_str_eq(name, "late");
	free(name);
	ck_assert_int_eq(certificate_next(s, 300, &at, NULL, NULL), -ENOENT);
	store_close(s);
	file_remove_tree(AT_FDCWD, dir);
}
END_TEST

static struct issued
a_row(int64_t certificate, enum acme_key_type type, const char *serial)
{
	return (struct issued){ .certificate = certificate,
		.key_type = type,
		.ca = (char *)"ca",
		.names = (char *)"a b",
		.serial = (char *)serial,
		.fingerprint = (char *)"ff",
		.issuer = (char *)"CN=x",
		.top = (char *)"x",
		.not_before = 1,
		.not_after = 2,
		.key = { (unsigned char *)"secret", 6 },
		.chain = (char *)"PEM" };
}

/* One ECDSA and one RSA are current, whatever their sizes. */
START_TEST(one_current_for_each_kind_of_key)
{
	struct issued rows[4];
	struct issued *current;
	size_t count;
	struct store *s;
	int64_t id;

	make_dir();
	s = open_store(NULL);
	id = add_certificate(s, "a", 1);
	rows[0] = a_row(id, ACME_KEY_ECDSA_P256, "01");
	rows[1] = a_row(id, ACME_KEY_RSA_2048, "02");
	rows[2] = a_row(id, ACME_KEY_ECDSA_P384, "03");
	rows[3] = a_row(id, ACME_KEY_RSA_4096, "04");
	for (size_t i = 0; i < ELEMENTS(rows); i++)
		ck_assert_int_eq(issued_insert(s, &rows[i]), 0);
	ck_assert_int_eq(issued_current(s, id, true, &current, &count), 0);
	ck_assert_uint_eq(count, 2);
	ck_assert_str_eq(current[0].serial, "03");
	ck_assert_str_eq(current[1].serial, "04");
	ck_assert_uint_eq(current[1].key.len, 6);
	ck_assert_mem_eq(current[1].key.data, "secret", 6);
	issued_free_all(current, count);
	ck_assert_int_eq(issued_current(s, id, false, &current, &count), 0);
	ck_assert_ptr_null(current[0].key.data);
	ck_assert_ptr_null(current[0].chain);
	issued_free_all(current, count);
	store_close(s);
	file_remove_tree(AT_FDCWD, dir);
}
END_TEST

START_TEST(orders_keep_their_key)
{
	struct order_row row = { .certificate = 1,
		.key_type = ACME_KEY_RSA_2048,
		.ca = (char *)"ca",
		.account = 3,
		.names = (char *)"a",
		.key = { (unsigned char *)"k\0y", 3 },
		.reason = RENEW_FORCED,
		.created_at = 9 };
	struct order_row *found;
	struct store *s;

	make_dir();
	s = open_store(NULL);
	add_certificate(s, "a", 1);
	ck_assert_int_eq(order_insert(s, &row), 0);
	ck_assert_int_eq(order_insert(s, &row), -EEXIST); /* one at a time */
	row.url = (char *)"https://ca/order/1";
	row.challenges = (char *)"tok tok.thumb\n";
	ck_assert_int_eq(order_save(s, &row), 0);
	ck_assert_int_eq(order_find(s, 1, ACME_KEY_RSA_2048, &found), 0);
	ck_assert_str_eq(found->url, row.url);
	ck_assert_str_eq(found->challenges, row.challenges);
	ck_assert_mem_eq(found->key.data, "k\0y", 3);
	ck_assert_int_eq(found->reason, RENEW_FORCED);
	ck_assert_int_eq(order_delete(s, found->id), 0);
	order_row_free(found);
	ck_assert_int_eq(order_find(s, 1, ACME_KEY_RSA_2048, &found), -ENOENT);
	store_close(s);
	file_remove_tree(AT_FDCWD, dir);
}
END_TEST

START_TEST(accounts_by_ca_directory_and_key)
{
	struct account row = { .ca = (char *)"le",
		.directory = (char *)"https://a/",
		.key = { (unsigned char *)"k", 1 },
		.thumbprint = (char *)"t1" };
	struct account *found;
	struct store *s;

	make_dir();
	s = open_store(NULL);
	ck_assert_int_eq(account_insert(s, &row), 0);
	ck_assert_int_eq(
	    account_registered(s, row.id, "https://a/1", "mailto:x", "t"), 0);
	row.thumbprint = (char *)"t2";
	ck_assert_int_eq(account_insert(s, &row), 0);
	ck_assert_int_eq(account_find(s, "le", "https://a/", NULL, &found), 0);
	ck_assert_str_eq(found->thumbprint, "t2");
	account_free(found);
	ck_assert_int_eq(account_find(s, "le", "https://a/", "t1", &found), 0);
	ck_assert_str_eq(found->url, "https://a/1");
	account_free(found);
	/* names are the same without regard to case */
	ck_assert_int_eq(account_find(s, "LE", "https://a/", "t1", &found), 0);
	account_free(found);
	ck_assert_int_eq(account_find(s, "le", "https://b/", NULL, &found), -ENOENT);
	store_close(s);
	file_remove_tree(AT_FDCWD, dir);
}
END_TEST

static int64_t
add_account(struct store *s, const char *thumbprint)
{
	struct account row = { .ca = (char *)"le",
		.directory = (char *)"https://a/",
		.key = { (unsigned char *)"old", 3 },
		.thumbprint = (char *)thumbprint };

	ck_assert_int_eq(account_insert(s, &row), 0);
	return row.id;
}

static void
expect_account(struct store *s, int64_t id, const char *key, const char *thumbprint,
    const char *next)
{
	struct account *a;

	ck_assert_int_eq(account_get(s, id, &a), 0);
	ck_assert_mem_eq(a->key.data, key, 3);
	ck_assert_str_eq(a->thumbprint, thumbprint);
	if (next == NULL)
		ck_assert_ptr_null(a->next_thumbprint);
	else
		ck_assert_str_eq(a->next_thumbprint, next);
	account_free(a);
}

/* The next key is found as the account's own; taken, it is the key, and the one of
 * before is kept. Challenges of orders are answered by the new one, others not. */
START_TEST(another_key)
{
	const struct secret next = { (unsigned char *)"new", 3 };
	struct store *s;
	struct account *a;
	struct order_row *o;
	struct order_row order = { .key_type = ACME_KEY_ECDSA_P256,
		.ca = (char *)"le",
		.names = (char *)"a",
		.key = { (unsigned char *)"k", 1 },
		.challenges = (char *)"tok1 tok1.told\ntok2 tok2.told\n" };
	int64_t id, other;

	make_dir();
	s = open_store(NULL);
	id = add_account(s, "told");
	other = add_account(s, "tother");
	ck_assert_int_eq(account_take_next(s, id, 7), -ENOENT);
	order.certificate = add_certificate(s, "a", 1);
	order.account = id;
	ck_assert_int_eq(order_insert(s, &order), 0);
	order.certificate = add_certificate(s, "b", 1);
	order.account = other;
	ck_assert_int_eq(order_insert(s, &order), 0);

	ck_assert_int_eq(account_set_next(s, id, &next, "tnew"), 0);
	expect_account(s, id, "old", "told", "tnew");
	ck_assert_int_eq(account_find(s, "le", "https://a/", "tnew", &a), 0);
	ck_assert_int_eq(a->id, id);
	account_free(a);
	ck_assert_int_eq(account_set_next(s, id, NULL, NULL), 0);
	expect_account(s, id, "old", "told", NULL);
	ck_assert_int_eq(account_of_key(s, "tnew", &a), -ENOENT);

	ck_assert_int_eq(account_set_next(s, id, &next, "tnew"), 0);
	ck_assert_int_eq(account_take_next(s, id, 7), 0);
	expect_account(s, id, "new", "tnew", NULL);
	expect_account(s, other, "old", "tother", NULL);
	ck_assert_int_eq(account_find(s, "le", "https://a/", "told", &a), -ENOENT);
	ck_assert_int_eq(account_of_key(s, "told", &a), 0); /* never again */
	ck_assert_int_eq(a->id, id);
	account_free(a);
	ck_assert_int_eq(
	    order_find(s, order.certificate - 1, ACME_KEY_ECDSA_P256, &o), 0);
	ck_assert_str_eq(o->challenges, "tok1 tok1.tnew\ntok2 tok2.tnew\n");
	order_row_free(o);
	ck_assert_int_eq(order_find(s, order.certificate, ACME_KEY_ECDSA_P256, &o), 0);
	ck_assert_str_eq(o->challenges, "tok1 tok1.told\ntok2 tok2.told\n");
	order_row_free(o);
	store_close(s);
	file_remove_tree(AT_FDCWD, dir);
}
END_TEST

START_TEST(account_states)
{
	struct store *s;
	struct account *a;
	int64_t id;

	make_dir();
	s = open_store(NULL);
	id = add_account(s, "t");
	ck_assert_int_eq(account_registered(s, id, "https://a/1", NULL, NULL), 0);
	ck_assert_int_eq(account_set_contacts(s, id, "mailto:x"), 0);
	ck_assert_int_eq(account_set_state(s, id, ACCOUNT_ENDING, 5), 0);
	ck_assert_int_eq(account_get(s, id, &a), 0);
	ck_assert_int_eq(a->state, ACCOUNT_ENDING);
	ck_assert_int_eq(a->ended_at, 0);
	ck_assert_str_eq(a->contacts, "mailto:x");
	ck_assert_str_eq(a->url, "https://a/1");
	account_free(a);
	ck_assert_int_eq(account_forgotten(s, id), 0);
	ck_assert_int_eq(account_set_state(s, id, ACCOUNT_DEACTIVATED, 6), 0);
	ck_assert_int_eq(account_get(s, id, &a), 0);
	ck_assert_str_eq(account_state_name(a->state), "deactivated");
	ck_assert_int_eq(a->ended_at, 6);
	ck_assert_ptr_null(a->url);
	account_free(a);
	ck_assert_int_eq(account_get(s, id + 1, &a), -ENOENT);
	store_close(s);
	file_remove_tree(AT_FDCWD, dir);
}
END_TEST

START_TEST(deployments_and_removal)
{
	struct deployment d = { .certificate = 1,
		.target = (char *)"edge",
		.state = DEPLOYMENT_FAILED,
		.at = 5,
		.detail = (char *)"no",
		.bundled = (char *)"1",
		.failures = 2,
		.next_attempt = 9 };
	struct deployment *rows;
	size_t count;
	struct store *s;

	make_dir();
	s = open_store(NULL);
	add_certificate(s, "a", 1);
	ck_assert_int_eq(deployment_save(s, &d), 0);
	d.state = DEPLOYMENT_DEPLOYED;
	ck_assert_int_eq(deployment_save(s, &d), 0);
	ck_assert_int_eq(deployment_list(s, 1, &rows, &count), 0);
	ck_assert_uint_eq(count, 1);
	ck_assert_int_eq(rows[0].state, DEPLOYMENT_DEPLOYED);
	ck_assert_uint_eq(rows[0].failures, 2);
	deployment_free_all(rows, count);
	ck_assert_int_eq(deployment_delete(s, 1, "edge"), 0);
	ck_assert_int_eq(deployment_list(s, 1, &rows, &count), 0);
	ck_assert_uint_eq(count, 0);
	deployment_free_all(rows, count);
	store_close(s);
	file_remove_tree(AT_FDCWD, dir);
}
END_TEST

/* Whatever the order in which they came: by name, of these names only, and complete. */
START_TEST(a_page_by_name)
{
	static const char *const names[] = { "d", "B", "c", "a" };
	struct deployment d = { .state = DEPLOYMENT_FAILED, .detail = (char *)"no" };
	struct certificate *page;
	struct deployment *deployments;
	struct issued *issued;
	struct issued row;
	int64_t ids[ELEMENTS(names)];
	size_t count;
	struct store *s;

	make_dir();
	s = open_store(NULL);
	for (size_t i = 0; i < ELEMENTS(names); i++) {
		ids[i] = add_certificate(s, names[i], 1);
		d.certificate = ids[i];
		d.target = (char *)"two";
		ck_assert_int_eq(deployment_save(s, &d), 0);
		d.target = (char *)"one";
		ck_assert_int_eq(deployment_save(s, &d), 0);
		row = a_row(ids[i], ACME_KEY_RSA_2048, "02");
		ck_assert_int_eq(issued_insert(s, &row), 0);
		row = a_row(ids[i], ACME_KEY_ECDSA_P256, "01");
		ck_assert_int_eq(issued_insert(s, &row), 0);
	}
	ck_assert_int_eq(certificate_set_removed(s, ids[1], 5), 0);
	ck_assert_int_eq(certificate_page(s, "A", 2, &page, &count), 0);
	ck_assert_uint_eq(count, 2);
	ck_assert_str_eq(page[0].name, "B");
	ck_assert_int_eq(page[0].removed_at, 5);
	ck_assert_str_eq(page[1].name, "c");
	certificate_free_all(page, count);
	ck_assert_int_eq(issued_between(s, "b", "C", &issued, &count), 0);
	ck_assert_uint_eq(count, 4);
	for (size_t i = 0; i < count; i++) {
		ck_assert_int_eq(issued[i].certificate, ids[i < 2 ? 1 : 2]);
		ck_assert_str_eq(issued[i].serial, i % 2 == 0 ? "01" : "02");
		ck_assert_ptr_null(issued[i].chain);
	}
	issued_free_all(issued, count);
	ck_assert_int_eq(deployment_between(s, "b", "c", &deployments, &count), 0);
	ck_assert_uint_eq(count, 4);
	for (size_t i = 0; i < count; i++) {
		ck_assert_int_eq(deployments[i].certificate, ids[i < 2 ? 1 : 2]);
		ck_assert_str_eq(deployments[i].target, i % 2 == 0 ? "one" : "two");
	}
	deployment_free_all(deployments, count);
	ck_assert_int_eq(issued_between(s, "x", "z", &issued, &count), 0);
	ck_assert_uint_eq(count, 0);
	issued_free_all(issued, count);
	store_close(s);
	file_remove_tree(AT_FDCWD, dir);
}
END_TEST

static int
count_cb(const struct history_event *e, void *arg)
{
	unsigned *count = arg;

	ck_assert_str_eq(e->kind, "issued");
	ck_assert_ptr_null(e->target);
	(*count)++;
	return 0;
}

START_TEST(history_is_in_order)
{
	unsigned count = 0;
	struct store *s;

	make_dir();
	s = open_store(NULL);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(history_add(s,
				     &(struct history_event){ .at = i,
					 .kind = "issued",
					 .certificate = i % 2 == 0 ? "a" : "b" }),
		    0);
	ck_assert_int_eq(history_walk(s, "A", 0, 0, count_cb, &count), 0);
	ck_assert_uint_eq(count, 3);
	count = 0;
	ck_assert_int_eq(history_walk(s, NULL, 3, 0, count_cb, &count), 0);
	ck_assert_uint_eq(count, 2);
	store_close(s);
	file_remove_tree(AT_FDCWD, dir);
}
END_TEST

START_TEST(history_is_forgotten_with_its_certificate)
{
	struct certificate *c = NULL;
	int64_t last = -1;
	unsigned count = 0;
	struct store *s;
	int64_t id;

	make_dir();
	s = open_store(NULL);
	ck_assert_int_eq(history_last(s, &last), 0);
	ck_assert_int_eq(last, 0);
	id = add_certificate(s, "a", 1);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(history_add(s,
				     &(struct history_event){ .at = i,
					 .kind = "issued",
					 .certificate = i % 2 == 0 ? "A" : "b" }),
		    0);
	ck_assert_int_eq(history_last(s, &last), 0);
	ck_assert_int_eq(last, 4);
	ck_assert_int_eq(history_forget(s, "a"), 0);
	ck_assert_int_eq(certificate_delete(s, id), 0);
	ck_assert_int_eq(history_walk(s, NULL, 0, 0, count_cb, &count), 0);
	ck_assert_uint_eq(count, 2);
	ck_assert_int_eq(certificate_get(s, "a", &c), -ENOENT);
	store_close(s);
	file_remove_tree(AT_FDCWD, dir);
}
END_TEST

static void
save_bundled(struct store *s, const char *name, const char *bundled, int64_t since)
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;

	ck_assert_int_eq(certificate_get(s, name, &c), 0);
	c->bundled = strdup(bundled);
	c->placeholder_since = since;
	ck_assert_int_eq(certificate_save(s, c), 0);
}

START_TEST(files_are_looked_for_in_batches)
{
	struct certificate_pick picks[3];
	struct issued row;
	struct store *s;
	int64_t ids[5];

	make_dir();
	s = open_store(NULL);
	for (size_t i = 0; i < ELEMENTS(ids); i++)
		ids[i] = add_certificate(s, (const char[]){ (char)('a' + i), 0 }, 1);
	row = a_row(ids[1], ACME_KEY_ECDSA_P256, "01");
	ck_assert_int_eq(issued_insert(s, &row), 0);
	ck_assert_int_eq(certificate_unbundled(s, 0, picks, 3), 3);
	ck_assert_int_eq(picks[0].id, ids[0]);
	ck_assert(!picks[0].issued && picks[1].issued && !picks[2].issued);
	save_bundled(s, "d", "placeholder", 100);
	ck_assert_int_eq(certificate_unbundled(s, ids[2], picks, 3), 1);
	ck_assert_int_eq(picks[0].id, ids[4]);
	ck_assert_int_eq(certificate_set_removed(s, ids[4], 1), 0);
	ck_assert_int_eq(certificate_unbundled(s, ids[2], picks, 3), 0);
	save_bundled(s, "b", "1", 0);
	ck_assert_int_eq(certificate_bundled(s, 0, 101, picks, 3), 2);
	ck_assert_int_eq(picks[0].id, ids[1]);
	ck_assert_int_eq(picks[1].id, ids[3]);
	ck_assert_int_eq(certificate_bundled(s, 0, 100, picks, 3), 1);
	ck_assert_int_eq(certificate_bundled(s, ids[1], 101, picks, 1), 1);
	ck_assert_int_eq(picks[0].id, ids[3]);
	store_close(s);
	file_remove_tree(AT_FDCWD, dir);
}
END_TEST

static void
expect_counts(struct store *s, int64_t all, int64_t failing)
{
	int64_t has_all, has_failing;

	ck_assert_int_eq(certificate_count(s, &has_all, &has_failing), 0);
	ck_assert_int_eq(has_all, all);
	ck_assert_int_eq(has_failing, failing);
}

START_TEST(removed_ones_are_not_counted)
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;
	struct store *s;
	int64_t id;

	make_dir();
	s = open_store(NULL);
	expect_counts(s, 0, 0);
	id = add_certificate(s, "a", 1);
	add_certificate(s, "b", 1);
	expect_counts(s, 2, 0);
	ck_assert_int_eq(certificate_get(s, "a", &c), 0);
	c->failures = 2;
	ck_assert_int_eq(certificate_save(s, c), 0);
	expect_counts(s, 2, 1);
	ck_assert_int_eq(certificate_set_removed(s, id, 1), 0);
	expect_counts(s, 1, 0);
	store_close(s);
	file_remove_tree(AT_FDCWD, dir);
}
END_TEST

/* By whichever of the certificates they were had. */
START_TEST(the_nth_of_the_same_names)
{
	struct issued row;
	struct store *s;
	int64_t ids[2];
	int64_t at = -1;

	make_dir();
	s = open_store(NULL);
	ids[0] = add_certificate(s, "a", 1);
	ids[1] = add_certificate(s, "b", 1);
	for (int i = 0; i < 6; i++) {
		row = a_row(ids[i % 2], ACME_KEY_ECDSA_P256, "01");
		row.issued_at = 100 + i;
		ck_assert_int_eq(issued_insert(s, &row), 0);
	}
	ck_assert_int_eq(issued_nth(s, "ca", "a b", 1000, 5, &at), 0);
	ck_assert_int_eq(at, 101);
	ck_assert_int_eq(issued_nth(s, "ca", "a b", 103, 4, &at), 0);
	ck_assert_int_eq(at, 100); /* the others are in the future */
	ck_assert_int_eq(issued_nth(s, "ca", "a b", 1000, 7, &at), 0);
	ck_assert_int_eq(at, 0);
	ck_assert_int_eq(issued_nth(s, "other", "a b", 1000, 1, &at), 0);
	ck_assert_int_eq(at, 0);
	ck_assert_int_eq(issued_nth(s, "ca", "a", 1000, 1, &at), 0);
	ck_assert_int_eq(at, 0);
	store_close(s);
	file_remove_tree(AT_FDCWD, dir);
}
END_TEST

/* "Not before" some day in years, written by a clock that was there. */
START_TEST(a_clock_was_ahead)
{
	_cleanup_(certificate_freep) struct certificate *wrong = NULL;
	_cleanup_(certificate_freep) struct certificate *good = NULL;
	_cleanup_(certificate_freep) struct certificate *deployed = NULL;
	struct store *s;
	int64_t ids[3];
	int64_t at = 0;

	make_dir();
	s = open_store(NULL);
	add_certificate(s, "deployed", 50000);
	ck_assert_int_eq(certificate_get(s, "deployed", &deployed), 0);
	add_certificate(s, "wrong", 1);
	add_certificate(s, "good", 1);
	ck_assert_int_eq(certificate_get(s, "wrong", &wrong), 0);
	ck_assert_int_eq(certificate_get(s, "good", &good), 0);
	wrong->next_at = wrong->next_attempt = 90000;
	wrong->failing_since = 80000;
	good->next_at = good->renew_at = 50000;
	deployed->next_at = 70000;
	ck_assert_int_eq(certificate_save(s, wrong), 0);
	ck_assert_int_eq(certificate_save(s, good), 0);
	ck_assert_int_eq(certificate_save(s, deployed), 0);
	ck_assert_int_eq(deployment_save(s,
			     &(struct deployment){ .certificate = deployed->id,
				 .target = (char *)"t",
				 .state = DEPLOYMENT_DEPLOYED,
				 .detail = (char *)"",
				 .at = 60000 }),
	    0);
	ck_assert_int_eq(inventory_heed_clock(s, 1000), 0);
	ck_assert_int_eq(certificate_due(s, 1000, ids, ELEMENTS(ids)), 2);
	ck_assert_int_eq(certificate_next(s, 999, &at, NULL, NULL), 0);
	ck_assert_int_eq(at, 1000);
	ck_assert_int_eq(certificate_next(s, 1000, &at, NULL, NULL), 0);
	ck_assert_int_eq(at, 50000);
	store_close(s);
	file_remove_tree(AT_FDCWD, dir);
}
END_TEST

SUITE("inventory", the_nth_of_the_same_names, a_clock_was_ahead,
    files_are_looked_for_in_batches, removed_ones_are_not_counted,
    certificates_keep_all_fields, due_is_in_order, one_current_for_each_kind_of_key,
    orders_keep_their_key, accounts_by_ca_directory_and_key, another_key,
    account_states, deployments_and_removal, a_page_by_name, history_is_in_order,
    history_is_forgotten_with_its_certificate)
