/*
 * order.h - one order in flight: the page where the flow of libacme, the inventory, the
 * responder and the CA meet.
 *
 * Started by renewal.c for one key type of one certificate. What it reaches is in the
 * inventory before it is acted on, so it can be dropped at any moment and begun again.
 */
#ifndef ORDER_H
#define ORDER_H

#include "acme.h"
#include "inventory/inventory.h"
#include "renew/renewal.h"

struct ca;
struct certificate_spec;
struct order;

struct order_wish {
	int64_t certificate;
	const char *name;
	const struct certificate_spec *spec;
	enum acme_key_type key_type;
	enum renew_reason reason;
	const struct secret *reuse_key; /* key of the current one, or NULL: a new one */
	bool repeated; /* an attempt has failed before: what was said isn't news */
	bool counted;  /* the order is taken of what the CA allows already */
	const struct issued *old; /* the one that is replaced, or NULL */
	int64_t due_at; /* renewed because of the time since then, or 0; where the CA's
			   clock says otherwise it fails at stage "clock" */
};

/* failure NULL: issued, and stored as the current certificate. Lent for the call. */
typedef void order_done_cb(const struct acme_result *failure, void *arg);

/* done_cb is called once, from the loop, never from here. The wish and its spec are
 * lent until then. */
int order_start(const struct renewal_means *means, struct ca *ca,
    const struct order_wish *wish, order_done_cb *done_cb, void *arg,
    struct order **ret);
/* Stops it; what it reached stays in the inventory. NULL is fine. */
struct order *order_free(struct order *o);

/* The identifiers as the inventory keeps them: sorted, separated by blanks. The caller
 * frees; NULL: no memory. */
char *order_names(const struct certificate_spec *spec);
/* At start: the challenges of an order in flight are answered before the CA asks. */
void order_publish_stored(
    const struct renewal_means *means, const struct order_row *row);

#endif
