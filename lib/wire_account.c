/*
 * wire_account.c - what newAccount is told (RFC 8555 section 7.3).
 */
#include "wire.h"

#include <errno.h>
#include <string.h>

#include "json.h"

static int
put_contacts(struct json_writer *w, const char *contacts)
{
	json_name(w, "contact");
	json_open_array(w);
	while (*(contacts += strspn(contacts, " ")) != '\0') {
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
	if (r == 0)
		r = w != NULL ? json_writer_steal(w, ret, NULL) : -ENOMEM;
	json_writer_free(w);
	return r;
}
