/*
 * hours.c - see hours.h. A number for each hour of about two years, read a day at a
 * time: of very many certificates all of it would take too long for a turn of the loop.
 */
#include "renew/hours.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "inventory/inventory.h"
#include "platform/clock.h"

#define HOUR          3600
#define DAY           24 /* hours */
#define DAYS          700
#define HOURS         (DAYS * DAY)
#define FRESH_SECONDS (6 * HOUR)

struct hours {
	struct store *store; /* lent */
	int64_t read_at;     /* when the first of the days was; 0: none */
	int64_t first;       /* the hour of counts[0], since 1970 */
	bool known[DAYS];    /* was it read? */
	uint32_t counts[HOURS];
};

/* Where its hour is; -1: it isn't counted. */
static int64_t
place_of(const struct hours *h, int64_t at)
{
	int64_t i = at / HOUR - h->first;

	return at > 0 && i >= 0 && i < HOURS ? i : -1;
}

static int
count_cb(int64_t at, void *arg)
{
	struct hours *h = arg;
	int64_t i = place_of(h, at);

	if (i >= 0)
		h->counts[i]++;
	return 0;
}

static void
read_day(struct hours *h, int64_t day)
{
	int64_t first = h->first + day * DAY;

	memset(&h->counts[day * DAY], 0, DAY * sizeof(h->counts[0]));
	h->known[day] = true;
	(void)certificate_walk_planned(
	    h->store, first * HOUR, (first + DAY) * HOUR, count_cb, h);
}

static void
refresh(struct hours *h)
{
	int64_t now = clock_now();

	if (h->read_at != 0 && now >= h->read_at && now - h->read_at < FRESH_SECONDS)
		return;
	memset(h->known, 0, sizeof(h->known));
	h->read_at = now;
	h->first = now / HOUR;
}

static uint32_t
count(struct hours *h, int64_t hour)
{
	int64_t i = place_of(h, hour * HOUR);

	if (i < 0)
		return 0;
	if (!h->known[i / DAY])
		read_day(h, i / DAY);
	return h->counts[i];
}

/* Which hour from first to last has the least; of equal ones that which chance takes,
 * which loses what it was used for. */
static int64_t
find_emptiest(struct hours *h, int64_t first, int64_t last, uint64_t *chance)
{
	uint32_t least = UINT32_MAX;
	uint64_t equal = 0, taken;

	for (int64_t i = first; i <= last; i++) {
		uint32_t n = count(h, i);

		equal = n < least ? 1 : equal + (n == least);
		least = n < least ? n : least;
	}
	if (equal == 0) /* not one hour, or all are full to the brim */
		return last;
	taken = *chance % equal;
	*chance /= equal;
	for (int64_t i = first; i <= last; i++)
		if (count(h, i) == least && taken-- == 0)
			return i;
	return last;
}

int64_t
hours_pick(struct hours *h, int64_t from, int64_t to, uint64_t chance)
{
	int64_t now = clock_now();
	int64_t hour;

	from = from > now ? from : now;
	if (from >= to)
		return to;
	refresh(h);
	/* what is years away is as good at any time */
	if (to - from > HOURS * (int64_t)HOUR)
		from = to - HOURS * (int64_t)HOUR;
	hour = find_emptiest(h, from / HOUR, to / HOUR, &chance);
	from = from > hour * HOUR ? from : hour * HOUR;
	to = to < hour * HOUR + HOUR - 1 ? to : hour * HOUR + HOUR - 1;
	return from + (int64_t)(chance % (uint64_t)(to - from + 1));
}

/* What wasn't read yet will be, with it. */
static uint32_t *
find_known(struct hours *h, int64_t at)
{
	int64_t i = place_of(h, at);

	return i >= 0 && h->known[i / DAY] ? &h->counts[i] : NULL;
}

void
hours_move(struct hours *h, int64_t before, int64_t after)
{
	uint32_t *from = find_known(h, before);
	uint32_t *to = find_known(h, after);

	if (before == after)
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
