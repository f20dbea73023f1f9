/*
 * identifier.c - the names and addresses that certificates are for (RFC 8555 section
 * 9.7.7, RFC 8738).
 *
 * Used by the configuration for what users write, and by libacme for what CAs send. It
 * knows A-labels only: turning other scripts into them is the caller's.
 */
#include "acme.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "scope.h"

#define DNS_MAX   253 /* RFC 1035 section 2.3.4, as text without a last dot */
#define LABEL_MAX 63

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* What is wrong with one character of a name, or NULL. */
static const char *
check_character(char c)
{
	if (is_letter(c) || is_digit(c) || c == '-' || c == '.')
		return NULL;
	if ((unsigned char)c >= 0x80)
		return "it has characters beyond ASCII: an A-label (xn--...) is needed";
	switch (c) {
	case '*':
		return "a wildcard can only be the whole first label, as in *.example.org";
	case '_':
		return "an underscore can't be in the name of a certificate";
	case '/':
	case ':':
		return "a name is wanted, without scheme, port or path";
	default:
		return "only letters, digits, hyphens and dots can be in a name";
	}
}

static const char *
check_label(const char *label, size_t len)
{
	if (len == 0)
		return "it has an empty label: two dots in a row, or one in front";
	if (len > LABEL_MAX)
		return "it has a label of more than 63 characters";
	if (label[0] == '-')
		return "a label can't begin with a hyphen";
	if (label[len - 1] == '-')
		return "a label can't end with a hyphen";
	return NULL;
}

/* RFC 1123 section 2.1: the last label isn't a number, so names and addresses can't be
 * mixed up. */
static const char *
check_last_label(const char *label)
{
	if (strspn(label, "0123456789") == strlen(label))
		return "its last label is a number, and it isn't an IPv4 address";
	return NULL;
}

/* A name after "*.", if any, and without a last dot. */
static const char *
check_name(const char *name)
{
	const char *why = NULL;
	const char *label = name;

	for (const char *c = name; *c != '\0' && why == NULL; c++)
		why = check_character(*c);
	while (why == NULL) {
		size_t len = strcspn(label, ".");

		why = check_label(label, len);
		if (why == NULL && label[len] == '\0')
			return check_last_label(label);
		label += len + 1;
	}
	return why;
}

static const char *
parse_dns(const char *text, struct acme_identifier *ret)
{
	size_t len = strnlen(text, DNS_MAX + 2);
	size_t star = strncmp(text, "*.", 2) == 0 ? 2 : 0;
	const char *why;

	if (len > 1 && text[len - 1] == '.')
		len--;
	if (len > DNS_MAX)
		return "a name can't have more than 253 characters";
	if (strcmp(text, "*") == 0 || len <= star)
		return "a wildcard needs a name after it, as in *.example.org";
	memcpy(ret->value, text, len);
	ret->value[len] = '\0';
	why = check_name(ret->value + star);
	if (why != NULL)
		return why;
	for (char *c = ret->value; *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	ret->type = ACME_IDENTIFIER_DNS;
	return NULL;
}

static bool
parse_ip(int family, const char *text, struct acme_identifier *ret)
{
	unsigned char address[sizeof(struct in6_addr)];

	if (inet_pton(family, text, address) != 1)
		return false;
	ret->type = ACME_IDENTIFIER_IP;
	return inet_ntop(family, address, ret->value, sizeof(ret->value)) != NULL;
}

static const char *
parse_brackets(const char *text, struct acme_identifier *ret)
{
	char address[INET6_ADDRSTRLEN];
	size_t len = strlen(text);

	if (len < 2 || text[len - 1] != ']' || len - 2 >= sizeof(address))
		return "what begins with a bracket must be an IPv6 address in brackets";
	memcpy(address, text + 1, len - 2);
	address[len - 2] = '\0';
	if (!parse_ip(AF_INET6, address, ret))
		return "it isn't an IPv6 address in brackets";
	return NULL;
}

static const char *
parse(const char *text, struct acme_identifier *ret)
{
	if (text[0] == '\0')
		return "it is empty";
	if (text[0] == '[')
		return parse_brackets(text, ret);
	if (parse_ip(AF_INET, text, ret) || parse_ip(AF_INET6, text, ret))
		return NULL;
	if (strspn(text, "0123456789abcdefABCDEF:.") == strlen(text) &&
	    strchr(text, ':') != NULL)
		return "it isn't an IPv6 address";
	return parse_dns(text, ret);
}

int
acme_identifier_parse(
    const char *text, struct acme_identifier *ret, const char **ret_why)
{
	struct acme_identifier identifier = { 0 };
	const char *why = parse(text, &identifier);

	if (why != NULL) {
		if (ret_why != NULL)
			*ret_why = why;
		return -EINVAL;
	}
	*ret = identifier;
	return 0;
}

bool
acme_identifier_equal(const struct acme_identifier *a, const struct acme_identifier *b)
{
	/* RFC 4343: names are the same in either case */
	return a->type == b->type && strcasecmp(a->value, b->value) == 0;
}
