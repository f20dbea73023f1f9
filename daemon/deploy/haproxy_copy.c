/*
 * haproxy_copy.c - writes bundles where a target's bundle_path wants them.
 *
 * Called by haproxy.c. A file is replaced by one rename, where its content differs,
 * with mode and group of the one in bundle_dir. It must never write through a link, nor
 * over what bundle_path leads to where that is the bundle itself.
 */
#include "deploy/haproxy_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "acme.h"
#include "deploy/run.h"
#include "platform/file.h"

#define BUNDLE_MAX (256 * 1024)
#define PATH_SIZE  (PATH_MAX + 16)

const char *const haproxy_kinds[HAPROXY_KINDS] = { "", ".ecdsa", ".rsa" };

struct haproxy_copy {
	struct run *run;
	size_t next; /* subject */
	int r;       /* how it went */
	char path[PATH_SIZE];
	haproxy_copy_cb *done_cb;
	void *arg;
};

int
haproxy_copy_name(
    const char *bundle_path, const char *certificate, char *ret, size_t size)
{
	static const char mark[] = "{name}";
	const char *at = strstr(bundle_path, mark);
	int n;

	if (at == NULL)
		return -EINVAL; /* the configuration was checked for this */
	n = snprintf(ret, size, "%.*s%s%s", (int)(at - bundle_path), bundle_path,
	    certificate, at + strlen(mark));
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static bool
has_content(const char *path, const char *data, size_t len)
{
	char *is = NULL;
	size_t is_len;
	bool same;

	if (file_read(AT_FDCWD, path, BUNDLE_MAX, &is, &is_len) < 0)
		return false;
	same = is_len == len && memcmp(is, data, len) == 0;
	acme_wipe_free(is, is_len);
	return same;
}

/* 1: it was written. */
static int
write_copy(const char *path, const struct stat *like, const char *data, size_t len)
{
	mode_t mode = like->st_mode & 07777;
	struct stat st;
	int r;

	if (lstat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	    (st.st_mode & 07777) == mode && st.st_gid == like->st_gid &&
	    has_content(path, data, len))
		return 0;
	r = file_replace(AT_FDCWD, path, data, len, mode, like->st_gid);
	return r < 0 ? r : 1;
}

/* HAProxy would take it instead of a pair, or with it. */
static int
remove_copy(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	return unlink(path) < 0 && errno != ENOENT ? -errno : 1;
}

/* Where it leads to the bundle itself, there is nothing to write. */
static int
copy(const char *from, const char *path)
{
	struct stat st, there;
	char *data = NULL;
	size_t len;
	int r;

	if (stat(from, &st) < 0)
		return errno == ENOENT ? remove_copy(path) : -errno;
	if (stat(path, &there) == 0 && there.st_dev == st.st_dev &&
	    there.st_ino == st.st_ino)
		return 0;
	r = file_read(AT_FDCWD, from, BUNDLE_MAX, &data, &len);
	if (r < 0)
		return r;
	r = write_copy(path, &st, data, len);
	acme_wipe_free(data, len);
	return r;
}

int
haproxy_copy_write(const char *bundle_path, const char *certificate,
    const char *bundle_dir, char *ret_path, size_t size)
{
	char from[PATH_SIZE], name[PATH_MAX];
	int r = haproxy_copy_name(bundle_path, certificate, name, sizeof(name));
	bool any = false;

	snprintf(ret_path, size, "%s", bundle_path);
	for (size_t k = 0; k < 2 * HAPROXY_KINDS && r >= 0; k++) {
		const char *kind = haproxy_kinds[k / 2];
		const char *end = k % 2 != 0 ? ".ocsp" : "";

		snprintf(from, sizeof(from), "%.4000s/haproxy.pem%s%s", bundle_dir,
		    kind, end);
		snprintf(ret_path, size, "%s%s%s", name, kind, end);
		r = copy(from, ret_path);
		any = any || r > 0;
	}
	return r < 0 ? r : any;
}

int
haproxy_copy_repair(
    const struct target_config *target, const char *certificate, const char *bundle_dir)
{
	char path[PATH_SIZE];

	if (target->bundle_path == NULL)
		return 0;
	return haproxy_copy_write(
	    target->bundle_path, certificate, bundle_dir, path, sizeof(path));
}

/* ---- a run's, one after the other in a thread ---- */

static void
write_cb(void *arg)
{
	struct haproxy_copy *c = arg;
	const struct deploy_subject *s = c->run->subjects[c->next].it;

	c->r = haproxy_copy_write(c->run->target->bundle_path, s->certificate,
	    s->bundle_dir, c->path, sizeof(c->path));
}

static void
written_cb(void *arg)
{
	struct haproxy_copy *c = arg;
	int r = c->r;

	if (c->run->closing)
		return;
	if (r < 0)
		run_subject_failed(
		    c->run, c->next, "can't write %s: %s", c->path, strerror(-r));
	c->next++;
	while (c->next < c->run->subject_count) {
		r = run_in_thread(c->run, write_cb, written_cb, c);
		if (r == 0)
			return;
		run_subject_failed(
		    c->run, c->next++, "can't write its copy: %s", strerror(-r));
	}
	c->done_cb(c->arg);
}

int
haproxy_copy_start(
    struct run *r, haproxy_copy_cb *done_cb, void *arg, struct haproxy_copy **ret)
{
	struct haproxy_copy *c = calloc(1, sizeof(*c));
	int error;

	if (c == NULL)
		return -ENOMEM;
	c->run = r;
	c->done_cb = done_cb;
	c->arg = arg;
	error = run_in_thread(r, write_cb, written_cb, c);
	if (error < 0) {
		free(c);
		return error;
	}
	*ret = c;
	return 0;
}

struct haproxy_copy *
haproxy_copy_free(struct haproxy_copy *c)
{
	free(c);
	return NULL;
}
