/*
 * test_windows.c - the inventory's rows about renewal information: there for current
 * certificates alone, found by when they are due, and made for those of older
 * databases.
 */
#include "inventory/inventory.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "inventory/migrations.h"
#include "inventory/store.h"
#include "platform/clock.h"
#include "platform/file.h"
#include "suite.h"

static char dir[] = "/tmp/renewd-windows-XXXXXX";

static struct store *
open_store(void)
{
	struct store *s;
	char *why = NULL;

	ck_assert_int_eq(store_open(NULL, dir, &s, &why), 0);
	return s;
}

static struct store *
begin(void)
{
	struct store *s;

	memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	s = open_store();
	ck_assert_int_eq(
	    certificate_insert(s, "a", ORIGIN_CONFIG, "ca = x\n", 1, NULL), 0);
	return s;
}

static void
end(struct store *s)
{
	store_close(s);
	file_remove_tree(AT_FDCWD, dir);
}

static int64_t
issue(struct store *s, enum acme_key_type type, int64_t at)
{
	struct issued row = { .certificate = 1,
		.key_type = type,
		.ca = (char *)"le",
		.account = 1,
		.names = (char *)"a b",
		.serial = (char *)"01",
		.fingerprint = (char *)"ff",
		.issuer = (char *)"CN=x",
		.top = (char *)"x",
		.not_before = at,
		.not_after = at + 1000,
		.issued_at = at,
		.key = { (unsigned char *)"secret", 6 },
		.chain = (char *)"PEM" };

	ck_assert_int_eq(issued_insert(s, &row), 0);
	return row.id;
}

static struct renewal_info *
get(struct store *s, int64_t id)
{
	struct renewal_info *row;

	ck_assert_int_eq(renewal_info_get(s, id, &row), 0);
	return row;
}

START_TEST(rows_follow_what_is_current)
{
	struct store *s = begin();
	int64_t ecdsa = issue(s, ACME_KEY_ECDSA_P256, 100);
	int64_t rsa = issue(s, ACME_KEY_RSA_2048, 110);
	int64_t ids[4];
	int64_t next;
	int64_t newer;
	struct renewal_info *row;

	ck_assert_int_eq(renewal_info_due(s, 99, ids, 4), 0);
	ck_assert_int_eq(renewal_info_due(s, 200, ids, 4), 2);
	ck_assert(ids[0] == ecdsa && ids[1] == rsa);
	ck_assert_int_eq(renewal_info_due(s, 200, ids, 1), 1);
	ck_assert_int_eq(renewal_info_next(s, &next), 0);
	ck_assert_int_eq(next, 100);
	/* the one that was replaced isn't asked about any more (RFC 9773 4.3) */
	newer = issue(s, ACME_KEY_ECDSA_P384, 150);
	ck_assert_int_eq(renewal_info_get(s, ecdsa, &row), -ENOENT);
	ck_assert_int_eq(renewal_info_due(s, 200, ids, 4), 2);
	ck_assert(ids[0] == rsa && ids[1] == newer);
	row = get(s, newer);
	ck_assert_int_eq(row->issued_before, 100);
	ck_assert_int_eq(row->issued_at, 150);
	renewal_info_free(row);
	row = get(s, rsa);
	ck_assert_int_eq(row->issued_before, 0);
	renewal_info_free(row);
	/* and with its certificate all goes */
	ck_assert_int_eq(certificate_delete(s, 1), 0);
	ck_assert_int_eq(renewal_info_next(s, &next), -ENOENT);
	end(s);
}
END_TEST

START_TEST(rows_keep_all_fields)
{
	struct account account = { .ca = (char *)"le",
		.directory = (char *)"https://a/",
		.key = { (unsigned char *)"k", 1 },
		.thumbprint = (char *)"t" };
	struct store *s = begin();
	int64_t id = issue(s, ACME_KEY_ECDSA_P256, 100);
	struct renewal_info *row = get(s, id);
	struct issued *current;
	size_t count;
	int64_t next;

	ck_assert_str_eq(row->name, "a");
	ck_assert_str_eq(row->ca, "le");
	ck_assert_str_eq(row->chain, "PEM");
	ck_assert_ptr_null(row->directory); /* its account is not there */
	ck_assert(row->certificate == 1 && !row->unwanted);
	row->start = 10;
	row->end = 20;
	row->at = 15;
	row->explanation = strdup("https://x/");
	row->ask_at = 0;
	row->asked_at = 7;
	row->failures = 3;
	row->problem = strdup("no");
	ck_assert_int_eq(renewal_info_save(s, row), 0);
	renewal_info_free(row);
	ck_assert_int_eq(account_insert(s, &account), 0);
	ck_assert_int_eq(certificate_set_removed(s, 1, 5), 0);
	store_close(s);
	s = open_store(); /* from disk */
	row = get(s, id);
	ck_assert(row->start == 10 && row->end == 20 && row->at == 15);
	ck_assert(row->ask_at == 0 && row->asked_at == 7 && row->failures == 3);
	ck_assert_str_eq(row->explanation, "https://x/");
	ck_assert_str_eq(row->problem, "no");
	ck_assert_str_eq(row->directory, "https://a/");
	ck_assert(row->unwanted);
	renewal_info_free(row);
	ck_assert_int_eq(certificate_set_spec(s, 1, ORIGIN_CONFIG, "ca = x\n", 6), 0);
	row = get(s, id);
	ck_assert(!row->unwanted);
	renewal_info_free(row);
	ck_assert_int_eq(issued_set_revoked(s, id, 9), 0);
	row = get(s, id);
	ck_assert(row->unwanted);
	renewal_info_free(row);
	ck_assert_int_eq(renewal_info_next(s, &next), -ENOENT); /* not any more */
	ck_assert_int_eq(issued_current(s, 1, false, &current, &count), 0);
	ck_assert_uint_eq(count, 1);
	ck_assert_int_eq(current[0].suggested_at, 15);
	issued_free_all(current, count);
	end(s);
}
END_TEST

static void
run(sqlite3 *db, const char *sql)
{
	ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
}

/* A database of before: each current certificate is asked about within six hours, none
 * at the same time as all others. */
START_TEST(older_databases_get_rows)
{
	struct store *s = begin();
	int64_t now = clock_now();
	int64_t ids[100];
	char path[256];
	sqlite3 *db;

	end(s);
	ck_assert_int_eq(file_make_dirs(dir, 0700), 0);
	snprintf(path, sizeof(path), "%s/renewd.db", dir);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	run(db, migrations[0]);
	run(db, "PRAGMA user_version = 1");
	run(db,
	    "INSERT INTO certificates (id, name, origin, spec, created_at)"
	    " VALUES (1, 'a', 1, '', 1)");
	run(db,
	    "WITH RECURSIVE n (i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n"
	    " WHERE i < 59) INSERT INTO issued (certificate, key_type, current, ca,"
	    " account, names, serial, fingerprint, issuer, top, not_before, not_after,"
	    " issued_at, key, chain) SELECT 1, 1, i % 2, 'le', 1, 'a', '1', 'f', 'i', 't',"
	    " 1, 2, 1, x'00', 'PEM' FROM n");
	sqlite3_close(db);
	s = open_store();
	ck_assert_int_eq(renewal_info_due(s, now + 2, ids, 100) < 5, 1);
	ck_assert_int_eq(renewal_info_due(s, now + 6 * 3600 + 60, ids, 100), 30);
	end(s);
}
END_TEST

SUITE("windows", rows_follow_what_is_current, rows_keep_all_fields,
    older_databases_get_rows)
