/*
 * keyjob.h - a key made in the worker thread, because RSA takes seconds.
 *
 * Used by ca.c for account keys, by order.c for certificates' keys, and by spare.c for
 * those that are made ahead.
 */
#ifndef KEYJOB_H
#define KEYJOB_H

#include "acme.h"

struct keyjob;
struct worker;

/* key NULL: it could not be made. The callee owns it. The job is over and gone. */
typedef void keyjob_done_cb(struct acme_key *key, void *arg);

/* done_cb is called once, from the loop, never from here. */
int keyjob_start(struct worker *worker, enum acme_key_type type,
    keyjob_done_cb *done_cb, void *arg, struct keyjob **ret);
/* Nobody waits for it any more: done_cb isn't called, and the key is thrown away. NULL
 * is fine. */
struct keyjob *keyjob_forget(struct keyjob *job);

#endif
