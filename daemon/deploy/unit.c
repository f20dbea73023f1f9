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

#include <string.h>

/* Nobody was asked, so the pidfile may be another way. */
static void
not_asked(struct run *r, const char *why)
{
	const struct target_config *t = r->target;

	if (t->pidfile == NULL || r->type->signal == 0) {
		run_failed(r, "%s", why);
		return;
	}
	log_line(LOG_NOTICE,
	    (&(struct log_fields){ .event = LOG_EVENT_OTHER_WAY, .target = t->name }),
	    "reloading by pidfile: %s", why);
	signal_finish(r, why, t->process, r->type->signal);
}

static void
done_cb(enum unit_outcome outcome, const char *why, void *arg)
{
	struct run *r = arg;

	switch (outcome) {
	case UNIT_DONE:
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

static int
start(struct run *r)
{
	unit_finish(r, r->target->action);
	return 0;
}

static void
stop(struct run *r)
{
	(void)r;
}

const struct deploy_type systemd_type = {
	.name = "systemd",
	.whole = true,
	.start = start,
	.stop = stop,
};
