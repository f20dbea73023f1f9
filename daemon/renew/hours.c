/*
 * hours.c - see hours.h. A number for each hour of about two years.
 */
#include "renew/hours.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "inventory/inventory.h"
#include "platform/clock.h"

#define HOUR          3600
#define HOURS         (700 * 24)
#define FRESH_SECONDS (6 * HOUR)

struct hours {
	struct store *store; /* lent */
	int64_t read_at;     /* 0: never */
	int64_t first;       /* the hour of counts[0], since 1970 */
	uint32_t counts[HOURS];
};

/* NULL: none of those that are counted. */
static uint32_t *
find(struct hours *h, int64_t at)
{
	int64_t i = at / HOUR - h->first;

	return at > 0 && i >= 0 && i < HOURS ? &h->counts[i] : NULL;
}

static int
count_cb(int64_t at, void *arg)
{
	uint32_t *count = find(arg, at);

	if (count != NULL)
		(*count)++;
	return 0;
}

static void
refresh(struct hours *h)
{
	int64_t now = clock_now();

	if (h->read_at != 0 && now >= h->read_at && now - h->read_at < FRESH_SECONDS)
		return;
	memset(h->counts, 0, sizeof(h->counts));
	h->read_at = now;
	h->first = now / HOUR;
	(void)certificate_walk_planned(h->store, h->first * HOUR, count_cb, h);
}

uint32_t
hours_count(struct hours *h, int64_t at)
{
	uint32_t *count;

	refresh(h);
	count = find(h, at);
	return count != NULL ? *count : 0;
}

void
hours_move(struct hours *h, int64_t before, int64_t after)
{
	uint32_t *from = find(h, before);
	uint32_t *to = find(h, after);

	if (h->read_at == 0 || before == after)
		return;
	if (from != NULL && *from > 0)
		(*from)--;
	if (to != NULL)
		(*to)++;
}

int
hours_new(struct store *store, struct hours **ret)
{
	struct hours *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return -ENOMEM;
	h->store = store;
	*ret = h;
	return 0;
}

struct hours *
hours_free(struct hours *h)
{
	free(h);
	return NULL;
}
