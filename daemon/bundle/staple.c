/*
 * staple.c - puts OCSP responses beside the bundles that are live; see staple.h.
 *
 * Called by renew/. It must never touch a bundle itself.
 */
#include "bundle/staple.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "acme.h"
#include "bundle/bundle.h"
#include "platform/file.h"
#include "scope.h"

#define DATA_MAX  (64 * 1024)
#define NAME_SIZE 256

static const char *const kinds[] = { "", ".ecdsa", ".rsa" };

static const struct staple *
find(const struct staple *staples, size_t count, bool dual, const char *kind)
{
	for (size_t i = 0; i < count; i++) {
		const char *its = !dual ? "" : staples[i].rsa ? ".rsa" : ".ecdsa";

		if (strcmp(its, kind) == 0)
			return &staples[i];
	}
	return NULL;
}

static bool
is_there(int dir, const char *file, const struct staple *s, const struct stat *like)
{
	struct stat st;
	char *data;
	size_t len;
	bool same;

	if (fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
	    (st.st_mode & 07777) != (like->st_mode & 07777) ||
	    st.st_gid != like->st_gid ||
	    file_read(dir, file, DATA_MAX, &data, &len) < 0)
		return false;
	same = len == s->len && memcmp(data, s->data, len) == 0;
	free(data);
	return same;
}

static int
remove_file(int dir, const char *name)
{
	return unlinkat(dir, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* The name in the flat directory is a link, and nothing but a link is touched there. */
static int
write_link(int flat, const char *base, const char *name, const char *kind, bool wanted)
{
	char link[NAME_SIZE], to[NAME_SIZE * 2], is[NAME_SIZE * 2];
	ssize_t n;

	snprintf(link, sizeof(link), "%s.pem%s" STAPLE_SUFFIX, name, kind);
	snprintf(
	    to, sizeof(to), "../%s/%s/haproxy.pem%s" STAPLE_SUFFIX, base, name, kind);
	n = readlinkat(flat, link, is, sizeof(is));
	if (n < 0)
		return errno == ENOENT && wanted ? file_link_quick(flat, link, to) : 0;
	if (!wanted)
		return remove_file(flat, link);
	if ((size_t)n == strlen(to) && memcmp(is, to, (size_t)n) == 0)
		return 0;
	return file_link_quick(flat, link, to);
}

int
staple_forget(struct bundles *b, const char *name)
{
	int r = 0;

	for (size_t i = 0; i < ELEMENTS(kinds) && r == 0; i++)
		r = write_link(bundle_flat(b), bundle_base(b), name, kinds[i], false);
	return r;
}

static int
write_one(int live, const char *kind, const struct staple *s)
{
	char bundle[32], file[40];
	struct stat like;

	snprintf(bundle, sizeof(bundle), "haproxy.pem%s", kind);
	snprintf(file, sizeof(file), "%s" STAPLE_SUFFIX, bundle);
	if (s == NULL || fstatat(live, bundle, &like, 0) < 0)
		return remove_file(live, file);
	if (is_there(live, file, s, &like))
		return 0;
	return file_replace(
	    live, file, s->data, s->len, like.st_mode & 07777, like.st_gid);
}

int
staple_write(struct bundles *b, const char *name, bool dual,
    const struct staple *staples, size_t count)
{
	_cleanup_free_ char *path = bundle_path(b, name);
	_cleanup_close_ int live = -1;
	int r = 0;

	if (path == NULL)
		return -ENOMEM;
	live = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (live < 0)
		return errno == ENOENT ? 0 : -errno;
	for (size_t i = 0; i < ELEMENTS(kinds) && r == 0; i++) {
		const struct staple *s = find(staples, count, dual, kinds[i]);

		r = write_one(live, kinds[i], s);
		if (r == 0)
			r = write_link(
			    bundle_flat(b), bundle_base(b), name, kinds[i], s != NULL);
	}
	return r;
}
