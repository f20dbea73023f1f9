/*
 * removal.h - inside renew/: certificates that nobody wants any more, until they are
 * forgotten.
 *
 * renewal.c hands in those that are due; request.c those that are to go now.
 */
#ifndef REMOVAL_H
#define REMOVAL_H

#include "renew/job.h"

/* Forgets it where its time has come; else sees to it that it is looked at then. */
void removal_look(struct renewals *r, struct certificate *c);
/* Removes its files, and all that the inventory has of it. No job may be at work. */
int removal_purge(struct renewals *r, const struct certificate *c);

#endif
