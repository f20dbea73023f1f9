/*
 * haproxy_store.c - the items of a running HAProxy's crt-stores, and which of them are
 * a bundle.
 *
 * Called by haproxy_hot.c, once for each process in a run. Names and paths are
 * HAProxy's; what they mean haproxy_name.c knows. An HAProxy that has none is asked for
 * its list, and for nothing else.
 */
#include "deploy/haproxy_store.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/haproxy_loaded.h"
#include "deploy/haproxy_name.h"
#include "scope.h"

struct item {
	char *name;
	char *path; /* in its configuration; "": not told */
};

struct haproxy_store {
	struct haproxy_loaded *loaded;
	struct item *items;
	size_t count;
	bool incomplete; /* without memory */
	haproxy_store_cb *done_cb;
	void *arg;
};

DEFINE_CLEANUP(struct haproxy_store, haproxy_store_free)

static int
add(struct haproxy_store *s, const char *name, const char *path)
{
	struct item *more;
	struct item it = { .name = strdup(name), .path = strdup(path) };

	more = realloc(s->items, (s->count + 1) * sizeof(*more));
	if (more != NULL)
		s->items = more;
	if (more == NULL || it.name == NULL || it.path == NULL) {
		free(it.name);
		free(it.path);
		return -ENOMEM;
	}
	s->items[s->count++] = it;
	return 0;
}

static void
row_cb(const struct haproxy_row *row, void *arg)
{
	struct haproxy_store *s = arg;

	if (add(s, row->file, row->crt) < 0)
		s->incomplete = true;
}

static void
done_cb(int r, void *arg)
{
	struct haproxy_store *s = arg;

	s->loaded = haproxy_loaded_free(s->loaded);
	s->done_cb(r == 0 && s->incomplete ? -ENOMEM : r, s->arg);
}

int
haproxy_store_start(struct haproxy_cli *cli, haproxy_store_cb *stored_cb, void *arg,
    struct haproxy_store **ret)
{
	_cleanup_(haproxy_store_freep) struct haproxy_store *s = calloc(1, sizeof(*s));
	int r;

	if (s == NULL)
		return -ENOMEM;
	s->done_cb = stored_cb;
	s->arg = arg;
	r = haproxy_loaded_start(cli, HAPROXY_ITEMS, row_cb, done_cb, s, &s->loaded);
	if (r < 0)
		return r;
	*ret = steal_ptr(s);
	return 0;
}

const char *
haproxy_store_find(
    const struct haproxy_store *s, const struct haproxy_file *file, size_t *at)
{
	while (s != NULL && *at < s->count) {
		const struct item *it = &s->items[(*at)++];

		if (haproxy_name_leads(file, it->name, it->path))
			return it->name;
	}
	return NULL;
}

struct haproxy_store *
haproxy_store_free(struct haproxy_store *s)
{
	if (s == NULL)
		return NULL;
	haproxy_loaded_free(s->loaded);
	for (size_t i = 0; i < s->count; i++) {
		free(s->items[i].name);
		free(s->items[i].path);
	}
	free(s->items);
	free(s);
	return NULL;
}
