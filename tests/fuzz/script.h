/*
 * script.h - a CA's replies as text, for the targets that run whole conversations: a
 * status line, fields, an empty line and a body each, with a line of "====" between
 * them.
 *
 *	201
 *	Location: https://ca.test/order
 *	Retry-After: 3
 *
 *	{"status":"pending"}
 *	====
 */
#ifndef SCRIPT_H
#define SCRIPT_H

#include "acme.h"
#include "fuzz.h"

#define SCRIPT_NOW INT64_C(1800000000) /* received_at of the first reply */

struct script {
	char *pos; /* in the text, which is overwritten; NULL: at its end */
	int64_t now;
};

static inline void
script_field(struct acme_reply *reply, char *line)
{
	const struct {
		const char *name;
		const char **value;
	} fields[] = {
		{ "Location: ", &reply->location },
		{ "Retry-After: ", &reply->retry_after },
		{ "Replay-Nonce: ", &reply->replay_nonce },
		{ "Content-Type: ", &reply->content_type },
		{ "Date: ", &reply->date },
		{ "Terms: ", &reply->link_terms },
		{ "Alternates: ", &reply->link_alternates },
		{ "Error: ", &reply->error },
	};

	for (size_t i = 0; i < ELEMENTS(fields); i++)
		if (strncmp(line, fields[i].name, strlen(fields[i].name)) == 0)
			*fields[i].value = line + strlen(fields[i].name);
}

/* The next line, cut off; NULL at the end of the text. */
static inline char *
script_line(char **pos)
{
	char *line = *pos;
	char *end;

	if (line == NULL)
		return NULL;
	end = strchr(line, '\n');
	if (end != NULL)
		*end = '\0';
	*pos = end != NULL ? end + 1 : NULL;
	return line;
}

/* False after the last reply. What it points to lives as long as the text. */
static inline bool
script_next(struct script *s, struct acme_reply *ret)
{
	static char separator[] = "\n====\n";
	char *line;
	char *end;

	if (s->pos == NULL)
		return false;
	*ret = (struct acme_reply){ .received_at = s->now++ };
	end = strstr(s->pos, separator);
	if (end != NULL)
		*end = '\0';
	ret->status = (int)strtol(script_line(&s->pos), NULL, 10) % 1000;
	while ((line = script_line(&s->pos)) != NULL && *line != '\0')
		script_field(ret, line);
	ret->body = s->pos;
	ret->body_len = s->pos != NULL ? strlen(s->pos) : 0;
	s->pos = end != NULL ? end + strlen(separator) : NULL;
	return true;
}

#endif
