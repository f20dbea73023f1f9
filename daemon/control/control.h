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
struct reload;
struct renewals;
struct metrics;
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
	struct metrics *metrics;
	/* Reads the configuration again; what it comes to is in *ret, to be cleared
	 * also where it failed. It calls control_prepare() and what follows it. */
	int (*reload)(struct reload *ret, void *arg);
	void *reload_arg;
};

int control_new(const struct control_means *means, struct control **ret);
struct control *control_free(struct control *c);
/* Opens the socket of this configuration, unless it is open already; the one in use
 * stays. To be followed by one of the two below. -EADDRINUSE: somebody listens there;
 * -EEXIST: something else than a socket is there. */
int control_prepare(struct control *c, const struct config *config);
/* What its failure is called, for people. */
const char *control_explain(int r);
/* From now on this configuration is in force, lent until the next call: its socket is
 * used, 0660 with its group, or 0600 where the group doesn't exist, with a notice. */
void control_commit(struct control *c, const struct config *config);
/* Closes what was prepared. */
void control_abandon(struct control *c);

#endif
