/*
 * revoke.h - inside control/: a certificate that is removed only when it is revoked.
 *
 * In revoke.c, beside the handler of POST /v1/certificates/NAME/revoke; for edit.c.
 */
#ifndef CONTROL_REVOKE_H
#define CONTROL_REVOKE_H

#include "control/call.h"
#include "inventory/inventory.h"

/* Answers by itself where it isn't revoked; else done() is called, perhaps later, to
 * remove what is left and answer. */
typedef void revoke_then_cb(struct call *call, const struct certificate *c);
void revoke_before(
    struct call *call, const struct certificate *c, revoke_then_cb *then);

#endif
