/*
 * job_target.c - a job's certificate as targets are told of it, and a look at the files
 * that some of them write.
 *
 * Called by job_deploy.c.
 */
#include "renew/job.h"

#include <errno.h>

#include "bundle/bundle.h"
#include "renew/due.h"
#include "renew/rollback.h"

void
job_free_subject(struct job_subject *s)
{
	free(s->domains);
	free(s->dir);
	free(s->json);
}

/* The first of the key types that are configured, of what the files hold. */
static const struct issued *
first_issued(const struct job *j)
{
	const struct certificate_spec *spec = rollback_spec(j);
	size_t count;
	const struct issued *rows = rollback_rows(j, &count);

	for (size_t k = 0; k < spec->key_count; k++) {
		const struct issued *i = due_find(rows, count, spec->keys[k]);

		if (i != NULL)
			return i;
	}
	return &rows[0];
}

int
job_subject(const struct job *j, const struct target_config *t, struct job_subject *ret)
{
	const struct renewals *r = j->renewals;
	const struct issued *first = first_issued(j);
	int e = 0;

	ret->domains = certificate_spec_domains(j->spec, ' ');
	ret->dir = bundle_path(r->bundles, j->row->name);
	if (ret->domains == NULL || ret->dir == NULL)
		return -ENOMEM;
	if (deploy_wants_json(t) && r->describe != NULL)
		e = r->describe(j->row, &ret->json, r->describe_arg);
	if (e == -ENOMEM)
		return e;
	ret->it = (struct deploy_subject){ .certificate = j->row->name,
		.domains = ret->domains,
		.bundle_dir = ret->dir,
		.serial = first->serial,
		.json = ret->json,
		.not_after = clock_format(first->not_after, ret->not_after) };
	return 0;
}

void
renewals_described_by(struct renewals *r,
    int (*describe)(const struct certificate *c, char **ret, void *arg), void *arg)
{
	if (r == NULL)
		return;
	r->describe = describe;
	r->describe_arg = arg;
}

bool
job_files_right(
    const struct job *j, const struct target_config *t, char *why, size_t size)
{
	_cleanup_(job_free_subject) struct job_subject subject = { 0 };

	if (!deploy_has_files(t) || job_subject(j, t, &subject) < 0)
		return true;
	return deploy_look(t, &subject.it, why, size) > 0;
}
