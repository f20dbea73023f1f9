/*
 * peer.c - reads a client's credentials from its socket, and compares them.
 *
 * Used by control.c and admission.c. What it can't find out counts against the client.
 */
#include "control/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "scope.h"

#define GROUPS_MAX (64 * 1024) /* what Linux allows a process to have */

/* The supplementary groups; SO_PEERGROUPS tells with ERANGE how much room it needs. */
static int
load_groups(int fd, gid_t **ret, size_t *ret_count)
{
	_cleanup_free_ gid_t *groups = NULL;
	socklen_t len = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) < 0 &&
	    (errno != ERANGE || len > GROUPS_MAX * sizeof(gid_t)))
		return -errno;
	groups = calloc(len / sizeof(gid_t) + 1, sizeof(gid_t));
	if (groups == NULL)
		return -ENOMEM;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return -errno;
	*ret = steal_ptr(groups);
	*ret_count = len / sizeof(gid_t);
	return 0;
}

static bool
is_member(gid_t wanted, gid_t primary, const gid_t *groups, size_t count)
{
	if (wanted == PEER_NO_GROUP)
		return false;
	for (size_t i = 0; i < count; i++)
		if (groups[i] == wanted)
			return true;
	return primary == wanted;
}

enum peer_access
peer_access(int fd, const struct peer_groups *groups, uid_t *ret_uid)
{
	_cleanup_free_ gid_t *theirs = NULL;
	struct ucred peer;
	socklen_t len = sizeof(peer);
	size_t count = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return PEER_STRANGER;
	if (ret_uid != NULL)
		*ret_uid = peer.uid;
	if (peer.uid == 0 || peer.uid == geteuid())
		return PEER_ADMIN;
	if (load_groups(fd, &theirs, &count) < 0)
		count = 0;
	if (is_member(groups->admins, peer.gid, theirs, count))
		return PEER_ADMIN;
	if (is_member(groups->readers, peer.gid, theirs, count))
		return PEER_READER;
	return PEER_STRANGER;
}
