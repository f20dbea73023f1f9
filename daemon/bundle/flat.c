/*
 * flat.c - the links in the flat directory that HAProxy reads with crt DIR/.
 *
 * Called by bundle.c, before and after a switch. Files that aren't ours stay as they
 * are.
 */
#include "bundle/flat.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bundle/compose.h"
#include "platform/file.h"
#include "scope.h"

#define NAME_LONG 200

static const char *const kinds[] = { "", ".ecdsa", ".rsa" };

struct link {
	char file[32];             /* in a generation: haproxy.pem.rsa */
	char name[NAME_LONG + 16]; /* in the flat directory: NAME.pem.rsa */
	char to[NAME_MAX + NAME_LONG + 64];
};

static void
name_link(const struct flat *f, const char *name, size_t i, struct link *ret)
{
	snprintf(ret->file, sizeof(ret->file), "haproxy.pem%s", kinds[i]);
	snprintf(ret->name, sizeof(ret->name), "%s.pem%s", name, kinds[i]);
	snprintf(ret->to, sizeof(ret->to), "../%s/%s/%s", f->base, name, ret->file);
}

enum state { MISSING, RIGHT, WRONG, FOREIGN };

static enum state
look(const struct flat *f, const struct link *l)
{
	char to[sizeof(l->to) + 1];
	ssize_t n = readlinkat(f->fd, l->name, to, sizeof(to));

	if (n < 0)
		return errno == ENOENT ? MISSING : FOREIGN;
	return (size_t)n == strlen(l->to) && memcmp(to, l->to, (size_t)n) == 0 ? RIGHT
									       : WRONG;
}

/* Is it in that generation? In none of number 0. */
static bool
serves(const struct flat *f, const char *name, uint64_t number, const struct link *l)
{
	char path[NAME_LONG + sizeof(l->file) + 32];

	snprintf(path, sizeof(path), "%s/%" PRIu64 "/%s", name, number, l->file);
	return number != 0 && faccessat(f->generations, path, F_OK, 0) == 0;
}

int
flat_sync(struct flat *f)
{
	int r;

	if (!atomic_exchange(&f->unsynced, false))
		return 0;
	r = file_sync_dir(f->fd, ".");
	if (r < 0)
		f->unsynced = true;
	return r;
}

int
flat_remove(struct flat *f, const char *name, uint64_t next)
{
	struct link l;
	int removed = 0;

	for (size_t i = 0; i < ELEMENTS(kinds); i++) {
		enum state state;

		name_link(f, name, i, &l);
		state = look(f, &l);
		if (state == MISSING || state == FOREIGN || serves(f, name, next, &l))
			continue;
		if (unlinkat(f->fd, l.name, 0) < 0 && errno != ENOENT)
			return -errno;
		f->unsynced = true;
		removed = 1;
	}
	return removed;
}

int
flat_make(struct flat *f, const char *name, uint64_t live)
{
	struct link l;

	for (size_t i = 0; i < ELEMENTS(kinds); i++) {
		int r;

		name_link(f, name, i, &l);
		if (!serves(f, name, live, &l) || look(f, &l) == RIGHT)
			continue;
		r = file_link_quick(f->fd, l.name, l.to);
		if (r < 0)
			return r;
		f->unsynced = true;
	}
	return 0;
}

bool
flat_intact(const struct flat *f, const char *name, const struct compose *files)
{
	struct link l;

	for (size_t i = 0; i < ELEMENTS(kinds); i++) {
		enum state state;

		name_link(f, name, i, &l);
		state = look(f, &l);
		if (compose_find(files, l.file) != NULL
			? state != RIGHT
			: state == RIGHT || state == WRONG)
			return false;
	}
	return true;
}

bool
flat_blocked(const struct flat *f, const char *name, const struct compose *files)
{
	struct link l;

	for (size_t i = 0; i < ELEMENTS(kinds); i++) {
		name_link(f, name, i, &l);
		if (compose_find(files, l.file) != NULL && look(f, &l) == FOREIGN)
			return true;
	}
	return false;
}
