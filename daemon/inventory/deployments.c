/*
 * deployments.c - what each target was told of each certificate, and how that went.
 */
#include <assert.h>
#include <errno.h>

#include "inventory/inventory.h"
#include "inventory/statement.h"

static_assert(DEPLOYMENT_PENDING == 1 && DEPLOYMENT_DEPLOYED == 2 &&
	DEPLOYMENT_SERVED == 3 && DEPLOYMENT_FAILED == 4,
    "stored");

const char *
deployment_state_name(enum deployment_state state)
{
	switch (state) {
	case DEPLOYMENT_PENDING:
		return "pending";
	case DEPLOYMENT_DEPLOYED:
		return "deployed";
	case DEPLOYMENT_SERVED:
		return "served";
	case DEPLOYMENT_FAILED:
		return "failed";
	}
	return "pending";
}

int
deployment_save(struct store *s, const struct deployment *d)
{
	struct statement *q = store_write(s,
	    "INSERT OR REPLACE INTO deployments (certificate, target, state, at, detail,"
	    " bundled, failures, next_attempt, deployed_at, verified_at, hurry_at)"
	    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");

	bind_integer(q, d->certificate);
	bind_text(q, d->target);
	bind_integer(q, d->state);
	bind_integer(q, d->at);
	bind_text(q, d->detail != NULL ? d->detail : "");
	bind_text(q, d->bundled);
	bind_integer(q, d->failures);
	bind_integer(q, d->next_attempt);
	bind_integer(q, d->deployed_at);
	bind_integer(q, d->verified_at);
	bind_integer(q, d->hurry_at);
	return statement_run(q);
}

static int
read_row(struct statement *q, void *row)
{
	struct deployment *d = row;
	int r;

	d->certificate = column_integer(q);
	r = column_copy(q, &d->target);
	d->state = (enum deployment_state)column_integer(q);
	d->at = column_integer(q);
	if (r == 0)
		r = column_copy(q, &d->detail);
	if (r == 0)
		r = column_copy(q, &d->bundled);
	if (r == 0) {
		d->failures = (unsigned)column_integer(q);
		d->next_attempt = column_integer(q);
		d->deployed_at = column_integer(q);
		d->verified_at = column_integer(q);
		d->hurry_at = column_integer(q);
	}
	return r;
}

#define COLUMNS                                                                      \
  "d.certificate, target, state, at, detail, d.bundled, d.failures, d.next_attempt," \
  " deployed_at, verified_at, hurry_at"

static int
take_all(struct statement *q, struct deployment **ret, size_t *ret_count)
{
	void *rows;
	size_t count;
	int r = statement_all(q, sizeof(struct deployment), read_row, &rows, &count);

	if (r < 0) {
		deployment_free_all(rows, count);
		return r;
	}
	*ret = rows;
	*ret_count = count;
	return 0;
}

bool
deployment_any_since(struct store *s, const char *target, int64_t since, int64_t now)
{
	struct statement *q = store_read(s,
	    "SELECT 1 FROM deployments WHERE target = ? AND deployed_at >= ?"
	    " AND deployed_at <= ? LIMIT 1");
	bool any;

	bind_text(q, target);
	bind_integer(q, since);
	bind_integer(q, now);
	any = statement_step(q) == 1;
	statement_reset(q);
	return any;
}

int
deployment_list(
    struct store *s, int64_t certificate, struct deployment **ret, size_t *ret_count)
{
	struct statement *q = store_read(s,
	    "SELECT " COLUMNS " FROM deployments d WHERE certificate = ?"
	    " ORDER BY target");

	bind_integer(q, certificate);
	return take_all(q, ret, ret_count);
}

int
deployment_between(struct store *s, const char *first, const char *last,
    struct deployment **ret, size_t *ret_count)
{
	struct statement *q = store_read(s,
	    "SELECT " COLUMNS " FROM certificates c"
	    " CROSS JOIN deployments d ON d.certificate = c.id"
	    " WHERE c.name BETWEEN ? AND ? ORDER BY c.name, target");

	bind_text(q, first);
	bind_text(q, last);
	return take_all(q, ret, ret_count);
}

int
deployment_delete(struct store *s, int64_t certificate, const char *target)
{
	struct statement *q = store_write(
	    s, "DELETE FROM deployments WHERE certificate = ? AND target = ?");

	bind_integer(q, certificate);
	bind_text(q, target);
	return statement_run(q);
}

void
deployment_free_all(struct deployment *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(rows[i].target);
		free(rows[i].detail);
		free(rows[i].bundled);
	}
	free(rows);
}
