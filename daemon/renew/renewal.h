/*
 * renewal.h - makes a managed certificate be what its configuration says: ordered where
 * due, bundled, deployed.
 *
 * The scheduler hands in certificates that are due; control/ asks for renewals and for
 * what is going on. One job a certificate; what it does next follows from facts in the
 * inventory alone, so a job can be dropped at any time and begun again.
 */
#ifndef RENEWAL_H
#define RENEWAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct acme_result;
struct bundles;
struct certificate;
struct config;
struct deploy;
struct event_base;
struct https;
struct limits;
struct metrics;
struct renewals;
struct responder;
struct schedule;
struct store;
struct worker;

/* Everything that renewals work with. Lent: must outlive them. */
struct renewal_means {
	struct event_base *base;
	struct store *store;
	struct https *https;
	struct responder *responder;
	struct deploy *deploy;
	struct worker *worker;
	struct schedule *schedule;
	struct metrics *metrics;
	struct limits *limits; /* made by renewals_new() */
};

int renewals_new(const struct renewal_means *means, struct renewals **ret);
/* Drops all jobs; what they had reached is in the inventory. */
struct renewals *renewals_free(struct renewals *r);
/* For idle moments: a key is made ahead for a renewal that comes soon (spare.c). */
void renewals_look_ahead(struct renewals *r);
/* The configuration and bundle directories in force; lent until the next call. */
int renewals_configure(
    struct renewals *r, const struct config *config, struct bundles *bundles);
/* Has the configuration in force let a CA go on that had been stopped? Then those that
 * wait for it are to be looked at: renewals_repair(). Says so once. */
bool renewals_wants_repair(struct renewals *r);
/* At start, before anything is served: publishes the challenges of orders in flight,
 * and begins to write again what is missing or damaged among the bundles, placeholders
 * too; later, to look at all for what [defaults] say now. Of few certificates all is
 * done when this returns; of very many only what fits into a limited time (0.8 s at
 * start, of which 0.25 s may go to looking at what is whole; else 20 ms), the most
 * urgent first, and the rest in short slices on the loop. */
int renewals_repair(struct renewals *r);
/* Is that under way? How many were looked at, of how many? */
bool renewals_repairing(const struct renewals *r, size_t *ret_done, size_t *ret_all);
/* The same for those with files of the administrator's (key_file, csr_file), which may
 * hold something else by now. */
int renewals_repair_own(struct renewals *r);
/* The same for one that is new or changed: its placeholder doesn't wait for its turn.
 */
int renewals_repair_one(struct renewals *r, const char *name);
/* And for these, with the same limits as for all. */
void renewals_repair_some(struct renewals *r, char *const *names, size_t count);

/* The wall's clock was set: what was planned by the one of before is planned anew. */
void renewals_clock_set(struct renewals *r, int64_t by);
/* Who knows what users are told of a certificate, as JSON: for programs that are run
 * for it. *ret is to be freed. describe NULL: nobody. */
void renewals_described_by(struct renewals *r,
    int (*describe)(const struct certificate *c, char **ret, void *arg), void *arg);

/* The scheduler's certificate that is due. False: no room now, ask again later. */
bool renewals_due(struct renewals *r, int64_t certificate);

enum renewal_activity {
	RENEWAL_NONE,
	RENEWAL_ORDERING,
	RENEWAL_DEPLOYING,
};
enum renewal_activity renewals_activity(const struct renewals *r, int64_t certificate);
void renewals_jobs(const struct renewals *r, size_t *ret_active, size_t *ret_queued);

/* Why no order is begun at any CA, as a sentence, and since when; NULL: nothing here is
 * against it. */
const char *renewals_held(const struct renewals *r, int64_t *ret_since);

/* Of one that waits for a CA: when that may be asked, as far as that is known, or 0;
 * and why it doesn't answer (lent), where it doesn't. */
struct renewals_wait {
	int64_t until;
	const struct acme_result *unanswered; /* or NULL */
	int64_t since;                        /* since when */
};
struct renewals_wait renewals_waits(
    const struct renewals *r, const struct certificate *c);

/* A failure as last_error of the API; to be freed, NULL without memory. */
char *job_describe(const struct acme_result *failure, int64_t now);

/* What a request for a renewal came to. */
enum renewal_answer {
	RENEWAL_STARTED, /* will begin as soon as there is room */
	RENEWAL_NOT_DUE,
	RENEWAL_RUNNING,     /* one is under way already */
	RENEWAL_NOT_ALLOWED, /* the CA has said when: c->next_attempt */
	RENEWAL_PAUSED,      /* by renewctl or enabled = no */
};
/* force: also where not due. Stores the wish; r < 0 in *ret_r where that failed. */
int renewals_ask(
    struct renewals *r, struct certificate *c, bool force, enum renewal_answer *ret);

/* Asks the CAs anew when they want it renewed, at most once a minute. True: told_cb is
 * called, once, from the loop, when they have answered or can't be asked, and
 * renewals_ask() knows better then; false: there is nothing to wait for. */
bool renewals_look(struct renewals *r, const struct certificate *c,
    void (*told_cb)(void *arg), void *arg);
/* Nobody waits for that any more. */
void renewals_look_forget(struct renewals *r, void *arg);

/* What is wanted of it has changed in the inventory, or whether it is wanted at all: an
 * attempt under way goes on, and after it is looked at anew. */
void renewals_changed(struct renewals *r, int64_t certificate);
/* Stores whether it rests. */
int renewals_pause(struct renewals *r, struct certificate *c, bool paused);
/* All its targets are told again, soon. -ENODEV: it has none; -ENODATA: nothing was
 * issued yet. */
int renewals_deploy(struct renewals *r, struct certificate *c);
/* The certificate of before is served again, until the next renewal or deployment.
 * -ENODATA: nothing was issued yet; else as rollback_possible(): -EALREADY -ENOENT
 * -EKEYREVOKED -EKEYEXPIRED. */
int renewals_rollback(struct renewals *r, struct certificate *c);
/* Looks now at the targets that have an address for that, and were deployed to. The
 * same errors, -ENODEV where there is none with an address. */
int renewals_verify(struct renewals *r, struct certificate *c);
/* Files, keys and history go, whatever is being done. -EBUSY: a server is reading the
 * files just now. */
int renewals_purge(struct renewals *r, const struct certificate *c);

/* CAs as they stand, for status. Lent for the callback. */
struct ca_status {
	const char *name;
	const char *directory;
	const char *terms;        /* URL, or NULL */
	int64_t not_before;       /* no new order before, or 0 */
	const char *last_error;   /* for people, or NULL */
	bool unreachable;         /* it didn't answer last, or was out of order */
	int64_t unanswered_since; /* it answers nobody, or 0 */
	int64_t next_probe;       /* then it is tried again, or 0 */
	/* what it allows; 0 of max_requests and order_interval: no limit */
	unsigned max_requests; /* a second */
	unsigned order_burst;
	int64_t order_interval; /* seconds */
	unsigned max_orders;    /* in flight */
	unsigned orders_left;   /* could be begun at once */
	unsigned ari_left;      /* the same of renewals that it has asked for */
	unsigned orders_active;
	int64_t waiting; /* certificates */
	/* "self-test" "answer" "retry-after" "slots" "orders" "pace", or NULL */
	const char *waiting_for;
	int64_t done_at; /* all who wait have been served by then, or 0: not known */
};
void renewals_walk_cas(const struct renewals *r,
    void (*cb)(const struct ca_status *ca, void *arg), void *arg);

#endif
