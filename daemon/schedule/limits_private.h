/*
 * limits_private.h - inside schedule/: the limits of one CA, as limits.c and
 * limits_names.c share them.
 */
#ifndef LIMITS_PRIVATE_H
#define LIMITS_PRIVATE_H

#include <sys/queue.h>

#include "platform/clock.h"
#include "schedule/bucket.h"
#include "schedule/limits.h"

/* Times are monotonic, ms. */
struct ca_limits {
	struct limits *all;
	char *ca;
	char *directory;
	struct limit_rates rates;
	struct bucket orders[QUEUE_KINDS];
	int64_t no_orders; /* before */
	int64_t nothing;   /* before, not even a nonce */
	struct outage outage;
	struct bucket pace; /* of renewals that could wait */
	int64_t pace_set_at;
	unsigned in_flight;
	int64_t *sent; /* when the last requests were, a ring of rates.requests */
	size_t sent_next;
	LIST_ENTRY(ca_limits) entry;
};

struct limits {
	struct store *store;
	LIST_HEAD(ca_limits_list, ca_limits) list;
	int64_t pruned_at;
	void (*outage_cb)(struct ca_limits *l, void *arg);
	void *outage_arg;
};

static inline int64_t
later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static inline int64_t
wall_ms(void)
{
	return clock_now() * 1000;
}

/* Forgets what is over, now and then. */
void limits_prune(struct limits *all);
/* Of this kind ("name", "domain", "names"), until some second since 1970. */
void limits_forbid_name(
    struct ca_limits *l, const char *kind, const char *name, int64_t until);
/* Names that a CA could not validate. */
void limits_heed_failed(struct ca_limits *l, const struct acme_result *failure);

#endif
