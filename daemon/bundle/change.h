/*
 * change.h - one certificate's files on their way from one generation to the next, in
 * steps that many can share: what waits for the disk is done once for all of them.
 *
 * Used by writer.c, which runs the steps that wait for the disk in a thread, and by
 * bundle_write(), which does them all at once.
 */
#ifndef CHANGE_H
#define CHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bundle/compose.h"

struct bundles;

struct change {
	struct bundles *bundles;
	const struct bundle *bundle;
	struct compose files;
	int dirfd;
	uint64_t live;  /* switched in when it began */
	uint64_t next;  /* to be switched in; 0: all is as it should be */
	bool made;      /* next is another generation than live */
	bool switched;  /* or it was tried */
	bool abandoned; /* nobody wants it any more */
	int r;          /* of the step that failed */
};

void change_begin(
    struct change *c, struct bundles *bundles, const struct bundle *bundle);
void change_clear(struct change *c);

/* In this order. Each goes on with those that have not failed. */

/* What is new, on disk: nothing leads to it yet. All of the same directories and of
 * different names. */
void change_prepare(struct change *const *changes, size_t count);
/* What readers see: quick, and the disk isn't waited for, but where links have to go.
 */
void change_switch(struct change *c);
/* The switch, on disk, and what may come only after it. */
void change_settle(struct change *const *changes, size_t count);
/* Where it failed halfway: back, as far as it goes. Returns how it went. */
int change_end(struct change *c);

#endif
