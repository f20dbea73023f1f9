/*
 * haproxy_store.h - the items of a running HAProxy's crt-stores, whose names aren't the
 * paths of their files.
 *
 * Used by haproxy_hot.c.
 */
#ifndef HAPROXY_STORE_H
#define HAPROXY_STORE_H

#include <stddef.h>

struct haproxy_cli;
struct haproxy_file;
struct haproxy_store;

/* r < 0: it can't be asked. Called once, from the loop. */
typedef void haproxy_store_cb(int r, void *arg);

/* Asks for all of them, of all stores. cli is lent until the end. */
int haproxy_store_start(struct haproxy_cli *cli, haproxy_store_cb *done_cb, void *arg,
    struct haproxy_store **ret);
/* The next that is this bundle, from *at on, which is moved behind it; NULL: there is
 * none. The name is the store's. */
const char *haproxy_store_find(
    const struct haproxy_store *s, const struct haproxy_file *file, size_t *at);
struct haproxy_store *haproxy_store_free(struct haproxy_store *s);

#endif
