/*
 * test_watch.c - what systemd hears: that the scheduler ticks, how it stands, reloads.
 */
#include "watch.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "deploy/deploy.h"
#include "inventory/inventory.h"
#include "inventory/store.h"
#include "platform/clock.h"
#include "platform/notify.h"
#include "renew/renewal.h"
#include "schedule/schedule.h"
#include "suite.h"

#define NOW INT64_C(1795410000)

struct fixture {
	char dir[32];
	int systemd; /* what it hears */
	struct watch_means means;
	struct deploy *deploy;
	struct watch *watch;
};

static int
listen_as_systemd(const char *dir)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", dir);
	ck_assert_int_eq(
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	setenv("NOTIFY_SOCKET", address.sun_path, 1);
	return fd;
}

/* Everything since the last time, one after the other. */
static const char *
heard(const struct fixture *f)
{
	static char all[8192];
	size_t len = 0;
	ssize_t n;

	while ((n = recv(f->systemd, all + len, sizeof(all) - 2 - len, 0)) > 0) {
		len += (size_t)n;
		all[len++] = '\n';
	}
	all[len] = '\0';
	return all;
}

static bool
due_cb(int64_t certificate, void *arg)
{
	(void)certificate, (void)arg;
	return true;
}

static void
setup(struct fixture *f)
{
	struct watch_means *m = &f->means;
	char *why = NULL;

	clock_freeze(NOW);
	snprintf(f->dir, sizeof(f->dir), "/tmp/renewd-watch-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(f->dir));
	f->systemd = listen_as_systemd(f->dir);
	setenv("WATCHDOG_USEC", "150000", 1);
	unsetenv("WATCHDOG_PID");
	m->base = event_base_new();
	ck_assert_int_eq(event_base_priority_init(m->base, 3), 0);
	ck_assert_int_eq(store_open(m->base, f->dir, &m->store, &why), 0);
	ck_assert_int_eq(deploy_new(m->base, &f->deploy), 0);
	ck_assert_int_eq(schedule_new(m->base, m->store, &m->schedule), 0);
	ck_assert_int_eq(renewals_new(&(struct renewal_means){ .base = m->base,
					  .store = m->store,
					  .deploy = f->deploy,
					  .schedule = m->schedule },
			     &m->renewals),
	    0);
}

static void
teardown(struct fixture *f)
{
	char path[64];

	watch_free(f->watch);
	renewals_free(f->means.renewals);
	schedule_free(f->means.schedule);
	deploy_free(f->deploy);
	store_close(f->means.store);
	event_base_free(f->means.base);
	close(f->systemd);
	for (size_t i = 0; i < 5; i++) {
		static const char *const files[] = { "notify", "renewd.db",
			"renewd.db-wal", "renewd.db-shm", "renewd.lock" };

		snprintf(path, sizeof(path), "%s/%s", f->dir, files[i]);
		unlink(path);
	}
	rmdir(f->dir);
	clock_thaw();
}

static void
loop(const struct fixture *f, int ms)
{
	const struct timeval most = { .tv_usec = ms * 1000 };

	event_base_loopexit(f->means.base, &most);
	event_base_dispatch(f->means.base);
}

START_TEST(watchdog_is_fed_while_the_scheduler_ticks)
{
	struct fixture f = { 0 };

	setup(&f);
	ck_assert_int_eq(watch_new(&f.means, &f.watch), 0);
	schedule_start(f.means.schedule, due_cb, NULL);
	watch_start(f.watch);
	loop(&f, 200);
	ck_assert_ptr_nonnull(strstr(heard(&f), "WATCHDOG=1\n"));
	/* two minutes later it hasn't ticked again */
	clock_advance(120);
	loop(&f, 200);
	ck_assert_str_eq(heard(&f), "");
	schedule_poke(f.means.schedule);
	loop(&f, 200);
	ck_assert_ptr_nonnull(strstr(heard(&f), "WATCHDOG=1\n"));
	teardown(&f);
}
END_TEST

START_TEST(status_is_said_when_it_changes)
{
	struct fixture f = { 0 };
	int64_t id;

	setup(&f);
	unsetenv("WATCHDOG_USEC");
	ck_assert_int_eq(watch_new(&f.means, &f.watch), 0);
	watch_start(f.watch);
	loop(&f, 50);
	ck_assert_str_eq(
	    heard(&f), "STATUS=0 certificates, 0 failing; 0 at work, 0 waiting\n");
	watch_start(f.watch);
	loop(&f, 50);
	ck_assert_str_eq(heard(&f), "");
	ck_assert_int_eq(
	    certificate_insert(f.means.store, "www", ORIGIN_CONFIG, "", NOW + 60, &id),
	    0);
	watch_start(f.watch);
	loop(&f, 50);
	ck_assert_str_eq(heard(&f),
	    "STATUS=1 certificates, 0 failing; 0 at work, 0 waiting; next www at "
	    "2026-11-23T05:01:00Z\n");
	teardown(&f);
}
END_TEST

START_TEST(status_follows_commits_once_a_second)
{
	struct fixture f = { 0 };
	const char *all, *last;
	int64_t id;

	setup(&f);
	unsetenv("WATCHDOG_USEC");
	ck_assert_int_eq(watch_new(&f.means, &f.watch), 0);
	watch_start(f.watch);
	loop(&f, 50);
	ck_assert_ptr_nonnull(strstr(heard(&f), "STATUS=0 certificates"));
	for (int i = 0; i < 3; i++) {
		const char name[] = { (char)('a' + i), '\0' };

		ck_assert_int_eq(certificate_insert(f.means.store, name, ORIGIN_CONFIG,
				     "", NOW + 60, &id),
		    0);
		loop(&f, 50);
	}
	loop(&f, 990); /* to the end of that second */
	all = heard(&f);
	last = strstr(all,
	    "STATUS=3 certificates, 0 failing; 0 at work, 0 waiting; next a at "
	    "2026-11-23T05:01:00Z\n");
	ck_assert_ptr_nonnull(last);
	ck_assert_ptr_null(strstr(all, "STATUS=1"));
	teardown(&f);
}
END_TEST

START_TEST(nobody_to_be_told)
{
	struct fixture f = { 0 };

	setup(&f);
	unsetenv("NOTIFY_SOCKET");
	ck_assert_int_eq(watch_new(&f.means, &f.watch), 0);
	watch_start(f.watch);
	loop(&f, 50);
	ck_assert_str_eq(heard(&f), "");
	teardown(&f);
}
END_TEST

START_TEST(reload_says_its_time)
{
	struct fixture f = { 0 };
	unsigned long long usec = 0;

	setup(&f);
	notify_reloading();
	ck_assert_int_eq(
	    sscanf(heard(&f), "RELOADING=1\nMONOTONIC_USEC=%llu\n", &usec), 1);
	ck_assert_uint_gt(usec, 0);
	notify_ready();
	ck_assert_str_eq(heard(&f), "READY=1\n");
	teardown(&f);
}
END_TEST

SUITE("watch", watchdog_is_fed_while_the_scheduler_ticks,
    status_is_said_when_it_changes, status_follows_commits_once_a_second,
    nobody_to_be_told, reload_says_its_time)
