/*
 * types.h - what a type of target is: a row of a table, and one file.
 *
 * run.c starts a run through the row of its target's type; the type's file ends the run
 * with run_succeeded() or run_failed().
 */
#ifndef TYPES_H
#define TYPES_H

#include <stdbool.h>
#include <sys/types.h>

#include "config/config.h"

struct deploy_subject;
struct run;

/* Whose OCSP responses does its server read when it is reloaded? */
enum type_reads {
	READS_NO_STAPLES,
	READS_STAPLES_WANTED, /* those of must_staple */
	READS_STAPLES,
};

struct deploy_type {
	const char *name;
	/* What makes its server reload by pidfile, where that is a way; else 0. */
	int signal;
	/* That way, where systemd can't be asked for the target's unit; `first` as in
	 * signal_finish(). NULL: there is none. */
	void (*by_pidfile)(struct run *r, const char *first);
	/* systemd has reloaded the unit. NULL: that is all. */
	void (*unit_done)(struct run *r);
	/* It makes a server read all its bundles: one run serves all that was
	 * collected. Otherwise there is one run for each certificate. */
	bool whole;
	bool json;    /* reads its subject's */
	bool staples; /* takes OCSP responses over the target's sockets */
	enum type_reads reads;
	/* Begins, and may end the run at once. A negative errno fails the run. */
	int (*start)(struct run *r);
	/* Frees r->state, and ends what still goes on. Called once for each start. */
	void (*stop)(struct run *r);
	/* deploy_repair(); NULL: it has no files of its own. */
	int (*repair)(const struct target_config *target, const char *certificate,
	    const char *bundle_dir);
	/* Where it writes files of its own: as deploy_look(). NULL: none. */
	int (*look)(const struct target_config *t, const struct deploy_subject *s,
	    char *why, size_t size);
};

extern const struct deploy_type haproxy_type;
extern const struct deploy_type nginx_type;
extern const struct deploy_type signal_type;
extern const struct deploy_type exec_type;
extern const struct deploy_type systemd_type;
extern const struct deploy_type directory_type;

const struct deploy_type *types_get(enum target_type type);

/* Sends the signal by the target's pidfile to this program, and ends the run. `first`
 * opens the failure's text: what was tried before, or "". */
void signal_finish(struct run *r, const char *first, const char *process, int signal);
/* The same without ending the run where it was sent. False: the run has failed. Signal
 * 0 only looks whether there is somebody to be sent one. */
bool signal_send(
    struct run *r, const char *first, const char *process, int signal, pid_t *ret_pid);
/* Asks systemd for the target's unit, and ends the run when that is done, or leaves
 * that to the type's unit_done(); by the pidfile where systemd can't be asked. */
void unit_finish(struct run *r, enum unit_action action);

#endif
