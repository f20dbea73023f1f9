/*
 * spare.h - RSA keys made ahead of need, for renewals that can be foreseen.
 *
 * Owned by renewal.c; renewals_look_ahead() is what works on them.
 */
#ifndef SPARE_H
#define SPARE_H

struct renewals;
struct spares;

int spares_new(struct renewals *r, struct spares **ret);
struct spares *spares_free(struct spares *s);
/* What is planned, or wanted, may be something else: all are looked at anew. */
void spares_begin(struct spares *s);

#endif
