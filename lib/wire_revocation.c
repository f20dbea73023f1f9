/*
 * wire_revocation.c - revoking a certificate: what the CA is told, and what its answer
 * means (RFC 8555 section 7.6).
 */
#include <errno.h>
#include <strings.h>

#include "base64url.h"
#include "cert.h"
#include "json.h"
#include "result.h"
#include "wire.h"

static const struct {
	enum acme_reason reason;
	const char *name; /* RFC 5280 section 5.3.1 */
} reasons[] = {
	{ ACME_REASON_UNSPECIFIED, "unspecified" },
	{ ACME_REASON_KEY_COMPROMISE, "keyCompromise" },
	{ ACME_REASON_SUPERSEDED, "superseded" },
	{ ACME_REASON_CESSATION_OF_OPERATION, "cessationOfOperation" },
};

const char *
acme_reason_name(enum acme_reason reason)
{
	for (size_t i = 0; i < ELEMENTS(reasons); i++)
		if (reasons[i].reason == reason)
			return reasons[i].name;
	return reasons[0].name;
}

int
acme_reason_parse(const char *name, enum acme_reason *ret)
{
	for (size_t i = 0; i < ELEMENTS(reasons); i++)
		if (strcasecmp(reasons[i].name, name) == 0) {
			*ret = reasons[i].reason;
			return 0;
		}
	return -EINVAL;
}

static bool
is_known(enum acme_reason reason)
{
	for (size_t i = 0; i < ELEMENTS(reasons); i++)
		if (reasons[i].reason == reason)
			return true;
	return false;
}

/* "unspecified" is said by saying nothing (RFC 5280 section 5.3.1). */
int
acme_revocation_payload(
    const struct acme_chain *chain, enum acme_reason reason, char **ret_payload)
{
	_cleanup_free_ char *text = NULL;
	const unsigned char *der;
	struct json_writer *w;
	size_t len;
	int r;

	if (!is_known(reason))
		return -EINVAL;
	der = cert_leaf_der(chain, &len);
	r = base64url_encode(der, len, &text);
	if (r < 0)
		return r;
	w = json_writer_new();
	json_open_object(w);
	json_member_string(w, "certificate", text);
	if (reason != ACME_REASON_UNSPECIFIED)
		json_member_integer(w, "reason", reason);
	json_close_object(w);
	r = w != NULL ? json_writer_steal(w, ret_payload, NULL) : -ENOMEM;
	json_writer_free(w);
	return r;
}

bool
acme_reply_is_revoked(const struct acme_reply *reply)
{
	_cleanup_(acme_result_freep) struct acme_result *result = NULL;

	if (reply->status >= 200 && reply->status < 300)
		return true;
	if (reply->status < 400)
		return false;
	result = wire_problem_read(reply, "revoke");
	return acme_result_is(result, "alreadyRevoked");
}
