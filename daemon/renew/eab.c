/*
 * eab.c - reads the HMAC key of an external account binding (RFC 8555 section 7.3.4).
 *
 * CAs hand it out as base64url. What is wrong with it is said without showing any of
 * it.
 */
#include "renew/eab.h"

#include <errno.h>
#include <string.h>

#include "base64url.h"
#include "platform/secret.h"
#include "renew/ca_settings.h"
#include "result.h"

#define KEY_BYTES_MIN 16 /* less is a part of one */

/* Why it can't be the key, or NULL. */
static const char *
judge(const char *text, size_t len, int r, size_t key_len)
{
	if (len == 0)
		return "it is empty";
	if (r < 0 && (memchr(text, '+', len) != NULL || memchr(text, '/', len) != NULL))
		return "it is base64, not base64url: \"+\" is to be \"-\", and \"/\" \"_\"";
	if (r < 0)
		return "it is not base64url";
	if (key_len < KEY_BYTES_MIN)
		return "it is too short to be a whole key";
	return NULL;
}

static int
decode(const char *path, const char *text, size_t len, unsigned char **ret,
    size_t *ret_len, struct acme_result **ret_failure)
{
	unsigned char *key = NULL;
	size_t key_len = 0;
	const char *why;
	int r;

	while (len > 0 && text[len - 1] == '=')
		len--;
	r = base64url_decode(text, len, &key, &key_len);
	if (r == -ENOMEM)
		return r;
	why = judge(text, len, r, key_len);
	if (why != NULL) {
		acme_wipe_free(key, key_len);
		*ret_failure = acme_result_new(ACME_GIVE_UP, "account",
		    "eab_hmac_key_file %s cannot be used: %s", path, why);
		return -EBADMSG;
	}
	*ret = key;
	*ret_len = key_len;
	return 0;
}

int
eab_read(const struct ca_settings *settings, unsigned char **ret, size_t *ret_len,
    struct acme_result **ret_failure)
{
	_cleanup_free_ char *path = NULL;
	char *text = NULL;
	size_t len = 0;
	int r;

	r = secret_read(settings->eab_key_file, &text, &len, &path);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		*ret_failure = acme_result_new(ACME_RETRY, "account",
		    "eab_hmac_key_file %s cannot be read: %s", path, strerror(-r));
	else
		r = decode(path, text, len, ret, ret_len, ret_failure);
	acme_wipe_free(text, len);
	return r;
}
