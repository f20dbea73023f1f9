/*
 * replaced.c - is there another certificate in the place of one that is superseded, for
 * every server?
 *
 * Asked by revoker.c whenever a job has ended. What it judges by are facts: the same
 * answer comes after a crash.
 */
#include <errno.h>
#include <string.h>

#include "inventory/revocations.h"
#include "json.h"
#include "platform/clock.h"
#include "renew/due.h"
#include "renew/job.h"
#include "renew/revoker.h"
#include "result.h"

static bool
has_taken(const struct deployment *d, const char *bundled)
{
	return d != NULL && d->bundled != NULL && strcmp(d->bundled, bundled) == 0 &&
	    (d->state == DEPLOYMENT_DEPLOYED || d->state == DEPLOYMENT_SERVED);
}

/* The first target that still has the old one; NULL: none. */
static const char *
find_behind(const struct job *j, const struct deployment *rows, size_t count,
    const struct deployment **ret)
{
	for (size_t i = 0; i < j->spec->deploy.n; i++) {
		*ret = due_find_deployment(rows, count, j->spec->deploy.v[i]);
		if (!has_taken(*ret, j->row->bundled))
			return j->spec->deploy.v[i];
	}
	return NULL;
}

static bool
is_written(const struct job *j)
{
	_cleanup_free_ char *wanted = due_bundle(j->spec, j->issued, j->issued_count);

	return wanted != NULL && j->row->bundled != NULL &&
	    strcmp(wanted, j->row->bundled) == 0;
}

/* What the last attempt came to, in its own words. */
static struct acme_result *
explain(const struct certificate *c, const char *what)
{
	struct acme_result *failure;
	struct json *error = NULL;
	const char *detail = NULL;

	if (c->last_error != NULL &&
	    json_parse(
		c->last_error, strlen(c->last_error), &json_limits_acme, &error) == 0)
		detail = json_string(json_get(error, "detail"));
	failure = acme_result_new(ACME_RETRY, "order", "%s: %s", what,
	    detail != NULL ? detail : "it is waited for");
	json_free(error);
	return failure;
}

static bool
is_over(const struct job *j, int64_t now)
{
	return renewals_job(j->renewals, j->row->id) == NULL &&
	    (j->row->next_at == 0 || j->row->next_at > now);
}

static bool
deployed_everywhere(
    const struct job *j, struct acme_result **ret_failure, int64_t *ret_next)
{
	struct deployment *rows = NULL;
	const struct deployment *d = NULL;
	const char *behind;
	size_t count = 0;

	if (deployment_list(j->renewals->means.store, j->row->id, &rows, &count) < 0)
		return false;
	behind = find_behind(j, rows, count, &d);
	if (behind != NULL && is_over(j, clock_now())) {
		*ret_failure = acme_result_new(ACME_RETRY, "deploy",
		    "its replacement is not deployed to \"%s\" yet%s%s", behind,
		    d != NULL && *d->detail != '\0' ? ": " : "",
		    d != NULL ? d->detail : "");
		*ret_next = j->row->next_at;
	}
	deployment_free_all(rows, count);
	return behind == NULL;
}

bool
replaced_everywhere(struct renewals *r, const struct revocation *wish,
    struct acme_result **ret_failure, int64_t *ret_next)
{
	_cleanup_(job_freep) struct job *j = NULL;
	const struct issued *i;
	int e;

	*ret_failure = NULL;
	e = job_load(r, wish->certificate, &j);
	if (e == -ENOENT)
		return true; /* it was removed: nothing will come in its place */
	if (e < 0)
		return false;
	i = due_find(j->issued, j->issued_count, wish->key_type);
	if (i != NULL && i->id == wish->issued) {
		if (is_over(j, clock_now())) {
			*ret_failure = explain(j->row, "it is not replaced yet");
			*ret_next = j->row->next_attempt;
		}
		return false;
	}
	if (!is_written(j)) {
		if (is_over(j, clock_now())) {
			*ret_failure =
			    explain(j->row, "its replacement is not written yet");
			*ret_next = j->row->next_attempt;
		}
		return false;
	}
	return deployed_everywhere(j, ret_failure, ret_next);
}
