/*
 * schedule.c - one timer for the earliest certificate that is due.
 *
 * It asks the inventory's index for what is due and hands that to renew/, until there
 * is no room; then it sleeps until the next is due, or for a minute: a wall clock that
 * is set, or a machine that was suspended, is noticed by then.
 */
#include "schedule/schedule.h"

#include <errno.h>
#include <event2/event.h>

#include "inventory/inventory.h"
#include "inventory/store.h"
#include "platform/clock.h"
#include "platform/log.h"

#define TICK_SECONDS 60
#define BATCH        64
#define BATCH_MAX    65536

struct schedule {
	struct event_base *base;
	struct store *store;
	struct event *timer;
	schedule_due_cb *due_cb;
	void *arg;
	int64_t last_tick;
	bool failing; /* said once */
	int64_t *ids;
};

DEFINE_CLEANUP(struct schedule, schedule_free)

/* Reads what is due into s->ids, all of it up to limit. */
static int
read_due(struct schedule *s, int64_t now, size_t limit)
{
	int64_t *grown = reallocarray(s->ids, limit, sizeof(*grown));
	int count;

	if (grown == NULL)
		return -ENOMEM;
	s->ids = grown;
	count = certificate_due(s->store, now, s->ids, limit);
	if (count < 0 && !s->failing)
		log_line(LOG_ERR, LOG_ABOUT(STORE_FAILED),
		    "cannot read the inventory: %s; trying again each minute",
		    store_explain(count));
	s->failing = count < 0;
	return count;
}

/* Hands over what is due, until there is no room. Those at work stay due until they are
 * done, and come first: where they fill the batch it is read again, larger. */
static void
hand_over(struct schedule *s, int64_t now)
{
	size_t limit = BATCH;
	int count;

	do {
		count = read_due(s, now, limit);
		for (int i = 0; i < count; i++)
			if (!s->due_cb(s->ids[i], s->arg))
				return;
		limit *= 2;
	} while (count > 0 && (size_t)count == limit / 2 && limit <= BATCH_MAX);
}

static void
sleep_until_next(struct schedule *s, int64_t now)
{
	struct timeval delay = { .tv_sec = TICK_SECONDS };
	int64_t at;

	if (certificate_next(s->store, now, &at, NULL, NULL) == 0 &&
	    at - now < TICK_SECONDS)
		delay.tv_sec = at - now;
	event_add(s->timer, &delay);
}

static void
tick_cb(evutil_socket_t fd, short what, void *arg)
{
	struct schedule *s = arg;
	int64_t now = clock_now();

	(void)fd;
	(void)what;
	s->last_tick = now;
	sleep_until_next(s, now); /* before: a poke on the way must win */
	hand_over(s, now);
}

int
schedule_new(struct event_base *base, struct store *store, struct schedule **ret)
{
	_cleanup_(schedule_freep) struct schedule *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -ENOMEM;
	s->base = base;
	s->store = store;
	s->timer = evtimer_new(base, tick_cb, s);
	if (s->timer == NULL)
		return -ENOMEM;
	*ret = steal_ptr(s);
	return 0;
}

struct schedule *
schedule_free(struct schedule *s)
{
	if (s == NULL)
		return NULL;
	if (s->timer != NULL)
		event_free(s->timer);
	free(s->ids);
	free(s);
	return NULL;
}

void
schedule_start(struct schedule *s, schedule_due_cb *due_cb, void *arg)
{
	s->due_cb = due_cb;
	s->arg = arg;
	s->last_tick = clock_now();
	schedule_poke(s);
}

void
schedule_poke(struct schedule *s)
{
	static const struct timeval now = { 0 };

	if (s->due_cb != NULL)
		event_add(s->timer, &now);
}

int64_t
schedule_last_tick(const struct schedule *s)
{
	return s->last_tick;
}
