/*
 * challenge.c - what a CA will look for, and where: the values of each type of
 * challenge, made from a name, a token and the account.
 *
 * Used by whoever answers challenges. Nothing here publishes anything.
 */
#include "challenge.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/sha.h>

#include "base64url.h"
#include "buffer.h"
#include "scope.h"
#include "selfsigned.h"

#define TOKEN_MAX 512

/* RFC 8555 section 8.1: the token has base64url characters only. */
bool
challenge_token_ok(const char *token)
{
	size_t len = token != NULL ? strnlen(token, TOKEN_MAX + 1) : 0;

	return len > 0 && len <= TOKEN_MAX &&
	    token[strspn(token,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789-_")] == '\0';
}

bool
challenge_issuer_ok(const char *name)
{
	struct acme_identifier identifier;

	return acme_identifier_parse(name, &identifier, NULL) == 0 &&
	    identifier.type == ACME_IDENTIFIER_DNS && name[0] != '*' &&
	    strcmp(identifier.value, name) == 0;
}

int
acme_key_authorization(
    const struct acme_key *account_key, const char *token, char **ret)
{
	_cleanup_(buffer_free) struct buffer text = { 0 };
	char thumbprint[ACME_THUMBPRINT_SIZE];
	int r;

	if (!challenge_token_ok(token))
		return -EINVAL;
	r = acme_key_thumbprint(account_key, thumbprint);
	if (r < 0)
		return r;
	buffer_printf(&text, "%s.%s", token, thumbprint);
	return buffer_steal(&text, ret, NULL);
}

/* ---- http-01 ---- */

int
acme_http01_path(const char *token, char **ret)
{
	_cleanup_(buffer_free) struct buffer path = { 0 };

	if (!challenge_token_ok(token))
		return -EINVAL;
	buffer_printf(&path, "/.well-known/acme-challenge/%s", token);
	return buffer_steal(&path, ret, NULL);
}

/* ---- names and values in the DNS ---- */

static int
digest(const void *data, size_t len, unsigned char ret[SHA256_DIGEST_LENGTH])
{
	return EVP_Digest(data, len, ret, NULL, EVP_sha256(), NULL) == 1 ? 0 : -EIO;
}

static int
digest_text(const void *data, size_t len, char **ret)
{
	unsigned char sum[SHA256_DIGEST_LENGTH];
	int r = digest(data, len, sum);

	return r == 0 ? base64url_encode(sum, sizeof(sum), ret) : r;
}

/* A wildcard is validated at its base (RFC 8555 section 7.1.3). */
static int
name_below(const char *label, const char *identifier, char **ret)
{
	_cleanup_(buffer_free) struct buffer name = { 0 };
	struct acme_identifier dns;

	if (acme_identifier_parse(identifier, &dns, NULL) < 0 ||
	    dns.type != ACME_IDENTIFIER_DNS)
		return -EINVAL;
	buffer_printf(&name, "%s.%s", label,
	    strncmp(dns.value, "*.", 2) == 0 ? dns.value + 2 : dns.value);
	return buffer_steal(&name, ret, NULL);
}

int
acme_dns01_name(const char *identifier, char **ret)
{
	return name_below("_acme-challenge", identifier, ret);
}

int
acme_dns01_value(const char *key_authorization, char **ret)
{
	return digest_text(key_authorization, strlen(key_authorization), ret);
}

/* RFC 4648 section 6, lower case; five bytes become eight characters. */
static void
base32(const unsigned char bytes[10], char ret[17])
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
	unsigned rest = 0;
	unsigned bits = 0;
	size_t n = 0;

	for (size_t i = 0; i < 10; i++) {
		rest = (rest << 8 | bytes[i]) & 0xfff;
		for (bits += 8; bits >= 5; bits -= 5)
			ret[n++] = alphabet[rest >> (bits - 5) & 31];
	}
	ret[n] = '\0';
}

int
acme_dns_account01_name(const char *identifier, const char *account_url, char **ret)
{
	_cleanup_(buffer_free) struct buffer label = { 0 };
	unsigned char sum[SHA256_DIGEST_LENGTH];
	char text[17];
	int r;

	r = digest(account_url, strlen(account_url), sum);
	if (r < 0)
		return r;
	base32(sum, text);
	buffer_printf(&label, "_%s._acme-challenge", text);
	if (label.failed)
		return -ENOMEM;
	return name_below(label.data, identifier, ret);
}

int
acme_dns_persist01_name(const char *identifier, char **ret)
{
	return name_below("_validation-persist", identifier, ret);
}

int
acme_dns_persist01_account(const char *prefix, const char *identifier,
    const struct acme_key *account_key, const char *account_url, char **ret)
{
	_cleanup_(buffer_free) struct buffer input = { 0 };
	_cleanup_(buffer_free) struct buffer uri = { 0 };
	_cleanup_free_ char *name = NULL;
	_cleanup_free_ char *sum = NULL;
	char thumbprint[ACME_THUMBPRINT_SIZE];
	const char *domain = "*";
	unsigned char len;
	int r;

	if (identifier != NULL) {
		r = acme_dns_persist01_name(identifier, &name);
		if (r < 0)
			return r;
		domain = strchr(name, '.') + 1;
	}
	r = acme_key_thumbprint(account_key, thumbprint);
	if (r < 0)
		return r;
	len = (unsigned char)strlen(domain); /* 253 at most */
	buffer_add(&input, &len, 1);
	buffer_printf(&input, "%s%s%s", domain, thumbprint, account_url);
	r = input.failed ? -ENOMEM : digest_text(input.data, input.len, &sum);
	if (r < 0)
		return r;
	buffer_printf(&uri, "%ssha-256/%s", prefix, sum);
	return buffer_steal(&uri, ret, NULL);
}

/* RFC 8659 section 4.2: what the value of a parameter can be. */
static bool
is_parameter(const char *value)
{
	if (*value == '\0')
		return false;
	for (; *value != '\0'; value++)
		if (*value <= ' ' || *value >= 0x7f || *value == ';')
			return false;
	return true;
}

int
acme_dns_persist01_value(const struct acme_persist *persist, char **ret)
{
	_cleanup_(buffer_free) struct buffer text = { 0 };

	if (!challenge_issuer_ok(persist->issuer) ||
	    !is_parameter(persist->account_uri) || persist->until < 0)
		return -EINVAL;
	buffer_printf(
	    &text, "%s; accounturi=%s", persist->issuer, persist->account_uri);
	if (persist->wildcard)
		buffer_puts(&text, "; policy=wildcard");
	if (persist->until > 0)
		buffer_printf(&text, "; persistUntil=%" PRId64, persist->until);
	return buffer_steal(&text, ret, NULL);
}

/* ---- tls-alpn-01 ---- */

/* RFC 1035 section 3.5, RFC 3596 section 2.5. */
static void
reverse_name(const char *address, struct buffer *ret)
{
	unsigned char bytes[sizeof(struct in6_addr)];

	if (inet_pton(AF_INET, address, bytes) == 1) {
		for (size_t i = 4; i-- > 0;)
			buffer_printf(ret, "%u.", bytes[i]);
		buffer_puts(ret, "in-addr.arpa");
		return;
	}
	inet_pton(AF_INET6, address, bytes);
	for (size_t i = sizeof(bytes); i-- > 0;)
		buffer_printf(ret, "%x.%x.", bytes[i] & 15U, bytes[i] >> 4);
	buffer_puts(ret, "ip6.arpa");
}

/* No wildcards: RFC 8737 section 3 validates a name as it is. */
static int
read_subject(const char *identifier, struct acme_identifier *ret)
{
	if (acme_identifier_parse(identifier, ret, NULL) < 0 || ret->value[0] == '*')
		return -EINVAL;
	return 0;
}

int
acme_tls_alpn01_sni(const char *identifier, char **ret)
{
	_cleanup_(buffer_free) struct buffer name = { 0 };
	struct acme_identifier subject;
	int r;

	r = read_subject(identifier, &subject);
	if (r < 0)
		return r;
	if (subject.type == ACME_IDENTIFIER_IP)
		reverse_name(subject.value, &name);
	else
		buffer_puts(&name, subject.value);
	return buffer_steal(&name, ret, NULL);
}

int
acme_tls_alpn01_certificate(const struct acme_key *key, const char *identifier,
    const char *key_authorization, int64_t not_before, int64_t lifetime, char **ret_pem)
{
	unsigned char sum[SHA256_DIGEST_LENGTH];
	struct acme_identifier subject;
	int r;

	r = read_subject(identifier, &subject);
	if (r == 0)
		r = digest(key_authorization, strlen(key_authorization), sum);
	if (r < 0)
		return r;
	return selfsigned_new(
	    &(struct selfsigned){
		.key = key,
		.identifiers = &subject,
		.count = 1,
		.subject = "ACME challenge, not issued by a CA",
		.not_before = not_before,
		.lifetime = lifetime,
		.acme_identifier = sum,
	    },
	    ret_pem);
}
