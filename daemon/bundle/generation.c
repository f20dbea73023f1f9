/*
 * generation.c - writes, checks and removes generations.
 *
 * A generation is made under a temporary name and gets its number by a rename when it
 * is whole. Where it isn't fsynced, a power cut may leave one that is not: the caller
 * sees to it that nothing leads to it before all of it is on disk, or that it can be
 * made again.
 */
#include "bundle/generation.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "bundle/staple.h"
#include "platform/file.h"
#include "scope.h"

#define UNFINISHED  ".new"
#define NUMBER_SIZE 24
#define PEM_MAX     (256 * 1024)

static const char *
number_text(uint64_t number, char ret[NUMBER_SIZE])
{
	snprintf(ret, NUMBER_SIZE, "%" PRIu64, number);
	return ret;
}

uint64_t
generation_parse(const char *name)
{
	char text[NUMBER_SIZE];
	uint64_t number;

	if (strlen(name) > 18)
		return 0;
	number = strtoull(name, NULL, 10);
	/* "+7", "007" and "7x" aren't ours. */
	return strcmp(number_text(number, text), name) == 0 ? number : 0;
}

/* Who may read the files must be able to enter. */
static mode_t
dir_mode(mode_t mode)
{
	return 0700 | (mode & 0044) | (mode & 0044) >> 2;
}

static void
close_dirp(DIR **d)
{
	if (*d != NULL)
		closedir(*d);
}

static DIR *
open_list(int dirfd)
{
	_cleanup_close_ int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (d != NULL)
		fd = -1;
	return d;
}

static int
open_dir(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int
find_highest(int dirfd, uint64_t *ret)
{
	_cleanup_(close_dirp) DIR *d = open_list(dirfd);
	struct dirent *entry;

	if (d == NULL)
		return -errno;
	while ((entry = readdir(d)) != NULL) {
		uint64_t number = generation_parse(entry->d_name);

		if (number > *ret)
			*ret = number;
	}
	return 0;
}

static int
fill(int fd, const struct compose *files, bool sync, mode_t mode, gid_t group)
{
	for (size_t i = 0; i < files->count; i++) {
		const struct compose_file *f = &files->files[i];
		int r = sync
		    ? file_create(fd, f->name, f->data, f->len, mode, group)
		    : file_create_quick(fd, f->name, f->data, f->len, mode, group);

		if (r < 0)
			return r;
	}
	if (group != (gid_t)-1 && fchown(fd, (uid_t)-1, group) < 0)
		return -errno;
	if (fchmod(fd, dir_mode(mode)) < 0 || (sync && fsync(fd) < 0))
		return -errno;
	return 0;
}

static int
make_unfinished(
    int dirfd, const struct compose *files, bool sync, mode_t mode, gid_t group)
{
	_cleanup_close_ int fd = -1;
	int r;

	r = file_remove_tree(dirfd, UNFINISHED);
	if (r < 0)
		return r;
	if (mkdirat(dirfd, UNFINISHED, 0700) < 0)
		return -errno;
	fd = open_dir(dirfd, UNFINISHED);
	return fd < 0 ? fd : fill(fd, files, sync, mode, group);
}

int
generation_write(int dirfd, const struct compose *files, bool sync, mode_t mode,
    gid_t group, uint64_t above, uint64_t *ret_number)
{
	uint64_t number = above;
	char name[NUMBER_SIZE];
	int r;

	r = find_highest(dirfd, &number);
	if (r < 0)
		return r;
	r = make_unfinished(dirfd, files, sync, mode, group);
	if (r == 0 &&
	    renameat(dirfd, UNFINISHED, dirfd, number_text(++number, name)) < 0)
		r = -errno;
	if (r < 0) {
		file_remove_tree(dirfd, UNFINISHED);
		return r;
	}
	r = sync ? file_sync_dir(dirfd, ".") : 0;
	if (r < 0) {
		file_remove_tree(dirfd, name);
		return r;
	}
	*ret_number = number;
	return 0;
}

static bool
attributes_fit(const struct stat *st, mode_t mode, gid_t group)
{
	return (st->st_mode & 07777) == mode &&
	    (group == (gid_t)-1 || st->st_gid == group);
}

static bool
dir_fits(int fd, mode_t mode, gid_t group)
{
	struct stat st;

	return fstat(fd, &st) == 0 && attributes_fit(&st, dir_mode(mode), group);
}

static bool
file_there(int dirfd, const struct compose_file *f, mode_t mode, gid_t group)
{
	struct stat st;

	return fstatat(dirfd, f->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(st.st_mode) && attributes_fit(&st, mode, group) &&
	    (st.st_size > 0 || compose_may_be_empty(f));
}

/* What fsync would have prevented: nothing in it, or zeros instead of its end. */
static bool
is_pem(const char *data, size_t len)
{
	static const char begin[] = "-----BEGIN ", end[] = "-----\n";
	const size_t ends = sizeof(begin) - 1 + sizeof(end) - 1;

	return len > ends && strlen(data) == len &&
	    memcmp(data, begin, sizeof(begin) - 1) == 0 &&
	    strcmp(data + len - (sizeof(end) - 1), end) == 0;
}

static bool
file_whole(int dirfd, const struct compose_file *f, mode_t mode, gid_t group)
{
	char *data = NULL;
	size_t len = 0;
	bool whole;

	if (!file_there(dirfd, f, mode, group) ||
	    file_read(dirfd, f->name, PEM_MAX, &data, &len) < 0)
		return false;
	whole = len == 0 || is_pem(data, len);
	acme_wipe_free(data, len);
	return whole;
}

static bool
file_same(int dirfd, const struct compose_file *f, mode_t mode, gid_t group)
{
	char *data = NULL;
	size_t len = 0;
	bool same;

	if (!file_there(dirfd, f, mode, group) ||
	    file_read(dirfd, f->name, f->len, &data, &len) < 0)
		return false;
	same = len == f->len && memcmp(data, f->data, len) == 0;
	acme_wipe_free(data, len);
	return same;
}

/* They come and go beside what is of one generation. */
static bool
is_staple(const char *name)
{
	size_t len = strlen(name), end = strlen(STAPLE_SUFFIX);

	return len > end && strcmp(name + len - end, STAPLE_SUFFIX) == 0;
}

static size_t
count_entries(int dirfd)
{
	_cleanup_(close_dirp) DIR *d = open_list(dirfd);
	struct dirent *entry;
	size_t n = 0;

	while (d != NULL && (entry = readdir(d)) != NULL)
		n += !is_staple(entry->d_name);
	return n;
}

bool
generation_intact(int dirfd, uint64_t number, const struct compose *files, mode_t mode,
    gid_t group, enum bundle_look look)
{
	static bool (*const looks[])(
	    int dirfd, const struct compose_file *f, mode_t mode, gid_t group) = {
		[BUNDLE_THERE] = file_there,
		[BUNDLE_WHOLE] = file_whole,
		[BUNDLE_SAME] = file_same,
	};
	_cleanup_close_ int fd = -1;
	char name[NUMBER_SIZE];

	fd = open_dir(dirfd, number_text(number, name));
	if (fd < 0 || !dir_fits(fd, mode, group) ||
	    count_entries(fd) != files->count + 2) /* "." and ".." */
		return false;
	for (size_t i = 0; i < files->count; i++)
		if (!looks[look](fd, &files->files[i], mode, group))
			return false;
	return true;
}

int
generation_remove(int dirfd, uint64_t number)
{
	char name[NUMBER_SIZE];

	return file_remove_tree(dirfd, number_text(number, name));
}

void
generation_prune(int dirfd, uint64_t keep, uint64_t keep_too)
{
	_cleanup_(close_dirp) DIR *d = open_list(dirfd);
	struct dirent *entry;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		uint64_t number = generation_parse(entry->d_name);

		if (number != 0 && number != keep && number != keep_too)
			file_remove_tree(dirfd, entry->d_name);
	}
}
