/*
 * names.c - domain names as people write them, and NAMEs of sections.
 *
 * UTF-8 names become A-labels by IDNA 2008 (RFC 5891) with the mapping of UTS 46, as
 * browsers do it; what a CA may be asked for is then for libacme to say.
 */
#include "config/names.h"

#include <errno.h>
#include <idn2.h>
#include <stdio.h>
#include <string.h>

#include "scope.h"

#define NAME_MAX_LEN 200
#define TEXT_MAX     1024 /* UTF-8 that could still become 253 bytes of A-labels */

static bool
is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	    (c >= 'A' && c <= 'Z');
}

bool
name_is_valid(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > NAME_MAX_LEN || (name[0] != '_' && !is_alnum(name[0])))
		return false;
	for (size_t i = 1; i < len; i++)
		if (!is_alnum(name[i]) && strchr("._-", name[i]) == NULL)
			return false;
	return true;
}

static bool
is_ascii(const char *text)
{
	while (*text != '\0' && (unsigned char)*text < 0x80)
		text++;
	return *text == '\0';
}

/* What looks like an A-label has to be one (RFC 5890 section 2.3.2.1): no CA takes
 * another, and people have mistyped it. */
static int
check_a_labels(const char *name, const char **ret_why)
{
	_cleanup_(freep) char *unicode = NULL;
	int r;

	if (strcasestr(name, "xn--") == NULL)
		return 0;
	r = idn2_to_unicode_8z8z(name, &unicode, 0);
	if (r == IDN2_MALLOC)
		return -ENOMEM;
	*ret_why = idn2_strerror(r);
	return r == IDN2_OK ? 0 : -EINVAL;
}

static int
check_ascii(const char *text, struct acme_identifier *ret, const char **ret_why)
{
	struct acme_identifier parsed;
	int r = acme_identifier_parse(text, &parsed, ret_why);

	if (r == 0 && parsed.type == ACME_IDENTIFIER_DNS)
		r = check_a_labels(parsed.value, ret_why);
	if (r == 0)
		*ret = parsed;
	return r;
}

char *
name_to_unicode(const char *name)
{
	_cleanup_(freep) char *unicode = NULL;
	const char *rest = strncmp(name, "*.", 2) == 0 ? name + 2 : name;
	char *text;

	if (strstr(name, "xn--") == NULL ||
	    idn2_to_unicode_8z8z(rest, &unicode, 0) != IDN2_OK)
		return NULL;
	return asprintf(&text, "%.*s%s", (int)(rest - name), name, unicode) < 0 ? NULL
										: text;
}

int
name_to_identifier(const char *text, struct acme_identifier *ret, const char **ret_why)
{
	const char *name = strncmp(text, "*.", 2) == 0 ? text + 2 : text;
	_cleanup_(freep) char *ascii = NULL;
	char full[TEXT_MAX + 3];
	size_t len;
	int r;

	if (is_ascii(text))
		return check_ascii(text, ret, ret_why);
	*ret_why = "it is longer than any domain name";
	if (strlen(text) > TEXT_MAX)
		return -EINVAL;
	r = idn2_to_ascii_8z(name, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	if (r == IDN2_MALLOC)
		return -ENOMEM;
	*ret_why = idn2_strerror(r);
	if (r != IDN2_OK)
		return -EINVAL;
	len = strlen(ascii);
	if (len > TEXT_MAX)
		return -EINVAL;
	memcpy(full, "*.", 2);
	memcpy(full + 2, ascii, len + 1);
	return acme_identifier_parse(name == text ? full + 2 : full, ret, ret_why);
}
