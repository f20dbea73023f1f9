/*
 * watch.h - what systemd is told while renewd runs: that it is well, and how it stands.
 */
#ifndef WATCH_H
#define WATCH_H

struct event_base;
struct renewals;
struct schedule;
struct store;
struct watch;

struct watch_means {
	struct event_base *base;
	struct store *store;
	struct renewals *renewals;
	struct schedule *schedule;
};

/* Outside systemd it does nothing. */
int watch_new(const struct watch_means *means, struct watch **ret);
struct watch *watch_free(struct watch *w);
/* Says how it stands now, and from then on by itself. */
void watch_start(struct watch *w);

#endif
