/*
 * haproxy_answer.c - reads the answers of HAProxy's runtime API, which are sentences
 * for people.
 *
 * Called by haproxy_talk.c and others. It must never guess: what isn't the known
 * sentence is none.
 */
#include "deploy/haproxy_answer.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

bool
haproxy_has_line(const char *answer, const char *line)
{
	size_t len = strlen(line);

	while (*answer != '\0') {
		size_t n = strcspn(answer, "\n");

		if (n == len && memcmp(answer, line, n) == 0)
			return true;
		answer += n + (answer[n] == '\n');
	}
	return false;
}

const char *
haproxy_field(const char *answer, const char *field)
{
	for (; answer != NULL; answer = strchr(answer, '\n')) {
		answer += *answer == '\n';
		if (strncmp(answer, field, strlen(field)) == 0)
			return answer + strlen(field);
	}
	return NULL;
}

static const char *
skip_zeros(const char *hex)
{
	while (*hex == '0')
		hex++;
	return hex;
}

bool
haproxy_shows_serial(const char *answer, const char *serial)
{
	const char *is = haproxy_field(answer, "Serial: ");
	size_t len;

	if (is == NULL)
		return false;
	is = skip_zeros(is);
	serial = skip_zeros(serial);
	len = strspn(is, "0123456789abcdefABCDEF");
	return len == strlen(serial) && strncasecmp(is, serial, len) == 0;
}

bool
haproxy_is_name(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] <= ' ' ||
		    strchr("\x7f;\\<", text[i]) != NULL)
			return false;
	return len > 0;
}

static bool
take_name(const char *from, const char *end_mark, char *ret, size_t size)
{
	const char *end = from != NULL ? strstr(from, end_mark) : NULL;

	if (end == NULL || (size_t)(end - from) >= size ||
	    !haproxy_is_name(from, (size_t)(end - from)))
		return false;
	snprintf(ret, size, "%.*s", (int)(end - from), from);
	return true;
}

bool
haproxy_transaction(const char *answer, char *ret, size_t size)
{
	const char *name =
	    haproxy_field(answer, "Transaction created for certificate ");

	if (name == NULL)
		name = haproxy_field(answer, "Transaction updated for certificate ");
	return take_name(name, "!\n", ret, size);
}

bool
haproxy_ongoing(const char *answer, char *ret, size_t size)
{
	return take_name(haproxy_field(answer, "The ongoing transaction is about '"),
	    "' but you are trying to ", ret, size);
}
