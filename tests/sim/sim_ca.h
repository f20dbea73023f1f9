/*
 * sim_ca.h - a CA behind the interface of platform/https.h, for the simulation: real
 * certificates and real limits, but no network and no signatures of requests checked.
 *
 * All that it knows is in one piece of memory, shared by the processes of a run, so
 * that it survives the daemon.
 */
#ifndef SIM_CA_H
#define SIM_CA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim_account.h"

#define SIM_PEM_MAX       2048
#define SIM_BURST         300 /* new orders, then one in 36 s */
#define SIM_ISSUES_KEPT   5
#define SIM_FAILURES_KEPT 5 /* an hour */
#define SIM_OUTAGES_MAX   8
#define SIM_HOURS_MAX     (24 * 400)

/* One name, which is one certificate. */
struct sim_name {
	int64_t not_after;               /* of the newest; 0: none yet */
	int64_t issues[SIM_ISSUES_KEPT]; /* the newest last */
	int64_t authorized_until;
	uint32_t order;  /* counts its orders, */
	uint32_t issued; /* and certificates */
	bool open;       /* the newest order isn't finished */
	bool invalid;    /* nor will it be */
	int64_t
	    failures[SIM_FAILURES_KEPT]; /* validations that failed, the newest last */
	bool unheard; /* nothing was ever asked about it: its answer may be lost */
	char pem[SIM_PEM_MAX];
};

struct sim_ca {
	/* what a run sets */
	size_t name_count;
	int64_t began; /* seconds since 1970 */
	int64_t life;  /* of all certificates; 0: 6, 45 and 90 days mixed */
	bool strict;   /* signatures are checked */
	struct sim_outage {
		int64_t from, to; /* seconds since 1970 */
	} outages[SIM_OUTAGES_MAX];
	size_t outage_count;
	bool unlimited;
	bool ari;            /* it says when it wants them renewed (RFC 9773): */
	int64_t storm_at;    /* at once, those that it had issued before; 0: never */
	size_t broken_every; /* of so many names one can't be validated; 0: all can */
	/* what it keeps */
	double tokens; /* of newOrder: 300 in 3 hours, as Let's Encrypt's */
	int64_t tokens_at;
	int64_t forbidden_until; /* it said so */
	uint64_t requests;
	uint64_t requests_down;
	uint64_t orders;
	uint64_t issued;
	uint64_t twice; /* orders beside one that was still open, and asked about */
	uint64_t early; /* orders beside a certificate that is fresh, and not revoked */
	struct sim_account account; /* where it is strict */
	uint64_t failed;            /* validations */
	uint64_t limited;           /* requests refused for a limit */
	int64_t second;             /* the one that is now, */
	unsigned this_second;       /* and requests in it */
	unsigned busiest_second;    /* requests in any */
	uint64_t ignored;           /* sent while it was forbidden */
	uint64_t gaps; /* issued after the one before had expired, without need */
	int64_t gap_worst;
	uint64_t hopeless; /* those that an outage explains: the CA was away from before
			    * they should have been renewed until they had expired */
	size_t named;      /* names that have got one, */
	size_t renewed;    /* and a second one */
	int64_t all_at;    /* when the last of them got its first, */
	int64_t round_at;  /* and its second; 0: not all have */
	uint32_t by_hour[SIM_HOURS_MAX]; /* certificates issued */
	uint32_t urgent[SIM_HOURS_MAX]; /* of them, those of which a quarter was left */
	struct sim_name names[];
};

size_t sim_ca_size(size_t names);
/* The CA that https_send() reaches from now on. */
void sim_ca_use(struct sim_ca *ca);
/* Seconds that certificates of this name live. */
int64_t sim_ca_life(size_t name);
bool sim_ca_down(const struct sim_ca *ca, int64_t now);

#define SIM_NAME_FORMAT "n%zu.sim.test"

#endif
