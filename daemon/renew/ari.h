/*
 * ari.h - asks CAs when they would like to see their certificates renewed (ARI,
 * RFC 9773), and plans by what they answer.
 *
 * Part of the set of jobs (job.h), beside orders: a few requests at a time, one by one
 * where many are due. What goes wrong here never stops or delays a renewal.
 */
#ifndef ARI_H
#define ARI_H

#include <stdbool.h>
#include <stdint.h>

#include "inventory/inventory.h"
#include "scope.h"

struct ari;
struct ca;
struct renewals;

int ari_new(struct renewals *r, struct ari **ret);
struct ari *ari_free(struct ari *a);
/* Something was issued, or the configuration is another: look who is to be asked. */
void ari_poke(struct ari *a);

/* All that was asked about this certificate has been answered, or won't be. */
typedef void ari_told_cb(void *arg);
/* Asks about its current certificates now, but for those asked about in the last
 * minute. True: cb is called, once, from the loop; false: there is nothing to wait for.
 */
bool ari_ask(struct ari *a, int64_t certificate, ari_told_cb *cb, void *arg);
/* The callbacks with this arg are forgotten. */
void ari_forget(struct ari *a, void *arg);

/* The id of a chain's leaf, as acme_chain_renewal_id(). The caller frees. */
int ari_id(const char *pem, char **ret);
/* The id of this certificate, for an order of these names at this CA that replaces it
 * (RFC 9773 section 5); NULL where it isn't due: the CA or account is another, it has
 * no renewal information, no name stays, it has expired, or old is NULL. names as by
 * order_names(). The caller frees. */
char *ari_replaces(const struct ca *ca, const struct issued *old, const char *names);

/* ---- what an answer makes of a row (ari_answer.c): pure, for ari.c ---- */

enum ari_outcome {
	ARI_SAME,   /* the window of before */
	ARI_MOVED,  /* another window, or the first: a point in it was picked */
	ARI_AGAIN,  /* a temporary error, to be tried again within seconds */
	ARI_FAILED, /* no use: row->problem says why */
};
enum ari_outcome ari_answer(struct renewal_info *row, const struct acme_reply *reply,
    int64_t now, uint64_t jitter);

DEFINE_CLEANUP(struct ari, ari_free)

#endif
