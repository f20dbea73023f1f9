/*
 * job_served.c - looks from outside at what a job's target serves, and what is done
 * where that isn't what the files hold: deployed again, then back to the certificate of
 * before where the new one broke the server.
 *
 * Called by job_deploy.c after a deployment, and now and then. It orders nothing, and
 * whatever is seen stops no renewal.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "deploy/verify.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "renew/due.h"
#include "renew/job.h"
#include "renew/rollback.h"
#include "renew/telling.h"
#include "result.h"

#define VERIFYING_MAX 64 /* certificates that are looked at, at once */
#define LATER_SECONDS 20
#define NAMES_MAX     100

/* ---- back to the one of before ---- */

static bool
go_back(struct job *j, const char *why)
{
	const struct target_config *t = telling_config(j);

	if (t == NULL || !t->roll_back || rollback_begin(j, telling_target(j), why) < 0)
		return false;
	j->target = 0; /* whoever has the new one, too */
	return true;
}

/* The failure was noted. True: other files are to be written, and all targets told. */
static bool
heed_failure(struct job *j, bool broken, const char *why)
{
	j->redeployed = false;
	if (rollback_is_tried(j, telling_target(j))) {
		rollback_failed(j, why);
		j->target = 0;
		return true;
	}
	return broken && go_back(j, why);
}

static void
go_on(struct job *j, bool anew)
{
	if (!anew)
		job_next_target(j);
	job_step(j);
}

/* ---- what was seen ---- */

/* Whoever changed it: it is deployed once more before that counts as a failure. False:
 * this target is done with. */
static bool
deploy_again(struct job *j, const struct deployment *before, const char *why)
{
	if (j->redeployed || telling_at(telling_config(j), before) > clock_now()) {
		telling_failed(j, before, why);
		return false;
	}
	j->redeployed = true;
	if (before == NULL || before->failures == 0)
		telling_not_served(j, why);
	return job_tell(j, before);
}

/* After a deployment that failed: does it serve what it did? */
static void
judge_failure(struct job *j, bool broken)
{
	_cleanup_free_ char *why = steal_ptr(j->broken);

	go_on(j, heed_failure(j, broken, why));
}

static void
judge(struct job *j, const char *why, bool broken)
{
	struct deployment *rows = NULL;
	size_t count = 0;
	const struct deployment *before = NULL;
	bool busy = false, anew = false;

	(void)telling_read(j, telling_target(j), &rows, &count, &before);
	if (why == NULL) {
		telling_served(j, before);
		if (rollback_is_tried(j, telling_target(j)))
			rollback_helped(j);
	} else {
		busy = deploy_again(j, before, why);
		anew = !busy && heed_failure(j, broken, why);
	}
	deployment_free_all(rows, count);
	if (!busy)
		go_on(j, anew);
}

static void
verified_cb(const char *why, bool broken, void *arg)
{
	_cleanup_free_ char *text = why != NULL ? strdup(why) : NULL;
	struct job *j = arg;

	j->verify = verify_free(j->verify);
	j->renewals->verifying--;
	if (why != NULL && text == NULL)
		text = strdup("out of memory");
	if (j->broken != NULL)
		judge_failure(j, why != NULL && broken);
	else
		judge(j, text, broken);
}

/* ---- looking ---- */

/* DNS names, one that a wildcard stands for; "" where there is none. */
struct names {
	char text[NAMES_MAX][300];
	const char *v[NAMES_MAX];
	size_t count;
};

static void
choose_names(const struct certificate_spec *spec, size_t most, struct names *ret)
{
	for (size_t i = 0; i < spec->identifier_count && ret->count < most; i++) {
		const struct acme_identifier *it = &spec->identifiers[i];
		char *text = ret->text[ret->count];

		if (it->type != ACME_IDENTIFIER_DNS)
			continue;
		snprintf(text, sizeof(ret->text[0]), "%s%s",
		    it->value[0] == '*' ? "renewd" : "",
		    it->value + (it->value[0] == '*'));
		ret->v[ret->count++] = text;
	}
}

static bool
has_more_than_leaf(const char *chain)
{
	static const char begin[] = "-----BEGIN ";
	const char *first = chain != NULL ? strstr(chain, begin) : NULL;

	return first != NULL && strstr(first + 1, begin) != NULL;
}

static int
start(struct job *j, const struct target_config *t, bool patient)
{
	_cleanup_free_ struct names *names = calloc(1, sizeof(*names));
	struct verify_leaf leaves[ELEMENTS(j->spec->keys)];
	struct verify_subject subject = { .target = t, .leaves = leaves };
	size_t count;
	const struct issued *rows = rollback_rows(j, &count);
	const struct certificate_spec *spec = rollback_spec(j);
	int r;

	if (names == NULL)
		return -ENOMEM;
	choose_names(
	    j->spec, t->verify_names == VERIFY_NAMES_ALL ? NAMES_MAX : 1, names);
	subject.names = names->v;
	subject.name_count = names->count;
	subject.must_staple = j->spec->must_staple && j->old_count == 0;
	for (size_t k = 0; k < spec->key_count; k++) {
		const struct issued *i = due_find(rows, count, spec->keys[k]);

		if (i != NULL)
			leaves[subject.count++] = (struct verify_leaf){
				.rsa = acme_key_type_is_rsa(i->key_type),
				.chained = has_more_than_leaf(i->chain),
				.fingerprint = i->fingerprint,
			};
	}
	r = verify_start(
	    j->renewals->means.base, &subject, patient, verified_cb, j, &j->verify);
	if (r == 0)
		j->renewals->verifying++;
	return r;
}

bool
job_look(struct job *j, const struct deployment *before, bool patient)
{
	const struct target_config *t = telling_config(j);
	struct deployment d = telling_row(j, before);
	char why[512];

	if (!job_files_right(j, t, why, sizeof(why)))
		return deploy_again(j, before, why);
	if (t->verify.n == 0) {
		telling_in_place(j, before);
		return false;
	}
	if (j->renewals->verifying < VERIFYING_MAX && start(j, t, patient) == 0)
		return true;
	d.next_attempt = clock_now() + 1 + (int64_t)clock_random(LATER_SECONDS);
	(void)deployment_save(j->renewals->means.store, &d);
	return false;
}

void
job_heed_failure(struct job *j, const struct acme_result *failure)
{
	const struct target_config *t = telling_config(j);
	bool may_go_back =
	    t != NULL && t->roll_back && t->verify.n > 0 && rollback_possible(j) == 0;
	/* the server has refused what it was given: its next start would fail */
	bool refused = failure->class == ACME_GIVE_UP;

	if (may_go_back && !refused) {
		j->broken = strdup(failure->detail);
		if (j->broken != NULL && start(j, t, false) == 0)
			return;
		free(j->broken);
		j->broken = NULL;
	}
	go_on(j, heed_failure(j, refused, failure->detail));
}
