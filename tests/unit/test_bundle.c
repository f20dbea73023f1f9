/*
 * test_bundle.c - what web servers read: the right files, switched as a whole, and
 * never worse after something went wrong.
 */
#include "suite.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "acme.h"
#include "bundle/bundle.h"
#include "cert.h"
#include "key.h"
#include "platform/file.h"
#include "rfc_keys.h"

#define NO_GROUP ((gid_t)-1)
#define NOON     1795410000

DEFINE_CLEANUP(struct bundles, bundles_close)

static char place[64]; /* each test has a directory of its own... */
static int at = -1;    /* ...open here */
static struct bundles *bundles;

static struct acme_key *
parse_key(const char *pem)
{
	struct acme_key *key;

	ck_assert_int_eq(acme_key_from_pem(pem, strlen(pem), &key), 0);
	return key;
}

/* Self-signed, with one more certificate behind it as its issuer: nobody checks here.
 * `serial` makes it another one. To be freed. */
static char *
issue(const char *key_pem, int serial)
{
	static const struct acme_identifier name = { ACME_IDENTIFIER_DNS,
		"example.net" };
	static const struct acme_identifier issuer = { ACME_IDENTIFIER_DNS,
		"ca.example" };
	_cleanup_(acme_key_freep) struct acme_key *key = parse_key(key_pem);
	_cleanup_(acme_key_freep) struct acme_key *ca = parse_key(ec_example);
	_cleanup_free_ char *leaf = NULL, *top = NULL;
	char *chain;

	ck_assert_int_eq(
	    acme_placeholder_new(key, &name, 1, NOON + serial, 86400, &leaf), 0);
	ck_assert_int_eq(acme_placeholder_new(ca, &issuer, 1, NOON, 86400, &top), 0);
	ck_assert_int_gt(asprintf(&chain, "%s%s", leaf, top), 0);
	return chain;
}

static struct bundle_pair
make_pair(bool rsa, int serial)
{
	const char *key = rsa ? rsa_example : ec_example;

	return (struct bundle_pair){ rsa ? ACME_KEY_RSA_2048 : ACME_KEY_ECDSA_P256, key,
		issue(key, serial), false };
}

static void
free_pair(struct bundle_pair *pair)
{
	free((char *)pair->chain_pem);
}

static void
enter(void)
{
	char path[128];

	snprintf(place, sizeof(place), "/tmp/renewd-test-bundle.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(place));
	ck_assert_int_eq(chmod(place, 0755), 0);
	at = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s/live", place);
	ck_assert_int_eq(bundles_open(path, &bundles), 0);
}

static void
leave(void)
{
	bundles = bundles_close(bundles);
	close(at);
	ck_assert_int_eq(file_remove_tree(AT_FDCWD, place), 0);
}

/* Names in a directory, sorted, each with a blank. */
static const char *
list(const char *path)
{
	static char text[2048];
	struct dirent **entries;
	int n = scandirat(at, path, &entries, NULL, alphasort);

	text[0] = '\0';
	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;

		if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
			strncat(text, name, sizeof(text) - strlen(text) - 2);
			strncat(text, " ", 2);
		}
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	return text;
}

static const char *
target(const char *path)
{
	static char to[512];
	ssize_t n = readlinkat(at, path, to, sizeof(to) - 1);

	to[n < 0 ? 0 : n] = '\0';
	return to;
}

static char *
slurp(const char *path)
{
	char *text = NULL;
	int r = file_read(at, path, 1 << 20, &text, NULL);

	ck_assert_msg(r == 0, "%s: %s", path, strerror(-r));
	return text;
}

static void
expect_text(const char *path, const char *expected)
{
	_cleanup_free_ char *text = slurp(path);

	ck_assert_str_eq(text, expected);
}

/* Does every link in the flat directory lead to a file? */
static void
expect_no_dangling(void)
{
	DIR *d = fdopendir(openat(at, "haproxy", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *entry;

	ck_assert_ptr_nonnull(d);
	while ((entry = readdir(d)) != NULL)
		ck_assert_msg(faccessat(dirfd(d), entry->d_name, F_OK, 0) == 0, "%s",
		    entry->d_name);
	closedir(d);
}

static struct stat
stat_of(const char *path)
{
	struct stat st;

	ck_assert_msg(fstatat(at, path, &st, AT_SYMLINK_NOFOLLOW) == 0, "%s", path);
	return st;
}

static struct bundle
single(const struct bundle_pair *pair)
{
	return (struct bundle){ "example.net", pair, 1, false, 0640, NO_GROUP };
}

static struct bundle
dual(const struct bundle_pair *pairs, size_t count)
{
	return (struct bundle){ "example.net", pairs, count, true, 0640, NO_GROUP };
}

/* Texts of one kind from a chain, as acme.h gives them. */
static void
expect_parts(const char *kind, const struct bundle_pair *pair)
{
	_cleanup_(acme_key_freep) struct acme_key *key = parse_key(pair->key_pem);
	_cleanup_(acme_chain_freep) struct acme_chain *chain = NULL;
	_cleanup_free_ char *cert = NULL, *rest = NULL, *full = NULL, *pem = NULL;
	char path[64];

	ck_assert_int_eq(
	    acme_chain_parse(pair->chain_pem, strlen(pair->chain_pem), &chain, NULL),
	    0);
	ck_assert_int_eq(acme_chain_pem(chain, 0, &cert), 0);
	ck_assert_int_eq(acme_chain_pem_from(chain, 1, &rest), 0);
	ck_assert_int_eq(acme_chain_pem_from(chain, 0, &full), 0);
	ck_assert_int_eq(acme_key_to_pem(key, &pem), 0);
	snprintf(path, sizeof(path), "live/example.net/cert%s.pem", kind);
	expect_text(path, cert);
	snprintf(path, sizeof(path), "live/example.net/chain%s.pem", kind);
	expect_text(path, rest);
	snprintf(path, sizeof(path), "live/example.net/fullchain%s.pem", kind);
	expect_text(path, full);
	snprintf(path, sizeof(path), "live/example.net/privkey%s.pem", kind);
	expect_text(path, pem);
}

static void
expect_haproxy(const char *path, const struct bundle_pair *pair)
{
	char *expected;

	ck_assert_int_eq(bundle_haproxy_pem(pair, &expected, NULL), 0);
	expect_text(path, expected);
	ck_assert_int_eq(strncmp(expected, "-----BEGIN CERTIFICATE-----\n", 28), 0);
	ck_assert_ptr_nonnull(strstr(expected, "\n-----BEGIN PRIVATE KEY-----\n"));
	free(expected);
}

START_TEST(single_layout)
{
	_cleanup_(free_pair) struct bundle_pair pair = make_pair(false, 1);
	struct bundle b = single(&pair);

	enter();
	ck_assert(!bundle_intact(bundles, &b));
	ck_assert_int_eq(bundle_write(bundles, &b), 0);
	ck_assert_str_eq(target("live/example.net"), ".generations/example.net/1");
	ck_assert_str_eq(list("live/example.net"),
	    "cert.pem chain.pem fullchain.pem haproxy.pem privkey.pem ");
	ck_assert_str_eq(list("haproxy"), "example.net.pem ");
	ck_assert_str_eq(
	    target("haproxy/example.net.pem"), "../live/example.net/haproxy.pem");
	expect_parts("", &pair);
	expect_haproxy("haproxy/example.net.pem", &pair);
	ck_assert(bundle_intact(bundles, &b));
	leave();
}
END_TEST

START_TEST(dual_layout)
{
	struct bundle_pair pairs[2] = { make_pair(false, 1), make_pair(true, 2) };
	struct bundle b = dual(pairs, 2);

	enter();
	ck_assert_int_eq(bundle_write(bundles, &b), 0);
	ck_assert_str_eq(list("live/example.net"),
	    "cert.ecdsa.pem cert.pem cert.rsa.pem chain.ecdsa.pem chain.pem chain.rsa.pem "
	    "fullchain.ecdsa.pem fullchain.pem fullchain.rsa.pem haproxy.pem.ecdsa "
	    "haproxy.pem.rsa privkey.ecdsa.pem privkey.pem privkey.rsa.pem ");
	ck_assert_str_eq(list("haproxy"), "example.net.pem.ecdsa example.net.pem.rsa ");
	expect_parts("", &pairs[0]);
	expect_parts(".ecdsa", &pairs[0]);
	expect_parts(".rsa", &pairs[1]);
	expect_haproxy("haproxy/example.net.pem.ecdsa", &pairs[0]);
	expect_haproxy("haproxy/example.net.pem.rsa", &pairs[1]);
	ck_assert(bundle_intact(bundles, &b));
	free_pair(&pairs[0]);
	free_pair(&pairs[1]);
	leave();
}
END_TEST

START_TEST(dual_with_one_issued)
{
	_cleanup_(free_pair) struct bundle_pair pair = make_pair(true, 1);
	struct bundle b = dual(&pair, 1);

	enter();
	ck_assert_int_eq(bundle_write(bundles, &b), 0);
	ck_assert_str_eq(list("live/example.net"),
	    "cert.pem cert.rsa.pem chain.pem chain.rsa.pem fullchain.pem "
	    "fullchain.rsa.pem haproxy.pem.rsa privkey.pem privkey.rsa.pem ");
	ck_assert_str_eq(list("haproxy"), "example.net.pem.rsa ");
	leave();
}
END_TEST

static atomic_bool watching;
static atomic_uint dangling;

/* A link that is there before and after, and leads nowhere between. */
static bool
dangles(int dirfd, const char *name)
{
	struct stat before, after;

	return fstatat(dirfd, name, &before, AT_SYMLINK_NOFOLLOW) == 0 &&
	    faccessat(dirfd, name, F_OK, 0) < 0 &&
	    fstatat(dirfd, name, &after, AT_SYMLINK_NOFOLLOW) == 0 &&
	    before.st_ino == after.st_ino;
}

static void *
watch_links(void *arg)
{
	static const char *const names[] = { "example.net.pem", "example.net.pem.ecdsa",
		"example.net.pem.rsa" };
	const struct timespec nap = { .tv_nsec = 1000 };
	_cleanup_close_ int fd =
	    openat(at, "haproxy", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	while (watching) {
		for (size_t i = 0; i < ELEMENTS(names); i++)
			dangling += dangles(fd, names[i]);
		nanosleep(&nap, NULL); /* valgrind runs one thread at a time */
	}
	return arg;
}

START_TEST(kinds_change_without_dangling)
{
	struct bundle_pair pairs[2] = { make_pair(true, 1), make_pair(false, 2) };
	struct bundle one = single(&pairs[1]), two = dual(pairs, 2),
		      half = dual(pairs, 1);
	const struct bundle *const steps[] = { &one, &two, &half, &two, &one, &half };
	pthread_t watcher;

	enter();
	watching = true;
	ck_assert_int_eq(pthread_create(&watcher, NULL, watch_links, NULL), 0);
	for (size_t i = 0; i < 3 * ELEMENTS(steps); i++) {
		const struct bundle *b = steps[i % ELEMENTS(steps)];

		ck_assert_int_eq(bundle_write(bundles, b), 0);
		ck_assert(bundle_intact(bundles, b));
		expect_no_dangling();
	}
	watching = false;
	pthread_join(watcher, NULL);
	ck_assert_uint_eq(dangling, 0);
	ck_assert_str_eq(list("haproxy"), "example.net.pem.rsa ");
	free_pair(&pairs[0]);
	free_pair(&pairs[1]);
	leave();
}
END_TEST

START_TEST(one_generation_before_is_kept)
{
	enter();
	for (int i = 1; i <= 4; i++) {
		_cleanup_(free_pair) struct bundle_pair pair = make_pair(false, i);
		struct bundle b = single(&pair);

		ck_assert_int_eq(bundle_write(bundles, &b), 0);
		/* The same again is no new generation. */
		ck_assert_int_eq(bundle_write(bundles, &b), 0);
	}
	ck_assert_str_eq(target("live/example.net"), ".generations/example.net/4");
	ck_assert_str_eq(list("live/.generations/example.net"), "3 4 ");
	leave();
}
END_TEST

START_TEST(modes_and_group)
{
	static const struct {
		mode_t mode, dir;
	} table[] = { { 0600, 0700 }, { 0640, 0750 }, { 0644, 0755 }, { 0440, 0750 } };
	_cleanup_(free_pair) struct bundle_pair pair = make_pair(false, 1);
	gid_t group = geteuid() == 0 ? 54321 : getegid();
	mode_t before = umask(0077);

	enter();
	for (size_t i = 0; i < ELEMENTS(table); i++) {
		struct bundle b = single(&pair);
		char path[64];

		b.mode = table[i].mode;
		b.group = group;
		ck_assert(!bundle_intact(bundles, &b));
		ck_assert_int_eq(bundle_write(bundles, &b), 0);
		ck_assert(bundle_intact(bundles, &b));
		snprintf(
		    path, sizeof(path), "live/.generations/example.net/%zu", i + 1);
		ck_assert_uint_eq(stat_of(path).st_mode & 07777, table[i].dir);
		ck_assert_uint_eq(stat_of(path).st_gid, group);
		snprintf(path, sizeof(path), "live/example.net/privkey.pem");
		ck_assert_uint_eq(stat_of(path).st_mode & 07777, table[i].mode);
		ck_assert_uint_eq(stat_of(path).st_gid, group);
		snprintf(path, sizeof(path), "live/example.net/fullchain.pem");
		ck_assert_uint_eq(stat_of(path).st_mode & 07777, table[i].mode);
	}
	/* Servers run as others and have to pass. */
	ck_assert_uint_eq(stat_of("live").st_mode & 07777, 0755);
	ck_assert_uint_eq(stat_of("live/.generations").st_mode & 07777, 0755);
	ck_assert_uint_eq(
	    stat_of("live/.generations/example.net").st_mode & 07777, 0755);
	ck_assert_uint_eq(stat_of("haproxy").st_mode & 07777, 0755);
	umask(before);
	leave();
}
END_TEST

/* ---- readers while it changes --------------------------------------------------- */

static atomic_bool reading;
static atomic_uint rounds;
static atomic_uint failures;

static char *whole[2]; /* chain and key of the two sets that are switched */

/* One look at the set, as a careful server takes it: directory first. */
static bool
read_set(void)
{
	_cleanup_close_ int fd =
	    openat(at, "live/example.net", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_free_ char *chain = NULL, *pem = NULL, *bundle = NULL, *joined = NULL;

	if (fd < 0 || file_read(fd, "fullchain.pem", 1 << 16, &chain, NULL) < 0 ||
	    file_read(fd, "privkey.pem", 1 << 16, &pem, NULL) < 0 ||
	    file_read(fd, "haproxy.pem", 1 << 16, &bundle, NULL) < 0 ||
	    asprintf(&joined, "%s%s", chain, pem) < 0)
		return false;
	return strcmp(joined, bundle) == 0 &&
	    (strcmp(joined, whole[0]) == 0 || strcmp(joined, whole[1]) == 0);
}

static void *
read_always(void *arg)
{
	while (reading) {
		_cleanup_free_ char *flat = NULL;

		if (!read_set() ||
		    file_read(at, "haproxy/example.net.pem", 1 << 16, &flat, NULL) < 0)
			failures++;
		rounds++;
	}
	return arg;
}

/* A reader that is as slow as two whole switches could find its directory gone; real
 * ones take microseconds. So each switch waits until those who read before are done. */
static void
wait_round(void)
{
	const struct timespec nap = { .tv_nsec = 50000 };
	unsigned seen = rounds;

	while (rounds == seen)
		nanosleep(&nap, NULL); /* between two looks */
}

START_TEST(readers_see_whole_sets)
{
	struct bundle_pair pairs[2] = { make_pair(false, 1), make_pair(false, 2) };
	struct bundle set[2] = { single(&pairs[0]), single(&pairs[1]) };
	_cleanup_(acme_key_freep) struct acme_key *key = NULL;
	_cleanup_free_ char *pem = NULL;
	pthread_t reader;

	enter();
	/* Another key, so that a mixed pair would be noticed. */
	ck_assert_int_eq(acme_key_generate(ACME_KEY_ECDSA_P256, &key), 0);
	ck_assert_int_eq(acme_key_to_pem(key, &pem), 0);
	free_pair(&pairs[1]);
	pairs[1] =
	    (struct bundle_pair){ ACME_KEY_ECDSA_P256, pem, issue(pem, 2), false };
	ck_assert_int_eq(bundle_write(bundles, &set[1]), 0);
	for (size_t i = 0; i < 2; i++)
		ck_assert_int_eq(bundle_haproxy_pem(&pairs[i], &whole[i], NULL), 0);
	reading = true;
	ck_assert_int_eq(pthread_create(&reader, NULL, read_always, NULL), 0);
	for (int i = 0; i < 200; i++) {
		ck_assert_int_eq(bundle_write(bundles, &set[i % 2]), 0);
		wait_round();
	}
	reading = false;
	pthread_join(reader, NULL);
	ck_assert_uint_eq(failures, 0);
	ck_assert_uint_ge(rounds, 200);
	ck_assert_str_eq(target("live/example.net"), ".generations/example.net/201");
	for (size_t i = 0; i < 2; i++) {
		free_pair(&pairs[i]);
		free(whole[i]);
	}
	leave();
}
END_TEST

/* ---- what goes wrong ------------------------------------------------------------ */

START_TEST(leftovers_are_cleaned_up)
{
	_cleanup_(free_pair) struct bundle_pair pair = make_pair(false, 1);
	_cleanup_(free_pair) struct bundle_pair next = make_pair(false, 2);
	struct bundle b = single(&pair), c = single(&next);
	const char *const dir = "live/.generations/example.net";
	char path[128];

	enter();
	ck_assert_int_eq(bundle_write(bundles, &b), 0);
	/* Killed while writing, and between writing and switching. */
	snprintf(path, sizeof(path), "%s/.new", dir);
	ck_assert_int_eq(mkdirat(at, path, 0700), 0);
	snprintf(path, sizeof(path), "%s/.new/privkey.pem", dir);
	ck_assert_int_eq(file_create(at, path, "half", 4, 0600, NO_GROUP), 0);
	snprintf(path, sizeof(path), "%s/9", dir);
	ck_assert_int_eq(mkdirat(at, path, 0700), 0);
	ck_assert_int_eq(bundle_write(bundles, &c), 0);
	ck_assert_str_eq(target("live/example.net"), ".generations/example.net/10");
	ck_assert_str_eq(list(dir), "1 10 ");
	/* Killed between making a link and moving it in. */
	ck_assert_int_eq(
	    symlinkat(".generations/x/1", at, "live/.example.net.aB3dEf"), 0);
	ck_assert_int_eq(
	    symlinkat("../live/x/haproxy.pem", at, "haproxy/.x.pem.aB3dEf"), 0);
	ck_assert_int_eq(symlinkat("elsewhere", at, "haproxy/.mine.aB3dEf"), 0);
	bundles_close(bundles);
	snprintf(path, sizeof(path), "%s/live", place);
	ck_assert_int_eq(bundles_open(path, &bundles), 0);
	ck_assert_str_eq(list("live"), ".generations example.net ");
	ck_assert_str_eq(list("haproxy"), ".mine.aB3dEf example.net.pem ");
	ck_assert(bundle_intact(bundles, &c));
	leave();
}
END_TEST

static void
truncate_key(void)
{
	int fd = openat(at, "live/example.net/privkey.pem", O_WRONLY | O_CLOEXEC);

	ck_assert_int_eq(ftruncate(fd, 100), 0);
	close(fd);
}

static void
change_byte(void)
{
	int fd = openat(at, "live/example.net/fullchain.pem", O_WRONLY | O_CLOEXEC);

	ck_assert_int_eq(pwrite(fd, "#", 1, 50), 1);
	close(fd);
}

static void
remove_file(void)
{
	ck_assert_int_eq(unlinkat(at, "live/example.net/chain.pem", 0), 0);
}

static void
add_file(void)
{
	ck_assert_int_eq(
	    file_create(at, "live/example.net/x.pem", "x", 1, 0640, NO_GROUP), 0);
}

static void
open_key(void)
{
	ck_assert_int_eq(fchmodat(at, "live/example.net/privkey.pem", 0644, 0), 0);
}

static void
close_dir(void)
{
	ck_assert_int_eq(
	    fchmodat(at, "live/example.net", 0700, 0), 0); /* through the link */
}

static void
remove_link(void)
{
	ck_assert_int_eq(unlinkat(at, "live/example.net", 0), 0);
}

static void
remove_generation(void)
{
	char path[1024];

	snprintf(path, sizeof(path), "live/%s", target("live/example.net"));
	ck_assert_int_eq(file_remove_tree(at, path), 0);
}

static void
remove_generations(void)
{
	ck_assert_int_eq(file_remove_tree(at, "live/.generations/example.net"), 0);
}

static void
remove_flat_link(void)
{
	ck_assert_int_eq(unlinkat(at, "haproxy/example.net.pem", 0), 0);
}

static void
mislead_flat_link(void)
{
	ck_assert_int_eq(file_link(at, "haproxy/example.net.pem", "../old/x"), 0);
}

static void
add_flat_link(void)
{
	ck_assert_int_eq(symlinkat("../live/example.net/haproxy.pem.rsa", at,
			     "haproxy/example.net.pem.rsa"),
	    0);
}

static void
key_becomes_link(void)
{
	ck_assert_int_eq(renameat(at, "live/example.net/privkey.pem", at, "stolen"), 0);
	ck_assert_int_eq(
	    symlinkat("../../../../stolen", at, "live/example.net/privkey.pem"), 0);
}

START_TEST(damage_is_found_and_repaired)
{
	static void (*const damages[])(void) = { truncate_key, change_byte, remove_file,
		add_file, open_key, close_dir, remove_link, remove_generation,
		remove_generations, remove_flat_link, mislead_flat_link, add_flat_link,
		key_becomes_link };
	_cleanup_(free_pair) struct bundle_pair pair = make_pair(false, 1);
	struct bundle b = single(&pair);

	enter();
	ck_assert_int_eq(bundle_write(bundles, &b), 0);
	for (size_t i = 0; i < ELEMENTS(damages); i++) {
		ck_assert_msg(bundle_intact(bundles, &b), "before damage %zu", i);
		damages[i]();
		ck_assert_msg(!bundle_intact(bundles, &b), "damage %zu not seen", i);
		ck_assert_int_eq(bundle_write(bundles, &b), 0);
		expect_no_dangling();
	}
	ck_assert(bundle_intact(bundles, &b));
	expect_parts("", &pair);
	leave();
}
END_TEST

/* Everything below place, as text: names, modes, link targets, contents. */
static void
describe(int dirfd, FILE *out)
{
	struct dirent **entries;
	int n = scandirat(dirfd, ".", &entries, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;
		_cleanup_free_ char *text = NULL;
		_cleanup_close_ int fd = -1;
		char to[512] = "";
		struct stat st;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
		    fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			free(entries[i]);
			continue;
		}
		if (S_ISLNK(st.st_mode))
			ck_assert_int_gt(
			    readlinkat(dirfd, name, to, sizeof(to) - 1), 0);
		else if (S_ISREG(st.st_mode))
			ck_assert_int_eq(
			    file_read(dirfd, name, 1 << 20, &text, NULL), 0);
		fprintf(out, "%s %o %s %s\n", name, st.st_mode, to, text ? text : "");
		if (S_ISDIR(st.st_mode)) {
			fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			describe(fd, out);
		}
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

static char *
snapshot(void)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	describe(at, out);
	fclose(out);
	return text;
}

/* The texts are too long for check's messages. */
static void
expect_same(const char *before, const char *after)
{
	size_t same = 0;

	while (before[same] != '\0' && before[same] == after[same])
		same++;
	while (same > 0 && before[same - 1] != '\n')
		same--;
	ck_assert_msg(strcmp(before, after) == 0, "was %.100s\nis %.100s",
	    before + same, after + same);
}

static void
expect_refused(const struct bundle *b, int error)
{
	_cleanup_free_ char *before = snapshot(), *after = NULL;

	ck_assert_int_eq(bundle_write(bundles, b), error);
	ck_assert(!bundle_intact(bundles, b));
	after = snapshot();
	expect_same(before, after);
}

START_TEST(bad_input_touches_nothing)
{
	static const char *const names[] = { "", ".", "..", ".generations", "a/b",
		"../a", "-a", "a b", "a\n" };
	struct bundle_pair pairs[2] = { make_pair(false, 1), make_pair(false, 2) };
	_cleanup_(free_pair) struct bundle_pair rsa = make_pair(true, 3);
	struct bundle_pair swapped = { ACME_KEY_ECDSA_P256, ec_example, rsa.chain_pem,
		false };
	struct bundle_pair mislabelled = { ACME_KEY_RSA_2048, ec_example,
		pairs[0].chain_pem, false };
	struct bundle_pair broken = { ACME_KEY_ECDSA_P256, "no key", pairs[0].chain_pem,
		false };
	struct bundle_pair empty = { ACME_KEY_ECDSA_P256, ec_example, "", false };
	struct bundle_pair both[2] = { pairs[0], rsa };
	struct bundle b;
	char name[202];

	enter();
	for (size_t i = 0; i < ELEMENTS(names); i++) {
		b = single(&pairs[0]);
		b.name = names[i];
		expect_refused(&b, -EINVAL);
		ck_assert_int_eq(bundle_remove(bundles, names[i]), -EINVAL);
	}
	memset(name, 'a', sizeof(name) - 1);
	name[201] = '\0';
	b.name = name;
	expect_refused(&b, -EINVAL);
	b = single(&swapped);
	expect_refused(&b, -EKEYREJECTED);
	b = single(&mislabelled);
	expect_refused(&b, -EKEYREJECTED);
	b = single(&broken);
	expect_refused(&b, -EBADMSG);
	b = single(&empty);
	expect_refused(&b, -EBADMSG);
	b = dual(pairs, 2); /* both ECDSA */
	expect_refused(&b, -EINVAL);
	b = dual(both, 2);
	b.dual = false;
	expect_refused(&b, -EINVAL);
	b.pair_count = 0;
	expect_refused(&b, -EINVAL);
	free_pair(&pairs[0]);
	free_pair(&pairs[1]);
	leave();
}
END_TEST

START_TEST(longest_name_fits)
{
	_cleanup_(free_pair) struct bundle_pair pair = make_pair(false, 1);
	struct bundle b = dual(&pair, 1);
	char name[201];

	memset(name, 'n', sizeof(name) - 1);
	name[200] = '\0';
	b.name = name;
	enter();
	ck_assert_int_eq(bundle_write(bundles, &b), 0);
	ck_assert(bundle_intact(bundles, &b));
	expect_no_dangling();
	ck_assert_int_eq(bundle_remove(bundles, name), 0);
	leave();
}
END_TEST

START_TEST(others_files_are_left_alone)
{
	_cleanup_(free_pair) struct bundle_pair pair = make_pair(false, 1);
	struct bundle b = single(&pair);

	enter();
	ck_assert_int_eq(mkdirat(at, "live/example.net", 0755), 0);
	expect_refused(&b, -EEXIST);
	ck_assert_int_eq(bundle_remove(bundles, "example.net"), -EEXIST);
	ck_assert_int_eq(unlinkat(at, "live/example.net", AT_REMOVEDIR), 0);
	ck_assert_int_eq(symlinkat("/etc/ssl/example.net", at, "live/example.net"), 0);
	expect_refused(&b, -EEXIST);
	ck_assert_int_eq(bundle_remove(bundles, "example.net"), -EEXIST);
	ck_assert_int_eq(
	    file_link(at, "live/example.net", ".generations/example.net/../other/1"),
	    0);
	expect_refused(&b, -EEXIST);
	ck_assert_int_eq(unlinkat(at, "live/example.net", 0), 0);
	/* An administrator's own bundle in the flat directory. */
	ck_assert_int_eq(
	    file_create(at, "haproxy/example.net.pem", "mine", 4, 0600, NO_GROUP), 0);
	expect_refused(&b, -EEXIST);
	ck_assert_int_eq(bundle_remove(bundles, "example.net"), 0);
	expect_text("haproxy/example.net.pem", "mine");
	leave();
}
END_TEST

START_TEST(a_full_disk_changes_nothing)
{
	_cleanup_(free_pair) struct bundle_pair pair = make_pair(false, 1);
	_cleanup_(free_pair) struct bundle_pair next = make_pair(false, 2);
	struct bundle b = single(&pair), c = single(&next);
	struct rlimit small = { 300, RLIM_INFINITY };

	enter();
	ck_assert_int_eq(bundle_write(bundles, &b), 0);
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	expect_refused(&c, -EFBIG);
	small.rlim_cur = RLIM_INFINITY;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	ck_assert(bundle_intact(bundles, &b));
	ck_assert_int_eq(bundle_write(bundles, &c), 0);
	ck_assert_str_eq(list("live/.generations/example.net"), "1 2 ");
	leave();
}
END_TEST

/* From one kind of keys to the other, with each directory in turn not writable. */
START_TEST(a_failed_switch_is_taken_back)
{
	static const char *const dirs[] = { "live", "haproxy", "live/.generations",
		"live/.generations/example.net" };
	struct bundle_pair pairs[2] = { make_pair(true, 1), make_pair(false, 2) };
	struct bundle one = single(&pairs[0]), two = dual(pairs, 2);
	char path[128];

	enter();
	if (geteuid() == 0) {
		/* Root may write everywhere. */
		ck_assert_int_eq(chown(place, 65534, (gid_t)-1), 0);
		bundles_close(bundles);
		ck_assert_int_eq(file_remove_tree(at, "live"), 0);
		ck_assert_int_eq(file_remove_tree(at, "haproxy"), 0);
		ck_assert_int_eq(seteuid(65534), 0);
		snprintf(path, sizeof(path), "%s/live", place);
		ck_assert_int_eq(bundles_open(path, &bundles), 0);
	}
	ck_assert_int_eq(bundle_write(bundles, &one), 0);
	for (size_t i = 0; i < ELEMENTS(dirs); i++) {
		_cleanup_free_ char *before = NULL, *after = NULL;
		int r;

		/* The directory of the generations is made 0755 again by each write. */
		ck_assert_int_eq(fchmodat(at, dirs[i], 0555, 0), 0);
		before = snapshot();
		r = bundle_write(bundles, &two);
		after = snapshot();
		ck_assert_int_eq(fchmodat(at, dirs[i], 0755, 0), 0);
		if (i < 2) {
			ck_assert_int_eq(r, -EACCES);
			expect_same(before, after);
		} else {
			ck_assert_int_eq(r, 0);
			ck_assert_int_eq(bundle_write(bundles, &one), 0);
		}
		expect_no_dangling();
		ck_assert(bundle_intact(bundles, &one));
	}
	free_pair(&pairs[0]);
	free_pair(&pairs[1]);
	ck_assert_int_eq(seteuid(getuid()), 0);
	prctl(PR_SET_DUMPABLE, 1); /* seteuid() has taken it; LSan wants it */
	leave();
}
END_TEST

/* The last step fails: the switch has happened, and has to be undone. */
START_TEST(a_switch_is_undone)
{
	struct bundle_pair pairs[2] = { make_pair(true, 1), make_pair(false, 2) };
	struct bundle one = single(&pairs[1]), two = dual(pairs, 2);
	_cleanup_free_ char *before = NULL, *after = NULL;

	enter();
	ck_assert_int_eq(bundle_write(bundles, &one), 0);
	ck_assert_int_eq(file_remove_tree(at, "haproxy"), 0);
	before = snapshot();
	ck_assert_int_eq(bundle_write(bundles, &two), -ENOENT);
	after = snapshot();
	expect_same(before, after);
	free_pair(&pairs[0]);
	free_pair(&pairs[1]);
	leave();
}
END_TEST

START_TEST(remove_takes_all_of_one)
{
	struct bundle_pair pairs[2] = { make_pair(true, 1), make_pair(false, 2) };
	struct bundle b = dual(pairs, 2), other = single(&pairs[0]);

	enter();
	other.name = "example.net.pem"; /* as close as names get */
	ck_assert_int_eq(bundle_write(bundles, &b), 0);
	ck_assert_int_eq(bundle_write(bundles, &other), 0);
	ck_assert_int_eq(bundle_remove(bundles, "example.net"), 0);
	ck_assert_str_eq(list("live"), ".generations example.net.pem ");
	ck_assert_str_eq(list("live/.generations"), "example.net.pem ");
	ck_assert_str_eq(list("haproxy"), "example.net.pem.pem ");
	ck_assert(bundle_intact(bundles, &other));
	ck_assert_int_eq(bundle_remove(bundles, "example.net"), 0);
	ck_assert_int_eq(bundle_write(bundles, &b), 0);
	ck_assert(bundle_intact(bundles, &b));
	free_pair(&pairs[0]);
	free_pair(&pairs[1]);
	leave();
}
END_TEST

/* ---- directories ---------------------------------------------------------------- */

START_TEST(paths_are_absolute)
{
	_cleanup_(bundles_closep) struct bundles *relative = NULL;
	_cleanup_free_ char *path = NULL, *other = NULL;
	char expected[128];

	enter();
	snprintf(expected, sizeof(expected), "%s/live/example.net", place);
	path = bundle_path(bundles, "example.net");
	ck_assert_str_eq(path, expected);
	ck_assert_int_eq(fchdir(at), 0);
	ck_assert_int_eq(bundles_open("deep/er/live///", &relative), 0);
	snprintf(expected, sizeof(expected), "%s/deep/er/live/a", place);
	other = bundle_path(relative, "a");
	ck_assert_str_eq(other, expected);
	ck_assert_str_eq(list("deep/er"), "haproxy live ");
	ck_assert_int_eq(chdir("/"), 0);
	leave();
}
END_TEST

/* The bundle directory may be a link to elsewhere. */
START_TEST(flat_links_follow_the_real_path)
{
	_cleanup_(bundles_closep) struct bundles *linked = NULL;
	_cleanup_(free_pair) struct bundle_pair pair = make_pair(false, 1);
	struct bundle b = single(&pair);
	char path[128];

	enter();
	ck_assert_int_eq(mkdirat(at, "disk", 0755), 0);
	ck_assert_int_eq(mkdirat(at, "disk/certs", 0755), 0);
	ck_assert_int_eq(symlinkat("disk/certs", at, "link"), 0);
	snprintf(path, sizeof(path), "%s/link", place);
	ck_assert_int_eq(bundles_open(path, &linked), 0);
	ck_assert_int_eq(bundle_write(linked, &b), 0);
	ck_assert_str_eq(
	    target("disk/haproxy/example.net.pem"), "../certs/example.net/haproxy.pem");
	expect_haproxy("disk/haproxy/example.net.pem", &pair);
	expect_haproxy("link/../haproxy/example.net.pem", &pair);
	leave();
}
END_TEST

START_TEST(impossible_directories)
{
	struct bundles *none = NULL;
	char path[128];

	enter();
	ck_assert_int_eq(bundles_open("/", &none), -EINVAL);
	snprintf(path, sizeof(path), "%s/haproxy", place);
	ck_assert_int_eq(bundles_open(path, &none), -EINVAL);
	ck_assert_int_eq(file_create(at, "file", "x", 1, 0600, NO_GROUP), 0);
	snprintf(path, sizeof(path), "%s/file", place);
	ck_assert_int_eq(bundles_open(path, &none), -ENOTDIR);
	snprintf(path, sizeof(path), "%s/file/live", place);
	ck_assert_int_eq(bundles_open(path, &none), -ENOTDIR);
	ck_assert_ptr_null(none);
	ck_assert_ptr_null(bundles_close(NULL));
	leave();
}
END_TEST

/* A placeholder has an ECDSA key under whatever names are configured. */
START_TEST(placeholders_stand_for_any_type)
{
	_cleanup_(free_pair) struct bundle_pair pair = make_pair(false, 1);
	struct bundle_pair pairs[2] = { pair, pair };
	struct bundle b;

	enter();
	pairs[1].key_type = ACME_KEY_RSA_2048;
	pairs[0].stand_in = pairs[1].stand_in = true;
	b = dual(pairs, 2);
	ck_assert_int_eq(bundle_write(bundles, &b), 0);
	ck_assert(bundle_intact(bundles, &b));
	ck_assert_int_eq(faccessat(at, "live/example.net/haproxy.pem.rsa", F_OK, 0), 0);
	leave();
}
END_TEST

static void
fill_file(const char *path, char with, off_t from)
{
	_cleanup_close_ int fd = openat(at, path, O_WRONLY | O_CLOEXEC);
	struct stat st;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	for (off_t i = from; i < st.st_size; i++)
		ck_assert_int_eq(pwrite(fd, &with, 1, i), 1);
}

static void
cut_file(const char *path, off_t to)
{
	_cleanup_close_ int fd = openat(at, path, O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, to), 0);
}

static void
empty_certificate(void)
{
	cut_file("live/example.net/cert.pem", 0);
}

static void
zero_bundle(void)
{
	fill_file("live/example.net/haproxy.pem", '\0', 0);
}

static void
zero_end_of_key(void)
{
	fill_file("live/example.net/privkey.pem", '\0', 100);
}

static void
cut_fullchain(void)
{
	cut_file("live/example.net/fullchain.pem", 300);
}

/* What a power cut may leave of files that weren't fsynced. The first of these are seen
 * without reading any. */
START_TEST(a_torn_placeholder_is_seen)
{
	static void (*const damages[])(void) = { empty_certificate, remove_file,
		open_key, remove_link, remove_generations, remove_flat_link,
		key_becomes_link, zero_bundle, zero_end_of_key, cut_fullchain };
	const size_t at_a_glance = 7;
	_cleanup_(free_pair) struct bundle_pair pair = make_pair(false, 1);
	struct bundle_pair outline = {
		.key_type = pair.key_type, .stand_in = true, .key_pem = ""
	};
	struct bundle b, look;

	enter();
	pair.stand_in = true;
	b = single(&pair);
	look = single(&outline);
	for (size_t i = 0; i < ELEMENTS(damages); i++) {
		ck_assert_int_eq(bundle_write(bundles, &b), 0);
		ck_assert(bundle_looks(bundles, &look, BUNDLE_THERE));
		ck_assert(bundle_looks(bundles, &look, BUNDLE_WHOLE));
		damages[i]();
		ck_assert_msg(
		    bundle_looks(bundles, &look, BUNDLE_THERE) == (i >= at_a_glance),
		    "damage %zu at a glance", i);
		ck_assert_msg(!bundle_looks(bundles, &look, BUNDLE_WHOLE),
		    "damage %zu not seen", i);
	}
	leave();
}
END_TEST

/* As CAs send them: with lines between the certificates, or ended as on Windows. */
START_TEST(texts_that_are_written_differently_are_the_same)
{
	_cleanup_(free_pair) struct bundle_pair pair = make_pair(false, 1);
	_cleanup_free_ char *chain = NULL;
	struct bundle_pair other = pair;
	struct bundle b = single(&pair);
	size_t len = 0;

	enter();
	ck_assert_int_eq(bundle_write(bundles, &b), 0);
	chain = calloc(2, strlen(pair.chain_pem) + 1);
	ck_assert_ptr_nonnull(chain);
	for (const char *s = pair.chain_pem; *s != '\0'; s++) {
		if (*s == '\n')
			chain[len++] = '\r';
		chain[len++] = *s;
	}
	chain[len] = '\0';
	other.chain_pem = chain;
	b = single(&other);
	ck_assert(bundle_intact(bundles, &b));
	change_byte();
	ck_assert(!bundle_intact(bundles, &b));
	leave();
}
END_TEST

SUITE("bundle", placeholders_stand_for_any_type, a_torn_placeholder_is_seen,
    texts_that_are_written_differently_are_the_same, single_layout, dual_layout,
    dual_with_one_issued, kinds_change_without_dangling, one_generation_before_is_kept,
    modes_and_group, readers_see_whole_sets, leftovers_are_cleaned_up,
    damage_is_found_and_repaired, bad_input_touches_nothing, longest_name_fits,
    others_files_are_left_alone, a_full_disk_changes_nothing,
    a_failed_switch_is_taken_back, a_switch_is_undone, remove_takes_all_of_one,
    paths_are_absolute, flat_links_follow_the_real_path, impossible_directories)
