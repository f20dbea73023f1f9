/*
 * selftest.c - see selftest.h. Looks at the listener, the database, and at the
 * directories: may they be written to, and is there room?
 *
 * What is found holds for a moment. Reading the database through takes long where it is
 * large: the worker does that, once at start, and again while it is damaged.
 */
#include "renew/selftest.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "bundle/bundle.h"
#include "challenge/responder.h"
#include "inventory/soundness.h"
#include "inventory/store.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "platform/room.h"
#include "platform/worker.h"
#include "renew/job.h"
#include "renew/queue.h"
#include "schedule/schedule.h"

#define ROOM          (UINT64_C(1) << 20) /* a commit and a bundle take less */
#define ROOM_TEXT     "1 MiB"
#define HOLDS_MS      250
#define AGAIN_SECONDS 10
#define WHY_SIZE      512

/* The database as the worker reads it. */
struct check {
	struct selftest *test; /* NULL: nobody waits for it any more */
	char *state_dir;
	int r;
};

struct selftest {
	struct renewals *renewals;
	struct event *timer;
	struct check *check;
	bool checked;
	int sound; /* what the check has found */
	int64_t looked_ms;
	int64_t since;
	char why[WHY_SIZE]; /* "": all is well */
	bool listening;
	bool said;
	bool said_full;
};

/* ---- the database ---- */

static void
check_free(struct check *c)
{
	free(c->state_dir);
	free(c);
}

static void
run_check(void *arg)
{
	struct check *c = arg;

	c->r = store_check(c->state_dir);
}

static void
checked_cb(void *arg)
{
	struct check *c = arg;
	struct selftest *t = c->test;

	if (t != NULL) {
		t->check = NULL;
		t->checked = true;
		t->sound = c->r;
		t->looked_ms = 0;
		queue_poke(t->renewals->queue);
		schedule_poke(t->renewals->means.schedule);
	}
	check_free(c);
}

static void
begin_check(struct selftest *t)
{
	const struct renewals *r = t->renewals;
	struct check *c = calloc(1, sizeof(*c));

	if (c != NULL)
		c->state_dir = strdup(r->config->renewd.state_dir);
	if (c == NULL || c->state_dir == NULL ||
	    worker_run(r->means.worker, run_check, checked_cb, c) < 0) {
		if (c != NULL)
			check_free(c);
		t->checked =
		    true; /* no memory to look with: queries say what they meet */
		return;
	}
	c->test = t;
	t->check = c;
}

bool
selftest_ready(struct selftest *t)
{
	if (!t->checked && t->check == NULL)
		begin_check(t);
	return t->checked;
}

/* ---- what is looked at. 0, or *ret_why says what is wrong ---- */

static int
look_at_listener(struct selftest *t, char why[WHY_SIZE])
{
	struct responder *responder = t->renewals->means.responder;

	t->listening = responder_listening(responder) || responder_retry(responder);
	if (t->listening)
		return 0;
	snprintf(why, WHY_SIZE, "no address of [http-01] can be listened on");
	return -EADDRNOTAVAIL;
}

static int
look_at_database(struct selftest *t, char why[WHY_SIZE])
{
	int r = store_is_damaged(t->renewals->means.store) ? -EUCLEAN : t->sound;

	if (r < 0)
		snprintf(why, WHY_SIZE, "the inventory, renewd.db, cannot be read: %s",
		    store_explain(r));
	return r;
}

static void
explain(char why[WHY_SIZE], const char *key, const char *path, int r)
{
	snprintf(why, WHY_SIZE, "%s %s: %s", key, path,
	    r == -ENOSPC ? "less than " ROOM_TEXT " of room is left on its disk"
			 : strerror(-r));
}

static int
look_at_state_dir(struct selftest *t, char why[WHY_SIZE])
{
	const char *dir = t->renewals->config->renewd.state_dir;
	int r = room_look_at(dir, ROOM);

	if (r < 0)
		explain(why, "state_dir", dir, r);
	return r;
}

static int
look_at_bundle_dir(struct selftest *t, char why[WHY_SIZE])
{
	int r = bundles_look(t->renewals->bundles, ROOM);

	if (r < 0)
		explain(why, "bundle_dir", t->renewals->config->renewd.bundle_dir, r);
	return r;
}

/* ---- the whole ---- */

/* The listener and the store say by themselves what they have met. */
static bool
is_said(const struct selftest *t, int r)
{
	return r == -EADDRNOTAVAIL || t->renewals->stalled_said ||
	    store_is_damaged(t->renewals->means.store);
}

static void
say(struct selftest *t, int r)
{
	if (t->said || is_said(t, r))
		return;
	t->said = true;
	t->said_full = r == -ENOSPC;
	log_line(LOG_CRIT, LOG_ABOUT(SELF_TEST_FAILED),
	    "no order is begun: %s; looked at again each %d seconds", t->why,
	    AGAIN_SECONDS);
}

static void
fail(struct selftest *t, const char *why, int r)
{
	const struct timeval again = { .tv_sec = AGAIN_SECONDS };

	if (t->why[0] == '\0')
		t->since = clock_now();
	snprintf(t->why, sizeof(t->why), "%s", why);
	say(t, r);
	event_add(t->timer, &again);
}

static void
pass(struct selftest *t)
{
	bool failed = t->why[0] != '\0';

	if (t->said)
		log_line(LOG_NOTICE, LOG_ABOUT(SELF_TEST_PASSED),
		    "orders are begun again: what stood against it is mended");
	t->said = t->said_full = false;
	t->why[0] = '\0';
	event_del(t->timer);
	if (!failed)
		return;
	queue_poke(t->renewals->queue);
	schedule_poke(t->renewals->means.schedule);
}

static void
look(struct selftest *t)
{
	static int (*const looks[])(struct selftest * t, char why[WHY_SIZE]) = {
		look_at_listener,
		look_at_database,
		look_at_state_dir,
		look_at_bundle_dir,
	};
	char why[WHY_SIZE];

	t->looked_ms = clock_monotonic_ms();
	for (size_t i = 0; i < ELEMENTS(looks); i++) {
		int r = looks[i](t, why);

		if (r < 0) {
			fail(t, why, r);
			return;
		}
	}
	pass(t);
}

bool
selftest_passes(struct selftest *t)
{
	if (!selftest_ready(t))
		return false;
	/* a port that was lost, or taken at last, is no matter of a second */
	if (t->looked_ms == 0 || clock_monotonic_ms() - t->looked_ms >= HOLDS_MS ||
	    t->listening != responder_listening(t->renewals->means.responder))
		look(t);
	return t->why[0] == '\0';
}

const char *
selftest_why(struct selftest *t, int64_t *ret_since)
{
	if (selftest_passes(t) || t->why[0] == '\0')
		return NULL;
	*ret_since = t->since;
	return t->why;
}

bool
selftest_said_full(const struct selftest *t)
{
	return t->said_full;
}

static void
again_cb(evutil_socket_t fd, short what, void *arg)
{
	struct selftest *t = arg;

	(void)fd;
	(void)what;
	if (t->sound < 0 && t->check == NULL)
		begin_check(t);
	look(t);
}

int
selftest_new(struct renewals *r, struct selftest **ret)
{
	_cleanup_(selftest_freep) struct selftest *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return -ENOMEM;
	t->renewals = r;
	t->timer = evtimer_new(r->means.base, again_cb, t);
	if (t->timer == NULL)
		return -ENOMEM;
	*ret = steal_ptr(t);
	return 0;
}

struct selftest *
selftest_free(struct selftest *t)
{
	if (t == NULL)
		return NULL;
	if (t->check != NULL)
		t->check->test = NULL;
	if (t->timer != NULL)
		event_free(t->timer);
	free(t);
	return NULL;
}
