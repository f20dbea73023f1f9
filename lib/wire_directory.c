/*
 * wire_directory.c - a CA's directory (RFC 8555 section 7.1.1; profiles from
 * draft-ietf-acme-profiles).
 */
#include "wire.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "json.h"
#include "result.h"

#define PROFILES_MAX 64

bool
wire_url_ok(const char *url)
{
	size_t len = strnlen(url, WIRE_URL_MAX + 1);

	if (len > WIRE_URL_MAX || strncmp(url, "https://", 8) != 0 || url[8] == '\0' ||
	    url[8] == '/')
		return false;
	for (const char *c = url; *c != '\0'; c++)
		if (*c <= 0x20 || *c >= 0x7f)
			return false;
	return true;
}

/* Where the host begins, and how long it is; 0 where it is anything but plain. */
static size_t
find_host(const char *url, const char **ret)
{
	const char *host = url + strlen("https://");
	size_t len = strcspn(host, "/?#");

	*ret = host;
	/* what stands before an @ looks like a host to people, and isn't one */
	if (memchr(host, '@', len) != NULL || memchr(host, '\\', len) != NULL)
		return 0;
	if (host[0] == '[')
		return strcspn(host, "]/?#");
	return strcspn(host, ":/?#");
}

bool
wire_url_same_host(const char *a, const char *b)
{
	const char *host_a;
	const char *host_b;
	size_t len = find_host(a, &host_a);

	return len > 0 && len == find_host(b, &host_b) &&
	    strncasecmp(host_a, host_b, len) == 0;
}

int
wire_url(const struct json *object, const char *name, char **field)
{
	const struct json *member = json_get(object, name);
	const char *url = json_string(member);

	if (json_type(member) == JSON_NULL)
		return 0;
	if (url == NULL || !wire_url_ok(url))
		return -EBADMSG;
	free(*field);
	*field = strdup(url);
	return *field != NULL ? 0 : -ENOMEM;
}

static int
read_profiles(const struct json *meta, struct wire_directory *d)
{
	const struct json *profiles = json_get(meta, "profiles");
	size_t count = json_type(profiles) == JSON_OBJECT ? json_count(profiles) : 0;

	if (count > PROFILES_MAX)
		count = PROFILES_MAX;
	if (count == 0)
		return 0;
	d->profiles = calloc(count, sizeof(*d->profiles));
	if (d->profiles == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		d->profiles[i] = strdup(json_name_at(profiles, i));
		if (d->profiles[i] == NULL)
			return -ENOMEM;
		d->profile_count = i + 1;
	}
	return 0;
}

static int
read_urls(const struct json *json, struct wire_directory *d)
{
	const struct {
		const char *name;
		char **url;
	} urls[] = {
		{ "newNonce", &d->new_nonce },
		{ "newAccount", &d->new_account },
		{ "newOrder", &d->new_order },
		{ "revokeCert", &d->revoke_cert },
		{ "keyChange", &d->key_change },
		{ "renewalInfo", &d->renewal_info },
	};
	int r = 0;

	for (size_t i = 0; i < ELEMENTS(urls) && r == 0; i++)
		r = wire_url(json, urls[i].name, urls[i].url);
	return r;
}

static int
read_members(const struct json *json, struct wire_directory *d)
{
	const struct json *meta = json_get(json, "meta");
	const char *terms;
	int r;

	r = read_urls(json, d);
	if (r < 0)
		return r;
	if (d->new_nonce == NULL || d->new_account == NULL || d->new_order == NULL)
		return -EBADMSG;
	terms = json_string(json_get(meta, "termsOfService"));
	if (terms != NULL && strnlen(terms, WIRE_URL_MAX + 1) <= WIRE_URL_MAX) {
		/* for people only, so http: and data: are fine */
		d->terms = result_line(terms);
		if (d->terms == NULL)
			return -ENOMEM;
	}
	/* where it is no good it isn't there: nothing but dns-persist-01 needs it */
	if (wire_url(meta, "accountHashPrefix", &d->account_hash_prefix) == -ENOMEM)
		return -ENOMEM;
	d->eab_required = json_is_true(json_get(meta, "externalAccountRequired"));
	return read_profiles(meta, d);
}

int
wire_directory_read(const char *text, size_t len, struct wire_directory **ret)
{
	_cleanup_(wire_directory_freep) struct wire_directory *d = NULL;
	struct json *json;
	int r;

	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return -ENOMEM;
	r = json_parse(text, len, &json_limits_acme, &json);
	if (r < 0)
		return r;
	r = read_members(json, d);
	json_free(json);
	if (r < 0)
		return r;
	*ret = steal_ptr(d);
	return 0;
}

struct wire_directory *
wire_directory_free(struct wire_directory *d)
{
	if (d == NULL)
		return NULL;
	for (size_t i = 0; i < d->profile_count; i++)
		free(d->profiles[i]);
	free(d->profiles);
	free(d->new_nonce);
	free(d->new_account);
	free(d->new_order);
	free(d->revoke_cert);
	free(d->key_change);
	free(d->renewal_info);
	free(d->terms);
	free(d->account_hash_prefix);
	free(d);
	return NULL;
}
