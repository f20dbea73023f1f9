/*
 * queue.h - certificates that wait until their CA may be asked: who is next, and when.
 *
 * job_order.c puts them there (gate.c says that they have to wait); whoever makes room,
 * or changes what a CA allows, pokes it. Who waits is in the inventory.
 */
#ifndef RENEW_QUEUE_H
#define RENEW_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "inventory/inventory.h"
#include "scope.h"

struct ca;
struct queue;
struct renewals;

int queue_new(struct renewals *r, struct queue **ret);
struct queue *queue_free(struct queue *q);
/* The CAs of the configuration in force, or other limits. */
int queue_configure(struct queue *q);
/* Look again, in a millisecond. */
void queue_poke(struct queue *q);
/* Somebody waits for this CA now; their row is saved in this turn. */
void queue_note(struct queue *q, const struct ca *ca, enum queue_kind kind);
/* Does nobody wait for it? */
bool queue_is_empty(struct queue *q, const struct ca *ca, enum queue_kind kind);
/* This CA has said that it wants no orders for a while. */
void queue_forbidden(struct queue *q, const struct ca *ca);

DEFINE_CLEANUP(struct queue, queue_free)

#endif
