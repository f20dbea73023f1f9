/*
 * admission.h - turns strangers away from the control socket before they can say
 * anything.
 *
 * evhttp makes connections by itself and shows them only with their first request; the
 * buffer events that it asks for here are looked at in between.
 */
#ifndef ADMISSION_H
#define ADMISSION_H

struct admission;
struct bufferevent;
struct event_base;
struct peer_groups;

/* The groups are lent, and looked at anew for each connection. */
int admission_new(const struct peer_groups *groups, struct admission **ret);
struct admission *admission_free(struct admission *a);
/* For evhttp_set_bevcb(). */
struct bufferevent *admission_bev_cb(struct event_base *base, void *admission);

#endif
