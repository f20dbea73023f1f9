/*
 * flow.h - inside libacme: an order's flow, as its files share it.
 *
 * flow.c has the table of states and the order; flow_authz.c the names,
 * flow_challenge.c their challenges; flow_issue.c the request, the certificate and its
 * chains.
 */
#ifndef FLOW_H
#define FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acme.h"
#include "patience.h"
#include "wire.h"

#define FLOW_SECOND INT64_C(1000) /* times are in milliseconds */

enum flow_state {
	FLOW_NEW,
	FLOW_ORDERED,
	FLOW_AUTHORIZE,
	FLOW_CHALLENGE,
	FLOW_POLL,
	FLOW_FINALIZE,
	FLOW_DOWNLOAD,
	FLOW_ALTERNATE,
	FLOW_ISSUED,
	FLOW_FAILED,
};

/* One name on its way to being valid. */
struct flow_authz {
	char *url;
	bool seen; /* read at least once */
	bool valid;
	bool failed;                   /* won't be: error says why */
	bool answered;                 /* the CA was told to look */
	unsigned answers;              /* how often, for this challenge */
	bool fetched;                  /* and has looked */
	bool open;                     /* and found it wrong, but may look again */
	struct acme_result *complaint; /* what it said to the challenge request */
	struct acme_result *error;     /* the last that it found wrong */
	struct acme_identifier identifier;
	bool wildcard;
	char *expires; /* as last read */
	char *challenge_url;
	char *type;
	char *token; /* this and the next: NULL where there are issuers */
	char *key_authorization;
	char **issuers;
	size_t issuer_count;
};

struct acme_flow {
	/* the plan */
	struct acme_identifier *identifiers;
	size_t identifier_count;
	struct acme_key *account_key;
	struct acme_key *key;
	char *challenge_types;
	char *profile;
	char *replaces;
	int64_t not_before;
	int64_t not_after;
	bool must_staple;
	bool common_name;
	char *preferred_chain;
	unsigned char *csr; /* made elsewhere */
	size_t csr_len;
	char *origins; /* where an order may be: session_origins() */

	/* facts */
	char *order_url;
	struct acme_chain *chain;
	struct acme_result *result;
	struct flow_authz *valid; /* after success; and what acme.h shows of them */
	size_t valid_count;
	struct acme_authorization *authorizations;
	size_t shown_count;               /* of these */
	struct acme_result *not_replaced; /* what was said to an order with replaces */

	/* where it stands */
	enum flow_state state;
	char *finalize_url;
	char *certificate_url;
	bool begun_anew;      /* the order of before was gone */
	unsigned not_ready;   /* how often it wasn't, in a row */
	char *alternates;     /* URLs of other chains, by blanks */
	char *alternate;      /* the one that is asked for, in alternates */
	char *alternate_next; /* the rest of them */
	unsigned alternate_count;
	struct flow_authz *authz;
	size_t authz_count;
	size_t current;                    /* the authorization that was asked for */
	struct acme_challenge *challenges; /* of those not valid yet */
	size_t challenge_count;
	char *payload;
	int64_t now;
	int64_t wait_until;
	int64_t obey_until; /* the CA said so: not to be shortened */
	int64_t poll_delay;
	int64_t deadline;          /* of the leg: validation or processing */
	struct patience *patience; /* of the session; NULL: without */
	bool first_look;           /* the next one, and when was ours to say */
	unsigned steps;
};

typedef enum flow_state flow_got_fn(
    struct acme_flow *f, const struct acme_reply *reply);

/* ---- ways to end, and to wait (flow.c) ---- */

/* result NULL: no memory. Takes the result. */
enum flow_state flow_fail(struct acme_flow *f, struct acme_result *result);
/* The order can't become a certificate any more: the next attempt makes a new one. */
enum flow_state flow_fail_for_good(struct acme_flow *f, struct acme_result *result);
/* The CA didn't do what it was asked. Where it may still, the order is kept. */
enum flow_state flow_refused(
    struct acme_flow *f, const struct acme_reply *reply, const char *stage);
enum flow_state flow_nonsense(struct acme_flow *f, const char *stage, const char *what);
/* What the order says of itself picks the next leg. */
enum flow_state flow_read_order(
    struct acme_flow *f, const struct acme_reply *reply, const char *stage);
/* Notes until when the reply wants nothing to be asked; false: it doesn't say. */
bool flow_obey(struct acme_flow *f, const struct acme_reply *reply);
/* Was the CA ready when it was looked at for the first time? */
void flow_learn(struct acme_flow *f, enum patience_for what, bool ready);
/* Wait as long as the reply says, or else for delay. */
void flow_wait_for(struct acme_flow *f, const struct acme_reply *reply, int64_t delay);
/* The next poll comes later. */
void flow_slower(struct acme_flow *f);
/* -ENOMEM; NULL is copied as nothing. */
int flow_copy(const char *from, char **to);

/* ---- what an order replaces (renewal_info.c) ---- */

/* The answer to newOrder may be about "replaces": it is dropped, and newOrder is due
 * once more. */
bool flow_drop_replaces(struct acme_flow *f, const struct acme_reply *reply);

/* ---- the names (flow_authz.c) ---- */

enum flow_state flow_authz_begin(struct acme_flow *f, struct wire_order *order);
void flow_authz_ask(struct acme_flow *f, struct acme_request *ret);
void flow_authz_ask_challenge(struct acme_flow *f, struct acme_request *ret);
flow_got_fn flow_authz_got, flow_authz_got_challenge, flow_authz_got_poll;
void flow_authz_clear(struct acme_flow *f);
/* One result out of all names that failed, each a subproblem. NULL: no memory. */
struct acme_result *flow_authz_failure(const struct acme_flow *f);

/* ---- their challenges (flow_challenge.c) ---- */

/* Lists what has to be published now, for acme_flow_challenges(). -ENOMEM. */
int flow_challenge_list(struct acme_flow *f);
/* The first type of our preference that the CA offers and has not refused yet. */
const struct wire_challenge *flow_challenge_choose(
    const struct acme_flow *f, const struct wire_authz *wire);
int flow_challenge_take(
    struct acme_flow *f, struct flow_authz *a, const struct wire_challenge *c);
/* The one that was taken, as the CA has it now; NULL: none. */
const struct wire_challenge *flow_challenge_ours(
    const struct flow_authz *a, const struct wire_authz *wire);
/* Another one may be taken. */
void flow_challenge_drop(struct flow_authz *a);
void flow_challenge_free_issuers(struct flow_authz *a);

/* ---- the certificate (flow_issue.c) ---- */

void flow_issue_ask_finalize(struct acme_flow *f, struct acme_request *ret);
void flow_issue_ask(struct acme_flow *f, struct acme_request *ret);
void flow_issue_ask_alternate(struct acme_flow *f, struct acme_request *ret);
flow_got_fn flow_issue_got_finalize, flow_issue_got, flow_issue_got_alternate;
/* Frees what an authorization holds. */
void flow_authz_free_all(struct flow_authz *authz, size_t count);

/* ---- those that are valid (flow_valid.c) ---- */

/* At success: keeps what is known of the authorizations. */
void flow_valid_keep(struct acme_flow *f);
void flow_valid_clear(struct acme_flow *f);

#endif
