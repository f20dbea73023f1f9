/*
 * ca_private.h - inside renew/: one CA, as its files share it.
 *
 * ca.c makes it ready to be used; ca_wait.c tells who waits for that; ca_request.c has
 * the requests on their way to it (ca_request.h); ca_held.c judges what their answers
 * say of the account; ca_contact.c tells it other contacts; ca_chore.c has the
 * account's key changed, or the account ended.
 */
#ifndef CA_PRIVATE_H
#define CA_PRIVATE_H

#include <event2/util.h>
#include <sys/queue.h>

#include "renew/account.h"
#include "renew/ca.h"
#include "renew/ca_settings.h"

struct chore;
struct event;
struct waiter;

struct ca {
	unsigned refs;
	const struct renewal_means *means;
	struct ca_settings settings;
	struct ca_limits *limits; /* lent */
	struct own_account *account;
	bool no_account;       /* nor will it get one */
	bool account_is_other; /* than the session's */
	struct acme_session *session;
	int64_t directory_at;
	bool directory_known;
	int64_t ahead;       /* seconds that the clock here is ahead of the CA's */
	bool clock_said;     /* that they differ */
	int64_t answered_at; /* monotonic, ms: something that an account had signed */
	bool directory_only; /* it has no account, and whoever waits needs none */
	struct ca_request *request; /* of the session itself */
	struct ca_request *check;   /* is the account still good? */
	unsigned active;            /* requests on their way, or held */
	unsigned on_wire;           /* those with a message under way */
	bool stumbles;              /* one was sent again and again for nothing */
	unsigned users;             /* orders in flight */
	unsigned key_number;        /* counts the keys that the account has had */
	TAILQ_HEAD(waiters_head, waiter) waiters;
	TAILQ_HEAD(held_head, ca_request) held; /* until the account is good again */
	TAILQ_HEAD(line_head, ca_request) line; /* until it takes more */
	struct event *line_timer;
	struct chore *chore;
	struct event *timer; /* looks whether there is something to be done */

	struct ca_request *contact_request;
	int64_t contact_at; /* not before */
	unsigned contact_failures;
	char *contact_sent;    /* last */
	char *contact_refused; /* not sent again */

	struct acme_result
	    *stopped;     /* it is asked for nothing until somebody says so */
	bool was_stopped; /* certificates may be parked for it */
	struct acme_result *last_failure;
	char *last_logged; /* so that the same is said once */
};

/* ---- ca.c ---- */

/* The next thing that is missing until the CA can be used. */
void ca_prepare(struct ca *ca);
/* In some seconds, or in the next turn of the loop. */
void ca_prepare_later(struct ca *ca, int64_t seconds);
/* The session's account becomes what the inventory and the settings say. *ret_failure
 * (to be freed) may stay NULL where this fails. */
int ca_set_account(struct ca *ca, struct acme_result **ret_failure);

/* ---- ca_wait.c ---- */

/* Negative: it was told at once that there is no memory. */
int ca_add_waiter(struct ca *ca, ca_ready_cb *cb, void *arg);
void ca_free_waiters(struct ca *ca);
/* It can be used (failure NULL), or not: whoever waits hears so. */
void ca_tell(struct ca *ca, const struct acme_result *failure);
/* It can't be used: said, and whoever waits is told. */
void ca_fail(struct ca *ca, const struct acme_result *failure);
void ca_fail_here(struct ca *ca, const char *what, int r);
/* Until somebody has done something about it. */
void ca_stop(struct ca *ca, const struct acme_result *failure);
/* An event of the history. */
void ca_history(struct ca *ca, const char *kind, const char *detail);

/* ---- ca_away.c ---- */

/* Nothing came of asking it for what all need. */
void ca_unanswered(struct ca *ca, const struct acme_result *failure);
/* It is there, and can be used. */
void ca_answered(struct ca *ca);
/* The answer to a request, or that there was none (status 0). */
struct ca_heard {
	bool by_account; /* it was signed by the account, about something else */
	enum acme_action sending; /* the message that was answered last */
	int64_t sent_at;          /* monotonic, ms */
	const struct acme_reply *reply;
};
void ca_heard(struct ca *ca, const struct ca_heard *heard);

/* ---- ca_clock.c ---- */

/* Every answer may tell what the time is there. */
void ca_hear_clock(struct ca *ca, const struct acme_reply *reply);

/* ---- ca_line.c ---- */

/* Sends from the line what may be sent now. */
void ca_line_cb(evutil_socket_t fd, short what, void *arg);

/* ---- ca_held.c ---- */

/* The account is good: what was held for that goes on. */
void ca_release_held(struct ca *ca);
/* It is not: they are answered with this. */
void ca_fail_held(struct ca *ca, const struct acme_result *failure);
/* The CA has said accountDoesNotExist: it is registered again. */
void ca_forgotten(struct ca *ca);

/* ---- ca_contact.c ---- */

void ca_contact_step(struct ca *ca);
/* The CA couldn't be had: later. */
void ca_contact_put_off(struct ca *ca, const struct acme_result *failure);
void ca_contact_reset(struct ca *ca);

/* ---- ca_chore.c ---- */

/* True: something is being done with the account, and nobody may use it. */
bool ca_chore_step(struct ca *ca);
/* Before it is done; whoever waits for it hears that it wasn't. */
void ca_chore_abandon(struct ca *ca, const struct acme_result *failure);

#endif
