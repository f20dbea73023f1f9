/*
 * renewal_info.c - when a CA would like to see a certificate renewed (ARI, RFC 9773):
 * by which id and URL it is asked, and what it answers.
 *
 * What follows from the answer, and when to ask again, is the caller's.
 */
#include <errno.h>
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "acme.h"
#include "base64url.h"
#include "buffer.h"
#include "cert.h"
#include "certder.h"
#include "flow.h"
#include "json.h"
#include "result.h"
#include "rfc3339.h"
#include "session.h"
#include "wire.h"

#define AKI_MAX    64 /* bytes: 20 are usual */
#define SERIAL_MAX 64 /* RFC 5280 allows 20 */

DEFINE_CLEANUP(AUTHORITY_KEYID, AUTHORITY_KEYID_free)
DEFINE_CLEANUP(struct json, json_free)

/* ---- the id (section 4.1) ---- */

static int
encode_issuer(const struct certder *leaf, char **ret)
{
	_cleanup_(AUTHORITY_KEYID_freep) AUTHORITY_KEYID *aki =
	    certder_extension(leaf, NID_authority_key_identifier, NULL);
	const ASN1_OCTET_STRING *id = aki != NULL ? aki->keyid : NULL;
	int len = id != NULL ? ASN1_STRING_length(id) : 0;

	ERR_clear_error();
	if (len <= 0 || len > AKI_MAX)
		return -ENOENT;
	return base64url_encode(ASN1_STRING_get0_data(id), (size_t)len, ret);
}

/* The content of the DER integer: with the zero in front that keeps it positive. */
static int
encode_serial(const struct certder *leaf, char **ret)
{
	unsigned char *der = NULL;
	int len = i2d_ASN1_INTEGER(leaf->serial, &der);
	const unsigned char *at = der;
	int class;
	int tag;
	long size;
	int r = -ENOENT;

	if (len > 0 && (ASN1_get_object(&at, &size, &tag, &class, len) & 0x80) == 0 &&
	    size <= SERIAL_MAX)
		r = base64url_encode(at, (size_t)size, ret);
	OPENSSL_free(der);
	ERR_clear_error();
	return r;
}

int
acme_chain_renewal_id(const struct acme_chain *chain, char **ret)
{
	_cleanup_free_ char *issuer = NULL;
	_cleanup_free_ char *serial = NULL;
	struct buffer id = { 0 };
	int r;

	r = encode_issuer(cert_leaf(chain), &issuer);
	if (r == 0)
		r = encode_serial(cert_leaf(chain), &serial);
	if (r < 0)
		return r;
	buffer_printf(&id, "%s.%s", issuer, serial);
	return buffer_steal(&id, ret, NULL);
}

int
acme_session_renewal_info_url(
    const struct acme_session *s, const char *renewal_id, char **ret)
{
	const char *base = session_url(s, ACME_ACTION_RENEWAL_INFO);
	struct buffer url = { 0 };
	size_t len;

	if (base == NULL)
		return -ENOTSUP;
	len = strlen(base);
	while (len > 0 && base[len - 1] == '/')
		len--;
	buffer_printf(&url, "%.*s/%s", (int)len, base, renewal_id);
	return buffer_steal(&url, ret, NULL);
}

/* ---- the answer (section 4.2) ---- */

static int
read_time(const struct json *window, const char *name, int64_t *ret)
{
	int64_t at;
	int r;

	r = rfc3339_parse(json_string(json_get(window, name)), &at);
	if (r < 0 || at <= 0) /* before 1970 there was no certificate */
		return -EBADMSG;
	*ret = at;
	return 0;
}

/* For people to open; one that is no web address isn't passed on. */
static int
read_explanation(const struct json *json, char **ret)
{
	const char *url = json_string(json_get(json, "explanationURL"));
	const char *rest;

	if (url == NULL || strnlen(url, WIRE_URL_MAX + 1) > WIRE_URL_MAX ||
	    (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0))
		return 0;
	for (rest = url; *rest > 0x20 && *rest < 0x7f; rest++)
		;
	if (*rest != '\0')
		return 0;
	*ret = strdup(url);
	return *ret != NULL ? 0 : -ENOMEM;
}

static int
read_members(const struct json *json, struct acme_renewal_info *info)
{
	const struct json *window = json_get(json, "suggestedWindow");
	int r;

	r = read_time(window, "start", &info->start);
	if (r == 0)
		r = read_time(window, "end", &info->end);
	if (r == 0 && info->end <= info->start)
		r = -EBADMSG;
	if (r == 0)
		r = read_explanation(json, &info->explanation_url);
	return r;
}

int
acme_renewal_info_parse(const char *text, size_t len, struct acme_renewal_info **ret)
{
	_cleanup_(json_freep) struct json *json = NULL;
	struct acme_renewal_info *info;
	int r;

	r = json_parse(text, len, &json_limits_acme, &json);
	if (r < 0)
		return r == -E2BIG ? -EBADMSG : r;
	info = calloc(1, sizeof(*info));
	if (info == NULL)
		return -ENOMEM;
	r = read_members(json, info);
	if (r < 0) {
		acme_renewal_info_free(info);
		return r;
	}
	*ret = info;
	return 0;
}

struct acme_renewal_info *
acme_renewal_info_free(struct acme_renewal_info *info)
{
	if (info == NULL)
		return NULL;
	free(info->explanation_url);
	free(info);
	return NULL;
}

/* ---- replaces (section 5) ---- */

/* Was the order refused for what it replaces, or could it have been? A check of that
 * kind that fails refuses all of it so, with whatever error the CA
 * finds fitting. Not where it says something else. */
static bool
is_about_replaces(const struct acme_result *why)
{
	static const char *const errors[] = { "alreadyReplaced", "conflict",
		"malformed", "unauthorized", "serverInternal" };

	for (size_t i = 0; i < ELEMENTS(errors); i++)
		if (acme_result_is(why, errors[i]))
			return true;
	if (why->class != ACME_RETRY)
		return false;
	if (why->type != NULL && strncmp(why->type, "urn:ietf:params:acme:", 21) == 0)
		return why->status == 409;
	return why->status == 400 || why->status == 403 || why->status == 404 ||
	    why->status == 409 || why->status == 500;
}

/* Nobody needs what "replaces" is good for as much as the certificate: once more
 * without.
 */
bool
flow_drop_replaces(struct acme_flow *f, const struct acme_reply *reply)
{
	_cleanup_(acme_result_freep) struct acme_result *why = NULL;

	if (f->replaces == NULL || reply->status < 400)
		return false;
	why = wire_problem_read(reply, "order");
	if (why == NULL || !is_about_replaces(why))
		return false;
	free(f->replaces);
	f->replaces = NULL;
	f->not_replaced = steal_ptr(why);
	return true;
}

const struct acme_result *
acme_flow_not_replaced(const struct acme_flow *f)
{
	return f->not_replaced;
}
