/*
 * wire_authz.c - authorizations and their challenges (RFC 8555 sections 7.1.4, 7.5, 8).
 *
 * Challenges without a usable URL or token are passed over: a token becomes part of a
 * path, so nothing but base64url's characters is taken.
 */
#include "wire.h"

#include <errno.h>
#include <string.h>

#include "json.h"
#include "result.h"

#define CHALLENGES_MAX 32
#define TOKEN_MAX      512
#define TYPE_MAX       64
#define EXPIRES_MAX    64

/* RFC 8555 section 8.1: the token has base64url characters only. */
static bool
token_ok(const char *token)
{
	size_t len = strnlen(token, TOKEN_MAX + 1);

	return len > 0 && len <= TOKEN_MAX &&
	    token[strspn(token,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789-_")] == '\0';
}

static int
read_challenge(const struct json *json, struct wire_challenge *c)
{
	const char *type = json_string(json_get(json, "type"));
	const char *token = json_string(json_get(json, "token"));

	if (type == NULL || strlen(type) > TYPE_MAX || token == NULL)
		return -EBADMSG;
	if (!token_ok(token))
		return -EILSEQ;
	if (wire_url(json, "url", &c->url) < 0 || c->url == NULL)
		return -EBADMSG;
	c->type = strdup(type);
	c->token = strdup(token);
	c->status = wire_status_read(json);
	c->error = wire_problem_from(json_get(json, "error"), "authorize");
	return c->type != NULL && c->token != NULL ? 0 : -ENOMEM;
}

static void
clear_challenge(struct wire_challenge *c)
{
	free(c->type);
	free(c->url);
	free(c->token);
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
