/*
 * group.c - looks groups up, in files or wherever the system keeps them.
 *
 * Called at start, at reload, and when a bundle is written.
 */
#include "platform/group.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>

#include "scope.h"

#define ENTRY_MAX (1024 * 1024)

static int
find_by_name(const char *name, gid_t *ret)
{
	struct group entry;
	struct group *found;
	int r = ERANGE;

	for (size_t size = 1024; r == ERANGE && size <= ENTRY_MAX; size *= 4) {
		_cleanup_free_ char *room = malloc(size);

		if (room == NULL)
			return -ENOMEM;
		r = getgrnam_r(name, &entry, room, size, &found);
		if (r == 0 && found != NULL) {
			*ret = found->gr_gid;
			return 0;
		}
	}
	/* Some name services answer with an error where they mean "none". */
	return r == ERANGE ? -ERANGE : -ENOENT;
}

int
group_find(const char *name, gid_t *ret)
{
	char *end;
	long number;
	int r;

	if (name == NULL || *name == '\0')
		return -ENOENT;
	r = find_by_name(name, ret);
	if (r != -ENOENT || *name < '0' || *name > '9')
		return r;
	errno = 0;
	number = strtol(name, &end, 10);
	if (errno != 0 || *end != '\0' || number >= UINT_MAX)
		return -ENOENT;
	*ret = (gid_t)number;
	return 0;
}
