/*
 * altname.c - subject alternative names (RFC 5280 section 4.2.1.6): what a request asks
 * for, and what a certificate holds.
 *
 * Used by csr to write them and by cert to compare them. What a certificate says is not
 * trusted to be a name.
 */
#include "altname.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "scope.h"

DEFINE_CLEANUP(GENERAL_NAME, GENERAL_NAME_free)

static int
make_name(const struct acme_identifier *identifier, GENERAL_NAME **ret)
{
	_cleanup_(GENERAL_NAME_freep) GENERAL_NAME *name = GENERAL_NAME_new();
	unsigned char address[sizeof(struct in6_addr)];
	bool v6 = strchr(identifier->value, ':') != NULL;
	bool ip = identifier->type == ACME_IDENTIFIER_IP;
	const void *data = ip ? (const void *)address : identifier->value;
	int len = (int)strlen(identifier->value);
	ASN1_STRING *value;

	if (ip) {
		if (inet_pton(v6 ? AF_INET6 : AF_INET, identifier->value, address) != 1)
			return -EINVAL;
		len = v6 ? sizeof(struct in6_addr) : sizeof(struct in_addr);
	}
	value = ip ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
	if (name == NULL || value == NULL || ASN1_STRING_set(value, data, len) != 1) {
		ASN1_STRING_free(value);
		return -ENOMEM;
	}
	GENERAL_NAME_set0_value(name, ip ? GEN_IPADD : GEN_DNS, value);
	*ret = steal_ptr(name);
	return 0;
}

int
altnames_new(
    const struct acme_identifier *identifiers, size_t count, GENERAL_NAMES **ret)
{
	_cleanup_(GENERAL_NAMES_freep) GENERAL_NAMES *names = GENERAL_NAMES_new();
	int r;

	if (names == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		_cleanup_(GENERAL_NAME_freep) GENERAL_NAME *name = NULL;

		r = make_name(&identifiers[i], &name);
		if (r < 0)
			return r;
		if (sk_GENERAL_NAME_push(names, name) <= 0)
			return -ENOMEM;
		name = NULL;
	}
	*ret = steal_ptr(names);
	return 0;
}

static int
read_dns(const ASN1_STRING *value, struct acme_identifier *ret)
{
	const void *data = ASN1_STRING_get0_data(value);
	size_t len = (size_t)ASN1_STRING_length(value);

	/* a NUL would end the name early for us and not for others */
	if (len == 0 || len >= sizeof(ret->value) || memchr(data, '\0', len) != NULL)
		return -EINVAL;
	ret->type = ACME_IDENTIFIER_DNS;
	memcpy(ret->value, data, len);
	ret->value[len] = '\0';
	return 0;
}

static int
read_ip(const ASN1_STRING *value, struct acme_identifier *ret)
{
	int len = ASN1_STRING_length(value);
	int family = len == sizeof(struct in6_addr) ? AF_INET6 : AF_INET;

	if (family == AF_INET && len != sizeof(struct in_addr))
		return -EINVAL;
	ret->type = ACME_IDENTIFIER_IP;
	inet_ntop(family, ASN1_STRING_get0_data(value), ret->value, sizeof(ret->value));
	return 0;
}

int
altname_read(const GENERAL_NAME *name, struct acme_identifier *ret)
{
	int type;
	const void *value = GENERAL_NAME_get0_value(name, &type);

	if (type == GEN_DNS)
		return read_dns(value, ret);
	if (type == GEN_IPADD)
		return read_ip(value, ret);
	return -EINVAL;
}
