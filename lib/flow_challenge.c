/*
 * flow_challenge.c - which challenge of a name is taken, and what has to be published
 * for it (RFC 8555 section 8).
 *
 * Used by flow_authz.c, which walks the names.
 */
#include "flow.h"

#include <errno.h>
#include <string.h>

int
flow_challenge_list(struct acme_flow *f)
{
	struct acme_challenge *list;
	size_t n = 0;

	list = calloc(f->authz_count + 1, sizeof(*list));
	if (list == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < f->authz_count; i++) {
		const struct flow_authz *a = &f->authz[i];

		if (a->valid || a->failed || a->challenge_url == NULL)
			continue;
		list[n++] = (struct acme_challenge){ .type = a->type,
			.identifier = a->identifier.value,
			.token = a->token,
			.key_authorization = a->key_authorization,
			.issuers = (const char *const *)a->issuers,
			.issuer_count = a->issuer_count };
	}
	free(f->challenges);
	f->challenges = list;
	f->challenge_count = n;
	return 0;
}

size_t
acme_flow_challenges(const struct acme_flow *f, const struct acme_challenge **ret)
{
	*ret = f->challenges;
	return f->challenge_count;
}

const struct wire_challenge *
flow_challenge_choose(const struct acme_flow *f, const struct wire_authz *wire)
{
	const char *types = f->challenge_types;

	while (*(types += strspn(types, " ")) != '\0') {
		size_t len = strcspn(types, " ");

		for (size_t i = 0; i < wire->challenge_count; i++) {
			const struct wire_challenge *c = &wire->challenges[i];

			if (strlen(c->type) == len &&
			    strncmp(c->type, types, len) == 0 &&
			    c->status != WIRE_INVALID)
				return c;
		}
		types += len;
	}
	return NULL;
}

static int
copy_issuers(const struct wire_challenge *c, struct flow_authz *a)
{
	a->issuers = calloc(c->issuer_count, sizeof(*a->issuers));
	if (a->issuers == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < c->issuer_count; i++) {
		if (flow_copy(c->issuers[i], &a->issuers[i]) < 0)
			return -ENOMEM;
		a->issuer_count = i + 1;
	}
	return 0;
}

int
flow_challenge_take(
    struct acme_flow *f, struct flow_authz *a, const struct wire_challenge *c)
{
	int r;

	r = flow_copy(c->url, &a->challenge_url);
	if (r == 0)
		r = flow_copy(c->type, &a->type);
	if (r == 0)
		r = flow_copy(c->token, &a->token);
	if (r == 0)
		r = c->token != NULL ? acme_key_authorization(f->account_key, c->token,
					   &a->key_authorization)
				     : copy_issuers(c, a);
	a->answered = c->status == WIRE_PROCESSING;
	return r;
}

const struct wire_challenge *
flow_challenge_ours(const struct flow_authz *a, const struct wire_authz *wire)
{
	for (size_t i = 0; a->challenge_url != NULL && i < wire->challenge_count; i++)
		if (strcmp(wire->challenges[i].url, a->challenge_url) == 0)
			return &wire->challenges[i];
	return NULL;
}

void
flow_challenge_free_issuers(struct flow_authz *a)
{
	for (size_t i = 0; i < a->issuer_count; i++)
		free(a->issuers[i]);
	free(a->issuers);
	a->issuers = NULL;
	a->issuer_count = 0;
}

void
flow_challenge_drop(struct flow_authz *a)
{
	char **fields[] = { &a->challenge_url, &a->type, &a->token,
		&a->key_authorization };

	for (size_t i = 0; i < ELEMENTS(fields); i++) {
		free(*fields[i]);
		*fields[i] = NULL;
	}
	flow_challenge_free_issuers(a);
	a->answered = false;
	a->answers = 0;
	a->fetched = false;
	a->complaint = acme_result_free(a->complaint);
}
