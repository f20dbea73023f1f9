/*
 * control.h - the HTTP server on the UNIX socket through which renewd is asked and
 * told.
 *
 * Made by daemon.c. Routes are rows of routes.c, one file for each resource. Handlers
 * read the inventory and call renew/; they never wait.
 */
#ifndef CONTROL_H
#define CONTROL_H

#include <stdint.h>

struct config;
struct control;
struct deploy;
struct event_base;
struct renewals;
struct responder;
struct schedule;
struct store;

/* Lent: must outlive the control server. */
struct control_means {
	struct event_base *base;
	struct store *store;
	struct renewals *renewals;
	struct schedule *schedule;
	struct responder *responder;
};

int control_new(const struct control_means *means, struct control **ret);
struct control *control_free(struct control *c);
/* Opens (or keeps) the socket of this configuration: 0660 with its group, or 0600 where
 * the group doesn't exist, with a notice. config is lent until the next call. Where it
 * fails nothing changes: the socket stays, and what was lent before still is. */
int control_configure(struct control *c, const struct config *config);

#endif
