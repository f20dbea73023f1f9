/*
 * run.h - one run of a target: a reload, or a command for one certificate.
 *
 * deploy.c starts runs; the types' files carry them out and end them. However early a
 * type ends a run, deploy.c hears of it from the loop.
 */
#ifndef RUN_H
#define RUN_H

#include "deploy/deploy.h"
#include "deploy/types.h"

struct event;
struct event_base;
struct unit_job;

struct run {
	struct event_base *base;
	const struct deploy_type *type;
	struct target_config *target;   /* the run's own copy */
	struct deploy_subject *subject; /* NULL where the type reloads a whole server */
	void *state;                    /* the type's own */
	struct unit_job *unit_job;      /* unit.c's */

	/* run.c's */
	struct event *end_event;
	struct acme_result *failure;
	bool failed;
	bool ended;
	unsigned lines; /* said so far */
	deploy_done_cb *done_cb;
	void *arg;
};

/* Takes the subject over (where it is given). done_cb is called once, from the loop;
 * run_free() is then up to whoever got it. Fails only without memory. */
int run_new(struct event_base *base, const struct target_config *target,
    struct deploy_subject *subject, deploy_done_cb *done_cb, void *arg,
    struct run **ret);
/* Stops what goes on; done_cb isn't called. */
struct run *run_free(struct run *r);

/* For types: how long a program of the target's may take, in seconds. */
unsigned run_timeout(const struct run *r);
/* For types: a line that the server or a command said, into the log. Keeps only the
 * first thousand of a run. */
void run_say(struct run *r, const char *line);
/* For types, one of them once for each run. The text of a failure becomes one line. */
void run_succeeded(struct run *r);
void run_failed(struct run *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Why, where there is no memory for saying why. */
extern const struct acme_result run_no_memory;

DEFINE_CLEANUP(struct run, run_free)

#endif
