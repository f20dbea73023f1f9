/*
 * admission.h - turns strangers away from the control socket before they can say
 * anything, and sees to it that no client keeps others out.
 *
 * evhttp makes connections by itself and shows them only with their first request; the
 * buffer events that it asks for here are looked at in between.
 */
#ifndef ADMISSION_H
#define ADMISSION_H

#include <stddef.h>

struct admission;
struct bufferevent;
struct event_base;
struct peer_groups;

struct admission_limits {
	size_t clients; /* at one time; more, and the oldest of the user who has the
			 * most connections is dropped */
	size_t unread;  /* bytes of one that wait to be read */
};

/* The groups are lent, and looked at anew for each connection. */
int admission_new(struct event_base *base, const struct peer_groups *groups,
    const struct admission_limits *limits, struct admission **ret);
struct admission *admission_free(struct admission *a);
/* For evhttp_set_bevcb(). */
struct bufferevent *admission_bev_cb(struct event_base *base, void *admission);

#endif
