/*
 * facts.h - all that is known of one certificate at one moment: its row, what was
 * issued, where it is deployed, what is configured and what is being done.
 *
 * Gathered for handlers that show or count certificates; view.c judges it. Nothing here
 * writes to the inventory.
 */
#ifndef FACTS_H
#define FACTS_H

#include "config/config.h"
#include "inventory/inventory.h"
#include "inventory/revocations.h"
#include "renew/renewal.h"

struct service;

/* Rows in the order of their certificates' names. */
struct facts_rows {
	struct issued *issued;
	size_t issued_count;
	struct deployment *deployments;
	size_t deployment_count;
	struct revocation *revocations;
	size_t revocation_count;
	struct rollback *rollbacks;
	size_t rollback_count;
};

struct facts {
	const struct certificate *certificate; /* lent, as are the other rows */
	/* NULL where its text can't be read any more, as after its CA was removed. */
	struct certificate_spec *spec;
	const struct issued *issued;
	size_t issued_count;
	const struct deployment *deployments;
	size_t deployment_count;
	const struct config *config;          /* lent; NULL: its targets aren't known */
	const struct rollback *rollback;      /* that holds; NULL: none */
	const struct revocation *revocations; /* that aren't done */
	size_t revocation_count;
	enum renewal_activity doing;
	enum renew_reason due;     /* what has to be ordered now, and why */
	struct renewals_wait wait; /* for its CA */
	int64_t now;
	struct facts_rows own; /* of facts_load(), to be freed */
};

/* To be cleared also where it failed. */
int facts_load(struct facts *f, const struct service *s, const struct certificate *c);
void facts_clear(struct facts *f);

enum facts_need {
	FACTS_ROW, /* the certificate's own row, and nothing else */
	FACTS_ALL,
};

/* A negative return ends the walk. The facts are cleared after it. */
typedef int facts_cb(const struct facts *f, void *arg);

/* Some more of all certificates that aren't removed, by name, beginning after *after
 * (NULL: the first), which becomes the last one that was looked at: so many as may be
 * done in one turn of the loop. 1: there may be more, 0: there are none, or negative.
 */
int facts_walk(const struct service *s, char **after, enum facts_need need,
    facts_cb *cb, void *arg);

/* Is it to be renewed at all? */
static inline bool
facts_enabled(const struct facts *f)
{
	return f->spec == NULL || f->spec->enabled;
}

#endif
