/*
 * watch.c - the watchdog's food and the status line of `systemctl status`.
 *
 * Owned by daemon.c. The status follows each commit, at most once a second. The
 * watchdog hears of us only while the scheduler ticks: a loop that turns without
 * renewing anything must be ended like one that hangs.
 */
#include "watch.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "inventory/inventory.h"
#include "inventory/store.h"
#include "platform/clock.h"
#include "platform/notify.h"
#include "renew/renewal.h"
#include "schedule/schedule.h"
#include "scope.h"

#define STATUS_SECONDS 30
#define STATUS_MS      1000 /* not more often */
#define TICK_MAX       120  /* the scheduler looks each minute */
#define STATUS_SIZE    256
#define SECOND         UINT64_C(1000000)

struct watch {
	struct watch_means means;
	struct event *timer; /* NULL: nobody to be told */
	struct event *soon;  /* something has changed */
	uint64_t watchdog;   /* microseconds; 0: none */
	int64_t looked_ms;   /* when the status was last put together */
	char said[STATUS_SIZE];
};

DEFINE_CLEANUP(struct watch, watch_free)

static void
describe_next(const struct watch *w, char *ret, size_t size)
{
	_cleanup_free_ char *name = NULL;
	char at[CLOCK_TEXT_SIZE];
	int64_t when;

	ret[0] = '\0';
	if (certificate_next(w->means.store, clock_now(), &when, &name, NULL) == 0)
		snprintf(ret, size, "; next %s at %s", name, clock_format(when, at));
}

static void
look_soon(struct watch *w)
{
	int64_t wait = w->looked_ms + STATUS_MS - clock_monotonic_ms();
	struct timeval delay = { 0 };

	if (evtimer_pending(w->soon, NULL))
		return;
	if (wait > 0)
		delay = (struct timeval){ .tv_sec = wait / 1000,
			.tv_usec = wait % 1000 * 1000 };
	event_add(w->soon, &delay);
}

/* While files are being looked at, the next look is due by itself: that writes
 * nothing. */
static void
describe_repair(struct watch *w, char *ret, size_t size)
{
	size_t done, all;

	ret[0] = '\0';
	if (!renewals_repairing(w->means.renewals, &done, &all))
		return;
	snprintf(ret, size, "; files looked at: %zu of %zu", done, all);
	look_soon(w);
}

static void
tell_status(struct watch *w)
{
	char text[STATUS_SIZE], next[STATUS_SIZE / 2], repair[STATUS_SIZE / 4];
	int64_t all, failing;
	size_t active, queued;

	w->looked_ms = clock_monotonic_ms();
	if (certificate_count(w->means.store, &all, &failing) < 0)
		return;
	renewals_jobs(w->means.renewals, &active, &queued);
	describe_repair(w, repair, sizeof(repair));
	describe_next(w, next, sizeof(next));
	snprintf(text, sizeof(text),
	    "%" PRId64 " certificates, %" PRId64
	    " failing; %zu at work, %zu waiting%s%s",
	    all, failing, active, queued, repair, next);
	if (strcmp(text, w->said) == 0)
		return;
	memcpy(w->said, text, sizeof(text));
	notify_status("%s", text);
}

static struct timeval
interval(const struct watch *w)
{
	uint64_t usec = STATUS_SECONDS * SECOND;

	if (w->watchdog != 0 && w->watchdog / 3 < usec)
		usec = w->watchdog / 3;
	return (struct timeval){ .tv_sec = (time_t)(usec / SECOND),
		.tv_usec = (suseconds_t)(usec % SECOND) };
}

/* A wall clock that was just set forward looks like a scheduler that hangs; it ticks
 * within a minute, and the watchdog waits longer. */
static bool
ticks(const struct watch *w)
{
	return clock_now() - schedule_last_tick(w->means.schedule) < TICK_MAX;
}

static void
timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;

	(void)fd, (void)what;
	if (w->watchdog != 0 && ticks(w))
		notify_watchdog();
	tell_status(w);
}

static void
soon_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	tell_status(arg);
}

static void
committed_cb(void *arg)
{
	look_soon(arg);
}

static int
make_timers(struct watch *w)
{
	w->timer = event_new(w->means.base, -1, EV_PERSIST, timer_cb, w);
	w->soon = evtimer_new(w->means.base, soon_cb, w);
	return w->timer != NULL && w->soon != NULL ? 0 : -ENOMEM;
}

int
watch_new(const struct watch_means *means, struct watch **ret)
{
	_cleanup_(watch_freep) struct watch *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return -ENOMEM;
	w->means = *means;
	w->watchdog = notify_watchdog_interval();
	if (notify_wanted()) {
		if (make_timers(w) < 0)
			return -ENOMEM;
		store_on_commit(means->store, committed_cb, w);
	}
	*ret = steal_ptr(w);
	return 0;
}

struct watch *
watch_free(struct watch *w)
{
	if (w == NULL)
		return NULL;
	store_forget(w->means.store, w);
	if (w->timer != NULL)
		event_free(w->timer);
	if (w->soon != NULL)
		event_free(w->soon);
	free(w);
	return NULL;
}

void
watch_start(struct watch *w)
{
	const struct timeval each = interval(w);

	if (w->timer == NULL)
		return;
	event_add(w->timer, &each);
	event_active(w->timer, EV_TIMEOUT, 0);
}
