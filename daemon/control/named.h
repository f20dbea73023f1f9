/*
 * named.h - the certificate that the path of a request names: found, and shown.
 *
 * Shared by the handlers of /v1/certificates/NAME. What can't be done is answered here.
 */
#ifndef NAMED_H
#define NAMED_H

#include "control/call.h"
#include "inventory/inventory.h"

/* Added by the API, and a reload has taken away what it refers to. */
#define NAMED_UNREADABLE \
  "what it was added with is no longer valid: its CA or deploy target has gone"

/* Its row; negative: there is none, and that was answered. */
int named_find(struct call *call, struct certificate **ret);
/* The same, also of one that was removed; *ret is NULL where there is none. Negative:
 * it can't be read, and that was answered. */
int named_find_any(struct call *call, struct certificate **ret);
/* A parameter that is "1" or "0" or not there; anything else is answered. */
int named_flag(struct call *call, const char *name, bool *ret);
/* The object of the API into w. */
int named_write(
    struct json_writer *w, const struct service *s, const struct certificate *c);
/* Answers with it, read anew, as what was asked for has changed it; after the commit.
 */
void named_reply_saved(struct call *call, int status);
/* Notes in log and history what an administrator did to it. */
void named_note(struct call *call, const char *name, const char *kind);

void named_refuse(struct call *call, int status, const char *detail);
void named_refuse_field(struct call *call, const char *field, const char *detail);

#endif
