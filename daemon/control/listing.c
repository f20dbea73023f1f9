/*
 * listing.c - all managed certificates, or those that are asked for.
 *
 * Handler of /v1/certificates. The list is written in pages, and each certificate on a
 * line of its own, so that neither side needs more memory where there are more.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>

#include "control/facts.h"
#include "control/filter.h"
#include "control/named.h"
#include "control/pages.h"
#include "control/routes.h"
#include "json.h"

struct listing {
	const struct service *service;
	struct filter filter;
	struct json_writer *writer;
	struct evbuffer *page; /* that is being made */
	char *seen;            /* the last one looked at */
	char *written;         /* the last one written */
	size_t remaining;      /* that may be written in all */
	bool begun;
	bool more; /* there is one that may not be written any more */
};

static void
listing_free(void *arg)
{
	struct listing *l = arg;

	json_writer_free(l->writer);
	filter_clear(&l->filter);
	free(l->seen);
	free(l->written);
	free(l);
}

/* ---- a page ---- */

static int
remember(char **field, const char *name)
{
	char *copy = strdup(name);

	if (copy == NULL)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

/* What is in the writer, with something before and after it. */
static int
add_value(struct listing *l, const char *before, const char *after)
{
	const char *text;
	size_t len;
	int r = json_writer_lend(l->writer, &text, &len);

	if (r < 0)
		return r;
	if (evbuffer_add(l->page, before, strlen(before)) < 0 ||
	    evbuffer_add(l->page, text, len) < 0 ||
	    evbuffer_add(l->page, after, strlen(after)) < 0)
		return -ENOMEM;
	return 0;
}

static int
add(struct listing *l, const struct facts *facts, const struct view *view)
{
	int r;

	view_write(l->writer, facts, view);
	r = add_value(l, l->written != NULL ? ",\n" : "", "");
	if (r < 0)
		return r;
	l->remaining--;
	return remember(&l->written, facts->certificate->name);
}

static int
consider_cb(const struct facts *facts, void *arg)
{
	struct listing *l = arg;
	struct view view;

	view_judge(facts, &view);
	if (!filter_matches(&l->filter, facts, &view))
		return 0;
	if (l->remaining > 0)
		return add(l, facts, &view);
	l->more = true;
	return -ECANCELED; /* all is known */
}

static int
begin(struct listing *l)
{
	static const char text[] = "{\"certificates\":[";

	if (l->begun)
		return 0;
	l->begun = true;
	return evbuffer_add(l->page, text, strlen(text)) < 0 ? -ENOMEM : 0;
}

static int
add_end(struct listing *l)
{
	/* A value alone is JSON, too. */
	json_put_string(l->writer, l->more ? l->written : NULL);
	return add_value(l, "],\"next\":", "}\n");
}

static int
fill(struct evbuffer *page, void *arg)
{
	struct listing *l = arg;
	int r;

	l->page = page;
	r = begin(l);
	if (r == 0)
		r = facts_walk(l->service, &l->seen, FACTS_ALL, consider_cb, l);
	return r == 0 || r == -ECANCELED ? add_end(l) : r;
}

/* ---- the request ---- */

/* Takes the filter over. */
static struct listing *
listing_new(struct call *call, struct filter *filter, size_t limit, const char *after)
{
	struct listing *l;

	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return NULL;
	l->service = call->service;
	l->remaining = limit;
	l->writer = json_writer_new();
	if (l->writer == NULL || (after != NULL && remember(&l->seen, after) < 0)) {
		listing_free(l);
		return NULL;
	}
	l->filter = *filter;
	*filter = (struct filter){ 0 };
	return l;
}

static int
parse_limit(const char *text, size_t *ret)
{
	unsigned long long value;
	char *end;

	if (text == NULL) {
		*ret = SIZE_MAX;
		return 0;
	}
	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (*end != '\0' || errno != 0 || value == 0 || value >= SIZE_MAX)
		return -EINVAL;
	*ret = (size_t)value;
	return 0;
}

static int
read_query(struct call *call, struct filter *filter, size_t *limit)
{
	const char *field = NULL;
	const char *why = NULL;
	int r;

	if (call_unknown_parameter(call, FILTER_PARAMETERS " limit after"))
		return -EINVAL;
	r = filter_parse(filter, &call->query, &field, &why);
	if (r == 0 && parse_limit(call_parameter(call, "limit"), limit) < 0) {
		field = "limit";
		why = "must be a number from 1 on";
		r = -EINVAL;
	}
	if (r == -EINVAL)
		named_refuse_field(call, field, why);
	else if (r < 0)
		named_refuse(call, 500, "no memory");
	return r;
}

void
certificates_list(struct call *call)
{
	static const struct pages_source source = { "application/json", fill,
		listing_free };
	_cleanup_(filter_clear) struct filter filter = { 0 };
	struct listing *l;
	size_t limit = 0;

	if (read_query(call, &filter, &limit) < 0)
		return;
	l = listing_new(call, &filter, limit, call_parameter(call, "after"));
	if (l == NULL) {
		named_refuse(call, 500, "no memory");
	} else if (pages_send(call, &source, l) < 0) {
		named_refuse(call, 500, "the inventory cannot be read");
		listing_free(l);
	}
}
