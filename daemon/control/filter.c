/*
 * filter.c - reads the filters of a list from a query, and judges certificates by them.
 *
 * Called by listing.c for every certificate, so it looks nothing up.
 */
#include "control/filter.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "control/facts.h"

/* ---- reading ---- */

static int
read_state(struct filter *f, const char *text)
{
	for (unsigned i = 0; i < VIEW_STATES; i++)
		if (strcmp(text, view_state_name(i)) == 0) {
			f->by_state = true;
			f->state = i;
			return 0;
		}
	return -EINVAL;
}

static int
read_health(struct filter *f, const char *text)
{
	for (unsigned i = 0; i < VIEW_HEALTHS; i++)
		if (strcmp(text, view_health_name(i)) == 0) {
			f->by_health = true;
			f->health = i;
			return 0;
		}
	return -EINVAL;
}

static int
read_end(struct filter *f, const char *text)
{
	struct duration d;

	if (duration_parse(text, &d) < 0 || d.share != 0)
		return -EINVAL;
	f->by_end = true;
	f->within = d.seconds;
	return 0;
}

static int
copy(char **field, const char *text)
{
	*field = strdup(text);
	return *field != NULL ? 0 : -ENOMEM;
}

static int
read_ca(struct filter *f, const char *text)
{
	return copy(&f->ca, text);
}

static int
read_q(struct filter *f, const char *text)
{
	return copy(&f->q, text);
}

static const struct {
	const char *name;
	int (*read)(struct filter *f, const char *text);
	const char *why;
} parameters[] = {
	{ "state", read_state, "must be revoked, expired, new or valid" },
	{ "health", read_health, "must be critical, warning or ok" },
	{ "expires_within", read_end, "must be a time as 12h, 30d or 2w" },
	{ "ca", read_ca, "must be a name" },
	{ "q", read_q, "must be a text" },
};

int
filter_parse(struct filter *f, const struct evkeyvalq *query, const char **ret_field,
    const char **ret_why)
{
	*f = (struct filter){ 0 };
	for (size_t i = 0; i < ELEMENTS(parameters); i++) {
		const char *text = evhttp_find_header(query, parameters[i].name);
		int r = text != NULL ? parameters[i].read(f, text) : 0;

		if (r == -EINVAL) {
			*ret_field = parameters[i].name;
			*ret_why = parameters[i].why;
		}
		if (r < 0)
			return r;
	}
	return 0;
}

void
filter_clear(struct filter *f)
{
	free(f->ca);
	free(f->q);
	*f = (struct filter){ 0 };
}

/* ---- judging ---- */

static bool
holds_text(const struct facts *facts, const struct view *view, const char *q)
{
	const struct certificate_spec *spec = facts->spec;

	if (strcasestr(facts->certificate->name, q) != NULL)
		return true;
	for (size_t i = 0; spec != NULL && i < spec->identifier_count; i++)
		if (strcasestr(spec->identifiers[i].value, q) != NULL)
			return true;
	return spec == NULL && view->row_count > 0 &&
	    strcasestr(view->rows[0]->names, q) != NULL;
}

static bool
is_of_ca(const struct facts *facts, const struct view *view, const char *ca)
{
	const char *name = view_ca(facts, view);

	return name != NULL && strcasecmp(name, ca) == 0;
}

bool
filter_matches(
    const struct filter *f, const struct facts *facts, const struct view *view)
{
	if (f->by_state && view->state != f->state)
		return false;
	if (f->by_health && view->health != f->health)
		return false;
	if (f->by_end &&
	    (view->not_after == 0 || view->not_after > facts->now + f->within))
		return false;
	if (f->ca != NULL && !is_of_ca(facts, view, f->ca))
		return false;
	return f->q == NULL || holds_text(facts, view, f->q);
}
