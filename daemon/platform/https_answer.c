/*
 * https_answer.c - what comes back over HTTPS, copied within bounds.
 *
 * libcurl calls this with each piece. Nothing here knows what it means, and none of it
 * is trusted: what is too long is left out, or ends the transfer.
 */
#include "platform/https_answer.h"

#include <string.h>
#include <strings.h>

#include "platform/link.h"
#include "scope.h"

#define HEADER_MAX     8192
#define ALTERNATES_MAX 16384 /* of all targets together */

static const char *const field_names[] = {
	[FIELD_CONTENT_TYPE] = "content-type",
	[FIELD_LOCATION] = "location",
	[FIELD_REPLAY_NONCE] = "replay-nonce",
	[FIELD_RETRY_AFTER] = "retry-after",
	[FIELD_DATE] = "date",
};

size_t
https_answer_body_cb(char *data, size_t size, size_t count, void *arg)
{
	struct https_answer *a = arg;
	size_t len = size * count;

	if (a->body.len + len > a->max_body) {
		a->too_large = true;
		return 0;
	}
	buffer_add(&a->body, data, len);
	return a->body.failed ? 0 : len;
}

static void
keep_field(
    struct https_answer *a, enum https_field field, const char *value, size_t len)
{
	free(a->fields[field]);
	a->fields[field] = strndup(value, len);
}

/* One more target behind those that came before, by blanks. */
static void
add_alternate(struct https_answer *a, const char *target, size_t len)
{
	const char *before = a->fields[FIELD_LINK_ALTERNATES];
	_cleanup_(buffer_free) struct buffer all = { 0 };

	if (memchr(target, ' ', len) != NULL ||
	    (before != NULL && strlen(before) + len > ALTERNATES_MAX))
		return;
	if (before != NULL)
		buffer_printf(&all, "%s ", before);
	buffer_add(&all, target, len);
	buffer_add(&all, "", 1);
	if (!all.failed)
		keep_field(a, FIELD_LINK_ALTERNATES, all.data, all.len - 1);
}

/* Link: <https://ca/terms>;rel="terms-of-service", <https://ca/1>;rel="alternate" */
static void
keep_links(struct https_answer *a, const char *value, size_t len)
{
	const char *end = value + len;
	const char *at = value;
	const char *target;
	size_t target_len;

	if (link_next(&at, end, "terms-of-service", &target, &target_len))
		keep_field(a, FIELD_LINK_TERMS, target, target_len);
	for (at = value; link_next(&at, end, "alternate", &target, &target_len);)
		add_alternate(a, target, target_len);
}

static void
clear_fields(struct https_answer *a)
{
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		free(a->fields[i]);
		a->fields[i] = NULL;
	}
}

size_t
https_answer_header_cb(char *data, size_t size, size_t count, void *arg)
{
	struct https_answer *a = arg;
	size_t len = size * count;
	const char *colon = memchr(data, ':', len);
	const char *value;
	size_t name_len;
	size_t value_len;

	if (len > 5 && strncmp(data, "HTTP/", 5) == 0)
		clear_fields(a); /* what came with an interim answer is not meant */
	if (colon == NULL || len > HEADER_MAX)
		return len;
	name_len = (size_t)(colon - data);
	value = colon + 1;
	value_len = len - name_len - 1;
	while (value_len > 0 && (*value == ' ' || *value == '\t'))
		value++, value_len--;
	while (value_len > 0 && strchr("\r\n \t", value[value_len - 1]) != NULL)
		value_len--;
	if (memchr(value, '\0', value_len) != NULL)
		return len;
	for (size_t i = 0; i < ELEMENTS(field_names); i++)
		if (strlen(field_names[i]) == name_len &&
		    strncasecmp(field_names[i], data, name_len) == 0)
			keep_field(a, (enum https_field)i, value, value_len);
	if (name_len == 4 && strncasecmp(data, "link", 4) == 0)
		keep_links(a, value, value_len);
	return len;
}

void
https_answer_fill(const struct https_answer *a, struct acme_reply *ret)
{
	ret->content_type = a->fields[FIELD_CONTENT_TYPE];
	ret->location = a->fields[FIELD_LOCATION];
	ret->replay_nonce = a->fields[FIELD_REPLAY_NONCE];
	ret->retry_after = a->fields[FIELD_RETRY_AFTER];
	ret->date = a->fields[FIELD_DATE];
	ret->link_terms = a->fields[FIELD_LINK_TERMS];
	ret->link_alternates = a->fields[FIELD_LINK_ALTERNATES];
	ret->body = a->body.data != NULL ? a->body.data : "";
	ret->body_len = a->body.len;
}

void
https_answer_clear(struct https_answer *a)
{
	buffer_free(&a->body);
	clear_fields(a);
}
