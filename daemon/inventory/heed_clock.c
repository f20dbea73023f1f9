/*
 * heed_clock.c - what a clock that was ahead has left behind: rows that say "not
 * before" some day in years.
 *
 * Called by renew/ at start, and when the clock was set. That something was written
 * after now tells them from those that only have time.
 */
#include "inventory/inventory.h"
#include "inventory/statement.h"

#include "scope.h"

static int
run(struct statement *q, int64_t now)
{
	bind_integer(q, now);
	return statement_run(q);
}

/* What certificates themselves say is judged when they are looked at. By the index of
 * what was written last, as nearly always there is nothing to be found. */
static int
heed_certificates(struct store *s, int64_t now)
{
	return run(store_write(s,
		       "UPDATE certificates INDEXED BY certificates_written"
		       " SET next_at = ?1 WHERE next_at > ?1"
		       " AND max(next_attempt, failing_since, last_success,"
		       " queued_at, removed_at) > ?1"),
	    now);
}

/* Before the deployments themselves. */
static int
heed_deployed(struct store *s, int64_t now)
{
	return run(store_write(s,
		       "UPDATE certificates SET next_at = ?1 WHERE next_at > ?1"
		       " AND id IN (SELECT certificate FROM deployments"
		       " WHERE at > ?1)"),
	    now);
}

static int
heed_deployments(struct store *s, int64_t now)
{
	return run(store_write(s,
		       "UPDATE deployments SET next_attempt = ?1, at = ?1"
		       " WHERE at > ?1"),
	    now);
}

static int
heed_renewal_info(struct store *s, int64_t now)
{
	return run(store_write(s,
		       "UPDATE renewal_info SET ask_at = ?1, window_start = 0,"
		       " window_end = 0, suggested_at = 0, asked_at = 0"
		       " WHERE asked_at > ?1 AND ask_at > 0"),
	    now);
}

/* Those of renewd itself are put off for a day at most. */
static int
heed_revocations(struct store *s, int64_t now)
{
	return run(store_write(s,
		       "UPDATE revocations SET next_attempt = ?1"
		       " WHERE next_attempt > ?1 + 172800"),
	    now);
}

static int
heed_authorizations(struct store *s, int64_t now)
{
	return run(store_write(s,
		       "UPDATE authorizations SET next_attempt = ?1"
		       " WHERE next_attempt > ?1 + 172800"),
	    now);
}

int
inventory_heed_clock(struct store *s, int64_t now)
{
	int (*const tables[])(struct store * s, int64_t now) = { heed_certificates,
		heed_deployed, heed_deployments, heed_renewal_info, heed_revocations,
		heed_authorizations };
	int r = 0;

	for (size_t i = 0; i < ELEMENTS(tables) && r == 0; i++)
		r = tables[i](s, now);
	return r;
}
