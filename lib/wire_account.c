/*
 * wire_account.c - accounts: what the CA is told of one, and what it says (RFC 8555
 * sections 7.1.2 and 7.3).
 */
#include "wire.h"

#include <errno.h>
#include <string.h>

#include "buffer.h"
#include "json.h"

#define CONTACTS_MAX 100

static int
put_contacts(struct json_writer *w, const char *contacts)
{
	json_name(w, "contact");
	json_open_array(w);
	while (contacts != NULL && *(contacts += strspn(contacts, " ")) != '\0') {
		size_t len = strcspn(contacts, " ");
		_cleanup_free_ char *one = strndup(contacts, len);

		if (one == NULL)
			return -ENOMEM;
		json_put_string(w, one);
		contacts += len;
	}
	json_close_array(w);
	return 0;
}

/* Ends the writer. */
static int
finish(struct json_writer *w, int r, char **ret)
{
	if (r == 0)
		r = w != NULL ? json_writer_steal(w, ret, NULL) : -ENOMEM;
	json_writer_free(w);
	return r;
}

int
wire_account_write(const char *contacts, bool accept_terms, const char *eab, char **ret)
{
	struct json_writer *w = json_writer_new();
	int r = 0;

	json_open_object(w);
	if (accept_terms)
		json_member_bool(w, "termsOfServiceAgreed", true);
	if (contacts != NULL && *contacts != '\0')
		r = put_contacts(w, contacts);
	if (eab != NULL)
		json_member_raw(w, "externalAccountBinding", eab);
	json_close_object(w);
	return finish(w, r, ret);
}

int
wire_key_change_write(const char *account_url, const char *old_jwk, char **ret)
{
	struct json_writer *w = json_writer_new();

	json_open_object(w);
	json_member_string(w, "account", account_url);
	json_member_raw(w, "oldKey", old_jwk);
	json_close_object(w);
	return finish(w, 0, ret);
}

int
acme_account_contacts(const char *contacts, char **ret_payload)
{
	struct json_writer *w = json_writer_new();
	int r;

	json_open_object(w);
	r = put_contacts(w, contacts);
	json_close_object(w);
	return finish(w, r, ret_payload);
}

static int
write_constant(const char *text, char **ret)
{
	*ret = strdup(text);
	return *ret != NULL ? 0 : -ENOMEM;
}

int
acme_account_deactivate(char **ret_payload)
{
	return write_constant("{\"status\":\"deactivated\"}", ret_payload);
}

int
acme_account_lookup(char **ret_payload)
{
	return write_constant("{\"onlyReturnExisting\":true}", ret_payload);
}

/* ---- reading ---- */

static enum acme_account_status
read_status(const struct json *object)
{
	switch (wire_status_read(object)) {
	case WIRE_VALID:
		return ACME_ACCOUNT_VALID;
	case WIRE_DEACTIVATED:
		return ACME_ACCOUNT_DEACTIVATED;
	case WIRE_REVOKED:
		return ACME_ACCOUNT_REVOKED;
	case WIRE_UNKNOWN:
	case WIRE_PENDING:
	case WIRE_READY:
	case WIRE_PROCESSING:
	case WIRE_INVALID:
	case WIRE_EXPIRED:
		break;
	}
	return ACME_ACCOUNT_UNKNOWN;
}

/* A URL has neither blanks nor control characters: others are none that we could have
 * sent, and lines in them would be taken for ours. */
static bool
contact_ok(const char *text)
{
	if (text == NULL || *text == '\0')
		return false;
	for (; *text != '\0'; text++)
		if ((unsigned char)*text <= ' ' || *text == 0x7f)
			return false;
	return true;
}

static int
read_contacts(const struct json *object, char **ret)
{
	const struct json *list = json_get(object, "contact");
	_cleanup_(buffer_free) struct buffer text = { 0 };

	if (json_type(list) != JSON_ARRAY)
		return 0;
	for (size_t i = 0; i < json_count(list) && i < CONTACTS_MAX; i++) {
		const char *one = json_string(json_at(list, i));

		if (contact_ok(one))
			buffer_printf(&text, "%s%s", text.len > 0 ? " " : "", one);
	}
	return buffer_steal(&text, ret, NULL);
}

int
acme_account_read(const struct acme_reply *reply, struct acme_account_info *ret)
{
	struct json *json = NULL;
	int r;

	*ret = (struct acme_account_info){ 0 };
	if ((reply->status != 200 && reply->status != 201) || reply->body == NULL)
		return -EBADMSG;
	r = json_parse(reply->body, reply->body_len, &json_limits_acme, &json);
	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	if (json_type(json) == JSON_OBJECT) {
		ret->status = read_status(json);
		r = read_contacts(json, &ret->contacts);
	} else {
		r = -EBADMSG;
	}
	json_free(json);
	return r;
}

void
acme_account_info_clear(struct acme_account_info *info)
{
	free(info->contacts);
	*info = (struct acme_account_info){ 0 };
}
