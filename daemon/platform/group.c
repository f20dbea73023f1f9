/*
 * group.c - looks users and groups up, in files or wherever the system keeps them.
 *
 * Called at start, at reload, and when files are written.
 */
#include "platform/group.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>

#include "scope.h"

#define ENTRY_MAX (1024 * 1024)

_Static_assert(sizeof(uid_t) == sizeof(unsigned) && sizeof(gid_t) == sizeof(unsigned),
    "both are numbers alike");

/* 0, -ENOENT, or ERANGE where the room doesn't do. */
typedef int look_fn(const char *name, char *room, size_t size, unsigned *ret);

static int
look_group(const char *name, char *room, size_t size, unsigned *ret)
{
	struct group entry;
	struct group *found = NULL;
	int r = getgrnam_r(name, &entry, room, size, &found);

	if (r == 0 && found != NULL)
		*ret = found->gr_gid;
	/* Some name services answer with an error where they mean "none". */
	return r == ERANGE ? r : found != NULL ? 0 : -ENOENT;
}

static int
look_user(const char *name, char *room, size_t size, unsigned *ret)
{
	struct passwd entry;
	struct passwd *found = NULL;
	int r = getpwnam_r(name, &entry, room, size, &found);

	if (r == 0 && found != NULL)
		*ret = found->pw_uid;
	return r == ERANGE ? r : found != NULL ? 0 : -ENOENT;
}

static int
find_by_name(look_fn *look, const char *name, unsigned *ret)
{
	int r = ERANGE;

	for (size_t size = 1024; r == ERANGE && size <= ENTRY_MAX; size *= 4) {
		_cleanup_free_ char *room = malloc(size);

		if (room == NULL)
			return -ENOMEM;
		r = look(name, room, size, ret);
	}
	return r == ERANGE ? -ERANGE : r;
}

static int
find(look_fn *look, const char *name, unsigned *ret)
{
	char *end;
	long number;
	int r;

	if (name == NULL || *name == '\0')
		return -ENOENT;
	r = find_by_name(look, name, ret);
	if (r != -ENOENT || *name < '0' || *name > '9')
		return r;
	errno = 0;
	number = strtol(name, &end, 10);
	if (errno != 0 || *end != '\0' || number >= UINT_MAX)
		return -ENOENT;
	*ret = (unsigned)number;
	return 0;
}

int
group_find(const char *name, gid_t *ret)
{
	return find(look_group, name, ret);
}

int
group_find_user(const char *name, uid_t *ret)
{
	return find(look_user, name, ret);
}
