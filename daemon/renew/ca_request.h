/*
 * ca_request.h - inside renew/: a request on its way to a CA, as its files share it.
 *
 * ca_request.c sends and answers; ca_line.c has those that wait for their turn;
 * ca_held.c those that wait for the account; ca_repeat.c says which are sent once more.
 */
#ifndef CA_REQUEST_H
#define CA_REQUEST_H

#include "platform/https.h"
#include "renew/ca_private.h"

struct ca_request {
	struct ca *ca;
	struct acme_exchange *exchange;
	struct https_request *https;
	struct event *timer;      /* until it is sent once more; NULL: it never was */
	unsigned tries;           /* that came to nothing, and were not the last */
	int64_t first_at;         /* the first of them, monotonic, ms */
	enum acme_action sending; /* the message on its way */
	int64_t sent_at;          /* monotonic, ms */
	ca_reply_cb *cb;
	void *arg;
	enum acme_action action;
	bool by_account;     /* signed by the account's key, about something else */
	bool repeated;       /* for the account's sake; not twice */
	bool held;           /* in ca->held */
	bool in_line;        /* in ca->line */
	unsigned key_number; /* of the account, when it was signed */
	char *account_url;   /* likewise */
	TAILQ_ENTRY(ca_request) entry;
};

/* ---- ca_request.c ---- */

/* It is over. */
void ca_request_answer(struct ca_request *q, const struct acme_reply *reply);
/* Its next message leaves now. */
int ca_request_send_now(struct ca_request *q);
/* What came of trying to send something: 0 where it is on its way, or waits. */
void ca_request_sent(struct ca_request *q, int r);

/* ---- ca_held.c ---- */

/* Until the account is good again. */
void ca_hold(struct ca_request *q);
void ca_let_go(struct ca_request *q);
/* Answers it, unless the answer is about the account: then it is held. */
void ca_settle(struct ca_request *q, const struct acme_reply *reply);

/* ---- ca_line.c ---- */

/* Sends its next message as soon as the CA takes one. */
int ca_line_send(struct ca_request *q);
void ca_line_leave(struct ca_request *q);
/* One has its answer: the next may leave. */
void ca_line_move(struct ca *ca);

/* ---- ca_repeat.c ---- */

/* What came of a message. */
struct ca_attempt {
	enum acme_action action;  /* of the request */
	enum acme_action sending; /* the message: that, or newNonce */
	enum https_fate fate;
	const struct acme_reply *reply;
	bool stumbles;  /* one before it came to nothing to its end */
	unsigned tries; /* before this one */
	int64_t spent;  /* since the first of them was sent, ms */
};

/* In so many milliseconds the request may be sent once more; -1: not at all, its answer
 * counts. */
int64_t ca_repeat_delay(const struct ca_attempt *a);
/* Is that no answer, or none that says anything of what was asked? */
bool ca_repeat_wanted(const struct ca_attempt *a);

#endif
