/*
 * sync.c - the configuration's certificates against the inventory's, both by name: what
 * is new is added, what differs is changed, what is gone is marked as removed.
 */
#include "sync.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "config/config.h"
#include "control/reload.h"
#include "inventory/inventory.h"
#include "platform/log.h"

/* What the walk over the inventory found to be done after it: no row is written while
 * it runs. */
struct change {
	enum reload_change kind;
	int64_t id;
	const struct certificate_text *text; /* NULL: removed */
	char *name;                          /* of one that is removed */
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
add_change(struct merge *m, const struct change *change)
{
	if (m->count == m->size) {
		size_t size = m->size * 2 + 64;
		struct change *grown = reallocarray(m->changes, size, sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		m->changes = grown;
		m->size = size;
	}
	m->changes[m->count++] = *change;
	return 0;
}

static int
add_removal(struct merge *m, int64_t id, const char *name)
{
	struct change change = { .kind = RELOAD_REMOVED, .id = id };
	int r;

	change.name = strdup(name);
	if (change.name == NULL)
		return -ENOMEM;
	r = add_change(m, &change);
	if (r < 0)
		free(change.name);
	return r;
}

static int
merge_cb(int64_t id, const char *name, const char *spec, int64_t removed_at, void *arg)
{
	struct merge *m = arg;
	const struct certificate_text *text;
	int order = 1;

	while (m->next < m->wanted_count) {
		order = strcasecmp(m->wanted[m->next]->name, name);
		if (order >= 0)
			break;
		m->next++;
	}
	if (m->next >= m->wanted_count || order != 0)
		return removed_at == 0 ? add_removal(m, id, name) : 0;
	text = m->wanted[m->next];
	m->known[m->next++] = true;
	if (removed_at == 0 && strcmp(text->spec, spec) == 0)
		return 0;
	return add_change(m,
	    &(struct change){
		removed_at != 0 ? RELOAD_ADDED : RELOAD_CHANGED, id, text, NULL });
}

/* ---- writing ---- */

struct writing {
	struct store *store;
	int64_t now;
	struct reload *reload;
};

static int
note(const struct writing *w, enum reload_change change, const char *name)
{
	int r;

	r = history_add(w->store,
	    &(struct history_event){ .at = w->now,
		.kind = reload_change_name(change),
		.certificate = name,
		.detail = "by the configuration" });
	return r == 0 ? reload_note(w->reload, change, name) : r;
}

/* A name that came by the API before: the file wins. */
static int
take_over(const struct writing *w, const struct certificate_text *text)
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;
	bool adopted;
	int r;

	r = certificate_get(w->store, text->name, &c);
	if (r < 0)
		return r;
	adopted = c->removed_at != 0;
	if (!adopted)
		log_line(LOG_NOTICE,
		    &(struct log_fields){
			.event = LOG_EVENT_DEFINED_TWICE, .certificate = text->name },
		    "defined in %s:%u and by the API before: the file counts",
		    text->file, text->line);
	r = certificate_set_spec(w->store, c->id, ORIGIN_CONFIG, text->spec, w->now);
	return r == 0 ? note(w, adopted ? RELOAD_ADDED : RELOAD_CHANGED, text->name)
		      : r;
}

static int
add(const struct writing *w, const struct certificate_text *text)
{
	int r;

	r = certificate_insert(
	    w->store, text->name, ORIGIN_CONFIG, text->spec, w->now, NULL);
	if (r == -EEXIST)
		return take_over(w, text);
	return r == 0 ? note(w, RELOAD_ADDED, text->name) : r;
}

static int
change(const struct writing *w, const struct change *c)
{
	int r;

	if (c->text == NULL)
		r = certificate_set_removed(w->store, c->id, w->now);
	else
		r = certificate_set_spec(
		    w->store, c->id, ORIGIN_CONFIG, c->text->spec, w->now);
	if (r < 0)
		return r;
	return note(w, c->kind, c->text != NULL ? c->text->name : c->name);
}

static int
apply(const struct writing *w, const struct merge *m)
{
	int r = 0;

	for (size_t i = 0; i < m->count && r == 0; i++)
		r = change(w, &m->changes[i]);
	for (size_t i = 0; i < m->wanted_count && r == 0; i++)
		if (!m->known[i])
			r = add(w, m->wanted[i]);
	return r;
}

static int
compare(struct merge *m, struct store *store, const struct config *config)
{
	m->wanted_count = config->certificate_count;
	m->wanted = calloc(m->wanted_count + 1, sizeof(struct certificate_text *));
	m->known = calloc(m->wanted_count + 1, sizeof(*m->known));
	if (m->wanted == NULL || m->known == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < m->wanted_count; i++)
		m->wanted[i] = &config->certificates[i];
	qsort(m->wanted, m->wanted_count, sizeof(*m->wanted), compare_texts);
	return certificate_walk_specs(store, ORIGIN_CONFIG, merge_cb, m);
}

int
sync_certificates(
    struct store *store, const struct config *config, int64_t now, struct reload *ret)
{
	const struct writing w = { store, now, ret };
	struct merge m = { 0 };
	int r;

	r = compare(&m, store, config);
	if (r == 0)
		r = apply(&w, &m);
	for (size_t i = 0; i < m.count; i++)
		free(m.changes[i].name);
	free(m.wanted);
	free(m.known);
	free(m.changes);
	return r;
}
