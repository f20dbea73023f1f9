/*
 * endpoint.h - the control socket as a file: made, opened to a group, removed.
 *
 * Used by control.c. It never takes a path away from somebody who is listening there,
 * and the file is at no moment open to more than it is meant to be.
 */
#ifndef ENDPOINT_H
#define ENDPOINT_H

#include <sys/types.h>

#include "scope.h"

struct endpoint;

/* Makes the socket, mode 0600, and listens. The directory is made where it is missing.
 * -EADDRINUSE: somebody listens there; -EEXIST: something else than a socket is there.
 * The descriptor is the caller's. */
int endpoint_open(const char *path, struct endpoint **ret, int *ret_fd);
const char *endpoint_path(const struct endpoint *e);
/* Changes who may connect; group (gid_t)-1: stays. */
int endpoint_allow(const struct endpoint *e, gid_t group, mode_t mode);
/* Removes the file, unless another one has taken its place. */
struct endpoint *endpoint_close(struct endpoint *e);

DEFINE_CLEANUP(struct endpoint, endpoint_close)

#endif
