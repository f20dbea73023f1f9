/*
 * result.c - the one outcome object: why something failed, and what kind of failure.
 *
 * Made by the flow, the session and the daemon alike; log, API and schedule read it.
 */
#include "result.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "buffer.h"

#define URN           "urn:ietf:params:acme:error:"
#define LINE_MAX_SIZE 1000

/* RFC 8555 section 6.7, RFC 8739, RFC 9773 and drafts: what an error means for trying
 * again. Types that aren't here are retried: a CA may invent some. */
static const struct {
	const char *error;
	enum acme_class class;
} classes[] = {
	{ "accountDoesNotExist", ACME_RETRY },
	{ "agreementRequired", ACME_GIVE_UP }, /* before RFC 8555; old servers */
	{ "badCSR", ACME_GIVE_UP },
	{ "badPublicKey", ACME_GIVE_UP },
	{ "badSignatureAlgorithm", ACME_GIVE_UP },
	{ "caa", ACME_RETRY },
	{ "externalAccountRequired", ACME_GIVE_UP },
	{ "invalidContact", ACME_GIVE_UP },
	{ "invalidProfile", ACME_GIVE_UP },
	{ "rateLimited", ACME_LATER },
	{ "rejectedIdentifier", ACME_GIVE_UP },
	{ "unsupportedContact", ACME_GIVE_UP },
	{ "unsupportedIdentifier", ACME_GIVE_UP },
	{ "userActionRequired", ACME_GIVE_UP },
};

const char *acme_class_name(enum acme_class class)
{
	switch (class) {
	case ACME_RETRY:
		return "retry";
	case ACME_LATER:
		return "later";
	case ACME_GIVE_UP:
		return "give-up";
	}
	return "retry";
}

enum acme_class
result_class(const char *type, int status)
{
	if (type != NULL && strncmp(type, URN, strlen(URN)) == 0) {
		for (size_t i = 0; i < ELEMENTS(classes); i++)
			if (strcmp(type + strlen(URN), classes[i].error) == 0)
				return classes[i].class;
	}
	if (status == 429 || status == 503)
		return ACME_LATER;
	return ACME_RETRY;
}

/* CAs quote the URL that they fetched: the token in it is nobody else's business. */
static void
mask_tokens(char *line)
{
	static const char prefix[] = "/.well-known/acme-challenge/";
	static const char token[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	    "0123456789-_.";
	char *at = line;

	while ((at = strstr(at, prefix)) != NULL) {
		size_t len;

		at += strlen(prefix);
		len = strspn(at, token);
		if (len > 3) {
			memcpy(at, "...", 3);
			memmove(at + 3, at + len, strlen(at + len) + 1);
		}
	}
}

char *
result_line(const char *text)
{
	size_t len = strnlen(text, LINE_MAX_SIZE);
	char *line = strndup(text, len);

	if (line == NULL)
		return NULL;
	/* a cut must not leave half a UTF-8 character */
	if (text[len] != '\0')
		while (len > 0 && ((unsigned char)line[len - 1] & 0xc0) == 0x80)
			line[--len] = '\0';
	if (text[strlen(line)] != '\0' && len > 0 &&
	    (unsigned char)line[len - 1] >= 0xc0)
		line[--len] = '\0';
	for (char *c = line; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
	mask_tokens(line);
	return line;
}

struct acme_result *
acme_result_new(enum acme_class class, const char *stage, const char *format, ...)
{
	_cleanup_(buffer_free) struct buffer text = { 0 };
	_cleanup_(acme_result_freep) struct acme_result *result = NULL;
	va_list ap;

	result = calloc(1, sizeof(*result));
	if (result == NULL)
		return NULL;
	result->class = class;
	result->stage = stage;
	va_start(ap, format);
	buffer_vprintf(&text, format, ap);
	va_end(ap);
	if (text.failed)
		return NULL;
	result->detail = result_line(text.data != NULL ? text.data : "");
	if (result->detail == NULL)
		return NULL;
	return steal_ptr(result);
}

static int
copy_text(const char *from, char **to)
{
	if (from == NULL)
		return 0;
	*to = strdup(from);
	return *to != NULL ? 0 : -ENOMEM;
}

static int
copy_subproblems(const struct acme_result *from, struct acme_result *to)
{
	int r = 0;

	if (from->subproblem_count == 0)
		return 0;
	to->subproblems = calloc(from->subproblem_count, sizeof(*to->subproblems));
	if (to->subproblems == NULL)
		return -ENOMEM;
	to->subproblem_count = from->subproblem_count;
	for (size_t i = 0; i < from->subproblem_count && r == 0; i++) {
		const struct acme_subproblem *f = &from->subproblems[i];
		struct acme_subproblem *t = &to->subproblems[i];

		r = copy_text(f->type, &t->type);
		if (r == 0)
			r = copy_text(f->detail, &t->detail);
		if (r == 0)
			r = copy_text(f->identifier, &t->identifier);
	}
	return r;
}

struct acme_result *
acme_result_copy(const struct acme_result *result)
{
	_cleanup_(acme_result_freep) struct acme_result *copy = NULL;

	if (result == NULL)
		return NULL;
	copy = calloc(1, sizeof(*copy));
	if (copy == NULL)
		return NULL;
	copy->class = result->class;
	copy->stage = result->stage;
	copy->not_before = result->not_before;
	copy->status = result->status;
	copy->scope = result->scope;
	if (copy_text(result->scope_name, &copy->scope_name) < 0 ||
	    copy_text(result->type, &copy->type) < 0 ||
	    copy_text(result->detail, &copy->detail) < 0 ||
	    copy_text(result->instance, &copy->instance) < 0 ||
	    copy_subproblems(result, copy) < 0)
		return NULL;
	return steal_ptr(copy);
}

struct acme_result *
acme_result_free(struct acme_result *result)
{
	if (result == NULL)
		return NULL;
	for (size_t i = 0; i < result->subproblem_count; i++) {
		free(result->subproblems[i].type);
		free(result->subproblems[i].detail);
		free(result->subproblems[i].identifier);
	}
	free(result->subproblems);
	free(result->type);
	free(result->detail);
	free(result->instance);
	free(result->scope_name);
	free(result);
	return NULL;
}

bool
acme_result_is(const struct acme_result *result, const char *error)
{
	return result != NULL && result->type != NULL &&
	    strncmp(result->type, URN, strlen(URN)) == 0 &&
	    strcmp(result->type + strlen(URN), error) == 0;
}
