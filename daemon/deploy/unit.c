/*
 * unit.c - servers that systemd reloads or restarts at our request.
 *
 * The type "systemd", and a step of haproxy and nginx where they have a unit. It needs
 * no right over the server's process, only a polkit rule: the way for a renewd that is
 * not root.
 */
#include "deploy/run.h"
#include "platform/log.h"
#include "platform/unit_job.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define UNIT_SIZE 256 /* systemd takes no longer name */

/* Nobody was asked, so the pidfile may be another way. */
static void
not_asked(struct run *r, const char *why)
{
	const struct target_config *t = r->target;

	if (t->pidfile == NULL || r->type->by_pidfile == NULL) {
		run_failed(r, "%s", why);
		return;
	}
	log_line(LOG_NOTICE,
	    (&(struct log_fields){ .event = LOG_EVENT_OTHER_WAY, .target = t->name }),
	    "reloading by pidfile: %s", why);
	r->type->by_pidfile(r, why);
}

static void
done_cb(enum unit_outcome outcome, const char *why, void *arg)
{
	struct run *r = arg;

	switch (outcome) {
	case UNIT_DONE:
		if (r->type->unit_done != NULL)
			r->type->unit_done(r);
		else
			run_succeeded(r);
		break;
	case UNIT_NOT_ASKED:
		not_asked(r, why);
		break;
	case UNIT_FAILED:
		run_failed(r, "%s", why);
		break;
	}
}

void
unit_finish(struct run *r, enum unit_action action)
{
	int error;

	error = unit_job_start(
	    r->base, r->target->unit, action, run_timeout(r), done_cb, r, &r->unit_job);
	if (error < 0)
		run_failed(r, "can't ask systemd: %s", strerror(-error));
}

/* ---- a unit for each certificate ---- */

/* Where {name} is in the unit: whose turn it is. */
struct walk {
	size_t next;
};

static void ask_next(struct run *r);

/* The instance is the name as it is: it has no character that a unit's can't have. */
static int
name_unit(const struct run *r, size_t i, char *ret, size_t size)
{
	static const char mark[] = "{name}";
	const char *unit = r->target->unit, *at = strstr(unit, mark);
	int n = snprintf(ret, size, "%.*s%s%s", (int)(at - unit), unit,
	    r->subjects[i].it->certificate, at + strlen(mark));

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static void
one_done_cb(enum unit_outcome outcome, const char *why, void *arg)
{
	struct run *r = arg;
	struct walk *w = r->state;

	if (outcome != UNIT_DONE)
		run_subject_failed(r, w->next, "%s", why);
	r->unit_job = unit_job_free(r->unit_job);
	w->next++;
	ask_next(r);
}

static int
ask_one(struct run *r, size_t i)
{
	char unit[UNIT_SIZE];
	int error = name_unit(r, i, unit, sizeof(unit));

	if (error < 0)
		return error;
	return unit_job_start(r->base, unit, r->target->action, run_timeout(r),
	    one_done_cb, r, &r->unit_job);
}

/* One after the other, in turns of the loop; one that can't be asked for stops none. */
static void
ask_next(struct run *r)
{
	struct walk *w = r->state;

	for (; w->next < r->subject_count; w->next++) {
		int error = ask_one(r, w->next);

		if (error == 0)
			return;
		run_subject_failed(
		    r, w->next, "can't ask systemd: %s", strerror(-error));
	}
	run_succeeded(r);
}

static int
start(struct run *r)
{
	if (strstr(r->target->unit, "{name}") == NULL) {
		unit_finish(r, r->target->action);
		return 0;
	}
	r->state = calloc(1, sizeof(struct walk));
	if (r->state == NULL)
		return -ENOMEM;
	ask_next(r);
	return 0;
}

static void
stop(struct run *r)
{
	free(r->state);
	r->state = NULL;
}

const struct deploy_type systemd_type = {
	.name = "systemd",
	.whole = true,
	.start = start,
	.stop = stop,
};
