/*
 * generation.h - the numbered directories of one certificate, each a whole set of files
 * that never changes.
 *
 * Used by bundle.c and change.c. dirfd is the directory of all generations of that
 * certificate; numbers begin at 1.
 */
#ifndef GENERATION_H
#define GENERATION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bundle/compose.h"

/* Writes a new one, numbered above `above` and all that are there; sync: fsynced with
 * all that is in it. What an earlier attempt left unfinished is removed. */
int generation_write(int dirfd, const struct compose *files, bool sync, mode_t mode,
    gid_t group, uint64_t above, uint64_t *ret_number);
/* Does it have exactly these files, with this mode and group and, as far as is looked,
 * content? */
bool generation_intact(int dirfd, uint64_t number, const struct compose *files,
    mode_t mode, gid_t group, enum bundle_look look);
int generation_remove(int dirfd, uint64_t number);
/* Removes all but these two. What can't be removed stays until the next time. */
void generation_prune(int dirfd, uint64_t keep, uint64_t keep_too);
/* The number in a directory's name; 0 where it is none of ours. */
uint64_t generation_parse(const char *name);

#endif
