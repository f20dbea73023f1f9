/*
 * flow_valid.c - the authorizations that an order leaves behind at the CA.
 *
 * They outlive the order, so flow.c has them kept when it has come to its certificate.
 * Pending ones are never among them: who deactivates one of those fails a validation.
 */
#include "flow.h"

#include <stdio.h>
#include <string.h>

void
flow_valid_clear(struct acme_flow *f)
{
	for (size_t i = 0; i < f->shown_count; i++)
		free((char *)f->authorizations[i].identifier);
	free(f->authorizations);
	f->authorizations = NULL;
	f->shown_count = 0;
	flow_authz_free_all(f->valid, f->valid_count);
	f->valid = NULL;
	f->valid_count = 0;
}

static bool
show(const struct flow_authz *a, struct acme_authorization *ret)
{
	char *identifier;

	if (!a->valid || !a->seen || a->identifier.type == 0)
		return false;
	if (asprintf(
		&identifier, "%s%s", a->wildcard ? "*." : "", a->identifier.value) < 0)
		return false;
	*ret = (struct acme_authorization){
		.url = a->url, .identifier = identifier, .expires = a->expires
	};
	return true;
}

/* Without memory they are not told: nothing depends on them. */
void
flow_valid_keep(struct acme_flow *f)
{
	size_t count = 0;

	flow_valid_clear(f);
	f->authorizations = calloc(f->authz_count + 1, sizeof(*f->authorizations));
	if (f->authorizations == NULL)
		return;
	for (size_t i = 0; i < f->authz_count; i++)
		count += show(&f->authz[i], &f->authorizations[count]);
	f->valid = f->authz;
	f->valid_count = f->authz_count;
	f->shown_count = count;
	f->authz = NULL;
	f->authz_count = 0;
}

size_t
acme_flow_authorizations(
    const struct acme_flow *f, const struct acme_authorization **ret)
{
	*ret = f->authorizations;
	return f->shown_count;
}
