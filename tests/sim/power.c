/*
 * power.c - see power.h. Beside DIR stands DIR.disk, with a file for each inode: of a
 * file its content, of a directory its list, as they were when they were last synced.
 *
 * Nothing has to be seen but syncs: at a cut the folder itself says what was newer.
 * Inodes have numbers that a folder in memory doesn't use twice.
 */
#include "power.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "life.h"

#define PATH_SIZE 512
#define NAMES_MAX 4096
#define SECTOR    512

/* One name in a directory. */
struct entry {
	ino_t ino;
	mode_t mode;
	char name[256];
	char target[128]; /* of a symbolic link */
};

static char folder[PATH_SIZE / 2];

static void
join(const char *dir, const char *name, char ret[PATH_SIZE])
{
	if (snprintf(ret, PATH_SIZE, "%s/%s", dir, name) >= PATH_SIZE)
		life_fail(name);
}

/* ---- the image ---- */

static void
image_path(const char *dir, ino_t ino, const char *more, char ret[PATH_SIZE])
{
	snprintf(ret, PATH_SIZE, "%s.disk/%llu%s", dir, (unsigned long long)ino, more);
}

static void
copy(int from, const char *path, mode_t mode)
{
	off_t at = 0;
	int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (to < 0)
		life_fail(path);
	while (sendfile(to, from, &at, 1 << 20) > 0)
		continue;
	if (fchmod(to, mode & 07777) < 0)
		life_fail(path);
	close(to);
}

/* Into the image under another name first: this process may end while it is made. */
static void
keep_file(const char *dir, int fd, const struct stat *st)
{
	char temp[PATH_SIZE], path[PATH_SIZE];

	image_path(dir, st->st_ino, ".new", temp);
	image_path(dir, st->st_ino, "", path);
	copy(fd, temp, st->st_mode);
	if (rename(temp, path) < 0)
		life_fail(path);
}

/* What the test itself keeps there, and the server's copies: no part of this disk. */
static bool
is_ours(const char *name)
{
	static const char *const ours[] = { "log", "renewd.conf", "take", "served" };

	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
		if (strcmp(ours[i], name) == 0)
			return true;
	return false;
}

static bool
read_entry(int dirfd, const char *name, struct entry *ret)
{
	struct stat st;
	ssize_t n;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || is_ours(name) ||
	    fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISSOCK(st.st_mode))
		return false;
	*ret = (struct entry){ .ino = st.st_ino, .mode = st.st_mode };
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	n = S_ISLNK(st.st_mode)
	    ? readlinkat(dirfd, name, ret->target, sizeof(ret->target) - 1)
	    : 0;
	return n >= 0;
}

static size_t
list(const char *path, struct entry **ret)
{
	DIR *d = opendir(path);
	struct entry *all = calloc(NAMES_MAX, sizeof(*all));
	struct dirent *entry;
	size_t count = 0;

	if (all == NULL)
		life_fail("list");
	while (d != NULL && count < NAMES_MAX && (entry = readdir(d)) != NULL)
		count += read_entry(dirfd(d), entry->d_name, &all[count]);
	if (d != NULL)
		closedir(d);
	*ret = all;
	return count;
}

static void
keep_list(const char *dir, const char *path, ino_t ino)
{
	char temp[PATH_SIZE], to[PATH_SIZE];
	struct entry *all;
	size_t count = list(path, &all);
	FILE *f;

	image_path(dir, ino, ".new", temp);
	image_path(dir, ino, "", to);
	f = fopen(temp, "w");
	if (f == NULL || fwrite(all, sizeof(*all), count, f) != count ||
	    fclose(f) != 0 || rename(temp, to) < 0)
		life_fail(to);
	free(all);
}

static size_t
read_list(const char *dir, ino_t ino, struct entry **ret)
{
	struct entry *all = calloc(NAMES_MAX, sizeof(*all));
	char path[PATH_SIZE];
	size_t count = 0;
	FILE *f;

	image_path(dir, ino, "", path);
	f = fopen(path, "r");
	if (f != NULL) {
		count = fread(all, sizeof(*all), NAMES_MAX, f);
		fclose(f);
	}
	*ret = all;
	return count;
}

static void
keep(const char *dir, const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		life_fail(path);
	if (S_ISDIR(st.st_mode))
		keep_list(dir, path, st.st_ino);
	else
		keep_file(dir, fd, &st);
	close(fd);
}

static void
keep_all(const char *dir, const char *path)
{
	struct entry *all;
	size_t count = list(path, &all);
	char inside[PATH_SIZE];

	keep(dir, path);
	for (size_t i = 0; i < count; i++) {
		join(path, all[i].name, inside);
		if (S_ISDIR(all[i].mode))
			keep_all(dir, inside);
		else if (S_ISREG(all[i].mode))
			keep(dir, inside);
	}
	free(all);
}

void
power_end(const char *dir)
{
	char image[PATH_SIZE];

	snprintf(image, sizeof(image), "%s.disk", dir);
	life_remove(image);
}

void
power_begin(const char *dir)
{
	char image[PATH_SIZE];

	power_end(dir);
	snprintf(image, sizeof(image), "%s.disk", dir);
	if (mkdir(image, 0700) < 0)
		life_fail(image);
	keep_all(dir, dir);
}

/* ---- syncs ---- */

void
power_use(const char *dir)
{
	snprintf(folder, sizeof(folder), "%s", dir);
}

void
power_synced(int fd)
{
	char path[64];
	struct stat st;

	if (folder[0] == '\0')
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	/* not by a descriptor of our own where that can be: its close() would take away
	 * the locks that SQLite has on the file */
	if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR && fstat(fd, &st) == 0)
		keep_file(folder, fd, &st);
	else
		keep(folder, path);
}

void
power_synced_all(void)
{
	if (folder[0] != '\0')
		keep_all(folder, folder);
}

/* ---- the cut ---- */

/* What makes the folder of after the cut from the one of before, and the image. */
struct cut {
	const char *dir;
	enum power_disk disk;
	uint64_t chance;
	struct {
		ino_t ino;
		char path[PATH_SIZE];
	} * live; /* what there is under the folder, by inode */
	size_t live_count;
};

static bool
toss(struct cut *c)
{
	uint64_t z = c->chance += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (z >> 40) & 1;
}

static void
index_live(struct cut *c, const char *path)
{
	struct entry *all;
	size_t count = list(path, &all);

	for (size_t i = 0; i < count && c->live_count < NAMES_MAX; i++) {
		size_t n = c->live_count++;

		c->live[n].ino = all[i].ino;
		join(path, all[i].name, c->live[n].path);
		if (S_ISDIR(all[i].mode))
			index_live(c, c->live[n].path);
	}
	free(all);
}

static const char *
find_live(const struct cut *c, ino_t ino)
{
	for (size_t i = 0; i < c->live_count; i++)
		if (c->live[i].ino == ino)
			return c->live[i].path;
	return NULL;
}

static size_t
read_all(const char *path, char **ret)
{
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	struct stat st = { 0 };
	size_t len;

	if (fd >= 0 && fstat(fd, &st) < 0)
		life_fail(path);
	len = (size_t)st.st_size;
	*ret = calloc(1, len + 1);
	if (*ret == NULL || (len > 0 && read(fd, *ret, len) != (ssize_t)len))
		life_fail(path);
	if (fd >= 0)
		close(fd);
	return len;
}

/* Each sector is the old or the new one, and so is the length. */
static size_t
mix(struct cut *c, char **text, size_t len, const char *path)
{
	char *fresh;
	size_t fresh_len = read_all(path, &fresh);
	size_t end = toss(c) ? fresh_len : len;
	char *mixed = calloc(1, end + 1);

	for (size_t at = 0; at < end; at += SECTOR) {
		bool take = toss(c);
		const char *from = take ? fresh : *text;
		size_t has = take ? fresh_len : len;
		size_t n = end - at < SECTOR ? end - at : SECTOR;

		if (has > at)
			memcpy(mixed + at, from + at, has - at < n ? has - at : n);
	}
	free(fresh);
	free(*text);
	*text = mixed;
	return end;
}

static void
restore_file(struct cut *c, const struct entry *e, const char *to)
{
	const char *live = find_live(c, e->ino);
	char path[PATH_SIZE];
	char *text;
	size_t len;
	int fd;

	image_path(c->dir, e->ino, "", path);
	len = read_all(path, &text);
	if (c->disk == POWER_CHANCE && live != NULL)
		len = mix(c, &text, len, live);
	fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, len) != (ssize_t)len ||
	    fchmod(fd, e->mode & 07777) < 0)
		life_fail(to);
	close(fd);
	free(text);
}

static void
restore_dir(struct cut *c, ino_t ino, const char *live, const char *to, mode_t mode)
{
	bool fresh = c->disk == POWER_NAMES || (c->disk == POWER_CHANCE && toss(c));
	struct entry *all;
	size_t count =
	    fresh && live != NULL ? list(live, &all) : read_list(c->dir, ino, &all);
	char path[PATH_SIZE];

	if (mkdir(to, 0700) < 0 || chmod(to, mode & 07777) < 0)
		life_fail(to);
	for (size_t i = 0; i < count; i++) {
		const struct entry *e = &all[i];

		join(to, e->name, path);
		if (S_ISLNK(e->mode)) {
			if (symlink(e->target, path) < 0)
				life_fail(path);
		} else if (S_ISDIR(e->mode)) {
			restore_dir(c, e->ino, find_live(c, e->ino), path, e->mode);
		} else {
			restore_file(c, e, path);
		}
	}
	free(all);
}

static void
move_ours(const char *from, const char *to)
{
	DIR *d = opendir(from);
	char a[PATH_SIZE], b[PATH_SIZE];
	struct dirent *entry;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		if (!is_ours(entry->d_name))
			continue;
		join(from, entry->d_name, a);
		join(to, entry->d_name, b);
		if (rename(a, b) < 0)
			life_fail(b);
	}
	if (d != NULL)
		closedir(d);
}

void
power_cut(const char *dir, enum power_disk disk, uint64_t chance)
{
	struct cut c = { .dir = dir, .disk = disk, .chance = chance };
	char fresh[PATH_SIZE];
	struct stat st;

	snprintf(fresh, sizeof(fresh), "%s.after", dir);
	c.live = calloc(NAMES_MAX, sizeof(*c.live));
	if (c.live == NULL || stat(dir, &st) < 0)
		life_fail(dir);
	index_live(&c, dir);
	restore_dir(&c, st.st_ino, dir, fresh, 0700);
	move_ours(dir, fresh);
	life_remove(dir);
	if (rename(fresh, dir) < 0)
		life_fail(fresh);
	free(c.live);
}
