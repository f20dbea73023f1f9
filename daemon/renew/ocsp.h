/*
 * ocsp.h - keeps OCSP responses of the certificates whose CAs still have responders: in
 * the inventory, beside the bundle, in HAProxy.
 *
 * Part of the set of jobs (job.h), beside orders and ari.c. A certificate without a
 * responder is looked at once. What goes wrong here never stops or delays a renewal.
 */
#ifndef OCSP_H
#define OCSP_H

#include <stdbool.h>
#include <stdint.h>

#include "scope.h"

struct ocsp;
struct renewals;

int ocsp_new(struct renewals *r, struct ocsp **ret);
struct ocsp *ocsp_free(struct ocsp *o);
/* Something was issued, or the configuration is another: look who is to be asked. */
void ocsp_poke(struct ocsp *o);

DEFINE_CLEANUP(struct ocsp, ocsp_free)

#endif
