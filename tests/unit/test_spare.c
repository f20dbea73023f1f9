/*
 * test_spare.c - keys made ahead: for whom, by the real thread; and when the inventory
 * gives them up.
 */
#include "renew/spare.h"

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "inventory/revocations.h"
#include "inventory/store.h"
#include "platform/clock.h"
#include "platform/file.h"
#include "renew/job.h"
#include "schedule/schedule.h"
#include "suite.h"

#define HOUR INT64_C(3600)

static const char conf[] = "[renewd]\nstate_dir = /tmp\nbundle_dir = /tmp\n"
			   "[ca x]\ndirectory = https://ca.example/dir\n"
			   "contact = mailto:a@example.net\naccept_terms = yes\n"
			   "[defaults]\nca = x\n";

struct fixture {
	struct renewals r;
	struct config *config;
	char dir[32];
	bool idle_seen;
};

static void
load_config(struct fixture *f)
{
	struct config_errors errors = { 0 };
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/renewd.conf", f->dir);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs(conf, file);
	ck_assert_int_eq(fclose(file), 0);
	if (config_load(path, &f->config, &errors) < 0)
		config_errors_print(&errors, stderr);
	ck_assert_ptr_nonnull(f->config);
	f->r.config = f->config;
}

static bool
due_cb(int64_t certificate, void *arg)
{
	(void)certificate, (void)arg;
	return false;
}

static void
tick_cb(void *arg)
{
	renewals_look_ahead(arg);
}

static void
open_fixture(struct fixture *f)
{
	char *why = NULL;

	*f = (struct fixture){ .dir = "/tmp/renewd-spare-XXXXXX" };
	ck_assert_ptr_nonnull(mkdtemp(f->dir));
	TAILQ_INIT(&f->r.jobs);
	load_config(f);
	f->r.means.base = event_base_new();
	event_base_priority_init(f->r.means.base, 3);
	ck_assert_int_eq(
	    store_open(f->r.means.base, f->dir, &f->r.means.store, &why), 0);
	ck_assert_int_eq(
	    schedule_new(f->r.means.base, f->r.means.store, &f->r.means.schedule), 0);
	ck_assert_int_eq(spares_new(&f->r, &f->r.spares), 0);
}

static void
close_fixture(struct fixture *f)
{
	spares_free(f->r.spares);
	schedule_free(f->r.means.schedule);
	store_close(f->r.means.store);
	event_base_free(f->r.means.base);
	config_free(f->config);
	file_remove_tree(AT_FDCWD, f->dir);
}

/* One with a certificate of this key type, to be renewed in `left` seconds. */
static int64_t
add(struct fixture *f, const char *name, const char *spec, enum acme_key_type type,
    int64_t left)
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;
	int64_t now = clock_now();
	struct store *s = f->r.means.store;
	struct issued row = { .key_type = type,
		.ca = (char *)"x",
		.names = (char *)name,
		.serial = (char *)"01",
		.fingerprint = (char *)"00",
		.issuer = (char *)"i",
		.top = (char *)"t",
		.key = { (unsigned char *)"k", 1 },
		.chain = (char *)"PEM" };
	int64_t id;

	ck_assert_int_eq(certificate_insert(s, name, ORIGIN_CONFIG, spec, now, &id), 0);
	row.certificate = id;
	ck_assert_int_eq(issued_insert(s, &row), 0);
	ck_assert_int_eq(certificate_get_id(s, id, &c), 0);
	c->renew_at = now + left;
	c->next_at = now + left;
	ck_assert_int_eq(certificate_save(s, c), 0);
	return id;
}

static int64_t
kept(const struct fixture *f)
{
	int64_t count = -1;

	ck_assert_int_eq(spare_key_count(f->r.means.store, &count), 0);
	return count;
}

static bool
has_spare(const struct fixture *f, int64_t certificate)
{
	struct spare_key k = { 0 };
	int r = spare_key_find(f->r.means.store, certificate, &k);

	ck_assert(r == 0 || r == -ENOENT);
	secret_clear(&k.key);
	return r == 0;
}

static void
pause_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	event_base_loopbreak(arg);
}

/* Where other tests take all the CPU time an idle thread would get none: it is seen to
 * be idle, and then it isn't any more. */
static void
hurry(struct fixture *f)
{
	const struct sched_param none = { 0 };
	DIR *tasks = opendir("/proc/self/task");
	const struct dirent *entry;

	ck_assert_ptr_nonnull(tasks);
	while ((entry = readdir(tasks)) != NULL) {
		pid_t id = (pid_t)strtol(entry->d_name, NULL, 10);

		if (id > 0 && sched_getscheduler(id) == SCHED_IDLE) {
			f->idle_seen = true;
			sched_setscheduler(id, SCHED_OTHER, &none);
		}
	}
	closedir(tasks);
}

/* The loop for a while. */
static void
run(struct fixture *f, int ms)
{
	const struct timeval delay = { ms / 1000, ms % 1000 * 1000 };

	event_base_once(
	    f->r.means.base, -1, EV_TIMEOUT, pause_cb, f->r.means.base, &delay);
	event_base_dispatch(f->r.means.base);
	hurry(f);
}

static void
start(struct fixture *f)
{
	schedule_on_tick(f->r.means.schedule, tick_cb, &f->r);
	schedule_start(f->r.means.schedule, due_cb, NULL);
}

#define RSA     "keys = rsa-2048\n"
#define DOMAIN  "domains = a.example.net\n"
#define WITH(s) DOMAIN s

/* Only for those whose next renewal needs a new RSA key, and soon. */
START_TEST(for_whom)
{
	struct fixture f;
	int64_t late, soon;

	open_fixture(&f);
	add(&f, "reused", WITH(RSA "reuse_key = yes\n"), ACME_KEY_RSA_2048, HOUR);
	add(&f, "own", WITH(RSA "key_file = /nowhere\n"), ACME_KEY_RSA_2048, HOUR);
	add(&f, "off", WITH(RSA "enabled = no\n"), ACME_KEY_RSA_2048, HOUR);
	add(&f, "ecdsa", WITH("keys = ecdsa-p256\n"), ACME_KEY_ECDSA_P256, HOUR);
	add(&f, "far", WITH(RSA), ACME_KEY_RSA_2048, 25 * HOUR);
	add(&f, "due", WITH(RSA), ACME_KEY_RSA_2048, -1);
	for (int i = 0; i < 150; i++) { /* more than one look takes */
		char name[16];

		snprintf(name, sizeof(name), "many%d", i);
		add(&f, name, WITH("keys = ecdsa-p256\n"), ACME_KEY_ECDSA_P256,
		    2 * HOUR);
	}
	late = add(&f, "late", WITH(RSA), ACME_KEY_RSA_2048, 23 * HOUR);
	soon = add(&f, "soon", WITH(RSA), ACME_KEY_RSA_2048, 3 * HOUR);
	start(&f);
	while (kept(&f) == 0)
		run(&f, 20);
	ck_assert(f.idle_seen);
	ck_assert(has_spare(&f, soon)); /* the first of the two */
	while (kept(&f) < 2)
		run(&f, 20);
	ck_assert(has_spare(&f, late));
	run(&f, 200);
	ck_assert_int_eq(kept(&f), 2);
	close_fixture(&f);
}
END_TEST

/* Orders come first; and what was changed meanwhile gets no key of before. */
START_TEST(when)
{
	struct fixture f;
	int64_t id;

	open_fixture(&f);
	id = add(&f, "a", WITH(RSA), ACME_KEY_RSA_2048, HOUR);
	f.r.ordering = 1;
	start(&f);
	run(&f, 100);
	ck_assert_int_eq(kept(&f), 0);
	f.r.ordering = 0;
	renewals_look_ahead(&f.r); /* begins one */
	ck_assert_int_eq(certificate_set_spec(f.r.means.store, id, ORIGIN_CONFIG,
			     WITH("keys = rsa-3072\n"), clock_now()),
	    0);
	f.r.ordering = 1;
	for (int i = 0; i < 150; i++)
		run(&f, 20); /* in all longer than the first takes */
	ck_assert_int_eq(kept(&f), 0);
	close_fixture(&f);
}
END_TEST

static double
cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* It is stopped at once, not after the seconds that the keys would take. */
START_TEST(leaving)
{
	struct fixture f;
	double begun;

	begun = cpu_seconds();
	for (int i = 0; i < 5; i++) { /* one alone may be made by luck */
		open_fixture(&f);
		add(&f, "a", WITH("keys = rsa-4096\n"), ACME_KEY_RSA_4096, HOUR);
		renewals_look_ahead(&f.r);
		run(&f, 10);
		close_fixture(&f);
	}
	ck_assert(cpu_seconds() - begun < 1.5);
}
END_TEST

static void
insert(struct fixture *f, int64_t certificate, const char *spki)
{
	struct spare_key k = { .certificate = certificate,
		.key_type = ACME_KEY_RSA_2048,
		.key = { (unsigned char *)"key", 3 },
		.spki = spki,
		.made_at = 7 };

	ck_assert_int_eq(spare_key_insert(f->r.means.store, &k), 0);
	ck_assert_int_eq(spare_key_insert(f->r.means.store, &k), -EEXIST);
}

START_TEST(given_up)
{
	struct fixture f;
	struct spare_key k;
	int64_t ids[5];
	const struct secret der = { (unsigned char *)"key", 3 };
	struct store *s;

	open_fixture(&f);
	s = f.r.means.store;
	for (int i = 0; i < 5; i++) {
		const char name[] = { (char)('a' + i), '\0' };

		ids[i] = add(&f, name, WITH(RSA), ACME_KEY_RSA_2048, HOUR);
		insert(&f, ids[i], name);
	}
	ck_assert_int_eq(spare_key_find(s, ids[0], &k), 0);
	ck_assert_int_eq(k.key_type, ACME_KEY_RSA_2048);
	ck_assert_int_eq(k.made_at, 7);
	ck_assert_uint_eq(k.key.len, 3);
	secret_clear(&k.key);
	ck_assert_int_eq(certificate_set_spec(s, ids[0], ORIGIN_CONFIG, RSA, 1), 0);
	ck_assert_int_eq(certificate_set_removed(s, ids[1], 1), 0);
	ck_assert_int_eq(certificate_delete(s, ids[2]), 0);
	ck_assert_int_eq(compromised_add(s, "d", &der, 1), 0);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(has_spare(&f, ids[i]), i == 4);
	ck_assert_int_eq(spare_key_drop(s, ids[4]), 0);
	ck_assert_int_eq(kept(&f), 0);
	close_fixture(&f);
}
END_TEST

/* There are 64 at most. */
START_TEST(bounded)
{
	struct fixture f;
	int64_t last = 0;

	open_fixture(&f);
	for (int i = 0; i < 65; i++) {
		char name[16];

		snprintf(name, sizeof(name), "n%d", i);
		last = add(&f, name, WITH(RSA), ACME_KEY_RSA_2048, HOUR + i);
		if (i < 64)
			insert(&f, last, name);
	}
	start(&f);
	run(&f, 300);
	ck_assert_int_eq(kept(&f), 64);
	ck_assert_int_eq(spare_key_drop(f.r.means.store, last - 1), 0);
	schedule_poke(f.r.means.schedule);
	while (kept(&f) < 64)
		run(&f, 20);
	close_fixture(&f);
}
END_TEST

SUITE("spare", for_whom, when, leaving, given_up, bounded)
