/*
 * facts.h - all that is known of one certificate at one moment: its row, what was
 * issued, where it is deployed, what is configured and what is being done.
 *
 * Gathered for a handler that shows a certificate; view.c judges it. Nothing here
 * writes to the inventory.
 */
#ifndef FACTS_H
#define FACTS_H

#include "config/config.h"
#include "inventory/inventory.h"
#include "inventory/revocations.h"
#include "renew/renewal.h"

struct facts {
	const struct certificate *certificate; /* lent */
	/* NULL where its text can't be read any more, as after its CA was removed. */
	struct certificate_spec *spec;
	struct issued *issued;
	size_t issued_count;
	struct deployment *deployments;
	size_t deployment_count;
	struct revocation *revocations; /* that aren't done */
	size_t revocation_count;
	const struct config *config; /* lent */
	enum renewal_activity doing;
	enum renew_reason due; /* what has to be ordered now, and why */
	int64_t queued_until;  /* its CA has said so */
	int64_t now;
};

/* To be cleared also where it failed. */
int facts_load(struct facts *f, struct store *store, const struct config *config,
    const struct renewals *renewals, const struct certificate *c, int64_t now);
void facts_clear(struct facts *f);

#endif
