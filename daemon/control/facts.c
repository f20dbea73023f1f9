/*
 * facts.c - gathers what is known of one certificate from inventory, configuration and
 * the jobs that run.
 *
 * Called by the handlers of control/ for each certificate that is shown or counted, so
 * it must stay cheap: no secrets, no chains, three short queries.
 */
#include "control/facts.h"

#include <errno.h>
#include <string.h>

#include "renew/due.h"
#include "renew/order.h"

/* The row says what was planned when it was last looked at; since then somebody may
 * have asked for it, changed or revoked it. */
static int
judge_due(struct facts *f)
{
	_cleanup_free_ char *names = NULL;

	if (f->spec == NULL)
		return 0;
	names = order_names(f->spec);
	if (names == NULL)
		return -ENOMEM;
	f->due =
	    due_any(f->certificate, f->spec, names, f->issued, f->issued_count, f->now);
	return 0;
}

int
facts_load(struct facts *f, struct store *store, const struct config *config,
    const struct renewals *renewals, const struct certificate *c, int64_t now)
{
	struct config_errors errors = { 0 };
	int r;

	*f = (struct facts){ .certificate = c, .config = config, .now = now };
	/* Text that is broken by now is for the log of a reload, not for each look. */
	r = certificate_spec_parse(config, c->name, c->spec, &f->spec, &errors);
	config_errors_clear(&errors);
	if (r == -ENOMEM)
		return r;
	r = issued_current(store, c->id, false, &f->issued, &f->issued_count);
	if (r < 0)
		return r;
	r = deployment_list(store, c->id, &f->deployments, &f->deployment_count);
	if (r < 0)
		return r;
	r = revocation_list(store, c->id, &f->revocations, &f->revocation_count);
	if (r < 0)
		return r;
	f->doing = renewals_activity(renewals, c->id);
	f->queued_until = renewals_queued_until(renewals, c);
	return judge_due(f);
}

void
facts_clear(struct facts *f)
{
	certificate_spec_free(f->spec);
	issued_free_all(f->issued, f->issued_count);
	deployment_free_all(f->deployments, f->deployment_count);
	revocation_free_all(f->revocations, f->revocation_count);
	*f = (struct facts){ 0 };
}
