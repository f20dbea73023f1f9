/*
 * test_migrations.c - databases of every earlier version, with rows in them, are opened
 * by this one: nothing is lost, and what is new begins as it should.
 */
#include "inventory/migrations.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "../first_rows.h"
#include "inventory/inventory.h"
#include "inventory/revocations.h"
#include "inventory/store.h"
#include "platform/clock.h"
#include "platform/file.h"
#include "suite.h"

#define FOREVER INT64_C(4000000000)

static char dir[] = "/tmp/renewd-migrations-XXXXXX";

static void
run(sqlite3 *db, const char *sql)
{
	char *why = NULL;

	sqlite3_exec(db, sql, NULL, NULL, &why);
	ck_assert_msg(why == NULL, "%s: %s", why, sql);
}

/* Rows of the first version, and the steps to this one. */
static struct store *
open_from(size_t version)
{
	struct store *s;
	char sql[64];
	char path[256];
	char *why = NULL;
	sqlite3 *db;

	memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/renewd.db", dir);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	run(db, "PRAGMA foreign_keys = ON");
	run(db, migrations[0]);
	run(db, first_rows);
	for (size_t i = 1; i < version; i++)
		run(db, migrations[i]);
	snprintf(sql, sizeof(sql), "PRAGMA user_version = %zu", version);
	run(db, sql);
	sqlite3_close(db);
	ck_assert_int_eq(store_open(NULL, dir, &s, &why), 0);
	return s;
}

static void
close_it(struct store *s)
{
	store_close(s);
	file_remove_tree(AT_FDCWD, dir);
}

static void
expect_account(struct store *s)
{
	_cleanup_(account_freep) struct account *a = NULL;

	ck_assert_int_eq(
	    account_find(s, "le", "https://ca.example/dir", "THUMB", &a), 0);
	ck_assert_int_eq(a->id, 3);
	ck_assert_str_eq(a->url, "https://ca.example/acct/1");
	ck_assert_str_eq(a->contacts, "mailto:ops@example.net");
	ck_assert_str_eq(a->terms, "https://terms/");
	ck_assert_uint_eq(a->key.len, 2);
	ck_assert(a->state == ACCOUNT_VALID && a->ended_at == 0);
	ck_assert(a->next_key.len == 0 && a->next_thumbprint == NULL);
}

static void
expect_certificate(struct store *s)
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;
	struct certificate_pick pick;
	int64_t all;
	int64_t failing;

	ck_assert_int_eq(certificate_get(s, "A.EXAMPLE", &c), 0);
	ck_assert(c->id == 5 && c->origin == ORIGIN_API && c->renew_at == 14);
	ck_assert(c->renew_reason == RENEW_LIFETIME && c->failures == 1);
	ck_assert_str_eq(c->spec, "keys = ecdsa-p256 rsa-2048\n");
	ck_assert_str_eq(c->bundled, "8,9 dual 0640 ");
	ck_assert_int_eq(certificate_count(s, &all, &failing), 0);
	ck_assert(all == 1 && failing == 1);
	ck_assert_int_eq(certificate_bundled(s, 0, FOREVER, &pick, 1), 1);
}

static void
expect_issued(struct store *s)
{
	struct issued *now;
	size_t count;

	ck_assert_int_eq(issued_current(s, 5, true, &now, &count), 0);
	ck_assert_uint_eq(count, 2);
	ck_assert(now[0].id == 8 && now[1].id == 9);
	ck_assert_str_eq(now[0].profile, "short");
	ck_assert_int_eq(now[1].revoked_at, 17);
	for (size_t i = 0; i < count; i++) {
		ck_assert_uint_eq(now[i].key.len, 1);
		ck_assert_str_eq(now[i].chain, "PEM");
		ck_assert_ptr_null(now[i].spki);
		ck_assert_ptr_null(now[i].wish); /* not known: ordered for no change */
		ck_assert_ptr_null(now[i].missing);
		ck_assert_int_eq(now[i].suggested_at, 0);
		ck_assert(!now[i].compromised && !now[i].superseded);
	}
	issued_free_all(now, count);
}

static void
expect_others(struct store *s)
{
	_cleanup_(order_row_freep) struct order_row *o = NULL;
	struct deployment *deployments;
	int64_t ids[4];
	int64_t last;
	size_t count;

	ck_assert_int_eq(order_find(s, 5, ACME_KEY_ECDSA_P256, &o), 0);
	ck_assert_str_eq(o->url, "https://ca.example/order/1");
	ck_assert_str_eq(o->challenges, "tok tok.THUMB\n");
	ck_assert_uint_eq(o->key.len, 1);
	ck_assert(o->wish == NULL && o->missing == NULL);
	ck_assert_int_eq(deployment_list(s, 5, &deployments, &count), 0);
	ck_assert_uint_eq(count, 1);
	ck_assert_int_eq(deployments[0].state, DEPLOYMENT_SERVED);
	deployment_free_all(deployments, count);
	ck_assert_int_eq(history_last(s, &last), 0);
	ck_assert_int_eq(last, 1);
	/* the current ones are asked about */
	ck_assert_int_eq(renewal_info_due(s, clock_now() + 6 * 3600 + 60, ids, 4), 2);
}

START_TEST(nothing_is_lost)
{
	struct store *s;

	ck_assert_uint_ge(migration_count, 6);
	for (size_t version = 1; version <= migration_count; version++) {
		s = open_from(version);
		expect_account(s);
		expect_certificate(s);
		expect_issued(s);
		expect_others(s);
		close_it(s);
	}
}
END_TEST

/* What came later works on rows of before. */
START_TEST(old_rows_can_be_worked_on)
{
	const struct secret der = { (unsigned char *)"\xaa", 1 };
	const struct secret next = { (unsigned char *)"\x03", 1 };
	struct revocation *wishes;
	struct compromised_row *found;
	struct order_row *o = NULL;
	struct store *s = open_from(1);
	struct issued *now;
	size_t count;

	/* a reported key is found in rows that have no fingerprint */
	ck_assert_int_eq(compromised_add(s, "spki", &der, 30), 0);
	ck_assert_int_eq(compromised_rows(s, "spki", 30, &found, &count), 0);
	ck_assert_uint_eq(count, 2);
	ck_assert(found[0].issued == 7 && !found[0].current && found[0].revocable);
	ck_assert(found[1].issued == 8 && found[1].current && found[1].revocable);
	free(found);
	ck_assert_int_eq(
	    revocation_ask(s, &(struct revocation){ .issued = 8, .asked_at = 30 }), 0);
	ck_assert_int_eq(revocation_list(s, 5, &wishes, &count), 0);
	ck_assert_uint_eq(count, 1);
	revocation_free_all(wishes, count);
	ck_assert_int_eq(issued_current(s, 5, false, &now, &count), 0);
	ck_assert(now[0].compromised && !now[1].compromised);
	issued_free_all(now, count);
	/* the account's key is changed below the order in flight */
	ck_assert_int_eq(account_set_next(s, 3, &next, "NEXT"), 0);
	ck_assert_int_eq(account_take_next(s, 3, 31), 0);
	ck_assert_int_eq(order_find(s, 5, ACME_KEY_ECDSA_P256, &o), 0);
	ck_assert_str_eq(o->challenges, "tok tok.NEXT\n");
	order_row_free(o);
	/* and with its certificate all goes */
	ck_assert_int_eq(certificate_delete(s, 5), 0);
	ck_assert_int_eq(revocation_list(s, 5, &wishes, &count), 0);
	ck_assert_uint_eq(count, 0);
	revocation_free_all(wishes, count);
	close_it(s);
}
END_TEST

SUITE("migrations", nothing_is_lost, old_rows_can_be_worked_on)
