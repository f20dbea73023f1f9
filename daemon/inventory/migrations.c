/*
 * migrations.c - the schema of renewd.db. Append only: never change or reorder a step
 * that has been released; the index of a step + 1 is the PRAGMA user_version after it.
 *
 * Times are seconds since 1970, 0: never. Enums are those of inventory.h, pinned there.
 */
#include "inventory/migrations.h"

#include "scope.h"

const char *const migrations[] = {
	/* 1: version 0.1.0 */
	"CREATE TABLE accounts ("
	" id INTEGER PRIMARY KEY,"
	" ca TEXT NOT NULL,"
	" directory TEXT NOT NULL,"
	" key BLOB NOT NULL,"
	" thumbprint TEXT NOT NULL,"
	" url TEXT,"
	" contacts TEXT,"
	" terms TEXT,"
	" created_at INTEGER NOT NULL,"
	" UNIQUE (ca, directory, thumbprint)"
	") STRICT;"

	"CREATE TABLE certificates ("
	" id INTEGER PRIMARY KEY,"
	" name TEXT NOT NULL COLLATE NOCASE UNIQUE,"
	" origin INTEGER NOT NULL,"
	" spec TEXT NOT NULL,"
	" created_at INTEGER NOT NULL,"
	" removed_at INTEGER NOT NULL DEFAULT 0,"
	" paused INTEGER NOT NULL DEFAULT 0,"
	" parked INTEGER NOT NULL DEFAULT 0,"
	" forced INTEGER NOT NULL DEFAULT 0,"
	" next_at INTEGER NOT NULL DEFAULT 0,"
	" renew_at INTEGER NOT NULL DEFAULT 0,"
	" renew_reason INTEGER NOT NULL DEFAULT 0,"
	" failures INTEGER NOT NULL DEFAULT 0,"
	" next_attempt INTEGER NOT NULL DEFAULT 0,"
	" last_error TEXT,"
	" last_success INTEGER NOT NULL DEFAULT 0,"
	" bundled TEXT,"
	" placeholder_since INTEGER NOT NULL DEFAULT 0"
	") STRICT;"
	"CREATE INDEX certificates_next ON certificates (next_at) WHERE next_at > 0;"

	"CREATE TABLE issued ("
	" id INTEGER PRIMARY KEY,"
	" certificate INTEGER NOT NULL REFERENCES certificates (id) ON DELETE CASCADE,"
	" key_type INTEGER NOT NULL,"
	" current INTEGER NOT NULL,"
	" ca TEXT NOT NULL,"
	" account INTEGER NOT NULL,"
	" names TEXT NOT NULL,"
	" profile TEXT,"
	" serial TEXT NOT NULL,"
	" fingerprint TEXT NOT NULL,"
	" issuer TEXT NOT NULL,"
	" top TEXT NOT NULL,"
	" not_before INTEGER NOT NULL,"
	" not_after INTEGER NOT NULL,"
	" issued_at INTEGER NOT NULL,"
	" revoked_at INTEGER NOT NULL DEFAULT 0,"
	" key BLOB NOT NULL,"
	" chain TEXT NOT NULL"
	") STRICT;"
	"CREATE INDEX issued_certificate ON issued (certificate, current);"

	"CREATE TABLE orders ("
	" id INTEGER PRIMARY KEY,"
	" certificate INTEGER NOT NULL REFERENCES certificates (id) ON DELETE CASCADE,"
	" key_type INTEGER NOT NULL,"
	" ca TEXT NOT NULL,"
	" account INTEGER NOT NULL,"
	" names TEXT NOT NULL,"
	" profile TEXT,"
	" url TEXT,"
	" key BLOB NOT NULL,"
	" challenges TEXT,"
	" reason INTEGER NOT NULL,"
	" created_at INTEGER NOT NULL,"
	" UNIQUE (certificate, key_type)"
	") STRICT;"

	"CREATE TABLE deployments ("
	" certificate INTEGER NOT NULL REFERENCES certificates (id) ON DELETE CASCADE,"
	" target TEXT NOT NULL,"
	" state INTEGER NOT NULL,"
	" at INTEGER NOT NULL,"
	" detail TEXT NOT NULL,"
	" bundled TEXT,"
	" failures INTEGER NOT NULL,"
	" next_attempt INTEGER NOT NULL,"
	" PRIMARY KEY (certificate, target)"
	") STRICT, WITHOUT ROWID;"

	"CREATE TABLE history ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" at INTEGER NOT NULL,"
	" kind TEXT NOT NULL,"
	" certificate TEXT COLLATE NOCASE,"
	" ca TEXT,"
	" target TEXT,"
	" detail TEXT,"
	" problem TEXT"
	") STRICT;"
	"CREATE INDEX history_certificate ON history (certificate, id);",

	/* revocations; keys never to be used again; authorizations at the CAs */
	"ALTER TABLE issued ADD COLUMN spki TEXT;"
	"CREATE INDEX issued_spki ON issued (spki) WHERE spki IS NOT NULL;"
	"CREATE INDEX issued_account ON issued (account, names) WHERE current = 1;"

	"CREATE TABLE revocations ("
	" issued INTEGER PRIMARY KEY REFERENCES issued (id) ON DELETE CASCADE,"
	" reason INTEGER NOT NULL,"
	" waits INTEGER NOT NULL,"
	" removal INTEGER NOT NULL,"
	" asked_at INTEGER NOT NULL,"
	" failures INTEGER NOT NULL,"
	" next_attempt INTEGER NOT NULL,"
	" detail TEXT"
	") STRICT;"
	"CREATE INDEX revocations_next ON revocations (waits, next_attempt);"

	"CREATE TABLE compromised_keys ("
	" spki TEXT PRIMARY KEY,"
	" at INTEGER NOT NULL"
	") STRICT, WITHOUT ROWID;"

	"CREATE TABLE authorizations ("
	" id INTEGER PRIMARY KEY,"
	" account INTEGER NOT NULL,"
	" identifier TEXT NOT NULL,"
	" url TEXT NOT NULL UNIQUE,"
	" expires INTEGER NOT NULL,"
	" failures INTEGER NOT NULL DEFAULT 0,"
	" next_attempt INTEGER NOT NULL DEFAULT 0"
	") STRICT;"
	"CREATE INDEX authorizations_name ON authorizations (account, identifier);"
	"CREATE INDEX authorizations_next ON authorizations (next_attempt)"
	" WHERE next_attempt > 0;"
	"CREATE INDEX authorizations_expires ON authorizations (expires);",
	/* what is counted each second, and looked for at each start, is found
	 * without reading all certificates */
	"CREATE INDEX certificates_unbundled ON certificates (id) WHERE bundled IS NULL;"
	"CREATE INDEX certificates_failing ON certificates (id)"
	" WHERE failures > 0 OR parked;"
	"CREATE INDEX certificates_removed ON certificates (id) WHERE removed_at > 0;",
	/* orders: what else was wished for, and the names that the CA refused, as JSON
	 */
	"ALTER TABLE issued ADD COLUMN wish TEXT;"
	"ALTER TABLE issued ADD COLUMN missing TEXT;"
	"ALTER TABLE orders ADD COLUMN wish TEXT;"
	"ALTER TABLE orders ADD COLUMN missing TEXT;",

	/* what CAs suggest about the current certificates (RFC 9773); those that are
	 * there already are asked about within 6 hours */
	"CREATE TABLE renewal_info ("
	" issued INTEGER PRIMARY KEY REFERENCES issued (id) ON DELETE CASCADE,"
	" window_start INTEGER NOT NULL DEFAULT 0,"
	" window_end INTEGER NOT NULL DEFAULT 0,"
	" suggested_at INTEGER NOT NULL DEFAULT 0,"
	" explanation TEXT,"
	" ask_at INTEGER NOT NULL,"
	" asked_at INTEGER NOT NULL DEFAULT 0,"
	" failures INTEGER NOT NULL DEFAULT 0,"
	" problem TEXT"
	") STRICT;"
	"CREATE INDEX renewal_info_ask ON renewal_info (ask_at) WHERE ask_at > 0;"
	"INSERT INTO renewal_info (issued, ask_at)"
	" SELECT id, CAST(strftime('%s', 'now') AS INTEGER) + abs(random() % 21600)"
	" FROM issued WHERE current = 1;",

	/* accounts that end, and whose key becomes another; keys of before are kept */
	"ALTER TABLE accounts ADD COLUMN state INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE accounts ADD COLUMN ended_at INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE accounts ADD COLUMN next_key BLOB;"
	"ALTER TABLE accounts ADD COLUMN next_thumbprint TEXT;"
	"CREATE TABLE account_keys ("
	" id INTEGER PRIMARY KEY,"
	" account INTEGER NOT NULL,"
	" key BLOB NOT NULL,"
	" thumbprint TEXT NOT NULL,"
	" retired_at INTEGER NOT NULL"
	") STRICT;",

	/* what a target has taken, and what is seen served, are facts of their own */
	"ALTER TABLE deployments ADD COLUMN deployed_at INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE deployments ADD COLUMN verified_at INTEGER NOT NULL DEFAULT 0;"
	"UPDATE deployments SET deployed_at = at WHERE state IN (2, 3);",
	/* what CAs allow, and who waits for it */
	"CREATE TABLE limits ("
	" ca TEXT NOT NULL COLLATE NOCASE,"
	" directory TEXT NOT NULL,"
	" what TEXT NOT NULL,"
	" until INTEGER NOT NULL,"   /* ms since 1970 */
	" said_at INTEGER NOT NULL," /* likewise */
	" PRIMARY KEY (ca, directory, what)"
	") STRICT, WITHOUT ROWID;"
	"ALTER TABLE certificates ADD COLUMN failing_since INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE certificates ADD COLUMN queued_ca TEXT;"
	"ALTER TABLE certificates ADD COLUMN queued_kind INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE certificates ADD COLUMN queued_at INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE certificates ADD COLUMN queued_end INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE certificates ADD COLUMN queued_life INTEGER NOT NULL DEFAULT 0;"
	"CREATE INDEX certificates_queued ON certificates"
	" (queued_ca, queued_kind, queued_life, queued_end, queued_at)"
	" WHERE queued_ca IS NOT NULL;"
	"CREATE INDEX certificates_renew ON certificates (renew_at) WHERE renew_at > 0;",
	/* the generation before, and those that went back to it; from when on what a
	 * target serves is so near its end that its hours don't count */
	"ALTER TABLE certificates ADD COLUMN previous TEXT;"
	"CREATE TABLE rollbacks ("
	" certificate INTEGER PRIMARY KEY REFERENCES certificates (id) ON DELETE CASCADE,"
	" went_to TEXT NOT NULL,"
	" went_from TEXT NOT NULL,"
	" at INTEGER NOT NULL,"
	" target TEXT,"
	" detail TEXT NOT NULL,"
	" seen_at INTEGER NOT NULL"
	") STRICT;"
	"ALTER TABLE deployments ADD COLUMN hurry_at INTEGER NOT NULL DEFAULT 0;"
	"UPDATE deployments SET hurry_at = coalesce("
	"(SELECT min(not_after - (not_after - not_before) * 12 / 100) FROM issued"
	" WHERE issued.certificate = deployments.certificate AND current = 1), 0)"
	" WHERE deployed_at > 0;",
	/* how many renewals come in an hour on average; and who else has got one for
	 * the same names */
	"CREATE INDEX issued_life ON issued (ca, not_before, not_after)"
	" WHERE current = 1;"
	"CREATE INDEX issued_names ON issued (names, issued_at);",

	/* what OCSP responders say of the current certificates; those that are there
	 * already are looked at within an hour, and go where they have none */
	"CREATE TABLE ocsp ("
	" issued INTEGER PRIMARY KEY REFERENCES issued (id) ON DELETE CASCADE,"
	" ask_at INTEGER NOT NULL,"
	" this_update INTEGER NOT NULL DEFAULT 0,"
	" next_update INTEGER NOT NULL DEFAULT 0,"
	" status INTEGER NOT NULL DEFAULT 0,"
	" failures INTEGER NOT NULL DEFAULT 0,"
	" problem TEXT,"
	" response BLOB"
	") STRICT;"
	"CREATE INDEX ocsp_ask ON ocsp (ask_at) WHERE ask_at > 0;"
	"CREATE INDEX issued_serial ON issued (serial);"
	"INSERT INTO ocsp (issued, ask_at)"
	" SELECT id, CAST(strftime('%s', 'now') AS INTEGER) + abs(random() % 3600)"
	" FROM issued WHERE current = 1;",
	/* RSA keys that are ready before their certificates are renewed */
	"CREATE TABLE spare_keys ("
	" certificate INTEGER PRIMARY KEY REFERENCES certificates (id)"
	" ON DELETE CASCADE,"
	" key_type INTEGER NOT NULL,"
	" key BLOB NOT NULL,"
	" spki TEXT NOT NULL UNIQUE,"
	" made_at INTEGER NOT NULL"
	") STRICT;",
	/* servers that read OCSP responses only when they are reloaded */
	"ALTER TABLE ocsp ADD COLUMN written_at INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE ocsp ADD COLUMN reload_at INTEGER NOT NULL DEFAULT 0;"
	"CREATE INDEX ocsp_reload ON ocsp (reload_at) WHERE reload_at > 0;"
	"CREATE INDEX deployments_told ON deployments (target, deployed_at);",
	/* what a start asks for of all certificates, without reading all of them: those
	 * that the configuration defines, and what was written after now */
	"CREATE INDEX certificates_origin ON certificates (origin, name);"
	"CREATE INDEX certificates_written ON certificates"
	" (max(next_attempt, failing_since, last_success, queued_at, removed_at));"
	"CREATE INDEX deployments_written ON deployments (at);"
	"CREATE INDEX renewal_info_asked ON renewal_info (asked_at)"
	" WHERE ask_at > 0;",
};

const size_t migration_count = ELEMENTS(migrations);
