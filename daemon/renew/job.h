/*
 * job.h - inside renew/: one certificate being worked on, and the set of all such jobs.
 */
#ifndef JOB_H
#define JOB_H

#include <sys/queue.h>

#include "config/config.h"
#include "deploy/deploy.h"
#include "inventory/inventory.h"
#include "platform/clock.h"
#include "renew/renewal.h"

struct account_wish;
struct ari;
struct ca;
struct ca_limits;
struct deactivator;
struct job;
struct ocsp;
struct queue;
struct repair;
struct revoker;
struct said;
struct selftest;
struct spares;
struct verify;
struct writer;
struct writing;

#define INVITED_MAX 16

struct renewals {
	struct renewal_means means;
	const struct config *config; /* lent */
	struct bundles *bundles;     /* lent */
	struct writer *writer;       /* of files, in a thread */
	bool started;                /* stored challenges are published */
	struct repair *repair;
	unsigned generation; /* of the configuration */
	struct ca **cas;     /* one for each of the configuration's in use */
	size_t ca_count;
	TAILQ_HEAD(job_list, job) jobs;
	struct ari *ari;
	struct ocsp *ocsp;
	LIST_HEAD(account_wishes, account_wish) wishes;
	bool revive;           /* certificates may be parked for a CA that goes on */
	size_t ordering;       /* jobs that are at a CA */
	size_t verifying;      /* jobs that look at a server */
	int64_t stalled_until; /* the inventory could not be written */
	bool stalled_said;
	struct revoker *revoker;
	struct deactivator *deactivator;
	struct said *said;
	struct hours *hours;
	int (*describe)(const struct certificate *c, char **ret, void *arg);
	void *describe_arg;
	struct selftest *selftest;
	struct spares *spares;        /* keys made ahead */
	struct queue *queue;          /* who waits for the limits of a CA */
	int64_t invited[INVITED_MAX]; /* certificates that somebody asked for, a ring */
	size_t invited_next;
};

struct job {
	struct renewals *renewals;
	struct certificate *row;
	struct certificate_spec *spec;
	char *names;
	struct issued *issued;
	size_t issued_count;
	struct rollback *rollback; /* rollback.c's, with what it has gone back to */
	struct issued *old;
	size_t old_count;
	struct certificate_spec old_spec;
	bool ordering;              /* counted in renewals->ordering */
	enum acme_key_type ordered; /* last */
	bool again;                 /* somebody wants another renewal after this */
	bool stale;     /* what is wanted has changed: looked at again after */
	bool tried;     /* an order of this attempt has failed: no more of them */
	bool written;   /* its files were, in this attempt */
	bool unwritten; /* or they could not be */
	struct writing *writing; /* they are on their way */
	char *wanted;            /* what they hold then, as due_bundle() says it */
	unsigned generation;     /* of the configuration that it was loaded by */
	bool handed;             /* it is its turn, says the queue, and no other's */
	bool invited;            /* somebody has asked for it: it goes before others */
	struct ca_limits *at; /* whose orders in flight it is counted among, or NULL */
	size_t ca;            /* index into spec->cas */
	bool order_begun;     /* in this attempt */
	struct acme_result *hope; /* of a CA before this one, or NULL */
	size_t hope_ca;
	struct order *order;
	bool waiting_for_idle; /* a server is reading bundles */
	size_t target;         /* index into spec->deploy */
	bool redeployed;       /* this target, as it didn't serve it */
	char *broken; /* why telling it failed, while it is seen whether it still serves
		       */
	struct deploy_request *deploy;
	struct verify *verify;
	TAILQ_ENTRY(job) entry;
};

/* Loads what the inventory has of this certificate; -ENOENT where there is nothing to
 * work on. */
int job_load(struct renewals *r, int64_t certificate, struct job **ret);
struct job *job_free(struct job *j);
/* Is there a key type that has to be ordered? */
bool job_is_due(const struct job *j);
/* And may it go to a CA now? */
bool job_wants_order(const struct job *j);
/* Is there a target that hasn't taken what the files hold, and may be told now? */
bool job_wants_deploy(const struct job *j);
/* Goes as far as it can; the job may be freed when this returns. */
void job_step(struct job *j);

/* ---- its steps. True: something was started, and the callback steps again ---- */

bool job_order_step(struct job *j);
/* Only what a CA has issued is deployed. */
bool job_deploy_step(struct job *j);

/* The present target: it is told, or looked at from outside. False: nothing was
 * started. patient: it has just been told. */
bool job_tell(struct job *j, const struct deployment *before);
bool job_look(struct job *j, const struct deployment *before, bool patient);
/* It was told and that failed, which was noted: does it still serve anything? Steps on
 * in the end. */
void job_heed_failure(struct job *j, const struct acme_result *failure);
void job_next_target(struct job *j);

/* ---- may an order begin? (gate.c) ---- */

enum gate_answer {
	GATE_GO,     /* at *ret: one is taken of what that CA allows */
	GATE_QUEUED, /* its row says so; queue.c hands it in when it may */
	GATE_LATER,  /* row->next_attempt says when */
	GATE_NO_CA,
};
/* For the CAs from j->ca on, which becomes the one that it is about. begun: the CA has
 * the order already, which only needs a slot. */
enum gate_answer gate_ask(
    struct job *j, bool begun, enum renew_reason reason, struct ca **ret);
/* It waits for the first of its CAs that may be asked. */
void gate_wait(struct job *j, enum renew_reason reason);
/* When the next renewal that could wait may be begun, monotonic ms. */
int64_t gate_pace_at(const struct renewals *r, const struct ca *ca);
/* When the first of its CAs may be asked for it; 0: now, but for what others take. */
int64_t gate_until(const struct job *j);
/* Among the orders in flight; of any certificate, or of this one. */
bool gate_has_slot(const struct renewals *r, const struct ca *ca);
bool gate_has_room(const struct job *j, const struct ca *ca);
/* It takes a slot, and gives it back; whatever it had before. */
void gate_enter(struct job *j, const struct ca *ca);
void gate_leave(struct job *j);

/* ---- what the steps share ---- */

/* The issued rows anew, after one was added. */
int job_load_issued(struct job *j);
/* An attempt has failed, at this CA (NULL: here), and when is the next one? */
void job_note_failure(struct job *j, const char *ca, const struct acme_result *failure);
/* A CA didn't answer, which says nothing of this certificate: it waits for that. */
void job_note_unanswered(struct job *j, const struct acme_result *failure);
void job_note_text(struct job *j, const char *stage, const char *what, const char *why);
void job_note_errno(struct job *j, const char *stage, const char *what, int r);
void job_note_success(struct job *j);
/* How soon files that can't be written are tried again: nobody is asked for that. */
#define JOB_FILES_SECONDS 60
/* Its files can't be written. A placeholder's are no failure of an attempt: it stops no
 * order. */
void job_note_unwritten(struct job *j, int r);
/* A certificate whose text means nothing by the configuration in force. */
void job_note_unreadable(struct certificate *c, const char *why);

/* What its targets are told of it (job_target.c). Starts zeroed, and is to be freed
 * also after an error. */
struct job_subject {
	struct deploy_subject it;
	char *domains;
	char *dir;
	char *json;
	char not_after[CLOCK_TEXT_SIZE];
};
int job_subject(
    const struct job *j, const struct target_config *t, struct job_subject *ret);
void job_free_subject(struct job_subject *s);
/* The files that a target writes itself, if it does; false: `why` says what is wrong.
 */
bool job_files_right(
    const struct job *j, const struct target_config *t, char *why, size_t size);

/* Only plans anew, and saves: for one that isn't at work. */
void job_replan(struct job *j);
/* Ends it halfway; what it reached is in the inventory. */
void job_drop(struct job *j);

/* The one at work on this certificate, or NULL. */
struct job *renewals_job(const struct renewals *r, int64_t certificate);
/* Somebody has asked for it: it goes before those who wait, at its next look. */
void renewals_invite(struct renewals *r, int64_t certificate);
struct ca *renewals_ca(const struct renewals *r, const char *name);
/* Changes of accounts that are under way at CAs of their own end. */
void accounts_drop(struct renewals *r);
/* The inventory can't be written: nothing is begun for a while. Said once. */
void renewals_stall(struct renewals *r, int error);
/* One that was removed, or whose text can't be read any more, as after its CA left the
 * file. */
void renewals_unloadable(struct renewals *r, int64_t certificate, int error);
/* The job is over and gone: there is room. */
void renewals_ended(struct renewals *r);

DEFINE_CLEANUP(struct job, job_free)

#endif
