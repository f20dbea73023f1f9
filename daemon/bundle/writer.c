/*
 * writer.c - see writer.h. All that is asked for in a few milliseconds, and while the
 * thread is busy, is one batch: written and synced in the thread, switched on the loop,
 * settled in the thread.
 *
 *   loop    collect ...   switch   | collect ...   switch
 *   thread  prepare       settle, then prepare the next    settle
 *
 * A batch is of one set of directories and of different names: the steps of change.c
 * must not meet each other.
 */
#include "bundle/writer.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/queue.h>

#include "acme.h"
#include "bundle/bundle.h"
#include "bundle/bundle_private.h"
#include "bundle/change.h"
#include "bundle/staple.h"
#include "platform/worker.h"
#include "scope.h"

#define PRIORITY  2 /* that of commits: after all else of this turn */
#define BATCH_MAX 64
#define ROOM      (4 * BATCH_MAX)

#define STAPLES_MAX 2     /* kinds of keys */
#define GATHER_US   20000 /* two at once wait for the disk but once */

struct writing {
	TAILQ_ENTRY(writing) entry; /* while it waits */
	struct bundles *bundles;
	struct bundle bundle; /* of copies, in the next two */
	char *name;
	struct bundle_pair *pairs;
	struct change change;     /* in a batch */
	writing_done_cb *done_cb; /* NULL: forgotten */
	void *arg;
};

struct batch {
	struct writer *writer;
	LIST_ENTRY(batch) entry;
	size_t count;
	struct writing *writings[BATCH_MAX];
	struct change *changes[BATCH_MAX];
};

/* OCSP responses of one certificate. */
struct stapling {
	LIST_ENTRY(stapling) entry;
	struct writer *writer;
	struct bundles *bundles;
	char *name;
	bool dual;
	struct staple staples[STAPLES_MAX];
	size_t count;
	int r;
	writing_done_cb *done_cb;
	void *arg;
};

struct writer {
	struct worker *worker;
	struct event *start_event;
	TAILQ_HEAD(writings, writing) waiting;
	size_t count; /* waiting, or in a batch */
	LIST_HEAD(batches, batch) batches;
	LIST_HEAD(staplings, stapling) staplings;
	struct batch *preparing; /* in the thread, or held until it may be switched */
	bool held;
	bool closing;
	bool (*may_switch_cb)(void *arg);
	void *switch_arg;
};

/* ---- one ---- */

static void
free_pairs(struct bundle_pair *pairs, size_t count)
{
	for (size_t i = 0; pairs != NULL && i < count; i++) {
		if (pairs[i].key_pem != NULL)
			acme_wipe_free(
			    (char *)pairs[i].key_pem, strlen(pairs[i].key_pem));
		free((char *)pairs[i].chain_pem);
	}
	free(pairs);
}

static void
free_writing(struct writing *g)
{
	free_pairs(g->pairs, g->bundle.pair_count);
	bundles_close(g->bundles);
	free(g->name);
	free(g);
}

static int
copy_text(const char *text, const char **ret)
{
	char *copy = text != NULL ? strdup(text) : NULL;

	*ret = copy;
	return copy == NULL && text != NULL ? -ENOMEM : 0;
}

static int
copy_bundle(struct writing *g, const struct bundle *from)
{
	int r = 0;

	g->pairs = calloc(from->pair_count, sizeof(*g->pairs));
	g->name = strdup(from->name);
	if (g->pairs == NULL || g->name == NULL)
		return -ENOMEM;
	g->bundle = *from;
	g->bundle.name = g->name;
	g->bundle.pairs = g->pairs;
	for (size_t i = 0; i < from->pair_count && r == 0; i++) {
		g->pairs[i].key_type = from->pairs[i].key_type;
		g->pairs[i].stand_in = from->pairs[i].stand_in;
		r = copy_text(from->pairs[i].key_pem, &g->pairs[i].key_pem);
		if (r == 0)
			r = copy_text(from->pairs[i].chain_pem, &g->pairs[i].chain_pem);
	}
	return r;
}

static void
end_writing(struct writer *w, struct writing *g, int r)
{
	w->count--;
	if (g->done_cb != NULL && !w->closing)
		g->done_cb(r, g->arg);
	free_writing(g);
}

/* ---- batches ---- */

static void
free_batch(struct batch *b)
{
	LIST_REMOVE(b, entry);
	for (size_t i = 0; i < b->count; i++)
		change_clear(b->changes[i]);
	free(b);
}

/* Of this name, whether the thread has it or not. */
static bool
is_under_way(const struct writer *w, const char *name)
{
	const struct batch *b;

	LIST_FOREACH (b, &w->batches, entry)
		for (size_t i = 0; i < b->count; i++)
			if (strcmp(b->writings[i]->name, name) == 0)
				return true;
	return false;
}

static void
prepare_cb(void *arg)
{
	struct batch *b = arg;

	change_prepare(b->changes, b->count);
}

static void
settle_cb(void *arg)
{
	struct batch *b = arg;

	change_settle(b->changes, b->count);
}

static void
settled_cb(void *arg)
{
	struct batch *b = arg;
	struct writer *w = b->writer;
	struct writing *over[BATCH_MAX];
	int results[BATCH_MAX];
	size_t count = b->count;

	for (size_t i = 0; i < count; i++) {
		over[i] = b->writings[i];
		results[i] = change_end(b->changes[i]);
	}
	free_batch(b);
	for (size_t i = 0; i < count; i++)
		end_writing(w, over[i], results[i]);
	if (!w->closing)
		event_active(w->start_event, EV_TIMEOUT, 0);
}

/* What can't go on is over. */
static void
give_up(struct batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		if (b->changes[i]->r == 0)
			b->changes[i]->r = -ENOMEM;
	settled_cb(b);
}

static void
switch_batch(struct writer *w)
{
	struct batch *b = w->preparing;

	w->held = w->may_switch_cb != NULL && !w->may_switch_cb(w->switch_arg);
	if (w->held)
		return;
	w->preparing = NULL;
	for (size_t i = 0; i < b->count; i++) {
		b->changes[i]->abandoned = b->writings[i]->done_cb == NULL;
		change_switch(b->changes[i]);
	}
	if (worker_run(w->worker, settle_cb, settled_cb, b) < 0)
		give_up(b);
	event_active(w->start_event, EV_TIMEOUT, 0);
}

static void
prepared_cb(void *arg)
{
	struct batch *b = arg;

	if (b->writer->closing)
		settled_cb(b);
	else
		switch_batch(b->writer);
}

static bool
fits(const struct writer *w, const struct batch *b, const struct writing *g)
{
	return (b->count == 0 || b->writings[0]->bundles == g->bundles) &&
	    !is_under_way(w, g->name);
}

/* Takes what can go together. */
static void
collect(struct writer *w, struct batch *b)
{
	struct writing *next;

	for (struct writing *g = TAILQ_FIRST(&w->waiting);
	     g != NULL && b->count < BATCH_MAX; g = next) {
		next = TAILQ_NEXT(g, entry);
		if (g->done_cb != NULL && !fits(w, b, g))
			continue;
		TAILQ_REMOVE(&w->waiting, g, entry);
		if (g->done_cb == NULL) {
			end_writing(w, g, 0);
			continue;
		}
		change_begin(&g->change, g->bundles, &g->bundle);
		b->changes[b->count] = &g->change;
		b->writings[b->count++] = g;
	}
}

static void
start_cb(evutil_socket_t fd, short what, void *arg)
{
	struct writer *w = arg;
	struct batch *b;

	(void)fd, (void)what;
	if (w->preparing != NULL || TAILQ_EMPTY(&w->waiting))
		return;
	b = calloc(1, sizeof(*b));
	if (b == NULL) {
		struct writing *g = TAILQ_FIRST(&w->waiting);

		TAILQ_REMOVE(&w->waiting, g, entry);
		event_active(w->start_event, EV_TIMEOUT, 0);
		end_writing(w, g, -ENOMEM);
		return;
	}
	b->writer = w;
	LIST_INSERT_HEAD(&w->batches, b, entry);
	collect(w, b);
	if (b->count == 0) { /* those of before are under way still */
		free_batch(b);
		return;
	}
	w->preparing = b;
	if (worker_run(w->worker, prepare_cb, prepared_cb, b) < 0) {
		w->preparing = NULL;
		give_up(b);
	}
}

/* ---- OCSP responses ---- */

static void
free_stapling(struct stapling *t)
{
	for (size_t i = 0; i < t->count; i++)
		free((char *)t->staples[i].data);
	bundles_close(t->bundles);
	free(t->name);
	free(t);
}

static void
staple_cb(void *arg)
{
	struct stapling *t = arg;

	t->r = staple_write(t->bundles, t->name, t->dual, t->staples, t->count);
}

static void
stapled_cb(void *arg)
{
	struct stapling *t = arg;

	LIST_REMOVE(t, entry);
	t->done_cb(t->writer->closing ? -ECANCELED : t->r, t->arg);
	free_stapling(t);
}

static int
copy_staples(struct stapling *t, const struct staple *staples, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char *data = malloc(staples[i].len + 1);

		if (data == NULL)
			return -ENOMEM;
		memcpy(data, staples[i].data, staples[i].len);
		t->staples[i] = staples[i];
		t->staples[i].data = data;
		t->count++;
	}
	return 0;
}

int
writer_staple(struct writer *w, struct bundles *bundles, const char *name, bool dual,
    const struct staple *staples, size_t count, writing_done_cb *done_cb, void *arg)
{
	struct stapling *t = calloc(1, sizeof(*t));
	int r;

	if (t == NULL)
		return -ENOMEM;
	assert(count <= STAPLES_MAX);
	t->writer = w;
	t->bundles = bundles_ref(bundles);
	t->dual = dual;
	t->done_cb = done_cb;
	t->arg = arg;
	t->name = strdup(name);
	r = t->name != NULL ? copy_staples(t, staples, count) : -ENOMEM;
	if (r == 0)
		r = worker_run(w->worker, staple_cb, stapled_cb, t);
	if (r < 0)
		free_stapling(t);
	else
		LIST_INSERT_HEAD(&w->staplings, t, entry);
	return r;
}

static bool
is_stapled(const struct writer *w, const char *name)
{
	const struct stapling *t;

	LIST_FOREACH (t, &w->staplings, entry)
		if (strcmp(t->name, name) == 0)
			return true;
	return false;
}

/* ---- for others ---- */

int
writer_start(struct writer *w, struct bundles *bundles, const struct bundle *bundle,
    writing_done_cb *done_cb, void *arg, struct writing **ret)
{
	static const struct timeval gather = { .tv_usec = GATHER_US };
	struct writing *g = calloc(1, sizeof(*g));
	int r;

	if (g == NULL)
		return -ENOMEM;
	g->bundles = bundles_ref(bundles);
	g->done_cb = done_cb;
	g->arg = arg;
	r = copy_bundle(g, bundle);
	if (r < 0) {
		free_writing(g);
		return r;
	}
	TAILQ_INSERT_TAIL(&w->waiting, g, entry);
	w->count++;
	if (!evtimer_pending(w->start_event, NULL))
		event_add(w->start_event, &gather);
	*ret = g;
	return 0;
}

struct writing *
writing_forget(struct writing *g)
{
	if (g != NULL)
		g->done_cb = NULL;
	return NULL;
}

bool
writer_has_room(const struct writer *w)
{
	return w->count < ROOM;
}

void
writer_wait(struct writer *w, const char *name)
{
	if (is_under_way(w, name) || is_stapled(w, name))
		worker_wait(w->worker);
}

void
writer_on_switch(struct writer *w, bool (*may_switch_cb)(void *arg), void *arg)
{
	w->may_switch_cb = may_switch_cb;
	w->switch_arg = arg;
}

void
writer_poke(struct writer *w)
{
	if (w->held)
		switch_batch(w);
}

int
writer_new(struct event_base *base, struct writer **ret)
{
	struct writer *w = calloc(1, sizeof(*w));
	int r;

	if (w == NULL)
		return -ENOMEM;
	TAILQ_INIT(&w->waiting);
	LIST_INIT(&w->batches);
	LIST_INIT(&w->staplings);
	w->start_event = event_new(base, -1, 0, start_cb, w);
	if (w->start_event == NULL) {
		free(w);
		return -ENOMEM;
	}
	event_priority_set(w->start_event, PRIORITY);
	r = worker_new(base, &w->worker);
	if (r < 0) {
		event_free(w->start_event);
		free(w);
		return r;
	}
	*ret = w;
	return 0;
}

struct writer *
writer_free(struct writer *w)
{
	struct writing *g;

	if (w == NULL)
		return NULL;
	w->closing = true;
	worker_free(w->worker); /* gives back the batches that it has */
	if (w->held)
		settled_cb(w->preparing);
	while ((g = TAILQ_FIRST(&w->waiting)) != NULL) {
		TAILQ_REMOVE(&w->waiting, g, entry);
		free_writing(g);
	}
	event_free(w->start_event);
	free(w);
	return NULL;
}
