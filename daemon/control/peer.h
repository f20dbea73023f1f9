/*
 * peer.h - who is at the other end of the control socket, and what that one may do.
 *
 * Credentials are those that the kernel noted when the client connected. Used for every
 * new connection and again for every request.
 */
#ifndef PEER_H
#define PEER_H

#include <stdbool.h>
#include <sys/types.h>

#define PEER_NO_GROUP ((gid_t)-1)

struct peer_groups {
	gid_t admins;  /* may do all; PEER_NO_GROUP: only root and ourselves */
	gid_t readers; /* may look */
};

enum peer_access {
	PEER_STRANGER,
	PEER_READER,
	PEER_ADMIN,
};

/* ret_uid may be NULL. */
enum peer_access peer_access(int fd, const struct peer_groups *groups, uid_t *ret_uid);

#endif
