/*
 * scope_read.h - inside libacme: what a CA's words say of its limits.
 */
#ifndef SCOPE_READ_H
#define SCOPE_READ_H

#include "acme.h"

/* Of a result made from this reply: sets scope and scope_name, and not_before to a
 * later time that stands in the detail. Names that aren't ones are no scope. */
void scope_read(const struct acme_reply *reply, struct acme_result *result);

#endif
