/*
 * haproxy_copy.h - a run's bundles under the names of bundle_path, where HAProxy reads
 * them.
 *
 * Used by haproxy.c before HAProxy is told, and by haproxy_hot.c for the names.
 */
#ifndef HAPROXY_COPY_H
#define HAPROXY_COPY_H

#include <stddef.h>

struct haproxy_copy;
struct run;
struct target_config;

/* What ends the name of a bundle: with one kind of key nothing, else ".ecdsa", ".rsa".
 */
#define HAPROXY_KINDS 3
extern const char *const haproxy_kinds[HAPROXY_KINDS];

/* bundle_path of this certificate. -ENAMETOOLONG. */
int haproxy_copy_name(
    const char *bundle_path, const char *certificate, char *ret, size_t size);

/* Those of one certificate: 1 where one was written, 0 where all are as they should be,
 * or a negative errno, with the path in ret_path. */
int haproxy_copy_write(const char *bundle_path, const char *certificate,
    const char *bundle_dir, char *ret_path, size_t size);

/* As struct deploy_type wants it. */
int haproxy_copy_repair(const struct target_config *target, const char *certificate,
    const char *bundle_dir);

typedef void haproxy_copy_cb(void *arg);

/* Writes them, a certificate in each turn of the loop; one that can't be written has
 * failed. done_cb is called once, from the loop. The target has a bundle_path. */
int haproxy_copy_start(
    struct run *r, haproxy_copy_cb *done_cb, void *arg, struct haproxy_copy **ret);
/* done_cb isn't called. */
struct haproxy_copy *haproxy_copy_free(struct haproxy_copy *c);

#endif
