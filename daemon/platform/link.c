/*
 * link.c - takes a Link field apart: <target>; rel="a b"; title="x, y", <target> ...
 *
 * Nothing is copied, and nothing is read beyond the end. Commas and semicolons within
 * a target or quotes don't count.
 */
#include "platform/link.h"

#include <string.h>
#include <strings.h>

static const char *
skip(const char *at, const char *end, const char *what)
{
	while (at < end && strchr(what, *at) != NULL && *at != '\0')
		at++;
	return at;
}

static const char *
find(const char *at, const char *end, const char *what)
{
	while (at < end && (*at == '\0' || strchr(what, *at) == NULL))
		at++;
	return at;
}

/* The value of a parameter, its quotes taken off; a quoted one may have \" in it, which
 * no relation has. */
static const char *
read_value(const char *at, const char *end, const char **ret, size_t *ret_len)
{
	if (at == end || *at != '"') {
		*ret = at;
		at = find(at, end, ";, \t");
		*ret_len = (size_t)(at - *ret);
		return at;
	}
	*ret = ++at;
	while (at < end && *at != '"')
		at += *at == '\\' && at + 1 < end ? 2 : 1;
	*ret_len = (size_t)(at - *ret);
	return at < end ? at + 1 : at;
}

/* Relations stand by blanks, without regard to case (RFC 8288 section 3.3). */
static bool
has_relation(const char *text, size_t len, const char *relation)
{
	const char *end = text + len;
	size_t wanted = strlen(relation);

	while ((text = skip(text, end, " \t")) < end) {
		const char *word = text;

		text = find(text, end, " \t");
		if ((size_t)(text - word) == wanted &&
		    strncasecmp(word, relation, wanted) == 0)
			return true;
	}
	return false;
}

/* The parameters behind a target, to the comma before the next link. Only the first
 * "rel" counts. */
static bool
read_parameters(const char **at, const char *end, const char *relation)
{
	bool found = false;
	bool seen = false;

	for (;;) {
		const char *name;
		const char *value = "";
		size_t value_len = 0;
		size_t name_len;

		*at = skip(*at, end, " \t");
		if (*at == end || **at != ';')
			break;
		name = skip(*at + 1, end, " \t");
		*at = find(name, end, "=;, \t");
		name_len = (size_t)(*at - name);
		*at = skip(*at, end, " \t");
		if (*at < end && **at == '=')
			*at = read_value(
			    skip(*at + 1, end, " \t"), end, &value, &value_len);
		if (seen || name_len != 3 || strncasecmp(name, "rel", 3) != 0)
			continue;
		seen = true;
		found = has_relation(value, value_len, relation);
	}
	return found;
}

bool
link_next(const char **at, const char *end, const char *relation,
    const char **ret_target, size_t *ret_len)
{
	while ((*at = skip(*at, end, " \t,")) < end && **at == '<') {
		const char *target = ++*at;

		*at = find(target, end, ">");
		if (*at == end)
			return false;
		*ret_len = (size_t)(*at - target);
		++*at;
		if (read_parameters(at, end, relation)) {
			*ret_target = target;
			return true;
		}
	}
	return false;
}
