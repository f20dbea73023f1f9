/*
 * edit.c - certificates that are added, changed and removed over the control socket.
 *
 * Handlers of PUT and DELETE /v1/certificates/NAME. What the configuration files define
 * is theirs to change.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config/config.h"
#include "control/named.h"
#include "control/problem.h"
#include "control/revoke.h"
#include "control/routes.h"
#include "inventory/revocations.h"
#include "json.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "renew/renewal.h"

DEFINE_CLEANUP(struct json, json_free)

/* ---- from JSON to settings ---- */

struct settings {
	struct config_setting *v;
	const char ***words; /* of each that is a list */
	char (*numbers)[24];
	size_t n;
};

static void
settings_clear(struct settings *s)
{
	for (size_t i = 0; s->words != NULL && i < s->n; i++)
		free(s->words[i]);
	free(s->words);
	free(s->numbers);
	free(s->v);
}

/* An array of strings; -EINVAL where it is something else. */
static int
take_list(const struct json *value, const char ***ret)
{
	const char **words = calloc(json_count(value) + 1, sizeof(*words));

	if (words == NULL)
		return -ENOMEM;
	*ret = words;
	for (size_t i = 0; i < json_count(value); i++) {
		words[i] = json_string(json_at(value, i));
		if (words[i] == NULL)
			return -EINVAL;
	}
	return 0;
}

static int
take_number(const struct json *value, char ret[24])
{
	int64_t number;

	if (json_integer(value, &number) < 0)
		return -EINVAL;
	snprintf(ret, 24, "%" PRId64, number);
	return 0;
}

static int
take_value(struct settings *s, size_t i, const struct json *value)
{
	struct config_setting *setting = &s->v[i];
	int r = 0;

	switch (json_type(value)) {
	case JSON_NULL:
		setting->value = "";
		break;
	case JSON_BOOL:
		setting->value = json_is_true(value) ? "yes" : "no";
		break;
	case JSON_NUMBER:
		setting->value = s->numbers[i];
		r = take_number(value, s->numbers[i]);
		break;
	case JSON_STRING:
		setting->value = json_string(value);
		break;
	case JSON_ARRAY:
		r = take_list(value, &s->words[i]);
		setting->words = s->words[i];
		setting->count = json_count(value);
		break;
	case JSON_OBJECT:
		r = -EINVAL;
		break;
	}
	return r;
}

/* Lends texts of the body. */
static int
read_settings(
    const struct json *body, struct settings *ret, struct config_errors *errors)
{
	size_t count = json_count(body);
	int r = 0;

	ret->v = calloc(count + 1, sizeof(*ret->v));
	ret->words = calloc(count + 1, sizeof(*ret->words));
	ret->numbers = calloc(count + 1, sizeof(*ret->numbers));
	if (ret->v == NULL || ret->words == NULL || ret->numbers == NULL)
		return -ENOMEM;
	ret->n = count;
	for (size_t i = 0; i < count && r != -ENOMEM; i++) {
		const char *key = json_name_at(body, i);

		ret->v[i].key = key;
		r = take_value(ret, i, json_at(body, i));
		if (r == -EINVAL) {
			ret->v[i] = (struct config_setting){ .key = key, .value = "" };
			config_errors_add(errors, NULL, 0, key,
			    "must be a text, true, false, a whole number or a list of "
			    "texts");
		}
	}
	return r == -ENOMEM ? r : 0;
}

/* The canonical text, if the configuration in force has nothing against it. */
static int
read_spec(const struct call *call, const char *name, const struct json *body,
    char **ret, struct config_errors *errors)
{
	_cleanup_(certificate_spec_freep) struct certificate_spec *spec = NULL;
	_cleanup_(settings_clear) struct settings settings = { 0 };
	_cleanup_free_ char *text = NULL;
	int wrong = 0;
	int r;

	r = read_settings(body, &settings, errors);
	if (r == 0)
		wrong =
		    certificate_spec_text(name, settings.v, settings.n, &text, errors);
	if (text != NULL) /* what can be, beside an error, so that all are said */
		r = certificate_spec_parse(
		    call->service->config, name, text, &spec, errors);
	if (r == 0)
		r = wrong;
	if (r == 0 && errors->n > 0)
		r = -EBADMSG;
	if (r < 0)
		return r;
	*ret = steal_ptr(text);
	return 0;
}

/* ---- PUT ---- */

/* Says so where the configuration defines this name. */
static bool
is_configured(struct call *call, const struct certificate *c)
{
	_cleanup_free_ char *file = NULL;
	unsigned line = 0;
	char detail[512];

	if (c == NULL || c->origin != ORIGIN_CONFIG || c->removed_at != 0)
		return false;
	if (config_place(call->service->config, c->name, &file, &line) == 0)
		snprintf(detail, sizeof(detail),
		    "it is defined in %.300s:%u: change it there", file, line);
	else
		snprintf(detail, sizeof(detail),
		    "it is defined in the configuration: change it there");
	named_refuse(call, 409, detail);
	return true;
}

/* Adopts what was removed, too. */
static int
store_spec(struct call *call, struct certificate *c, const char *name, const char *spec)
{
	struct store *store = call->service->means.store;
	bool added = c == NULL || c->removed_at != 0;
	int r;

	if (!added && strcmp(c->spec, spec) == 0)
		return 200;
	if (c == NULL)
		r = certificate_insert(
		    store, name, ORIGIN_API, spec, clock_now(), NULL);
	else
		r = certificate_set_spec(store, c->id, ORIGIN_API, spec, clock_now());
	if (r < 0)
		return 500;
	named_note(call, c != NULL ? c->name : name, added ? "added" : "changed");
	(void)renewals_repair_one(call->service->means.renewals, name);
	renewals_changed(call->service->means.renewals, c != NULL ? c->id : 0);
	return added ? 201 : 200;
}

static void
refuse_spec(struct call *call, int r, const struct config_errors *errors)
{
	if (r == -EBADMSG && errors->n > 0)
		problem_send(call->http,
		    &(struct problem){ .status = 422,
			.detail = "the certificate cannot be configured so",
			.errors = errors });
	else
		named_refuse(call, 500, "no memory");
}

static void
put(struct call *call, const struct json *body, struct certificate *c)
{
	_cleanup_(config_errors_clear) struct config_errors errors = { 0 };
	_cleanup_free_ char *spec = NULL;
	int status;
	int r;

	r = read_spec(call, call->name, body, &spec, &errors);
	if (r < 0) {
		refuse_spec(call, r, &errors);
		return;
	}
	status = store_spec(call, c, call->name, spec);
	if (status == 500)
		named_refuse(call, 500, "the inventory could not be written");
	else
		named_reply_saved(call, status);
}

void
edit_put(struct call *call)
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;
	_cleanup_(json_freep) struct json *body = NULL;

	if (call_body(call, &body) < 0 || named_find_any(call, &c) < 0 ||
	    is_configured(call, c))
		return;
	put(call, body, c);
}

/* ---- DELETE ---- */

static int
read_flags(struct call *call, bool *ret_purge, bool *ret_revoke)
{
	if (call_unknown_parameter(call, "purge revoke") ||
	    named_flag(call, "purge", ret_purge) < 0 ||
	    named_flag(call, "revoke", ret_revoke) < 0)
		return -EINVAL;
	return 0;
}

/* Without its key and chain nobody could go on with that. */
static bool
is_being_revoked(struct call *call, const struct certificate *c)
{
	struct revocation *rows = NULL;
	size_t count = 0;

	if (revocation_list(call->service->means.store, c->id, &rows, &count) < 0)
		return false;
	revocation_free_all(rows, count);
	if (count > 0)
		named_refuse(call, 409,
		    "it is still to be revoked, for which its files and keys are needed");
	return count > 0;
}

static void
purge(struct call *call, const struct certificate *c)
{
	int r;

	if (is_being_revoked(call, c))
		return;
	r = renewals_purge(call->service->means.renewals, c);
	if (r == -EBUSY)
		named_refuse(call, 503,
		    "a server is reading its files just now: try again in a minute");
	else if (r < 0)
		named_refuse(call, 500, "its files could not be removed");
	if (r < 0)
		return;
	log_line(LOG_NOTICE, (&(struct log_fields){ .certificate = c->name }),
	    "removed at the control socket by user %u, with files and keys", call->uid);
	call_reply_saved(call, 204, NULL);
}

static void
forget(struct call *call, const struct certificate *c)
{
	if (c->removed_at != 0) { /* with the revocation */
		call_reply_saved(call, 204, NULL);
		return;
	}
	if (certificate_set_removed(call->service->means.store, c->id, clock_now()) <
	    0) {
		named_refuse(call, 500, "the inventory could not be written");
		return;
	}
	named_note(call, c->name, "removed");
	renewals_changed(call->service->means.renewals, c->id);
	call_reply_saved(call, 204, NULL);
}

void
edit_delete(struct call *call)
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;
	bool with_files;
	bool revoke;

	if (read_flags(call, &with_files, &revoke) < 0 ||
	    named_find_any(call, &c) < 0 || is_configured(call, c))
		return;
	if (c == NULL || (c->removed_at != 0 && !with_files && !revoke))
		named_refuse(call, 404, "there is no certificate of this name");
	else if (revoke)
		revoke_before(call, c, with_files ? purge : forget);
	else if (with_files)
		purge(call, c);
	else
		forget(call, c);
}
