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
#define JUMP_MS      60000
#define BATCH        64
#define BATCH_MAX    65536
#define TURN_US      5000 /* others want the loop, too */
#define PAUSE_US     1000

struct schedule {
	struct event_base *base;
	struct store *store;
	struct event *timer;
	schedule_due_cb *due_cb;
	void *arg;
	int64_t last_tick;
	bool poked;
	bool failing; /* said once */
	int64_t *ids;
	int64_t distance; /* of the clocks, in ms */
	void (*jump_cb)(int64_t by, void *arg);
	void *jump_arg;
	void (*ticked_cb)(void *arg);
	void *ticked_arg;
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
	const uint64_t end = clock_monotonic_us() + TURN_US;
	size_t limit = BATCH;
	int count;

	do {
		count = read_due(s, now, limit);
		for (int i = 0; i < count; i++) {
			if (!s->due_cb(s->ids[i], s->arg))
				return;
			if (clock_monotonic_us() > end) {
				schedule_poke(s);
				return;
			}
		}
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

/* NTP moves the clock a little all the time, which adds up: it is compared with the
 * last tick. */
static void
look_at_clock(struct schedule *s)
{
	int64_t distance = clock_now() * 1000 - clock_monotonic_ms();
	int64_t by = distance - s->distance;

	s->distance = distance;
	if (s->jump_cb != NULL && (by > JUMP_MS || by < -JUMP_MS))
		s->jump_cb(by / 1000, s->jump_arg);
}

static void
tick_cb(evutil_socket_t fd, short what, void *arg)
{
	struct schedule *s = arg;
	int64_t now = clock_now();

	(void)fd;
	(void)what;
	s->last_tick = now;
	s->poked = false;
	look_at_clock(s);
	sleep_until_next(s, now); /* before: a poke on the way must win */
	hand_over(s, now);
	if (s->ticked_cb != NULL)
		s->ticked_cb(s->ticked_arg);
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
	s->distance = clock_now() * 1000 - clock_monotonic_ms();
	schedule_poke(s);
}

void
schedule_on_jump(struct schedule *s, void (*cb)(int64_t by, void *arg), void *arg)
{
	s->jump_cb = cb;
	s->jump_arg = arg;
}

void
schedule_on_tick(struct schedule *s, void (*cb)(void *arg), void *arg)
{
	s->ticked_cb = cb;
	s->ticked_arg = arg;
}

void
schedule_poke(struct schedule *s)
{
	/* not at once: where jobs end as fast as they begin, what has to be committed
	 * and all that is of lower priority would never get a turn */
	static const struct timeval pause = { .tv_usec = PAUSE_US };

	if (s->due_cb == NULL || s->poked)
		return;
	s->poked = true;
	event_add(s->timer, &pause);
}

int64_t
schedule_last_tick(const struct schedule *s)
{
	return s->last_tick;
}
