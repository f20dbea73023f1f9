/*
 * ca_chore.h - inside renew/: another key for the account of a CA, or its end.
 *
 * Asked for by accounts.c. ca_chore.c has it begun when nobody uses the account;
 * ca_rollover.c and ca_end.c do it.
 */
#ifndef CA_CHORE_H
#define CA_CHORE_H

#include <stdbool.h>

#include "acme.h"

struct ca;
struct ca_request;
struct keyjob;

enum chore_kind {
	CHORE_ROLLOVER,
	CHORE_DEACTIVATE,
};

/* failure NULL: done, and stored. Called once, from the loop. */
typedef void chore_done_cb(const struct acme_result *failure, void *arg);

/* -EBUSY: one is under way. */
int chore_ask(struct ca *ca, enum chore_kind kind, chore_done_cb *cb, void *arg);

/* ---- between the files of chores ---- */

struct chore {
	struct ca *ca;
	enum chore_kind kind;
	chore_done_cb *cb; /* NULL: nobody waits for it */
	void *arg;
	bool begun;
	bool changed;         /* keyChange was sent in this run */
	struct acme_key *key; /* the new one, until it is stored */
	struct keyjob *keyjob;
	struct ca_request *request;
	struct acme_result *refusal; /* by the CA */
};

/* failure NULL: it is done. The CA may be gone after. */
void chore_end(struct chore *c, const struct acme_result *failure);
/* It stays as it was, and whoever waits for the CA goes on. */
void chore_give_up(struct chore *c, const struct acme_result *failure);
/* The same, once that is on disk: what was refused isn't tried again after a crash. */
void chore_give_up_saved(struct chore *c, const struct acme_result *failure);
void chore_give_up_text(
    struct chore *c, enum acme_class class, const char *what, const char *why);
void chore_give_up_errno(struct chore *c, const char *what, int r);

void rollover_begin(struct chore *c);    /* ca_rollover.c */
void account_end_begin(struct chore *c); /* ca_end.c */

#endif
