/*
 * deactivate.h - inside renew/: authorizations whose names have left the configuration
 * for good are given back to the CA (RFC 8555 section 7.5.2).
 *
 * Kept by order.c at each issue; renewal.c makes and pokes what asks the CAs, in the
 * background and with little patience: one that stays only expires by itself.
 */
#ifndef DEACTIVATE_H
#define DEACTIVATE_H

#include "acme.h"
#include "renew/job.h"

struct deactivator;

int deactivator_new(struct renewals *r, struct deactivator **ret);
struct deactivator *deactivator_free(struct deactivator *d);
/* Names may have gone: looked at soon. NULL is fine. */
void deactivator_poke(struct deactivator *d);

/* Notes what an order leaves behind at the CA, and whether its certificate has lost
 * names by it. To be called before the row is inserted. */
int deactivate_note_issue(
    struct store *store, const struct issued *row, const struct acme_flow *flow);

#endif
