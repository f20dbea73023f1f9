/*
 * revoke_wait.c - those who wait until certificates are revoked.
 *
 * They hear once, and may be gone before: what is waited for is in the inventory.
 */
#include "renew/revoke_wait.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct revoke_wait {
	struct revoke_waits *waits;
	int64_t *ids; /* issued rows that aren't done */
	size_t count;
	revoke_done_cb *cb;
	void *arg;
	TAILQ_ENTRY(revoke_wait) entry;
};

void
revoke_waits_init(struct revoke_waits *waits)
{
	TAILQ_INIT(&waits->head);
}

void
revoke_waits_clear(struct revoke_waits *waits)
{
	struct revoke_wait *w;

	while ((w = TAILQ_FIRST(&waits->head)) != NULL)
		revoke_forget(w);
}

int
revoke_waits_add(struct revoke_waits *waits, const int64_t *ids, size_t count,
    revoke_done_cb *cb, void *arg, struct revoke_wait **ret)
{
	struct revoke_wait *w = calloc(1, sizeof(*w));

	if (w != NULL)
		w->ids = calloc(count + 1, sizeof(*w->ids));
	if (w == NULL || w->ids == NULL) {
		free(w);
		return -ENOMEM;
	}
	memcpy(w->ids, ids, count * sizeof(*w->ids));
	w->waits = waits;
	w->count = count;
	w->cb = cb;
	w->arg = arg;
	TAILQ_INSERT_TAIL(&waits->head, w, entry);
	*ret = w;
	return 0;
}

struct revoke_wait *
revoke_forget(struct revoke_wait *w)
{
	if (w == NULL)
		return NULL;
	TAILQ_REMOVE(&w->waits->head, w, entry);
	free(w->ids);
	free(w);
	return NULL;
}

static bool
drop_id(struct revoke_wait *w, int64_t issued)
{
	for (size_t i = 0; i < w->count; i++)
		if (w->ids[i] == issued) {
			w->ids[i] = w->ids[--w->count];
			return true;
		}
	return false;
}

/* The next one that this ends; NULL: none. */
static struct revoke_wait *
find(struct revoke_waits *waits, int64_t issued, bool done)
{
	struct revoke_wait *w;

	TAILQ_FOREACH (w, &waits->head, entry)
		if (drop_id(w, issued) && (!done || w->count == 0))
			return w;
	return NULL;
}

void
revoke_waits_tell(
    struct revoke_waits *waits, int64_t issued, const struct revoke_outcome *outcome)
{
	struct revoke_wait *w;

	while ((w = find(waits, issued, outcome->failure == NULL)) != NULL) {
		revoke_done_cb *cb = w->cb;
		void *arg = w->arg;

		revoke_forget(w);
		cb(outcome, arg);
	}
}
