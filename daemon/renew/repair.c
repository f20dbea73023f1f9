/*
 * repair.c - looks at all certificates, those first that servers may be waiting for,
 * and writes files that are missing or damaged.
 *
 * Called by renewal.c. It works in slices at the lowest priority of the loop, so it
 * must never do anything that takes longer with more certificates. What it has reached
 * isn't stored: after a crash it begins again, and what is whole is passed quickly.
 */
#include "renew/repair.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>

#include "bundle/bundle.h"
#include "deploy/deploy.h"
#include "inventory/store.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "renew/due.h"
#include "renew/files.h"
#include "renew/job.h"
#include "renew/restaple.h"
#include "renew/rollback.h"
#include "schedule/schedule.h"

#define BATCH        64
#define PRIORITY     2 /* that of commits */
#define BUSY_US      50000
#define MENTIONS_MAX 20 /* of a kind by name; the others are in the sum */
#define LONG_US      UINT64_C(1000000)
#define DAY_S        86400

static const struct repair_slice usual = { 5000, 5000 };

/* Of what it does to one certificate. */
enum outcome { LOOKED, WRITTEN, HANDED, FAILED, BUSY };

typedef bool look_fn(struct bundles *bundles, const struct certificate_spec *spec,
    const struct issued *rows, size_t count);

struct stage {
	bool bundled; /* the inventory says that its files were written */
	bool issued;  /* where it doesn't: is there one from a CA? */
	look_fn *look;
	bool files_only; /* all else was looked at in a stage before */
};

static const struct stage stages[] = {
	{ .issued = true, .look = files_there },
	{ .look = files_there }, /* placeholders */
	{ .bundled = true, .look = files_there },
	{ .bundled = true, .look = files_intact, .files_only = true },
};

struct repair {
	struct renewals *renewals;
	struct event *timer;
	bool active;
	size_t stage;
	int64_t after; /* the last id that was read in this stage */
	struct certificate_pick picks[BATCH];
	size_t next;
	size_t count;

	/* for people */
	size_t all;
	size_t done;
	size_t counts[BUSY + 1]; /* by outcome */
	int64_t began_at;
	uint64_t began_us;
	uint64_t longest_us; /* of the slices on the loop */
};

/* ---- one certificate ---- */

/* Of many the first are named, or the journal would drop what others say. */
static int
level(struct repair *p, bool failed, int usually)
{
	size_t said =
	    failed ? p->counts[FAILED] : p->counts[WRITTEN] + p->counts[HANDED];

	return p->active && said >= MENTIONS_MAX ? LOG_DEBUG : usually;
}

static void
say_written(struct repair *p, const struct job *j)
{
	struct log_fields f = { .certificate = j->row->name };

	if (j->row->bundled != NULL) {
		f.event = LOG_EVENT_FILES_REPAIRED;
		log_line(level(p, false, LOG_WARNING), &f,
		    "its files were missing or damaged, and are written again");
	} else if (j->issued_count == 0) {
		f.event = LOG_EVENT_PLACEHOLDER;
		log_line(level(p, false, LOG_INFO), &f, "placeholder written");
	}
}

/* HANDED: to its job, once the loop runs. */
static enum outcome
rewrite(struct repair *p, struct job *j)
{
	struct certificate *c = j->row;
	const struct certificate_spec *spec = rollback_spec(j);
	size_t count;
	const struct issued *rows = rollback_rows(j, &count);
	int e;

	/* many are written at once there, and nothing waits for the disk */
	if (j->issued_count > 0 && p->renewals->started) {
		say_written(p, j);
		free(c->bundled);
		c->bundled = NULL;
		return HANDED;
	}
	e = files_write(p->renewals->bundles, spec, rows, count);
	if (e < 0) { /* its job tries again, and says so */
		free(c->bundled);
		c->bundled = NULL;
		return FAILED;
	}
	say_written(p, j);
	rollback_note_files(c, due_bundle(spec, rows, count));
	if (j->issued_count > 0)
		restaple_place(j);
	if (j->issued_count == 0 && c->placeholder_since == 0)
		c->placeholder_since = clock_now();
	return WRITTEN;
}

static void
repair_copy(struct repair *p, const struct job *j, const struct target_config *t)
{
	_cleanup_free_ char *dir = bundle_path(p->renewals->bundles, j->row->name);
	int e = dir != NULL ? deploy_repair(t, j->row->name, dir) : -ENOMEM;

	if (e > 0)
		log_line(level(p, false, LOG_WARNING),
		    (&(struct log_fields){ .event = LOG_EVENT_FILES_REPAIRED,
			.certificate = j->row->name,
			.target = t->name }),
		    "its copy at bundle_path was missing or damaged, and is written "
		    "again");
	else if (e < 0)
		log_line(level(p, true, LOG_WARNING),
		    (&(struct log_fields){
			.certificate = j->row->name, .target = t->name }),
		    "its copy at bundle_path can't be looked at: %s", strerror(-e));
}

/* What targets have on disk of their own, where it is what they were told of. */
static void
repair_copies(struct repair *p, const struct job *j)
{
	struct deployment *rows = NULL;
	size_t count = 0;

	for (size_t i = 0; i < j->spec->deploy.n; i++) {
		const struct target_config *t =
		    config_target(p->renewals->config, j->spec->deploy.v[i]);
		const struct deployment *d;

		if (t == NULL || t->bundle_path == NULL || j->row->bundled == NULL)
			continue;
		if (rows == NULL)
			(void)deployment_list(
			    p->renewals->means.store, j->row->id, &rows, &count);
		d = due_find_deployment(rows, count, t->name);
		if (d != NULL && d->bundled != NULL &&
		    strcmp(d->bundled, j->row->bundled) == 0 &&
		    (d->state == DEPLOYMENT_DEPLOYED || d->state == DEPLOYMENT_SERVED))
			repair_copy(p, j, t);
	}
	deployment_free_all(rows, count);
}

static bool
needs_files(const struct repair *p, const struct job *j, look_fn *look)
{
	const struct certificate_spec *spec = rollback_spec(j);
	size_t count;
	const struct issued *rows = rollback_rows(j, &count);
	_cleanup_free_ char *wanted = due_bundle(spec, rows, count);

	if (wanted == NULL || *wanted == '\0')
		return false;
	return j->row->bundled == NULL || strcmp(wanted, j->row->bundled) != 0 ||
	    !look(p->renewals->bundles, spec, rows, count);
}

/* One that is never looked at, though nothing says so any more; or that was parked for
 * what its CA's section or [defaults] said, which may be another now. */
static bool
revive(struct job *j)
{
	struct certificate *c = j->row;

	if (c->paused || !j->spec->enabled)
		return false;
	if (c->parked &&
	    (due_error_is(c, "stage", "account") || due_error_is(c, "stage", "key")))
		c->parked = false;
	if (due_error_is(c, "stage", "configuration")) {
		c->next_attempt = 0;
		return true;
	}
	return c->next_at == 0 && !c->parked;
}

/* Is there work for its job? [defaults] may have changed. */
static bool
wants_job(struct job *j, enum outcome files)
{
	bool revived = revive(j);

	return revived || files == HANDED || files == FAILED || files == BUSY ||
	    (files == WRITTEN && j->issued_count > 0) || job_wants_order(j) ||
	    job_wants_deploy(j);
}

static void
save(struct repair *p, struct job *j, enum outcome files)
{
	struct certificate *c = j->row;
	int64_t now = clock_now();
	bool wants = wants_job(j, files) && (c->next_at == 0 || c->next_at > now);

	if (wants)
		c->next_at = now;
	if (wants || files != LOOKED)
		(void)certificate_save(p->renewals->means.store, c);
}

/* BUSY: a server is reading the files just now. */
static enum outcome
attend(struct repair *p, int64_t certificate, const struct stage *stage)
{
	_cleanup_(job_freep) struct job *j = NULL;
	enum outcome outcome = LOOKED;
	int e;

	/* its job sees to its files itself, and holds a copy of its row */
	if (renewals_job(p->renewals, certificate) != NULL)
		return LOOKED;
	e = job_load(p->renewals, certificate, &j);
	if (e == -EBADMSG)
		renewals_unloadable(p->renewals, certificate, e);
	if (e < 0)
		return LOOKED;
	if (needs_files(p, j, stage->look))
		outcome =
		    deploy_reloading(p->renewals->means.deploy) ? BUSY : rewrite(p, j);
	if (outcome == BUSY && p->active)
		return BUSY; /* comes back to it */
	if (outcome == LOOKED && stage->look == files_intact)
		repair_copies(p, j);
	if (!stage->files_only || outcome != LOOKED)
		save(p, j, outcome);
	return outcome;
}

void
repair_one(struct repair *p, int64_t certificate)
{
	static const struct stage whole = { .look = files_intact };
	bool active = p->active;

	p->active = false; /* by name, and its job does what can't be done now */
	(void)attend(p, certificate, &whole);
	p->active = active;
}

/* ---- the walk ---- */

static int
read_batch(struct repair *p)
{
	const struct stage *stage = &stages[p->stage];
	struct store *store = p->renewals->means.store;
	int count = stage->bundled
	    ? certificate_bundled(
		  store, p->after, p->began_at + 1, p->picks, ELEMENTS(p->picks))
	    : certificate_unbundled(store, p->after, p->picks, ELEMENTS(p->picks));

	p->next = 0;
	p->count = count > 0 ? (size_t)count : 0;
	if (count > 0)
		p->after = p->picks[count - 1].id;
	return count;
}

/* False: all stages are done. */
static bool
pick(struct repair *p, struct certificate_pick *ret)
{
	while (p->next == p->count) {
		int count = read_batch(p);

		if (count > 0)
			continue;
		if (count < 0)
			log_line(LOG_ERR, LOG_ABOUT(STORE_FAILED),
			    "cannot read the inventory to look at files: %s",
			    store_explain(count));
		p->after = 0;
		if (count < 0 || ++p->stage == ELEMENTS(stages))
			return false;
	}
	*ret = p->picks[p->next];
	return true;
}

/* Once a day, not at the hour of others. */
static void
plan(struct repair *p)
{
	const struct timeval pause = { .tv_sec =
					   DAY_S - (time_t)clock_random(DAY_S / 10) };

	event_add(p->timer, &pause);
}

/* Of how it went, one line: where nothing was the matter, for the curious only. */
static void
finish(struct repair *p)
{
	uint64_t us = clock_monotonic_us() - p->began_us;
	size_t written = p->counts[WRITTEN] + p->counts[HANDED];
	int what = p->counts[FAILED] > 0             ? LOG_WARNING
	    : written > MENTIONS_MAX || us > LONG_US ? LOG_INFO
						     : LOG_DEBUG;

	p->active = false;
	plan(p);
	log_line(what, NULL,
	    "the files of %zu certificates were looked at: %zu written, %zu failed,"
	    " in %.1f s; longest turn %.1f ms",
	    p->all, written, p->counts[FAILED], (double)us / 1e6,
	    (double)p->longest_us / 1e3);
	schedule_poke(p->renewals->means.schedule);
}

static void
note(struct repair *p, const struct stage *stage, enum outcome outcome)
{
	p->next++;
	p->counts[outcome]++;
	if (!stage->files_only && p->done < p->all)
		p->done++;
}

static bool
is_of(const struct stage *stage, const struct certificate_pick *c)
{
	return stage->bundled || stage->issued == c->issued;
}

/* How long to wait for the next slice; negative: it is over. */
static int
work(struct repair *p, const struct repair_slice *slice)
{
	const uint64_t begin = clock_monotonic_us();
	uint64_t now = begin, looking = 0;
	struct certificate_pick c;

	while (now - begin < slice->all && looking < slice->looking) {
		uint64_t before = now;
		const struct stage *stage;
		enum outcome outcome = LOOKED;

		if (!pick(p, &c))
			return -1;
		stage = &stages[p->stage];
		if (is_of(stage, &c))
			outcome = attend(p, c.id, stage);
		if (outcome == BUSY)
			return BUSY_US;
		if (is_of(stage, &c))
			note(p, stage, outcome);
		else
			p->next++;
		now = clock_monotonic_us();
		if (outcome == LOOKED)
			looking += now - before;
	}
	return 0;
}

static void
go_on(struct repair *p, const struct repair_slice *slice)
{
	int wait = work(p, slice);
	struct timeval pause = { .tv_usec = wait };

	if (wait < 0)
		finish(p);
	else
		event_add(p->timer, &pause);
}

static void
slice_cb(evutil_socket_t fd, short what, void *arg)
{
	struct repair *p = arg;
	uint64_t begin = clock_monotonic_us(), took;

	(void)fd, (void)what;
	if (p->active)
		go_on(p, &usual);
	else
		repair_begin(p, &usual);
	took = clock_monotonic_us() - begin;
	if (took > p->longest_us)
		p->longest_us = took;
}

void
repair_begin(struct repair *p, const struct repair_slice *first)
{
	int64_t all = 0, failing;

	(void)certificate_count(p->renewals->means.store, &all, &failing);
	event_del(p->timer);
	p->active = true;
	p->stage = 0;
	p->after = 0;
	p->next = p->count = 0;
	p->all = (size_t)all;
	p->done = 0;
	memset(p->counts, 0, sizeof(p->counts));
	p->began_at = clock_now();
	p->began_us = clock_monotonic_us();
	p->longest_us = 0;
	go_on(p, first);
}

bool
repair_progress(const struct repair *p, size_t *ret_done, size_t *ret_all)
{
	*ret_done = p->done;
	*ret_all = p->all;
	return p->active;
}

int
repair_new(struct renewals *r, struct repair **ret)
{
	_cleanup_(repair_freep) struct repair *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return -ENOMEM;
	p->renewals = r;
	p->timer = evtimer_new(r->means.base, slice_cb, p);
	if (p->timer == NULL)
		return -ENOMEM;
	event_priority_set(p->timer, PRIORITY);
	*ret = steal_ptr(p);
	return 0;
}

struct repair *
repair_free(struct repair *p)
{
	if (p == NULL)
		return NULL;
	if (p->timer != NULL)
		event_free(p->timer);
	free(p);
	return NULL;
}
