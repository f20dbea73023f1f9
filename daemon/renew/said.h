/*
 * said.h - what was logged about which certificate, so that a problem that stays is
 * said once and not at each attempt.
 *
 * For what isn't in the inventory: it can't be written itself, or the problem is none
 * of an order. After a restart all is said again.
 */
#ifndef SAID_H
#define SAID_H

#include <stdbool.h>
#include <stdint.h>

#include "scope.h"

struct said;

enum said_kind {
	SAID_FAILURE, /* of an attempt */
	SAID_FILES,   /* that can't be written */
};

int said_new(struct said **ret);
struct said *said_free(struct said *s);
/* Is this what was said of it last? From now on it is. */
bool said_before(
    struct said *s, int64_t certificate, enum said_kind kind, const char *text);
/* The problem is gone. True: there was one. */
bool said_forget(struct said *s, int64_t certificate, enum said_kind kind);

DEFINE_CLEANUP(struct said, said_free)

#endif
