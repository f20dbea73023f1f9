/*
 * wire_authz.c - authorizations and their challenges (RFC 8555 sections 7.1.4, 7.5, 8).
 *
 * Challenges without a usable URL or token, or names of the CA where those take a
 * token's place, are passed over.
 */
#include "wire.h"

#include <errno.h>
#include <string.h>

#include "challenge.h"
#include "json.h"
#include "result.h"

#define CHALLENGES_MAX 32
#define TYPE_MAX       64
#define EXPIRES_MAX    64

/* draft-ietf-acme-dns-persist section 3.1, under the name of before its -02 too: 1 to
 * 10 names of the CA, or the challenge is malformed. */
static int
read_issuers(const struct json *json, struct wire_challenge *c)
{
	const struct json *list = json_get(json, "issuerDomainNames");
	size_t count;

	if (list == NULL)
		list = json_get(json, "issuer-domain-names");
	count = json_type(list) == JSON_ARRAY ? json_count(list) : 0;
	if (count == 0 || count > CHALLENGE_ISSUERS_MAX)
		return -EBADMSG;
	c->issuers = calloc(count, sizeof(*c->issuers));
	if (c->issuers == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const char *name = json_string(json_at(list, i));

		if (name == NULL || !challenge_issuer_ok(name))
			return -EBADMSG;
		c->issuers[i] = strdup(name);
		if (c->issuers[i] == NULL)
			return -ENOMEM;
		c->issuer_count = i + 1;
	}
	return 0;
}

static int
read_token(const struct json *json, struct wire_challenge *c)
{
	const char *token = json_string(json_get(json, "token"));

	if (token == NULL)
		return -EBADMSG;
	if (!challenge_token_ok(token))
		return -EILSEQ;
	c->token = strdup(token);
	return c->token != NULL ? 0 : -ENOMEM;
}

static int
read_challenge(const struct json *json, struct wire_challenge *c)
{
	const char *type = json_string(json_get(json, "type"));
	int r;

	if (type == NULL || strlen(type) > TYPE_MAX)
		return -EBADMSG;
	r = strcmp(type, "dns-persist-01") == 0 ? read_issuers(json, c)
						: read_token(json, c);
	if (r == 0)
		r = wire_url(json, "url", &c->url);
	if (r < 0)
		return r;
	if (c->url == NULL)
		return -EBADMSG;
	c->type = strdup(type);
	c->status = wire_status_read(json);
	c->error = wire_problem_from(json_get(json, "error"), "authorize");
	return c->type != NULL ? 0 : -ENOMEM;
}

static void
clear_challenge(struct wire_challenge *c)
{
	free(c->type);
	free(c->url);
	free(c->token);
	for (size_t i = 0; i < c->issuer_count; i++)
		free(c->issuers[i]);
	free(c->issuers);
	acme_result_free(c->error);
	*c = (struct wire_challenge){ 0 };
}

static int
read_challenges(const struct json *list, struct wire_authz *a)
{
	size_t count = json_type(list) == JSON_ARRAY ? json_count(list) : 0;
	int r;

	if (count > CHALLENGES_MAX)
		count = CHALLENGES_MAX;
	if (count == 0)
		return 0;
	a->challenges = calloc(count, sizeof(*a->challenges));
	if (a->challenges == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		r = read_challenge(
		    json_at(list, i), &a->challenges[a->challenge_count]);
		if (r == 0) {
			a->challenge_count++;
		} else {
			clear_challenge(&a->challenges[a->challenge_count]);
			a->bad_tokens |= r == -EILSEQ;
		}
		if (r == -ENOMEM)
			return r;
	}
	return 0;
}

/* A time is digits and a few letters; it is for others to take apart. */
static char *
read_expires(const struct json *json)
{
	const char *text = json_string(json_get(json, "expires"));

	if (text == NULL || *text == '\0' || strlen(text) > EXPIRES_MAX ||
	    text[strspn(text, "0123456789-+:.TtZz")] != '\0')
		return NULL;
	return strdup(text);
}

static int
read_members(const struct json *json, struct wire_authz *a)
{
	const struct json *identifier = json_get(json, "identifier");
	const char *type = json_string(json_get(identifier, "type"));
	const char *value = json_string(json_get(identifier, "value"));

	a->status = wire_status_read(json);
	a->wildcard = json_is_true(json_get(json, "wildcard"));
	a->expires = read_expires(json);
	if (a->status == WIRE_UNKNOWN || type == NULL || value == NULL)
		return -EBADMSG;
	if (strcmp(type, "dns") == 0 || strcmp(type, "ip") == 0)
		if (acme_identifier_parse(value, &a->identifier, NULL) < 0)
			return -EBADMSG;
	return read_challenges(json_get(json, "challenges"), a);
}

int
wire_authz_read(const char *text, size_t len, struct wire_authz **ret)
{
	_cleanup_(wire_authz_freep) struct wire_authz *a = NULL;
	struct json *json;
	int r;

	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return -ENOMEM;
	r = json_parse(text, len, &json_limits_acme, &json);
	if (r < 0)
		return r;
	r = read_members(json, a);
	json_free(json);
	if (r < 0)
		return r;
	*ret = steal_ptr(a);
	return 0;
}

struct wire_authz *
wire_authz_free(struct wire_authz *a)
{
	if (a == NULL)
		return NULL;
	for (size_t i = 0; i < a->challenge_count; i++)
		clear_challenge(&a->challenges[i]);
	free(a->challenges);
	free(a->expires);
	free(a);
	return NULL;
}

int
wire_challenge_read(const char *text, size_t len, enum wire_status *ret_status,
    struct acme_result **ret)
{
	struct json *json;
	int r;

	r = json_parse(text, len, &json_limits_acme, &json);
	if (r < 0)
		return r;
	*ret_status = wire_status_read(json);
	*ret = wire_problem_from(json_get(json, "error"), "authorize");
	json_free(json);
	return 0;
}
