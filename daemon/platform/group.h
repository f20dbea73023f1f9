/*
 * group.h - the numbers of users and of groups of them.
 */
#ifndef GROUP_H
#define GROUP_H

#include <sys/types.h>

/* By name, or by number where no group has that name. -ENOENT where there is none, also
 * for NULL and ""; -ENOMEM, -ERANGE for an entry of absurd size. */
int group_find(const char *name, gid_t *ret);
/* The same for a user. */
int group_find_user(const char *name, uid_t *ret);

#endif
