/*
 * https_answer.h - inside platform/: an answer over HTTPS, as it comes.
 */
#ifndef HTTPS_ANSWER_H
#define HTTPS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "acme.h"
#include "buffer.h"

#define HTTPS_BODY_MAX (1024 * 1024)

enum https_field {
	FIELD_CONTENT_TYPE,
	FIELD_LOCATION,
	FIELD_REPLAY_NONCE,
	FIELD_RETRY_AFTER,
	FIELD_DATE,
	FIELD_LINK_TERMS,
	FIELD_LINK_ALTERNATES,
	FIELD_COUNT,
};

struct https_answer {
	struct buffer body;
	bool too_large;
	size_t max_body; /* more is too large */
	char *fields[FIELD_COUNT];
};

/* For libcurl; arg is the answer. */
size_t https_answer_body_cb(char *data, size_t size, size_t count, void *arg);
size_t https_answer_header_cb(char *data, size_t size, size_t count, void *arg);
/* What it has; lent as long as it isn't cleared. */
void https_answer_fill(const struct https_answer *a, struct acme_reply *ret);
void https_answer_clear(struct https_answer *a);

#endif
