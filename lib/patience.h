/*
 * patience.h - inside libacme: how long a CA takes to do what it was asked, as learned
 * from what it did before.
 *
 * A CA that doesn't say when to look again is looked at when it was ready the times
 * before: neither long after, nor again and again before. One of these belongs to a
 * session; its flows share it, and may outlive the session.
 */
#ifndef PATIENCE_H
#define PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "scope.h"

enum patience_for {
	PATIENCE_VALIDATION, /* from its request of the token on */
	PATIENCE_ISSUE,      /* from the CSR on */
	PATIENCE_COUNT,
};

struct patience;

/* NULL: no memory. */
struct patience *patience_new(void);
struct patience *patience_ref(struct patience *p);
struct patience *patience_free(struct patience *p);
DEFINE_CLEANUP(struct patience, patience_free)
/* Milliseconds until the first look. NULL: nothing was learned. */
int64_t patience_ms(const struct patience *p, enum patience_for what);
/* Was it ready at the first look? */
void patience_learn(struct patience *p, enum patience_for what, bool ready);

#endif
