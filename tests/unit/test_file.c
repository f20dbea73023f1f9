/*
 * test_file.c - reading whole files, and replacing them whole or not at all.
 */
#include "suite.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "platform/file.h"

#define NO_GROUP ((gid_t)-1)

static char place[64]; /* each test has a directory of its own... */
static int at = -1;    /* ...open here */

static void
enter(void)
{
	snprintf(place, sizeof(place), "/tmp/renewd-test-file.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(place));
	at = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(at, 0);
}

static void
leave(void)
{
	struct stat st;

	close(at);
	ck_assert_int_eq(file_remove_tree(AT_FDCWD, place), 0);
	ck_assert_int_eq(lstat(place, &st), -1);
}

static size_t
entries(int dirfd)
{
	DIR *d = fdopendir(openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	size_t n = 0;

	ck_assert_ptr_nonnull(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n - 2;
}

static mode_t
mode_of(const char *name)
{
	struct stat st;

	ck_assert_int_eq(fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_mode & 07777;
}

static void
expect_content(const char *name, const char *content)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	ck_assert_int_eq(file_read(at, name, 1 << 20, &text, &len), 0);
	ck_assert_str_eq(text, content);
	ck_assert_uint_eq(len, strlen(content));
}

START_TEST(read_keeps_its_bounds)
{
	_cleanup_free_ char *text = NULL, *empty = NULL;
	char *untouched = NULL;
	size_t len = 0;

	enter();
	ck_assert_int_eq(file_create(at, "ten",
			     "0123\0"
			     "56789",
			     10, 0600, NO_GROUP),
	    0);
	ck_assert_int_eq(file_create(at, "empty", "", 0, 0600, NO_GROUP), 0);
	ck_assert_int_eq(file_read(at, "ten", 10, &text, &len), 0);
	ck_assert_uint_eq(len, 10);
	ck_assert_int_eq(memcmp(text,
			     "0123\0"
			     "56789",
			     11),
	    0);
	ck_assert_int_eq(file_read(at, "empty", 0, &empty, NULL), 0);
	ck_assert_str_eq(empty, "");
	ck_assert_int_eq(file_read(at, "ten", 9, &untouched, &len), -EFBIG);
	ck_assert_int_eq(file_read(at, "none", 9, &untouched, &len), -ENOENT);
	ck_assert_ptr_null(untouched);
	leave();
}
END_TEST

START_TEST(read_takes_regular_files_only)
{
	char *text = NULL;

	enter();
	ck_assert_int_eq(mkfifoat(at, "fifo", 0600), 0);
	ck_assert_int_eq(mkdirat(at, "dir", 0700), 0);
	ck_assert_int_eq(file_read(at, "fifo", 100, &text, NULL), -EINVAL);
	ck_assert_int_eq(file_read(at, "dir", 100, &text, NULL), -EISDIR);
	ck_assert_int_eq(file_read(AT_FDCWD, "/dev/zero", 100, &text, NULL), -EINVAL);
	ck_assert_ptr_null(text);
	leave();
}
END_TEST

/* Such a file says that its size is 0. */
START_TEST(read_doesnt_trust_the_size)
{
	_cleanup_free_ char *text = NULL;
	char *untouched = NULL;
	size_t len;

	ck_assert_int_eq(
	    file_read(AT_FDCWD, "/proc/self/smaps", 1 << 24, &text, &len), 0);
	ck_assert_uint_gt(len, 8192);
	ck_assert_uint_eq(len, strlen(text));
	ck_assert_int_eq(
	    file_read(AT_FDCWD, "/proc/self/smaps", 5000, &untouched, NULL), -EFBIG);
}
END_TEST

START_TEST(modes_dont_depend_on_the_umask)
{
	mode_t before = umask(0077);

	enter();
	ck_assert_int_eq(file_create(at, "a", "x", 1, 0644, NO_GROUP), 0);
	ck_assert_int_eq(file_replace(at, "b", "x", 1, 0640, NO_GROUP), 0);
	umask(0);
	ck_assert_int_eq(file_create(at, "c", "x", 1, 0600, NO_GROUP), 0);
	ck_assert_int_eq(file_replace(at, "a", "x", 1, 0400, NO_GROUP), 0);
	ck_assert_uint_eq(mode_of("a"), 0400);
	ck_assert_uint_eq(mode_of("b"), 0640);
	ck_assert_uint_eq(mode_of("c"), 0600);
	umask(before);
	leave();
}
END_TEST

START_TEST(group_is_set)
{
	struct stat st;

	if (geteuid() != 0) {
		fprintf(stderr, "skipped: only root may give files to any group\n");
		return;
	}
	enter();
	ck_assert_int_eq(file_create(at, "a", "x", 1, 0640, 54321), 0);
	ck_assert_int_eq(file_replace(at, "b", "x", 1, 0640, 54321), 0);
	ck_assert_int_eq(fstatat(at, "a", &st, 0), 0);
	ck_assert_uint_eq(st.st_gid, 54321);
	ck_assert_int_eq(fstatat(at, "b", &st, 0), 0);
	ck_assert_uint_eq(st.st_gid, 54321);
	leave();
}
END_TEST

START_TEST(create_never_overwrites)
{
	enter();
	ck_assert_int_eq(file_create(at, "a", "old", 3, 0600, NO_GROUP), 0);
	ck_assert_int_eq(file_create(at, "a", "new", 3, 0600, NO_GROUP), -EEXIST);
	expect_content("a", "old");
	/* Nor does it write through a link, also one into nothing. */
	ck_assert_int_eq(symlinkat("elsewhere", at, "link"), 0);
	ck_assert_int_eq(file_create(at, "link", "x", 1, 0600, NO_GROUP), -EEXIST);
	ck_assert_int_eq(faccessat(at, "elsewhere", F_OK, 0), -1);
	leave();
}
END_TEST

START_TEST(replace_leaves_nothing_beside)
{
	char path[128], name[256];

	enter();
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(file_replace(at, "a", "text", 4, 0600, NO_GROUP), 0);
	ck_assert_uint_eq(entries(at), 1);
	expect_content("a", "text");
	/* By its whole path, in a directory below, and with the longest of names. */
	snprintf(path, sizeof(path), "%s/b", place);
	ck_assert_int_eq(file_replace(AT_FDCWD, path, "B", 1, 0600, NO_GROUP), 0);
	expect_content("b", "B");
	ck_assert_int_eq(mkdirat(at, "dir", 0700), 0);
	ck_assert_int_eq(file_replace(at, "dir/c", "C", 1, 0600, NO_GROUP), 0);
	expect_content("dir/c", "C");
	memset(name, 'n', 255);
	name[255] = '\0';
	ck_assert_int_eq(file_replace(at, name, "D", 1, 0600, NO_GROUP), 0);
	expect_content(name, "D");
	ck_assert_uint_eq(entries(at), 4);
	ck_assert_int_eq(file_replace(at, "dir/", "C", 1, 0600, NO_GROUP), -EINVAL);
	ck_assert_int_eq(file_replace(at, "no/c", "C", 1, 0600, NO_GROUP), -ENOENT);
	leave();
}
END_TEST

/* The disk is full: SIGXFSZ ignored, EFBIG stands for ENOSPC. */
START_TEST(a_failed_write_changes_nothing)
{
	const struct rlimit small = { 1000, RLIM_INFINITY };
	const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
	static char large[5000];

	enter();
	memset(large, 'x', sizeof(large));
	ck_assert_int_eq(file_create(at, "a", "old", 3, 0600, NO_GROUP), 0);
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	ck_assert_int_eq(
	    file_replace(at, "a", large, sizeof(large), 0600, NO_GROUP), -EFBIG);
	ck_assert_int_eq(
	    file_create(at, "b", large, sizeof(large), 0600, NO_GROUP), -EFBIG);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
	expect_content("a", "old");
	ck_assert_uint_eq(entries(at), 1);
	leave();
}
END_TEST

static atomic_bool watching;

/* Whoever sees content under any name must see the final mode with it. */
static void *
watch_modes(void *arg)
{
	size_t *wrong = arg;

	while (watching) {
		DIR *d = opendir(place);
		struct dirent *entry;
		struct stat st;

		while (d != NULL && (entry = readdir(d)) != NULL)
			if (fstatat(dirfd(d), entry->d_name, &st, 0) == 0 &&
			    S_ISREG(st.st_mode) && st.st_size > 0 &&
			    (st.st_mode & 07777) != 0440)
				++*wrong;
		closedir(d);
	}
	return NULL;
}

START_TEST(mode_comes_before_content)
{
	const size_t size = 2 << 20;
	_cleanup_free_ char *large = calloc(1, size);
	pthread_t watcher;
	size_t wrong = 0;

	enter();
	watching = true;
	ck_assert_int_eq(pthread_create(&watcher, NULL, watch_modes, &wrong), 0);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(file_replace(at, "a", large, size, 0440, NO_GROUP), 0);
	watching = false;
	pthread_join(watcher, NULL);
	ck_assert_uint_eq(wrong, 0);
	leave();
}
END_TEST

START_TEST(link_replaces_links_only)
{
	char to[64];
	ssize_t n;

	enter();
	ck_assert_int_eq(file_link(at, "link", "one"), 0);
	ck_assert_int_eq(file_link(at, "link", "two"), 0);
	n = readlinkat(at, "link", to, sizeof(to));
	ck_assert_int_eq(n, 3);
	ck_assert_int_eq(memcmp(to, "two", 3), 0);
	ck_assert_uint_eq(entries(at), 1);
	ck_assert_int_eq(file_create(at, "file", "x", 1, 0600, NO_GROUP), 0);
	ck_assert_int_eq(mkdirat(at, "dir", 0700), 0);
	ck_assert_int_eq(file_link(at, "file", "one"), -EEXIST);
	ck_assert_int_eq(file_link(at, "dir", "one"), -EEXIST);
	expect_content("file", "x");
	ck_assert_uint_eq(entries(at), 3);
	leave();
}
END_TEST

START_TEST(dirs_are_made_with_their_mode)
{
	mode_t before = umask(0077);
	char path[128];

	enter();
	snprintf(path, sizeof(path), "%s/a//b/c/", place);
	ck_assert_int_eq(file_make_dirs(path, 0755), 0);
	ck_assert_int_eq(file_make_dirs(path, 0700), 0);
	ck_assert_uint_eq(mode_of("a"), 0755);
	ck_assert_uint_eq(mode_of("a/b"), 0755);
	ck_assert_uint_eq(mode_of("a/b/c"), 0755);
	ck_assert_int_eq(file_create(at, "file", "x", 1, 0600, NO_GROUP), 0);
	snprintf(path, sizeof(path), "%s/file/d", place);
	ck_assert_int_eq(file_make_dirs(path, 0755), -ENOTDIR);
	snprintf(path, sizeof(path), "%s/file", place);
	ck_assert_int_eq(file_make_dirs(path, 0755), -ENOTDIR);
	ck_assert_int_eq(file_make_dirs("", 0755), -ENOENT);
	ck_assert_int_eq(file_make_dirs("/", 0755), 0);
	umask(before);
	leave();
}
END_TEST

START_TEST(remove_tree_stays_inside)
{
	enter();
	ck_assert_int_eq(mkdirat(at, "keep", 0700), 0);
	ck_assert_int_eq(file_create(at, "keep/file", "x", 1, 0600, NO_GROUP), 0);
	ck_assert_int_eq(mkdirat(at, "tree", 0700), 0);
	ck_assert_int_eq(mkdirat(at, "tree/sub", 0700), 0);
	ck_assert_int_eq(file_create(at, "tree/sub/file", "x", 1, 0000, NO_GROUP), 0);
	ck_assert_int_eq(symlinkat("../keep", at, "tree/link"), 0);
	ck_assert_int_eq(symlinkat("keep", at, "root"), 0);
	ck_assert_int_eq(file_remove_tree(at, "tree"), 0);
	ck_assert_int_eq(faccessat(at, "tree", F_OK, 0), -1);
	ck_assert_int_eq(file_remove_tree(at, "tree"), 0);
	/* Neither a link to a directory nor a file is a directory. */
	ck_assert_int_eq(file_remove_tree(at, "root"), -ENOTDIR);
	ck_assert_int_eq(file_remove_tree(at, "keep/file"), -ENOTDIR);
	expect_content("keep/file", "x");
	leave();
}
END_TEST

START_TEST(sync_says_what_is_no_directory)
{
	enter();
	ck_assert_int_eq(file_sync_dir(at, "."), 0);
	ck_assert_int_eq(file_sync_dir(at, "none"), -ENOENT);
	ck_assert_int_eq(file_create(at, "file", "x", 1, 0600, NO_GROUP), 0);
	ck_assert_int_eq(file_sync_dir(at, "file"), -ENOTDIR);
	leave();
}
END_TEST

SUITE("file", read_keeps_its_bounds, read_takes_regular_files_only,
    read_doesnt_trust_the_size, modes_dont_depend_on_the_umask, group_is_set,
    create_never_overwrites, replace_leaves_nothing_beside,
    a_failed_write_changes_nothing, mode_comes_before_content, link_replaces_links_only,
    dirs_are_made_with_their_mode, remove_tree_stays_inside,
    sync_says_what_is_no_directory)
