/*
 * limits.h - what each CA allows, and has allowed: requests a second, new orders,
 * orders in flight, and what it has forbidden until when.
 *
 * renew/ asks before it begins an order and before it sends a request, and notes what a
 * CA's refusal is about. All of it survives restarts, and clocks that are set: in this
 * process it runs on a clock that nobody sets. Never refuses what was begun.
 */
#ifndef LIMITS_H
#define LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acme.h"
#include "inventory/inventory.h"
#include "schedule/outage.h"

struct ca_limits; /* of one CA: of a section's name and a directory */
struct limits;
struct store;

struct limit_rates {
	unsigned requests;   /* in any second; 0: as many as there are */
	unsigned burst;      /* new orders at once, */
	int64_t interval_ms; /* then one in this time; 0: no limit */
	unsigned max_orders; /* in flight; 0: no limit of its own */
};

int limits_new(struct store *store, struct limits **ret);
struct limits *limits_free(struct limits *all);
/* Lives as long as all. NULL only without memory. */
struct ca_limits *limits_of(struct limits *all, const char *ca, const char *directory);
void limits_set(struct ca_limits *l, const struct limit_rates *rates);
const struct limit_rates *limits_rates(const struct ca_limits *l);

/* ---- new orders. Times are those of clock_monotonic_ms() ---- */

/* The earliest time at which one may be begun: now, or later. */
int64_t limits_order_at(struct ca_limits *l, enum queue_kind kind, int64_t now_ms);
/* One is begun: noted, whether it was time or not. */
void limits_take_order(struct ca_limits *l, enum queue_kind kind);
/* When the last of so many could be begun, where nobody else takes any. */
int64_t limits_last_at(
    struct ca_limits *l, enum queue_kind kind, int64_t count, int64_t now_ms);
/* None is to be begun before, whatever was begun already: what the CA has said since.
 */
int64_t limits_no_orders(const struct ca_limits *l);
/* How many could be begun at once. */
unsigned limits_orders_left(struct ca_limits *l, enum queue_kind kind);
/* Orders in flight, counted. */
void limits_enter(struct ca_limits *l);
void limits_leave(struct ca_limits *l);
unsigned limits_in_flight(const struct ca_limits *l);

/* ---- the pace of renewals that aren't urgent, so that they come evenly ---- */

/* The earliest time at which one may be begun; one is begun. */
int64_t limits_pace_at(const struct ca_limits *l, int64_t now_ms);
/* An urgent one takes of it too, or both would come at once; but those who have time
 * never stand still for longer than an hour because of it. */
void limits_take_pace(struct ca_limits *l);
/* As wakeup_pace() has it. When it was set last; 0: never. */
void limits_set_pace(struct ca_limits *l, int64_t interval_ms, unsigned burst);
int64_t limits_pace_set_at(const struct ca_limits *l);

/* ---- when it doesn't answer ---- */

/* Nothing came of asking it, and not_before is what it said about that, or 0. True:
 * people should hear of it. */
bool limits_unanswered(struct ca_limits *l, int64_t not_before);
/* It has answered. True: it didn't before. */
bool limits_answered(struct ca_limits *l);
/* How that stands; probe_at is part of limits_order_at(). */
const struct outage *limits_outage(const struct ca_limits *l);
/* Somebody has reason to think that it answers again: it may be asked now. */
void limits_probe(struct ca_limits *l);
/* Called when it doesn't answer any more, and when it does again. */
void limits_on_outage(
    struct limits *all, void (*cb)(struct ca_limits *l, void *arg), void *arg);

/* ---- requests ---- */

/* The earliest time at which one may be sent. */
int64_t limits_send_at(struct ca_limits *l, int64_t now_ms);
void limits_take_request(struct ca_limits *l, int64_t now_ms);

/* ---- what it has forbidden. Times are seconds since 1970 ---- */

/* A CA has refused something with this. The identifiers and their text are those of the
 * order, or NULL. What has no scope stops all new orders; what was no order's matter
 * and names no time, nothing. */
void limits_heed(
    struct ca_limits *l, const struct acme_result *failure, const char *names);
/* Nothing is sent before that time at all. */
void limits_silence(struct ca_limits *l, int64_t until);
/* No new order before; 0: one may be made. */
int64_t limits_forbidden(struct ca_limits *l);
/* Not for these identifiers; 0: it may be made. names is their text. */
int64_t limits_names_forbidden(struct ca_limits *l,
    const struct acme_identifier *identifiers, size_t count, const char *names);

#endif
