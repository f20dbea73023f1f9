/*
 * filter.h - which certificates a request for the list wants to see.
 *
 * Made from the query by listing.c; pure judgement over facts and view.
 */
#ifndef FILTER_H
#define FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "control/view.h"

struct evkeyvalq;
struct facts;

struct filter {
	bool by_state;
	enum view_state state;
	bool by_health;
	enum view_health health;
	bool by_end;
	int64_t within; /* seconds until the end; what has ended counts, too */
	char *ca;       /* the issuer's section; NULL: any */
	char *q;        /* a part of the name, or of a domain; NULL: any */
};

/* The parameters of a query; others than these are the caller's. -EINVAL: *ret_field is
 * the one that is wrong, and *ret_why says what it must be; -ENOMEM. To be cleared also
 * where it failed. */
int filter_parse(struct filter *f, const struct evkeyvalq *query,
    const char **ret_field, const char **ret_why);
bool filter_matches(
    const struct filter *f, const struct facts *facts, const struct view *view);
void filter_clear(struct filter *f);

/* The parameters that it reads, separated by blanks. */
#define FILTER_PARAMETERS "state health ca expires_within q"

#endif
