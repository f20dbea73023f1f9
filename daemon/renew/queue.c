/*
 * queue.c - see queue.h. One line for each CA and kind of order; they take turns, so
 * that none waits for another's.
 *
 * A line is read in batches, so that a pick costs no more where very many wait. One
 * timer for the earliest moment at which any of them may go on.
 */
#include "renew/queue.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <strings.h>

#include "inventory/store.h"
#include "platform/clock.h"
#include "renew/ca.h"
#include "renew/job.h"
#include "renew/selftest.h"
#include "schedule/limits.h"
#include "schedule/schedule.h"
#include "schedule/wakeup.h"

#define BATCH      64
#define FRESH_MS   1000 /* those who came later wait that long for their turn */
#define OLD_MS     (10 * 60 * 1000) /* what was calm then may be urgent */
#define TURN_US    5000
#define PAUSE_US   1000
#define LONGEST_MS (60 * 1000)

struct line {
	struct ca *ca; /* lent, of renewals */
	enum queue_kind kind;
	struct queue_place places[BATCH];
	size_t next;
	size_t count;
	bool whole;      /* what was read is all that there is */
	bool passed_by;  /* somebody couldn't go, whose turn it was */
	int64_t read_at; /* monotonic ms; 0: never */
};

struct queue {
	struct renewals *renewals;
	struct event *timer;
	struct line *lines;
	size_t count;
	size_t turn;
};

/* ---- lines ---- */

static struct line *
find(struct queue *q, const struct ca *ca, enum queue_kind kind)
{
	for (size_t i = 0; i < q->count; i++)
		if (q->lines[i].ca == ca && q->lines[i].kind == kind)
			return &q->lines[i];
	return NULL;
}

static void
read_line(struct queue *q, struct line *line)
{
	int count = queue_read(q->renewals->means.store, ca_name(line->ca), line->kind,
	    clock_now(), WAKEUP_URGENT, line->places, BATCH);

	line->next = 0;
	line->count = count > 0 ? (size_t)count : 0;
	line->whole = count < BATCH;
	line->read_at = clock_monotonic_ms();
}

/* False: nobody waits there. */
static bool
fill(struct queue *q, struct line *line)
{
	if (line->next < line->count)
		return true;
	if (line->read_at == 0 || !line->whole)
		read_line(q, line);
	return line->next < line->count;
}

bool
queue_is_empty(struct queue *q, const struct ca *ca, enum queue_kind kind)
{
	struct line *line = find(q, ca, kind);

	return line == NULL || !fill(q, line);
}

void
queue_note(struct queue *q, const struct ca *ca, enum queue_kind kind)
{
	struct line *line = find(q, ca, kind);

	if (line == NULL)
		return;
	line->whole = false;
	/* who is the most urgent is looked for anew, but not for each who comes */
	if (line->next == line->count ||
	    clock_monotonic_ms() - line->read_at >= FRESH_MS)
		line->next = line->count = 0;
	queue_poke(q);
}

void
queue_forbidden(struct queue *q, const struct ca *ca)
{
	struct renewals *r = q->renewals;

	if (r->ca_count > 1 &&
	    queue_dissolve(r->means.store, ca_name(ca), clock_now()) == 0)
		schedule_poke(r->means.schedule);
	for (size_t i = 0; i < q->count; i++)
		if (q->lines[i].ca == ca) {
			q->lines[i].read_at = 0;
			q->lines[i].next = q->lines[i].count = 0;
		}
}

/* ---- one who waits ---- */

/* Those before it have refused, or are forbidden for longer. */
static void
begin_at(struct job *j, const struct ca *ca)
{
	for (size_t i = 0; i < j->spec->cas.n; i++)
		if (strcasecmp(j->spec->cas.v[i], ca_name(ca)) == 0)
			j->ca = i;
}

enum handed { HANDED, NOT_NOW, GONE };

static enum handed
hand_in(struct queue *q, struct line *line, int64_t id)
{
	struct renewals *r = q->renewals;
	_cleanup_(job_freep) struct job *loaded = NULL;
	struct job *j;
	int e;

	if (renewals_job(r, id) != NULL)
		return NOT_NOW;
	e = job_load(r, id, &loaded);
	if (e < 0) {
		(void)queue_leave(r->means.store, id);
		renewals_unloadable(r, id, e);
		return GONE;
	}
	loaded->handed = true;
	begin_at(loaded, line->ca);
	if (job_wants_order(loaded) && !gate_has_room(loaded, line->ca))
		return NOT_NOW;
	/* from here on it is due: after a crash it is looked at first */
	free(loaded->row->queued_ca);
	loaded->row->queued_ca = NULL;
	loaded->row->next_at = clock_now();
	e = certificate_save(r->means.store, loaded->row);
	if (e < 0) {
		renewals_stall(r, e);
		return NOT_NOW;
	}
	j = steal_ptr(loaded);
	TAILQ_INSERT_TAIL(&r->jobs, j, entry);
	job_step(j);
	return HANDED;
}

/* The next of this line who can be handed in is. False: there is none among those who
 * come next: who can't go stays where he is, and would be read again and again. */
static bool
hand_in_next(struct queue *q, struct line *line)
{
	for (size_t tries = 0; tries < BATCH && fill(q, line); tries++) {
		/* the batch may be read anew while a job steps */
		size_t at = line->next++;

		if (hand_in(q, line, line->places[at].id) != NOT_NOW)
			return true;
		line->passed_by = true;
	}
	return false;
}

/* ---- their turns ---- */

/* Those who couldn't go are asked again. */
static void
read_anew(struct line *line)
{
	line->read_at = 0;
	line->passed_by = line->whole = false;
	line->next = line->count = 0;
}

/* Those who have time keep a pace, for an even load. */
static int64_t
opens_at(const struct queue *q, const struct line *line, int64_t now)
{
	int64_t at = limits_order_at(ca_limits(line->ca), line->kind, now);
	int64_t pace = now;

	if (line->kind == QUEUE_NEW && line->places[line->next].calm)
		pace = gate_pace_at(q->renewals, line->ca);
	return pace > at ? pace : at;
}

/* False: nothing can be done for it now; *next may become earlier. */
static bool
serve(struct queue *q, struct line *line, int64_t *next)
{
	int64_t now = clock_monotonic_ms();
	int64_t at;

	if ((line->next == line->count && line->passed_by) ||
	    now - line->read_at > OLD_MS)
		read_anew(line);
	if (!fill(q, line) || !selftest_passes(q->renewals->selftest))
		return false;
	at = opens_at(q, line, now);
	if (at > now) {
		*next = at < *next ? at : *next;
		return false;
	}
	if (!gate_has_slot(q->renewals, line->ca))
		return false; /* who leaves pokes */
	if (hand_in_next(q, line))
		return true;
	read_anew(line);
	return false;
}

static void
run_cb(evutil_socket_t fd, short what, void *arg)
{
	struct queue *q = arg;
	const uint64_t end = clock_monotonic_us() + TURN_US;
	int64_t now = clock_monotonic_ms();
	int64_t next = now + LONGEST_MS;
	struct timeval delay;
	size_t idle = 0;

	(void)fd;
	(void)what;
	while (idle < q->count && clock_monotonic_us() < end &&
	    q->renewals->stalled_until <= clock_now()) {
		struct line *line = &q->lines[q->turn++ % q->count];

		idle = serve(q, line, &next) ? 0 : idle + 1;
	}
	if (idle < q->count && q->renewals->stalled_until <= clock_now())
		next = now + 1;
	if (evtimer_pending(q->timer, NULL))
		return; /* poked on the way */
	delay.tv_sec = (next - now) / 1000;
	delay.tv_usec = (next - now) % 1000 * 1000;
	event_add(q->timer, &delay);
}

void
queue_poke(struct queue *q)
{
	/* not at once, as with schedule_poke() */
	static const struct timeval pause = { .tv_usec = PAUSE_US };

	event_add(q->timer, &pause);
}

/* ---- CAs that don't answer, and do again ---- */

/* Those who wait for one that is away may have one that is back, or still is there. */
static void
outage_cb(struct ca_limits *l, void *arg)
{
	struct queue *q = arg;
	struct renewals *r = q->renewals;
	bool away = limits_outage(l)->since != 0;

	for (size_t i = 0; i < r->ca_count; i++) {
		struct ca_limits *other = ca_limits(r->cas[i]);

		if (away ? other == l : limits_outage(other)->since != 0)
			queue_forbidden(q, r->cas[i]);
	}
	queue_poke(q);
}

/* ---- making and configuring ---- */

int
queue_new(struct renewals *r, struct queue **ret)
{
	_cleanup_(queue_freep) struct queue *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return -ENOMEM;
	q->renewals = r;
	q->timer = evtimer_new(r->means.base, run_cb, q);
	if (q->timer == NULL)
		return -ENOMEM;
	*ret = steal_ptr(q);
	return 0;
}

struct queue *
queue_free(struct queue *q)
{
	if (q == NULL)
		return NULL;
	if (q->timer != NULL)
		event_free(q->timer);
	free(q->lines);
	free(q);
	return NULL;
}

/* Of CAs that aren't there any more. */
struct strays {
	struct renewals *renewals;
	char *name; /* one of them */
};

static int
stray_cb(const char *name, void *arg)
{
	struct strays *s = arg;

	if (s->name == NULL && renewals_ca(s->renewals, name) == NULL)
		s->name = strdup(name);
	return 0;
}

static int
dissolve_strays(struct renewals *r)
{
	struct strays s = { r, NULL };
	int e;

	do {
		free(s.name);
		s.name = NULL;
		e = queue_walk_cas(r->means.store, stray_cb, &s);
		if (e == 0 && s.name != NULL)
			e = queue_dissolve(r->means.store, s.name, clock_now());
	} while (e == 0 && s.name != NULL);
	free(s.name);
	return e;
}

int
queue_configure(struct queue *q)
{
	struct renewals *r = q->renewals;
	struct line *lines = calloc(r->ca_count * QUEUE_KINDS + 1, sizeof(*lines));

	if (lines == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < r->ca_count; i++)
		for (int k = 0; k < QUEUE_KINDS; k++)
			lines[i * QUEUE_KINDS + (size_t)k] =
			    (struct line){ .ca = r->cas[i],
				    .kind = (enum queue_kind)k };
	free(q->lines);
	q->lines = lines;
	q->count = r->ca_count * QUEUE_KINDS;
	q->turn = 0;
	/* what was the matter may be mended by what is configured now */
	for (size_t i = 0; i < r->ca_count; i++)
		limits_probe(ca_limits(r->cas[i]));
	limits_on_outage(r->means.limits, outage_cb, q);
	(void)dissolve_strays(r);
	queue_poke(q);
	return 0;
}
