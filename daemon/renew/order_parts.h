/*
 * order_parts.h - inside renew/: one order in flight, as its files share it.
 *
 * order.c pumps its flow, and order_challenges.c publishes what it wants answered;
 * order_begin.c has what comes before it (an order of earlier, a key); order_again.c
 * what is tried at once after the CA has refused something.
 */
#ifndef ORDER_PARTS_H
#define ORDER_PARTS_H

#include "renew/order.h"

struct ca_request;
struct event;
struct keyjob;
struct log_fields;

struct order {
	const struct renewal_means *means;
	struct ca *ca;
	struct order_wish wish;
	order_done_cb *done_cb;
	void *arg;

	struct order_row *row; /* as stored */
	struct acme_key *key;
	char spki[ACME_FINGERPRINT_SIZE]; /* of the key */
	struct keyjob *keyjob;
	struct acme_flow *flow;
	struct ca_request *request;
	struct event *timer;
	char **published; /* tokens */
	size_t published_count;
	bool changed;         /* row differs from what is stored */
	struct acme_csr *csr; /* made elsewhere; key is its public half */
	bool profile_refused; /* the CA advertises it, and won't have it */
	bool not_replaced_told;
	bool entered; /* the CA counts it among its users */
};

/* What lines about it have in common. */
struct log_fields order_fields(const struct order *o);
/* The last thing that an order does, which may be freed by it. NULL: no memory. */
void order_fail(struct order *o, const struct acme_result *failure);
/* The same for what went wrong here. */
void order_fail_here(struct order *o, const char *stage, const char *what, int r);
/* Saves what the flow has reached, then does what it says. */
void order_pump(struct order *o);
/* Its row is stored: the flow begins. */
void order_begin_flow(struct order *o);

/* What is published is what the flow wants answered (order_challenges.c). */
int order_publish(struct order *o);
void order_withdraw(struct order *o);

/* The account is there: finds what is needed, and begins the flow (order_begin.c). */
void order_begin(struct order *o);
/* The row is saved, then the flow begins: from the CA's order, where the row has one.
 */
void order_store_and_begin(struct order *o);

/* The CA has refused something that the order can do without: it is changed, and goes
 * on as a new one (order_again.c). False: nothing of that kind. */
bool order_try_again(struct order *o, const struct acme_result *failure);
/* Adds what may be behind a refusal to what is said of it. failure may be NULL. */
void order_explain(const struct order *o, struct acme_result *failure);
/* The names without those that the CA has refused. The caller frees. */
int order_identifiers(
    const struct order *o, struct acme_identifier **ret, size_t *ret_count);

#endif
