/*
 * flat.h - the flat directory beside bundle_dir: NAME.pem and its like, each a link
 * into what is live.
 *
 * Used by bundle.c, which owns the directories, and change.c. Links never point to
 * nothing: those that the next generation doesn't serve go before the switch, new ones
 * come after it.
 */
#ifndef FLAT_H
#define FLAT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct compose;

struct flat {
	int fd;
	int generations; /* lent: the directory of all certificates' generations */
	char *base;      /* last part of bundle_dir's real path: where links lead */
	atomic_bool unsynced; /* changed without fsync, maybe before our start */
};

/* What the generation `next` (0: none) doesn't serve; 1: there was something. Like
 * flat_make(), not fsynced. */
int flat_remove(struct flat *f, const char *name, uint64_t next);
/* What the generation `live` does. */
int flat_make(struct flat *f, const char *name, uint64_t live);
/* Whatever has changed is on disk after this. */
int flat_sync(struct flat *f);
/* Are all links right that these files need, and no others there? */
bool flat_intact(const struct flat *f, const char *name, const struct compose *files);
/* Is somebody else's file where a link has to be? */
bool flat_blocked(const struct flat *f, const char *name, const struct compose *files);

#endif
