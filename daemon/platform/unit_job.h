/*
 * unit_job.h - asks systemd to reload, restart or start a unit, and waits for how it
 * went; or which is its main process.
 *
 * Used by deploy/unit.c and nginx.c. Everything travels on the loop; nothing here
 * blocks.
 */
#ifndef UNIT_JOB_H
#define UNIT_JOB_H

#include <stdbool.h>

#include <sys/types.h>

struct event_base;
struct unit_job;

enum unit_action {
	UNIT_RELOAD = 1,
	UNIT_RESTART = 2,
	UNIT_RELOAD_OR_RESTART = 3,
	UNIT_START = 4,
};

enum unit_outcome {
	UNIT_DONE,
	UNIT_NOT_ASKED, /* no job was made: no bus, not allowed; there may be another
			   way */
	UNIT_FAILED,    /* systemd has said no, or the job went wrong */
};

/* `why` is a sentence with what to do next, "" for UNIT_DONE; lent for the call. Called
 * once, from the loop; unit_job_free() is then up to whoever got it. */
typedef void unit_job_cb(enum unit_outcome outcome, const char *why, void *arg);

int unit_job_start(struct event_base *base, const char *unit, enum unit_action action,
    unsigned timeout_seconds, unit_job_cb *done_cb, void *arg, struct unit_job **ret);
/* Asks only which is the unit's main process: with UNIT_DONE, unit_job_pid() knows. */
int unit_job_find_pid(struct event_base *base, const char *unit,
    unsigned timeout_seconds, unit_job_cb *done_cb, void *arg, struct unit_job **ret);
/* 0: none. */
pid_t unit_job_pid(const struct unit_job *j);
/* done_cb isn't called any more; systemd goes on with the job. NULL is fine. */
struct unit_job *unit_job_free(struct unit_job *j);

/* "reload", "restart", "reload-or-restart", "start"; what polkit calls its verb */
const char *unit_action_name(enum unit_action action);

#endif
