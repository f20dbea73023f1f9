/*
 * sync.c - the configuration's certificates against the inventory's, both by name: what
 * is new is added, what differs is changed, what is gone is marked as removed.
 */
#include "sync.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "config/config.h"
#include "inventory/inventory.h"
#include "platform/log.h"

/* What the walk over the inventory found to be done after it: no row is written while
 * it runs. */
enum change_kind { CHANGE_SPEC, CHANGE_REMOVED };

struct change {
	enum change_kind kind;
	int64_t id;
	const struct certificate_text *text;
};

struct merge {
	const struct certificate_text **wanted; /* by name */
	size_t wanted_count;
	size_t next;
	bool *known;
	struct change *changes;
	size_t count;
	size_t size;
};

static int
compare_texts(const void *a, const void *b)
{
	const struct certificate_text *const *x = a;
	const struct certificate_text *const *y = b;

	return strcasecmp((*x)->name, (*y)->name);
}

static int
add_change(struct merge *m, enum change_kind kind, int64_t id,
    const struct certificate_text *text)
{
	if (m->count == m->size) {
		size_t size = m->size * 2 + 64;
		struct change *grown = reallocarray(m->changes, size, sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		m->changes = grown;
		m->size = size;
	}
	m->changes[m->count++] = (struct change){ kind, id, text };
	return 0;
}

static int
merge_cb(int64_t id, const char *name, const char *spec, int64_t removed_at, void *arg)
{
	struct merge *m = arg;
	int order = 1;

	while (m->next < m->wanted_count) {
		order = strcasecmp(m->wanted[m->next]->name, name);
		if (order >= 0)
			break;
		m->next++;
	}
	if (m->next < m->wanted_count && order == 0) {
		const struct certificate_text *text = m->wanted[m->next];

		m->known[m->next++] = true;
		if (removed_at != 0 || strcmp(text->spec, spec) != 0)
			return add_change(m, CHANGE_SPEC, id, text);
		return 0;
	}
	return removed_at == 0 ? add_change(m, CHANGE_REMOVED, id, NULL) : 0;
}

/* A name that came by the API before: the file wins. */
static int
take_over(struct store *store, const struct certificate_text *text, int64_t now)
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;
	int r;

	r = certificate_get(store, text->name, &c);
	if (r < 0)
		return r;
	log_line(LOG_NOTICE,
	    &(struct log_fields){
		.event = LOG_EVENT_DEFINED_TWICE, .certificate = text->name },
	    "defined in %s:%u and by the API before: the file counts", text->file,
	    text->line);
	return certificate_set_spec(store, c->id, ORIGIN_CONFIG, text->spec, now);
}

static int
add(struct store *store, const struct certificate_text *text, int64_t now)
{
	int r =
	    certificate_insert(store, text->name, ORIGIN_CONFIG, text->spec, now, NULL);

	return r == -EEXIST ? take_over(store, text, now) : r;
}

static int
apply(
    struct store *store, const struct merge *m, int64_t now, struct sync_counts *counts)
{
	int r = 0;

	for (size_t i = 0; i < m->count && r == 0; i++) {
		const struct change *c = &m->changes[i];

		if (c->kind == CHANGE_REMOVED) {
			counts->removed++;
			r = certificate_set_removed(store, c->id, now);
		} else {
			counts->changed++;
			r = certificate_set_spec(
			    store, c->id, ORIGIN_CONFIG, c->text->spec, now);
		}
	}
	for (size_t i = 0; i < m->wanted_count && r == 0; i++)
		if (!m->known[i]) {
			counts->added++;
			r = add(store, m->wanted[i], now);
		}
	return r;
}

int
sync_certificates(struct store *store, const struct config *config, int64_t now,
    struct sync_counts *ret)
{
	struct merge m = { .wanted_count = config->certificate_count };
	struct sync_counts counts = { 0 };
	int r = 0;

	m.wanted = calloc(m.wanted_count + 1, sizeof(struct certificate_text *));
	m.known = calloc(m.wanted_count + 1, sizeof(*m.known));
	if (m.wanted == NULL || m.known == NULL)
		r = -ENOMEM;
	if (r == 0) {
		for (size_t i = 0; i < m.wanted_count; i++)
			m.wanted[i] = &config->certificates[i];
		qsort(m.wanted, m.wanted_count, sizeof(*m.wanted), compare_texts);
		r = certificate_walk_specs(store, ORIGIN_CONFIG, merge_cb, &m);
	}
	if (r == 0)
		r = apply(store, &m, now, &counts);
	free(m.wanted);
	free(m.known);
	free(m.changes);
	if (r == 0)
		*ret = counts;
	return r;
}
