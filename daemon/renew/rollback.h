/*
 * rollback.h - inside renew/: the generation before in place of the current one.
 *
 * Used by job.c for what the files hold, by job_deploy.c where a server was broken, and
 * by request.c where somebody asks for it.
 */
#ifndef ROLLBACK_H
#define ROLLBACK_H

#include "renew/job.h"

/* What holds now, from the inventory; ends one that must not hold any more. */
int rollback_load(struct job *j);
/* When it ends by itself, as its certificates do; 0: there is none. */
int64_t rollback_end(const struct job *j);
/* Is there a generation before, whole, in date and not revoked? -EALREADY: it is in use
 * already; -ENOENT: there is none; -EKEYREVOKED; -EKEYEXPIRED. */
int rollback_possible(const struct job *j);
/* From now on; target and detail say what was broken, NULL: somebody asked for it. All
 * targets are to be told, whatever the hour. */
int rollback_begin(struct job *j, const char *target, const char *detail);
/* The target that was broken serves what it did before, or still doesn't: then the
 * current one comes back. */
void rollback_helped(struct job *j);
void rollback_failed(struct job *j, const char *detail);
/* Is it on trial by this target? */
bool rollback_is_tried(const struct job *j, const char *target);

/* What the files are to hold: that, or what is current. */
const struct certificate_spec *rollback_spec(const struct job *j);
const struct issued *rollback_rows(const struct job *j, size_t *ret_count);
/* The files hold this now, as due_bundle() says it; taken over. */
void rollback_note_files(struct certificate *c, char *bundled);
/* Frees what rollback_load() took. */
void rollback_clear(struct job *j);

#endif
