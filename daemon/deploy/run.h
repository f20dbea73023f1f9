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
struct worker;

/* A certificate that a run is for. */
struct run_subject {
	struct deploy_subject *it;
	struct acme_result *failure; /* of this one alone */
};

struct run {
	struct event_base *base;
	struct worker **worker; /* of all runs; NULL until one wants it */
	bool closing;           /* nothing may be begun any more */
	const struct deploy_type *type;
	struct target_config *target; /* the run's own copy */
	struct run_subject *subjects; /* at least one */
	size_t subject_count;
	const struct deploy_subject *subject; /* NULL where there may be several */
	void *state;                          /* the type's own */
	struct unit_job *unit_job;            /* unit.c's */

	/* run.c's */
	struct event *end_event;
	struct acme_result *failure;
	bool failed;
	bool ended;
	unsigned lines; /* said so far */
	deploy_done_cb *done_cb;
	void *arg;
};

/* worker is kept by the caller, who frees it before the run, which is closing then.
 * Takes the subjects over. done_cb is called once, from the loop; run_free() is then up
 * to whoever got it. Fails only without memory. */
int run_new(struct event_base *base, struct worker **worker,
    const struct target_config *target, struct run_subject *subjects, size_t count,
    deploy_done_cb *done_cb, void *arg, struct run **ret);
void run_free_subjects(struct run_subject *subjects, size_t count);
/* Stops what goes on; done_cb isn't called. */
struct run *run_free(struct run *r);

/* For types: how long a program of the target's may take, in seconds. */
unsigned run_timeout(const struct run *r);
/* For types: waits for the disk in a thread. thread_cb touches nothing but `arg`;
 * done_cb is called from the loop, unless the run is stopped: that waits for the
 * thread.
 */
int run_in_thread(
    struct run *r, void (*thread_cb)(void *arg), void (*done_cb)(void *arg), void *arg);
/* For types: a line that the server or a command said, into the log. Keeps only the
 * first thousand of a run. */
void run_say(struct run *r, const char *line);
/* Each of its lines. */
void run_say_all(struct run *r, const char *text);
/* For types, one of them once for each run. The text of a failure becomes one line. */
void run_succeeded(struct run *r);
void run_failed(struct run *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* For types that tell a server of one certificate after the other: this one wasn't
 * taken, which the run goes on from. The first failure stays. */
void run_subject_failed(struct run *r, size_t i, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same, where the server can't use what it was given: its next start would fail. */
void run_subject_refused(struct run *r, size_t i, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Why, where there is no memory for saying why. */
extern const struct acme_result run_no_memory;

DEFINE_CLEANUP(struct run, run_free)

#endif
