/*
 * order_again.c - what an order asks for, and what it can do without when the CA
 * refuses it: single names (drop_failed_names), a profile that isn't insisted on.
 *
 * Called by order.c when a flow has failed. The order goes on at once as a new one;
 * each time it has less to lose, so that comes to an end.
 */
#include "renew/order_parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "buffer.h"
#include "config/config.h"
#include "inventory/store.h"
#include "json.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "renew/ca.h"
#include "result.h"

/* ---- names ---- */

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char *
order_names(const struct certificate_spec *spec)
{
	_cleanup_free_ const char **sorted =
	    calloc(spec->identifier_count + 1, sizeof(*sorted));
	struct buffer text = { 0 };
	char *names = NULL;

	if (sorted == NULL)
		return NULL;
	for (size_t i = 0; i < spec->identifier_count; i++)
		sorted[i] = spec->identifiers[i].value;
	qsort(sorted, spec->identifier_count, sizeof(*sorted), compare_names);
	for (size_t i = 0; i < spec->identifier_count; i++)
		buffer_printf(&text, "%s%s", i > 0 ? " " : "", sorted[i]);
	return buffer_steal(&text, &names, NULL) == 0 ? names : NULL;
}

/* Was this one left out of the order, by what the row says? */
static bool
is_missing(const struct json *missing, const char *name)
{
	for (size_t i = 0; i < json_count(missing); i++) {
		const char *text =
		    json_string(json_get(json_at(missing, i), "identifier"));

		if (text != NULL && strcmp(text, name) == 0)
			return true;
	}
	return false;
}

static int
read_missing(const struct order *o, struct json **ret)
{
	const char *text = o->row->missing;

	*ret = NULL;
	return text != NULL ? json_parse(text, strlen(text), &json_limits_acme, ret)
			    : 0;
}

int
order_identifiers(
    const struct order *o, struct acme_identifier **ret, size_t *ret_count)
{
	const struct certificate_spec *spec = o->wish.spec;
	struct acme_identifier *left =
	    calloc(spec->identifier_count + 1, sizeof(*left));
	struct json *missing = NULL;
	size_t count = 0;
	int r = left != NULL ? read_missing(o, &missing) : -ENOMEM;

	for (size_t i = 0; i < spec->identifier_count && r == 0; i++)
		if (!is_missing(missing, spec->identifiers[i].value))
			left[count++] = spec->identifiers[i];
	json_free(missing);
	if (r < 0) {
		free(left);
		return r;
	}
	*ret = left;
	*ret_count = count;
	return 0;
}

/* Does the text have this name as a word? Older CAs say it nowhere else. */
static bool
mentions(const char *text, const char *name)
{
	static const char inside[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "0123456789-_*";
	size_t len = strlen(name);
	const char *at = text;

	while ((at = strcasestr(at, name)) != NULL) {
		bool begins =
		    at == text || (at[-1] != '.' && strchr(inside, at[-1]) == NULL);
		const char *end = at + len + (at[len] == '.');

		if (begins && (*end == '\0' || strchr(inside, *end) == NULL))
			return true;
		at += len;
	}
	return false;
}

/* An authorization is for a name without its "*." (RFC 8555 section 7.1.4). */
static bool
is_about(const char *identifier, const char *name)
{
	struct acme_identifier parsed;

	if (acme_identifier_parse(identifier, &parsed, NULL) < 0)
		return false;
	return strcmp(parsed.value, name) == 0 ||
	    (strncmp(name, "*.", 2) == 0 && strcmp(parsed.value, name + 2) == 0);
}

/* Why the CA won't have this name, or NULL. A limit is no refusal: it passes. */
static const struct acme_subproblem *
find_refusal(const struct acme_result *failure, const char *name)
{
	static const char limited[] = "urn:ietf:params:acme:error:rateLimited";

	for (size_t i = 0; i < failure->subproblem_count; i++) {
		const struct acme_subproblem *sub = &failure->subproblems[i];

		if (sub->identifier != NULL && is_about(sub->identifier, name) &&
		    (sub->type == NULL || strcmp(sub->type, limited) != 0))
			return sub;
	}
	return NULL;
}

/* The same where it is said in words only. *store is what is returned. */
static const struct acme_subproblem *
find_mention(
    const struct acme_result *failure, const char *name, struct acme_subproblem *store)
{
	if (failure->subproblem_count > 0 ||
	    (!acme_result_is(failure, "rejectedIdentifier") &&
		!acme_result_is(failure, "unsupportedIdentifier")) ||
	    !mentions(failure->detail, name))
		return NULL;
	*store = (struct acme_subproblem){ .type = failure->type,
		.detail = failure->detail };
	return store;
}

static void
put_missing(
    struct json_writer *w, const char *name, const char *type, const char *detail)
{
	json_open_object(w);
	json_member_string(w, "identifier", name);
	json_member_string(w, "type", type);
	json_member_string(w, "detail", detail);
	json_close_object(w);
}

static void
say_missing(
    const struct order *o, const char *name, const struct acme_subproblem *refusal)
{
	_cleanup_(buffer_free) struct buffer text = { 0 };
	const char *detail =
	    refusal->detail != NULL ? refusal->detail : "the CA gave no reason";

	log_line(o->wish.repeated ? LOG_DEBUG : LOG_WARNING,
	    &(struct log_fields){ .event = LOG_EVENT_NAME_MISSING,
		.certificate = o->wish.name,
		.domain = name,
		.ca = ca_name(o->ca),
		.problem = refusal->type },
	    "ordered without %s, which is tried again at the next renewal: %s", name,
	    detail);
	buffer_printf(&text, "%s: %s", name, detail);
	(void)history_add(o->means->store,
	    &(struct history_event){ .at = clock_now(),
		.kind = "name-missing",
		.certificate = o->wish.name,
		.ca = ca_name(o->ca),
		.detail = text.data,
		.problem = refusal->type });
}

/* Those that were missing before, and these. *ret_left: how many are ordered on. */
static int
write_missing(const struct order *o, const struct acme_result *failure, char **ret,
    size_t *ret_dropped, size_t *ret_left)
{
	struct json_writer *w = json_writer_new();
	struct json *before = NULL;
	const struct certificate_spec *spec = o->wish.spec;
	int r = w != NULL ? read_missing(o, &before) : -ENOMEM;

	*ret_dropped = *ret_left = 0;
	json_open_array(w);
	for (size_t i = 0; i < json_count(before); i++) {
		const struct json *m = json_at(before, i);

		put_missing(w, json_string(json_get(m, "identifier")),
		    json_string(json_get(m, "type")),
		    json_string(json_get(m, "detail")));
	}
	for (size_t i = 0; i < spec->identifier_count && r == 0; i++) {
		const char *name = spec->identifiers[i].value;
		const struct acme_subproblem *refusal;
		struct acme_subproblem mention;

		if (is_missing(before, name))
			continue;
		refusal = find_refusal(failure, name);
		if (refusal == NULL)
			refusal = find_mention(failure, name, &mention);
		if (refusal == NULL) {
			++*ret_left;
			continue;
		}
		++*ret_dropped;
		put_missing(w, name, refusal->type, refusal->detail);
	}
	json_close_array(w);
	if (r == 0)
		r = json_writer_steal(w, ret, NULL);
	json_writer_free(w);
	json_free(before);
	return r;
}

static void
say_all_missing(const struct order *o, const struct acme_result *failure)
{
	const struct certificate_spec *spec = o->wish.spec;
	struct json *before = NULL;

	if (read_missing(o, &before) < 0)
		return;
	for (size_t i = 0; i < spec->identifier_count; i++) {
		const char *name = spec->identifiers[i].value;
		struct acme_subproblem mention;
		const struct acme_subproblem *refusal = find_refusal(failure, name);

		if (refusal == NULL)
			refusal = find_mention(failure, name, &mention);
		if (refusal != NULL && !is_missing(before, name))
			say_missing(o, name, refusal);
	}
	json_free(before);
}

/* Never all of them: an order needs a name. */
static bool
drop_names(struct order *o, const struct acme_result *failure)
{
	_cleanup_free_ char *missing = NULL;
	size_t dropped;
	size_t left;

	if (!o->wish.spec->drop_failed_names || failure->class == ACME_LATER ||
	    write_missing(o, failure, &missing, &dropped, &left) < 0 || dropped == 0 ||
	    left == 0)
		return false;
	say_all_missing(o, failure);
	free(o->row->missing);
	o->row->missing = steal_ptr(missing);
	return true;
}

/* ---- the profile ---- */

static bool
drop_profile(struct order *o, const struct acme_result *failure)
{
	struct log_fields f = order_fields(o);

	if (!acme_result_is(failure, "invalidProfile") || o->row->profile == NULL ||
	    o->wish.spec->profile_insists || o->profile_refused)
		return false;
	o->profile_refused = true;
	f.problem = failure->type;
	log_line(o->wish.repeated ? LOG_DEBUG : LOG_WARNING, &f,
	    "the CA refuses profile \"%s\", ordered without: %s", o->row->profile,
	    failure->detail);
	return true;
}

/* ---- both ---- */

bool
order_try_again(struct order *o, const struct acme_result *failure)
{
	if (!drop_names(o, failure) && !drop_profile(o, failure))
		return false;
	o->flow = acme_flow_free(o->flow);
	free(o->row->url);
	o->row->url = NULL;
	free(o->row->challenges);
	o->row->challenges = NULL;
	o->changed = false;
	order_store_and_begin(o);
	return true;
}

void
order_explain(const struct order *o, struct acme_result *failure)
{
	char *detail;

	if (failure == NULL || o->wish.spec->lifetime.seconds == 0 ||
	    strcmp(failure->stage, "order") != 0 || failure->status < 400 ||
	    failure->status >= 500 || failure->class == ACME_LATER ||
	    failure->subproblem_count > 0)
		return;
	if (asprintf(&detail,
		"%s (the order has a \"lifetime\", which not every CA allows)",
		failure->detail) < 0)
		return;
	free(failure->detail);
	failure->detail = detail;
}
