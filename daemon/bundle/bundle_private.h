/*
 * bundle_private.h - inside bundle/: the directories, as bundle.c, which opens them and
 * looks and removes, and change.c, which writes, share them.
 *
 * The loop and the thread of writer.c use them at the same time, for different
 * certificates: nothing here changes after the opening but `refs`, which is the loop's,
 * and the marks of what is unsynced.
 */
#ifndef BUNDLE_PRIVATE_H
#define BUNDLE_PRIVATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "bundle/bundle.h"
#include "bundle/compose.h"
#include "bundle/flat.h"

struct bundles {
	unsigned refs;
	char *path; /* absolute, as configured */
	int live;
	int generations;
	atomic_bool unsynced; /* generations: written to without fsync, maybe before
				 our start */
	struct flat flat;
};

typedef int compose_fn(const struct bundle *bundle, struct compose *ret);

struct bundles *bundles_ref(struct bundles *b);
/* What a write and a look have to know first: what there should be, and which
 * generation is switched in; 0: none. */
int bundles_prepare(const struct bundles *b, const struct bundle *bundle,
    compose_fn *compose, struct compose *files, uint64_t *ret_live);
/* The directory of this certificate's generations. */
int bundles_open_generations(struct bundles *b, const char *name, bool make);
/* Which one is switched in; 0: none. -EEXIST where there is something else. */
int bundles_read_live(const struct bundles *b, const char *name, uint64_t *ret);
/* The one step that counts, not fsynced. 0: the link goes. */
int bundles_set_live(const struct bundles *b, const char *name, uint64_t number);
/* Is this one as it should be, as closely as is wanted? */
bool bundles_same(int dirfd, uint64_t live, const struct bundle *bundle,
    const struct compose *files, enum bundle_look look);

#endif
