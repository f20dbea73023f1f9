/*
 * wire_order.c - orders: what is asked for and what the CA says of it (RFC 8555
 * sections 7.1.3, 7.4).
 */
#include "wire.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base64url.h"
#include "json.h"
#include "rfc3339.h"

static const struct {
	const char *name;
	enum wire_status status;
} statuses[] = {
	{ "pending", WIRE_PENDING },
	{ "ready", WIRE_READY },
	{ "processing", WIRE_PROCESSING },
	{ "valid", WIRE_VALID },
	{ "invalid", WIRE_INVALID },
	{ "deactivated", WIRE_DEACTIVATED },
	{ "expired", WIRE_EXPIRED },
	{ "revoked", WIRE_REVOKED },
};

enum wire_status
wire_status_read(const struct json *object)
{
	const char *name = json_string(json_get(object, "status"));

	for (size_t i = 0; name != NULL && i < ELEMENTS(statuses); i++)
		if (strcmp(name, statuses[i].name) == 0)
			return statuses[i].status;
	return WIRE_UNKNOWN;
}

static void
put_identifiers(struct json_writer *w, const struct wire_new_order *o)
{
	json_name(w, "identifiers");
	json_open_array(w);
	for (size_t i = 0; i < o->identifier_count; i++) {
		const struct acme_identifier *name = &o->identifiers[i];

		json_open_object(w);
		json_member_string(
		    w, "type", name->type == ACME_IDENTIFIER_IP ? "ip" : "dns");
		json_member_string(w, "value", name->value);
		json_close_object(w);
	}
	json_close_array(w);
}

/* RFC 3339, as RFC 8555 section 7.1.3 wants it. */
static void
put_time(struct json_writer *w, const char *name, int64_t at)
{
	char text[sizeof("2026-01-01T00:00:00Z") + 16];
	time_t seconds = at;
	struct tm tm;

	if (at != 0 && gmtime_r(&seconds, &tm) != NULL &&
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0)
		json_member_string(w, name, text);
}

int
wire_order_write(const struct wire_new_order *o, char **ret)
{
	struct json_writer *w = json_writer_new();
	int r;

	json_open_object(w);
	put_identifiers(w, o);
	if (o->profile != NULL)
		json_member_string(w, "profile", o->profile);
	if (o->replaces != NULL)
		json_member_string(w, "replaces", o->replaces);
	put_time(w, "notBefore", o->not_before);
	put_time(w, "notAfter", o->not_after);
	json_close_object(w);
	r = w != NULL ? json_writer_steal(w, ret, NULL) : -ENOMEM;
	json_writer_free(w);
	return r;
}

int
wire_finalize_write(const void *csr, size_t csr_len, char **ret)
{
	_cleanup_free_ char *text = NULL;
	struct json_writer *w;
	int r;

	r = base64url_encode(csr, csr_len, &text);
	if (r < 0)
		return r;
	w = json_writer_new();
	json_open_object(w);
	json_member_string(w, "csr", text);
	json_close_object(w);
	r = w != NULL ? json_writer_steal(w, ret, NULL) : -ENOMEM;
	json_writer_free(w);
	return r;
}

static int
read_authorizations(const struct json *list, struct wire_order *o)
{
	size_t count = json_type(list) == JSON_ARRAY ? json_count(list) : 0;

	if (count > WIRE_NAMES_MAX)
		return -EBADMSG;
	if (count == 0)
		return 0;
	o->authorizations = calloc(count, sizeof(*o->authorizations));
	if (o->authorizations == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const char *url = json_string(json_at(list, i));

		if (url == NULL || !wire_url_ok(url))
			return -EBADMSG;
		o->authorizations[i] = strdup(url);
		if (o->authorizations[i] == NULL)
			return -ENOMEM;
		o->authorization_count = i + 1;
	}
	return 0;
}

static int
read_members(const struct json *json, struct wire_order *o)
{
	int r;

	o->status = wire_status_read(json);
	if (o->status == WIRE_UNKNOWN)
		return -EBADMSG;
	r = read_authorizations(json_get(json, "authorizations"), o);
	if (r == 0)
		r = wire_url(json, "finalize", &o->finalize);
	if (r == 0)
		r = wire_url(json, "certificate", &o->certificate);
	if (r < 0)
		return r;
	if (rfc3339_parse(json_string(json_get(json, "expires")), &o->expires) < 0)
		o->expires = 0; /* not known */
	o->error = wire_problem_from(json_get(json, "error"), "order");
	return 0;
}

int
wire_order_read(const char *text, size_t len, struct wire_order **ret)
{
	_cleanup_(wire_order_freep) struct wire_order *o = NULL;
	struct json *json;
	int r;

	o = calloc(1, sizeof(*o));
	if (o == NULL)
		return -ENOMEM;
	r = json_parse(text, len, &json_limits_acme, &json);
	if (r < 0)
		return r;
	r = read_members(json, o);
	json_free(json);
	if (r < 0)
		return r;
	*ret = steal_ptr(o);
	return 0;
}

struct wire_order *
wire_order_free(struct wire_order *o)
{
	if (o == NULL)
		return NULL;
	for (size_t i = 0; i < o->authorization_count; i++)
		free(o->authorizations[i]);
	free(o->authorizations);
	free(o->finalize);
	free(o->certificate);
	acme_result_free(o->error);
	free(o);
	return NULL;
}
