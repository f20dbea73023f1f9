/*
 * test_writer.c - writer.c: many bundles at once, each as if it were alone; and what
 * happens when somebody goes, or the disk fails, in the middle.
 */
#include "bundle/writer.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "acme.h"
#include "bundle/bundle.h"
#include "bundle/staple.h"
#include "platform/file.h"
#include "rfc_keys.h"
#include "suite.h"

#define NOON 1795410000
#define MANY 20 /* more than are fsynced one by one */

static char place[64];
static struct event_base *base;
static struct bundles *bundles;
static struct writer *writer;
static char *chains[2];
static struct bundle_pair pairs[2]; /* the same key, an older and a newer chain */

struct result {
	bool done;
	int r;
	struct writing *writing;
	char name[32];
};
static struct result results[MANY];

static void
enter(void)
{
	static const struct acme_identifier name = { ACME_IDENTIFIER_DNS,
		"example.net" };
	struct acme_key *key;
	char path[128];

	ck_assert_int_eq(acme_key_from_pem(ec_example, strlen(ec_example), &key), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(
		    acme_placeholder_new(key, &name, 1, NOON + i, 86400, &chains[i]),
		    0);
		pairs[i] = (struct bundle_pair){ ACME_KEY_ECDSA_P256, ec_example,
			chains[i], false };
	}
	acme_key_free(key);
	snprintf(place, sizeof(place), "/tmp/renewd-test-writer.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(place));
	snprintf(path, sizeof(path), "%s/live", place);
	base = event_base_new();
	event_base_priority_init(base, 3);
	ck_assert_int_eq(bundles_open(path, &bundles), 0);
	ck_assert_int_eq(writer_new(base, &writer), 0);
	memset(results, 0, sizeof(results));
	for (int i = 0; i < MANY; i++)
		snprintf(results[i].name, sizeof(results[i].name), "c%d.example", i);
}

static void
leave(void)
{
	writer = writer_free(writer);
	bundles = bundles_close(bundles);
	event_base_free(base);
	for (int i = 0; i < 2; i++)
		free(chains[i]);
	ck_assert_int_eq(file_remove_tree(AT_FDCWD, place), 0);
}

static struct bundle
make(int i, int age)
{
	return (struct bundle){ .name = results[i].name,
		.pairs = &pairs[age],
		.pair_count = 1,
		.mode = 0640,
		.group = (gid_t)-1 };
}

static void
done_cb(int r, void *arg)
{
	struct result *result = arg;

	ck_assert(!result->done);
	result->done = true;
	result->r = r;
	result->writing = NULL;
}

static void
ask(int i, int age)
{
	struct bundle b = make(i, age);

	results[i].done = false;
	ck_assert_int_eq(writer_start(writer, bundles, &b, done_cb, &results[i],
			     &results[i].writing),
	    0);
	ck_assert(!results[i].done);
}

/* Until these are done. */
static void
wait_for(int from, int to)
{
	for (int i = from; i < to; i++)
		while (!results[i].done)
			event_base_loop(base, EVLOOP_ONCE);
}

static bool
is_there(int i, int age)
{
	struct bundle b = make(i, age);

	return bundle_intact(bundles, &b);
}

static bool
has_link(int i)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/live/%s", place, results[i].name);
	return lstat(path, &st) == 0;
}

/* Its generation of that number. */
static bool
has_generation(int i, int number)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/live/.generations/%s/%d", place,
	    results[i].name, number);
	return lstat(path, &st) == 0;
}

START_TEST(many_and_few)
{
	static const int counts[] = { 1, 2, MANY };

	enter();
	for (size_t k = 0; k < ELEMENTS(counts); k++) {
		for (int i = 0; i < counts[k]; i++)
			ask(i, k % 2);
		wait_for(0, counts[k]);
		for (int i = 0; i < counts[k]; i++) {
			ck_assert_int_eq(results[i].r, 0);
			ck_assert(is_there(i, k % 2));
		}
	}
	leave();
}
END_TEST

START_TEST(one_after_the_other)
{
	struct result twice = { 0 };
	struct bundle newer = make(0, 1);

	enter();
	newer.name = results[0].name;
	ask(0, 0);
	ck_assert_int_eq(
	    writer_start(writer, bundles, &newer, done_cb, &twice, &twice.writing), 0);
	wait_for(0, 1);
	while (!twice.done)
		event_base_loop(base, EVLOOP_ONCE);
	ck_assert_int_eq(results[0].r, 0);
	ck_assert_int_eq(twice.r, 0);
	ck_assert(is_there(0, 1));
	ck_assert(has_generation(0, 1) && has_generation(0, 2));
	leave();
}
END_TEST

/* A file of somebody else's stands where one of them wants a link. */
START_TEST(a_failure_is_ones_own)
{
	char path[128];

	enter();
	snprintf(path, sizeof(path), "%s/haproxy/%s.pem", place, results[3].name);
	ck_assert_int_eq(file_create(AT_FDCWD, path, "x", 1, 0600, (gid_t)-1), 0);
	for (int i = 0; i < MANY; i++)
		ask(i, 0);
	wait_for(0, MANY);
	for (int i = 0; i < MANY; i++) {
		ck_assert_int_eq(results[i].r, i == 3 ? -EEXIST : 0);
		ck_assert(has_link(i) == (i != 3));
	}
	leave();
}
END_TEST

/* The limit of a file's size is a disk that is full, for all of a process. */
START_TEST(a_full_disk)
{
	struct rlimit limit, small;

	enter();
	signal(SIGXFSZ, SIG_IGN);
	for (int i = 0; i < MANY; i++)
		ask(i, 0);
	wait_for(0, MANY);
	getrlimit(RLIMIT_FSIZE, &limit);
	small = limit;
	small.rlim_cur = 500;
	setrlimit(RLIMIT_FSIZE, &small);
	for (int i = 0; i < MANY; i++)
		ask(i, 1);
	wait_for(0, MANY);
	setrlimit(RLIMIT_FSIZE, &limit);
	for (int i = 0; i < MANY; i++) {
		ck_assert_int_eq(results[i].r, -EFBIG);
		ck_assert(is_there(i, 0)); /* as it was */
		ck_assert(!has_generation(i, 2));
		ask(i, 1);
	}
	wait_for(0, MANY);
	for (int i = 0; i < MANY; i++)
		ck_assert(results[i].r == 0 && is_there(i, 1));
	leave();
}
END_TEST

static bool
may_switch_cb(void *arg)
{
	return *(bool *)arg;
}

/* Nobody sees anything before the switch is allowed; who is forgotten until then is
 * never seen. */
START_TEST(the_switch_waits)
{
	bool may = false;

	enter();
	writer_on_switch(writer, may_switch_cb, &may);
	for (int i = 0; i < MANY; i++)
		ask(i, 0);
	while (!has_generation(MANY - 1, 1))
		event_base_loop(base, EVLOOP_NONBLOCK);
	writer_wait(writer, results[0].name);
	for (int i = 0; i < 20; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	for (int i = 0; i < MANY; i++)
		ck_assert(!has_link(i) && !results[i].done);
	results[5].writing = writing_forget(results[5].writing);
	may = true;
	writer_poke(writer);
	results[5].done = true; /* nobody says so */
	wait_for(0, MANY);
	for (int i = 0; i < MANY; i++)
		ck_assert(has_link(i) == (i != 5));
	ck_assert(!has_generation(5, 1));
	leave();
}
END_TEST

/* Whose files are removed meanwhile gets none. */
START_TEST(removed_on_the_way)
{
	enter();
	for (int i = 0; i < MANY; i++)
		ask(i, 0);
	event_base_loop(base, EVLOOP_NONBLOCK); /* the thread has it */
	results[0].writing = writing_forget(results[0].writing);
	writer_wait(writer, results[0].name);
	ck_assert_int_eq(bundle_remove(bundles, results[0].name), 0);
	wait_for(1, MANY);
	ck_assert(!has_link(0) && !has_generation(0, 1));
	ck_assert(is_there(1, 0));
	leave();
}
END_TEST

/* At any time: nothing is half done, and the next one does all. */
START_TEST(stopped_in_the_middle)
{
	enter();
	for (int turns = 0; turns < 12; turns++) {
		for (int i = 0; i < MANY; i++)
			ask(i, turns % 2);
		for (int t = 0; t < turns; t++)
			event_base_loop(base, EVLOOP_NONBLOCK);
		if (turns % 3 == 0)
			writer_wait(writer, results[0].name);
		for (int i = 0; i < MANY; i++)
			writing_forget(results[i].writing);
		writer = writer_free(writer);
		for (int i = 0; i < MANY && has_link(i); i++)
			ck_assert(is_there(i, 0) || is_there(i, 1));
		ck_assert_int_eq(writer_new(base, &writer), 0);
		for (int i = 0; i < MANY; i++)
			ask(i, turns % 2);
		wait_for(0, MANY);
		for (int i = 0; i < MANY; i++)
			ck_assert(results[i].r == 0 && is_there(i, turns % 2));
	}
	leave();
}
END_TEST

/* As at a reload with another bundle_dir. */
START_TEST(directories_closed_meanwhile)
{
	char path[128];

	enter();
	for (int i = 0; i < MANY; i++)
		ask(i, 0);
	bundles_close(bundles);
	wait_for(0, MANY);
	snprintf(path, sizeof(path), "%s/live", place);
	ck_assert_int_eq(bundles_open(path, &bundles), 0);
	for (int i = 0; i < MANY; i++)
		ck_assert(results[i].r == 0 && is_there(i, 0));
	leave();
}
END_TEST

static void
stapled_cb(int r, void *arg)
{
	struct result *result = arg;

	result->done = true;
	result->r = r;
}

static void
staple(struct result *result, const char *data)
{
	const struct staple one = { .data = data, .len = strlen(data) };

	ck_assert_int_eq(writer_staple(writer, bundles, results[0].name, false, &one, 1,
			     stapled_cb, result),
	    0);
	ck_assert(!result->done);
}

/* Beside what is live when it was asked for: what is switched in later begins without.
 * And whoever removes the certificate waits for it. */
START_TEST(responses_in_their_turn)
{
	struct result first = { 0 }, second = { 0 }, last = { 0 };
	char path[160], *data;
	size_t len;

	enter();
	ask(0, 0);
	wait_for(0, 1);
	staple(&first, "old");
	ask(0, 1);
	wait_for(0, 1);
	ck_assert(first.done);
	ck_assert_int_eq(first.r, 0);
	snprintf(
	    path, sizeof(path), "%s/live/%s/haproxy.pem.ocsp", place, results[0].name);
	ck_assert_int_eq(file_read(AT_FDCWD, path, 100, &data, &len), -ENOENT);
	staple(&second, "new");
	writer_wait(writer, results[0].name);
	ck_assert_int_eq(file_read(AT_FDCWD, path, 100, &data, &len), 0);
	ck_assert_str_eq(data, "new");
	free(data);
	ck_assert(!second.done); /* that is told by the loop */
	while (!second.done)
		event_base_loop(base, EVLOOP_ONCE);
	staple(&last, "lost or not");
	writer = writer_free(writer);
	ck_assert(last.done);
	ck_assert_int_eq(last.r, -ECANCELED);
	leave();
}
END_TEST

SUITE("writer", many_and_few, one_after_the_other, a_failure_is_ones_own, a_full_disk,
    the_switch_waits, removed_on_the_way, stopped_in_the_middle,
    directories_closed_meanwhile, responses_in_their_turn)
