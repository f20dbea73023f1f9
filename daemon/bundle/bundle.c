/*
 * bundle.c - the directories that web servers read: what is there, is it right, and
 * away with it.
 *
 * Called by renew/. How files get there is in change.c.
 */
#include "bundle/bundle.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "bundle/bundle_private.h"
#include "bundle/generation.h"
#include "bundle/staple.h"
#include "platform/file.h"
#include "platform/room.h"
#include "scope.h"

#define GENERATIONS ".generations"
#define FLAT        "haproxy"
#define NAME_LONG   200
#define LINK_SIZE   (sizeof(GENERATIONS) + NAME_LONG + 32)

DEFINE_CLEANUP(struct bundles, bundles_close)

static bool
name_valid(const char *name)
{
	static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789_-.";
	size_t len = strlen(name);

	return len > 0 && len <= NAME_LONG && name[0] != '.' && name[0] != '-' &&
	    strspn(name, set) == len;
}

/* ---- The switch ---- */

/* ".generations/NAME/" and the number; 0 for none. */
static const char *
generation_path(const char *name, uint64_t number, char ret[LINK_SIZE])
{
	snprintf(ret, LINK_SIZE, GENERATIONS "/%s/%" PRIu64, name, number);
	return ret;
}

int
bundles_read_live(const struct bundles *b, const char *name, uint64_t *ret)
{
	char to[LINK_SIZE], expected[LINK_SIZE];
	ssize_t n = readlinkat(b->live, name, to, sizeof(to) - 1);
	uint64_t number;
	char *slash;

	if (n < 0 && errno == ENOENT) {
		*ret = 0;
		return 0;
	}
	if (n < 0)
		return errno == EINVAL ? -EEXIST : -errno;
	to[n] = '\0';
	slash = strrchr(to, '/');
	number = slash == NULL ? 0 : generation_parse(slash + 1);
	if (number == 0 || strcmp(to, generation_path(name, number, expected)) != 0)
		return -EEXIST;
	*ret = number;
	return 0;
}

int
bundles_open_generations(struct bundles *b, const char *name, bool make)
{
	int fd;

	if (make && mkdirat(b->generations, name, 0700) == 0)
		b->unsynced = true;
	fd = openat(
	    b->generations, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (make && fchmod(fd, 0755) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

int
bundles_set_live(const struct bundles *b, const char *name, uint64_t number)
{
	char to[LINK_SIZE];

	if (number != 0)
		return file_link_quick(
		    b->live, name, generation_path(name, number, to));
	return unlinkat(b->live, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* ---- Looking ---- */

int
bundles_prepare(const struct bundles *b, const struct bundle *bundle,
    compose_fn *compose, struct compose *files, uint64_t *ret_live)
{
	int r;

	if (!name_valid(bundle->name))
		return -EINVAL;
	r = compose(bundle, files);
	return r < 0 ? r : bundles_read_live(b, bundle->name, ret_live);
}

bool
bundles_same(int dirfd, uint64_t live, const struct bundle *bundle,
    const struct compose *files, enum bundle_look look)
{
	return live != 0 &&
	    generation_intact(dirfd, live, files, bundle->mode, bundle->group, look);
}

bool
bundle_intact(struct bundles *b, const struct bundle *bundle)
{
	return bundle_looks(b, bundle, BUNDLE_SAME);
}

static bool
compare(struct bundles *b, const struct bundle *bundle, compose_fn *compose,
    enum bundle_look look)
{
	_cleanup_(compose_clear) struct compose files = { 0 };
	_cleanup_close_ int dirfd = -1;
	uint64_t live = 0;

	if (bundles_prepare(b, bundle, compose, &files, &live) < 0)
		return false;
	dirfd = bundles_open_generations(b, bundle->name, false);
	return dirfd >= 0 && bundles_same(dirfd, live, bundle, &files, look) &&
	    flat_intact(&b->flat, bundle->name, &files);
}

bool
bundle_looks(struct bundles *b, const struct bundle *bundle, enum bundle_look look)
{
	if (look != BUNDLE_SAME)
		return compare(b, bundle, compose_names, look);
	/* OpenSSL takes milliseconds for a pair: only where its judgement is needed */
	return compare(b, bundle, compose_plain, look) ||
	    compare(b, bundle, compose_files, look);
}

int
bundle_remove(struct bundles *b, const char *name)
{
	uint64_t live = 0;
	int r;

	if (!name_valid(name))
		return -EINVAL;
	r = bundles_read_live(b, name, &live);
	if (r < 0)
		return r;
	r = staple_forget(b, name);
	if (r == 0)
		r = flat_remove(&b->flat, name, 0);
	if (r >= 0)
		r = flat_sync(&b->flat);
	if (r == 0)
		r = bundles_set_live(b, name, 0);
	if (r == 0)
		r = file_sync_dir(b->live, ".");
	if (r == 0)
		r = file_remove_tree(b->generations, name);
	return r < 0 ? r : file_sync_dir(b->generations, ".");
}

char *
bundle_path(const struct bundles *b, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", b->path, name) < 0 ? NULL : path;
}

int
bundle_flat(const struct bundles *b)
{
	return b->flat.fd;
}

const char *
bundle_base(const struct bundles *b)
{
	return b->flat.base;
}

int
bundle_haproxy_pem(const struct bundle_pair *pair, char **ret, size_t *ret_len)
{
	return compose_haproxy(pair, ret, ret_len);
}

/* ---- The directories ---- */

static int
open_dir(const char *path, int *ret)
{
	int r = file_make_dirs(path, 0755);

	if (r < 0)
		return r;
	*ret = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret < 0 ? -errno : 0;
}

/* Links under a temporary name, which a crash between the two steps of file_link() has
 * left: ".NAME.XXXXXX". Nobody but us makes such that lead there. */
static void
sweep(int dirfd, const char *prefix)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		size_t len = strlen(entry->d_name);
		char to[LINK_SIZE];
		ssize_t n;

		if (entry->d_name[0] != '.' || len < 9 || entry->d_name[len - 7] != '.')
			continue;
		n = readlinkat(dirfd, entry->d_name, to, sizeof(to));
		if (n >= (ssize_t)strlen(prefix) &&
		    memcmp(to, prefix, strlen(prefix)) == 0)
			unlinkat(dirfd, entry->d_name, 0);
	}
	if (d != NULL)
		closedir(d);
	else if (fd >= 0)
		close(fd);
}

/* The flat directory is found from the real path, as the kernel follows its links. */
static int
open_all(struct bundles *b, const char *bundle_dir)
{
	_cleanup_free_ char *real = NULL, *generations = NULL, *flat = NULL, *to = NULL;
	char *slash;
	int r;

	r = open_dir(bundle_dir, &b->live);
	if (r < 0)
		return r;
	real = realpath(bundle_dir, NULL);
	if (real == NULL)
		return -errno;
	slash = strrchr(real, '/');
	if (slash[1] == '\0' || strcmp(slash + 1, FLAT) == 0)
		return -EINVAL;
	b->path = strdup(bundle_dir[0] == '/' ? bundle_dir : real);
	b->flat.base = strdup(slash + 1);
	if (b->path == NULL || b->flat.base == NULL ||
	    asprintf(&generations, "%s/" GENERATIONS, real) < 0 ||
	    asprintf(&flat, "%.*s/" FLAT, (int)(slash - real), real) < 0 ||
	    asprintf(&to, "../%s/", b->flat.base) < 0)
		return -ENOMEM;
	for (size_t len = strlen(b->path); b->path[len - 1] == '/';)
		b->path[--len] = '\0';
	r = open_dir(generations, &b->generations);
	b->flat.generations = b->generations;
	if (r == 0)
		r = open_dir(flat, &b->flat.fd);
	if (r < 0)
		return r;
	sweep(b->live, GENERATIONS "/");
	sweep(b->flat.fd, to);
	return 0;
}

int
bundles_open(const char *bundle_dir, struct bundles **ret)
{
	_cleanup_(bundles_closep) struct bundles *b = calloc(1, sizeof(*b));
	int r;

	if (b == NULL)
		return -ENOMEM;
	b->live = b->generations = b->flat.fd = -1;
	b->refs = 1;
	b->unsynced = b->flat.unsynced = true;
	r = open_all(b, bundle_dir);
	if (r < 0)
		return r;
	*ret = steal_ptr(b);
	return 0;
}

int
bundles_look(const struct bundles *b, uint64_t room)
{
	int r = room_look(b->generations, room);

	if (r == 0)
		r = room_look(b->live, 0);
	return r < 0 ? r : room_look(b->flat.fd, 0);
}

struct bundles *
bundles_ref(struct bundles *b)
{
	b->refs++;
	return b;
}

struct bundles *
bundles_close(struct bundles *b)
{
	if (b == NULL || --b->refs > 0)
		return NULL;
	closep(&b->live);
	closep(&b->generations);
	closep(&b->flat.fd);
	free(b->path);
	free(b->flat.base);
	free(b);
	return NULL;
}
