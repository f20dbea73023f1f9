/*
 * rollback.c - the generation before in place of the current one: from the inventory,
 * which keeps what was issued.
 *
 * A row there says what the files hold and instead of what; with the next renewal
 * something else is current, and the row means nothing any more. It must never bring
 * back what has expired, was revoked, or whose key is known to others; nor go back a
 * second time by itself from the same certificates.
 */
#include "renew/rollback.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "inventory/store.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "platform/metrics.h"
#include "renew/due.h"

#define DAY (INT64_C(24) * 3600)

/* A day before it expires, or the tenth part of a short life, there has to be time for
 * the other one. */
static int64_t
end_of(const struct issued *i)
{
	int64_t margin = (i->not_after - i->not_before) / 10;

	return i->not_after - (margin < DAY ? margin : DAY);
}

static int
usable(const struct issued *i, int64_t now)
{
	if (i->revoked_at != 0 || i->compromised)
		return -EKEYREVOKED;
	return end_of(i) <= now ? -EKEYEXPIRED : 0;
}

/* The rows of a list of ids. -ENOENT: one isn't there any more, or it is no list. */
static int
read_rows(const struct job *j, const char *ids, struct issued **ret, size_t *ret_count)
{
	struct issued *rows = calloc(ELEMENTS(j->spec->keys), sizeof(*rows));
	int64_t now = clock_now();
	size_t count = 0;
	int r = rows != NULL ? 0 : -ENOMEM;
	char *end;

	for (; r == 0 && count < ELEMENTS(j->spec->keys) && *ids != '\0'; ids = end) {
		struct issued *row = NULL;
		long long id = strtoll(ids, &end, 10);

		r = end == ids ? -ENOENT
			       : issued_get(j->renewals->means.store, id, &row);
		if (r < 0)
			break;
		rows[count++] = *row;
		free(row);
		r = usable(&rows[count - 1], now);
		end += *end == ',';
	}
	if (r == 0 && count == 0)
		r = -ENOENT;
	if (r < 0) {
		issued_free_all(rows, count);
		return r;
	}
	*ret = rows;
	*ret_count = count;
	return 0;
}

void
rollback_clear(struct job *j)
{
	j->rollback = rollback_free(j->rollback);
	issued_free_all(j->old, j->old_count);
	j->old = NULL;
	j->old_count = 0;
}

/* Names and kinds of files are those that these rows had. */
static void
set_spec(struct job *j)
{
	j->old_spec = *j->spec; /* the rest is lent */
	j->old_spec.key_count = j->old_count;
	for (size_t i = 0; i < j->old_count; i++)
		j->old_spec.keys[i] = j->old[i].key_type;
}

static void
log_ended(const struct job *j, const char *why)
{
	log_line(LOG_NOTICE,
	    (&(struct log_fields){
		.event = LOG_EVENT_ROLLED_BACK, .certificate = j->row->name }),
	    "the certificate of before is not used any more: %s", why);
}

int
rollback_load(struct job *j)
{
	struct store *store = j->renewals->means.store;
	int r;

	rollback_clear(j);
	r = rollback_get(store, j->row->id, &j->rollback);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (!due_is_rolled_back(j->rollback, j->spec, j->issued, j->issued_count))
		return 0;
	r = read_rows(j, j->rollback->to, &j->old, &j->old_count);
	if (r == 0) {
		set_spec(j);
		return 0;
	}
	if (r != -ENOENT && r != -EKEYREVOKED && r != -EKEYEXPIRED)
		return r;
	log_ended(j,
	    r == -EKEYEXPIRED       ? "it is about to expire"
		: r == -EKEYREVOKED ? "it was revoked"
				    : "it is not in the inventory any more");
	free(j->rollback->to);
	j->rollback->to = strdup("");
	return j->rollback->to != NULL ? rollback_save(store, j->rollback) : -ENOMEM;
}

int64_t
rollback_end(const struct job *j)
{
	int64_t end = 0;

	for (size_t i = 0; i < j->old_count; i++)
		if (end == 0 || end_of(&j->old[i]) < end)
			end = end_of(&j->old[i]);
	return end;
}

int
rollback_possible(const struct job *j)
{
	struct issued *rows = NULL;
	size_t count = 0;
	int r;

	if (j->old_count > 0)
		return -EALREADY;
	if (j->row->previous == NULL)
		return -ENOENT;
	r = read_rows(j, j->row->previous, &rows, &count);
	if (r == 0)
		issued_free_all(rows, count);
	return r;
}

/* By itself it goes back from these certificates once. */
static bool
has_tried(const struct job *j, const char *wanted)
{
	return j->rollback != NULL && due_same_rows(wanted, j->rollback->from);
}

/* Told again, whatever the hour. */
static int
forget_deployments(struct job *j)
{
	struct store *store = j->renewals->means.store;
	struct deployment *rows = NULL;
	size_t count = 0;
	int r = deployment_list(store, j->row->id, &rows, &count);

	for (size_t i = 0; i < count && r == 0; i++) {
		rows[i].hurry_at = 0;
		rows[i].next_attempt = 0;
		if (rows[i].state != DEPLOYMENT_FAILED)
			rows[i].state = DEPLOYMENT_PENDING;
		free(rows[i].bundled);
		rows[i].bundled = NULL;
		r = deployment_save(store, &rows[i]);
	}
	deployment_free_all(rows, count);
	return r;
}

static void
note(struct job *j, const char *kind, const char *target, const char *detail)
{
	(void)history_add(j->renewals->means.store,
	    &(struct history_event){ .at = clock_now(),
		.kind = kind,
		.certificate = j->row->name,
		.target = target,
		.detail = detail });
	metrics_add(j->renewals->means.metrics, METRIC_ROLLBACKS, 1,
	    (const char *const[METRIC_LABELS_MAX]){
		target != NULL ? target : "", kind, NULL });
}

static void
log_begun(const struct job *j, const char *target, const char *detail)
{
	const struct log_fields fields = { .event = LOG_EVENT_ROLLED_BACK,
		.certificate = j->row->name,
		.target = target };

	if (target == NULL)
		log_line(LOG_NOTICE, &fields,
		    "rolled back to the certificate of before, until the next renewal or "
		    "\"renewctl deploy %s\"",
		    j->row->name);
	else
		log_line(LOG_CRIT, &fields,
		    "rolled back to the certificate of before, as the new one broke the "
		    "server: %s; mend that, then \"renewctl deploy %s\"",
		    detail, j->row->name);
}

int
rollback_begin(struct job *j, const char *target, const char *detail)
{
	struct store *store = j->renewals->means.store;
	_cleanup_free_ char *wanted = due_bundle(j->spec, j->issued, j->issued_count);
	struct rollback row = { .certificate = j->row->id,
		.to = j->row->previous,
		.at = clock_now(),
		.target = (char *)target,
		.detail = (char *)(detail != NULL ? detail : "") };
	int r = wanted != NULL ? rollback_possible(j) : -ENOMEM;

	if (r == 0 && target != NULL && has_tried(j, wanted))
		r = -EALREADY;
	if (r < 0)
		return r;
	wanted[strcspn(wanted, " ")] = '\0';
	row.from = wanted;
	r = rollback_save(store, &row);
	if (r == 0)
		r = forget_deployments(j);
	if (r < 0)
		return r;
	log_begun(j, target, detail);
	note(j, "rolled-back", target, detail);
	return rollback_load(j);
}

bool
rollback_is_tried(const struct job *j, const char *target)
{
	return j->old_count > 0 && j->rollback->target != NULL &&
	    j->rollback->seen_at == 0 && strcasecmp(j->rollback->target, target) == 0;
}

void
rollback_helped(struct job *j)
{
	j->rollback->seen_at = clock_now();
	(void)rollback_save(j->renewals->means.store, j->rollback);
}

void
rollback_failed(struct job *j, const char *detail)
{
	char *none = strdup("");

	if (none == NULL)
		return;
	log_line(LOG_ERR,
	    (&(struct log_fields){ .event = LOG_EVENT_ROLLED_BACK,
		.certificate = j->row->name,
		.target = j->rollback->target }),
	    "the certificate of before isn't served either, so the new one comes back: %s",
	    detail);
	note(j, "rollback-failed", j->rollback->target, detail);
	free(j->rollback->to);
	j->rollback->to = none;
	(void)rollback_save(j->renewals->means.store, j->rollback);
	(void)forget_deployments(j);
	(void)rollback_load(j);
}

const struct certificate_spec *
rollback_spec(const struct job *j)
{
	return j->old_count > 0 ? &j->old_spec : j->spec;
}

const struct issued *
rollback_rows(const struct job *j, size_t *ret_count)
{
	*ret_count = j->old_count > 0 ? j->old_count : j->issued_count;
	return j->old_count > 0 ? j->old : j->issued;
}

/* A placeholder is nothing to go back to. */
static char *
ids_of(const char *bundled)
{
	if (*bundled < '0' || *bundled > '9')
		return NULL;
	return strndup(bundled, strcspn(bundled, " "));
}

void
rollback_note_files(struct certificate *c, char *bundled)
{
	if (c->bundled != NULL && bundled != NULL &&
	    !due_same_rows(c->bundled, bundled)) {
		free(c->previous);
		c->previous = ids_of(c->bundled);
	}
	free(c->bundled);
	c->bundled = bundled;
}
