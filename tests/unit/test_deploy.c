/*
 * test_deploy.c - deploy.c and its types but HAProxy: who waits for which run, and what
 * a run says. Commands and servers are real programs.
 */
#include "deploy_fixture.h"

/* ---- exec ---- */

START_TEST(test_exec_environment)
{
	struct fixture *f = fixture_new();
	struct asked a = { 0 };
	const char *text;

	exec_target(f, "t", "env | sort >$1/env");
	configure(f);
	ask(f, "t", &a);
	wait_for(f, 1);
	ck_assert(a.ok);
	ck_assert(!deploy_reloading(f->deploy));
	ck_assert_int_eq(f->idle, 0);
	text = read_all(in_dir(f, "env"));
	ck_assert(contains(text, "RENEWD_CERTIFICATE=example.net\n"));
	ck_assert(contains(text, "RENEWD_DOMAINS=example.net www.example.net\n"));
	ck_assert(contains(text, "RENEWD_BUNDLE_DIR=/live/example.net\n"));
	ck_assert(contains(text, "RENEWD_SERIAL=04a1\n"));
	ck_assert(contains(text, "RENEWD_NOT_AFTER=2027-02-10T10:00:00Z\n"));
	ck_assert(contains(text, "RENEWD_TARGET=t\n"));
	ck_assert_int_eq(count(text, "RENEWD_"), 6);
	ck_assert(contains(text, "RENEWED_LINEAGE=/live/example.net\n"));
	ck_assert(contains(text, "RENEWED_DOMAINS=example.net www.example.net\n"));
	fixture_free(f);
}
END_TEST

START_TEST(test_exec_failures)
{
	struct fixture *f = fixture_new();
	struct asked a[5] = { 0 };

	exec_target(f, "status", "echo first; echo the reason; echo; exit 3");
	exec_target(f, "signal", "echo bye; kill -9 $$");
	exec_target(f, "slow", "echo on my way; sleep 30")->timeout.seconds = 1;
	target(f, TARGET_EXEC, "none")->command = words("/nonexistent/hook", NULL);
	configure(f);
	ask(f, "status", &a[0]);
	ask(f, "signal", &a[1]);
	ask(f, "slow", &a[2]);
	ask(f, "none", &a[3]);
	wait_for(f, 4);
	ck_assert(failed_with(
	    &a[0], "command /bin/sh ended with exit status 3: first / the reason"));
	ck_assert(failed_with(&a[1], "was killed by signal 9 (SIGKILL): bye"));
	ck_assert(failed_with(&a[2], "was killed at its deadline: on my way"));
	ck_assert(
	    failed_with(&a[3], "command /nonexistent/hook can't be started: No such"));
	fixture_free(f);
}
END_TEST

/* What it is told of the certificate, and of the files that are there. */
START_TEST(test_exec_input)
{
	struct fixture *f = fixture_new();
	struct deploy_subject s = subject;
	struct asked a = { .f = f };
	char expected[1024];

	exec_target(f, "t", "cat >$1/input");
	configure(f);
	write_file(in_dir(f, "cert.pem"), "x", 0600);
	write_file(in_dir(f, ".hidden"), "x", 0600);
	s.bundle_dir = f->dir;
	s.json = "{\"name\":\"example.net\"}";
	ck_assert_int_eq(deploy_start(f->deploy, "t", &s, done_cb, &a, &a.request), 0);
	wait_for(f, 1);
	ck_assert(a.ok);
	snprintf(expected, sizeof(expected),
	    "{\"name\":\"example.net\",\"target\":\"t\",\"bundle_dir\":\"%s\","
	    "\"files\":{\"cert.pem\":\"%s/cert.pem\"}}\n",
	    f->dir, f->dir);
	ck_assert_str_eq(read_all(in_dir(f, "input")), expected);
	fixture_free(f);
}
END_TEST

/* Each line of output is a line of the log, with its certificate and target. */
START_TEST(test_exec_output_is_logged)
{
	struct fixture *f = fixture_new();
	struct asked a = { 0 };
	int saved = dup(STDERR_FILENO), file;
	const char *text;

	unsetenv("JOURNAL_STREAM");
	log_set_level(LOG_INFO);
	file = open(in_dir(f, "log"), O_CREAT | O_WRONLY | O_APPEND, 0600);
	exec_target(f, "t", "echo line one; echo line two >&2");
	configure(f);
	dup2(file, STDERR_FILENO);
	ask(f, "t", &a);
	wait_for(f, 1);
	dup2(saved, STDERR_FILENO);
	text = read_all(in_dir(f, "log"));
	ck_assert(contains(text, "line one"));
	ck_assert(contains(text, "line two"));
	ck_assert_int_eq(count(text, "example.net"), 2);
	close(file);
	close(saved);
	fixture_free(f);
}
END_TEST

START_TEST(test_exec_one_by_one)
{
	struct fixture *f = fixture_new();
	struct asked a[4] = { 0 };

	exec_target(f, "t",
	    "echo begin $RENEWD_CERTIFICATE >>$1/order; sleep 0.05; "
	    "echo end >>$1/order");
	configure(f);
	ask_as(f, "t", "a", &a[0]);
	ask_as(f, "T", "b", &a[1]); /* names have no case */
	ask_as(f, "t", "c", &a[2]);
	a[1].cancels = &a[2];
	a[0].again = true;
	wait_for(f, 3);
	loop(f, 100, 0);
	ck_assert_int_eq(a[0].done, 2);
	ck_assert_int_eq(a[1].done, 1);
	ck_assert_int_eq(a[2].done, 0);
	ck_assert_str_eq(read_all(in_dir(f, "order")),
	    "begin a\nend\nbegin b\nend\nbegin example.net\nend\n");
	fixture_free(f);
}
END_TEST

START_TEST(test_unknown_target)
{
	struct fixture *f = fixture_new();
	struct asked a = { .f = f };

	configure(f);
	ck_assert_int_eq(
	    deploy_start(f->deploy, "t", &subject, done_cb, &a, &a.request), -ENOENT);
	ck_assert_ptr_null(a.request);
	ck_assert_ptr_null(deploy_cancel(NULL));
	ck_assert_ptr_null(deploy_free(NULL));
	fixture_free(f);
}
END_TEST

/* ---- collecting ---- */

START_TEST(test_collects)
{
	struct fixture *f = fixture_new();
	struct asked a[5] = { 0 };
	char process[4096];
	pid_t server = start_server(f, process);
	struct target_config *t = counted_target(f, "t", "0");

	t->process = process;
	configure(f);
	for (int i = 0; i < 5; i++)
		ask(f, "t", &a[i]);
	ck_assert(!deploy_reloading(f->deploy));
	wait_for(f, 5);
	for (int i = 0; i < 5; i++)
		ck_assert(a[i].done == 1 && a[i].ok && a[i].at == i + 1);
	loop(f, QUIET_MS * 2, 0);
	ck_assert_int_eq(runs(f), 1);
	ck_assert_str_eq(signals(f, 1), "hup\n");
	ck_assert_int_eq(f->idle, 1);
	ck_assert(!f->reloading_at_done);
	/* and the next one is like the first */
	a[0].done = 0;
	ask(f, "t", &a[0]);
	wait_for(f, 1);
	ck_assert_int_eq(runs(f), 2);
	ck_assert_int_eq(f->idle, 2);
	stop_server(server);
	free(t->pidfile);
	fixture_free(f);
}
END_TEST

/* Requests that keep coming are put off no longer than the second window. */
START_TEST(test_windows)
{
	struct fixture *f = fixture_new();
	struct asked a[64] = { 0 };
	struct target_config *t = counted_target(f, "t", "0");
	double start = seconds(), first_done = 0;
	int n = 0;

	configure(f);
	ask(f, "t", &a[n++]);
	loop(f, QUIET_MS / 2, 0);
	ck_assert_int_eq(f->done, 0);
	while (f->done == 0 && n < 60) {
		ask(f, "t", &a[n++]);
		loop(f, QUIET_MS / 3, 1);
		if (f->done > 0)
			first_done = seconds() - start;
	}
	ck_assert_int_gt(n, 5); /* longer than one quiet window */
	ck_assert(first_done > MOST_MS / 1000. - 0.02);
	ck_assert(first_done < 5);
	ck_assert_int_eq(runs(f), 1);
	free(t->pidfile);
	fixture_free(f);
}
END_TEST

START_TEST(test_during_a_run)
{
	struct fixture *f = fixture_new();
	struct asked a[4] = { 0 };
	char process[4096];
	pid_t server = start_server(f, process);
	struct target_config *t = counted_target(f, "t", "0.5");

	t->process = process;
	deploy_set_windows(f->deploy, 50, 100);
	configure(f);
	ask(f, "t", &a[0]);
	loop(f, 150, 0);
	ck_assert(deploy_reloading(f->deploy));
	/* their time comes during the run, but they wait for its end */
	ask(f, "t", &a[1]);
	loop(f, 150, 0);
	ask(f, "t", &a[2]);
	ck_assert_int_eq(f->done, 0);
	ck_assert(deploy_reloading(f->deploy));
	a[0].again = true; /* asked in the callback: with those that wait, or later */
	wait_for(f, 1);
	ck_assert_int_eq(a[0].done, 1);
	ck_assert_int_eq(runs(f), 1);
	wait_for(f, 3);
	ck_assert(a[1].ok && a[2].ok && a[0].done == 2);
	ck_assert_int_eq(runs(f), 2);
	ck_assert_int_eq(f->idle, 2);
	stop_server(server);
	free(t->pidfile);
	fixture_free(f);
}
END_TEST

START_TEST(test_two_targets)
{
	struct fixture *f = fixture_new();
	struct asked a[2] = { 0 };
	struct target_config *s = counted_target(f, "slow", "0.4");
	struct target_config *q = target(f, TARGET_SIGNAL, "quick");

	q->pidfile = s->pidfile;
	q->process = (char *)"nobody";
	q->signal = SIGHUP;
	configure(f);
	ask(f, "slow", &a[0]);
	ask(f, "quick", &a[1]);
	wait_for(f, 1);
	ck_assert_int_eq(a[1].done, 1);
	ck_assert(f->reloading_at_done); /* the slow one is */
	ck_assert_int_eq(f->idle, 0);
	wait_for(f, 1);
	ck_assert_int_eq(f->idle, 1);
	free(s->pidfile);
	fixture_free(f);
}
END_TEST

/* ---- cancelling ---- */

START_TEST(test_cancel)
{
	struct fixture *f = fixture_new();
	struct asked a[6] = { 0 };
	struct target_config *t = counted_target(f, "t", "0.2");

	configure(f);
	/* all that wait: no run */
	ask(f, "t", &a[0]);
	ask(f, "t", &a[1]);
	a[0].request = deploy_cancel(a[0].request);
	a[1].request = deploy_cancel(a[1].request);
	loop(f, QUIET_MS * 2, 0);
	ck_assert_int_eq(runs(f), 0);
	/* one of a run, while it goes on, another in its callback, and itself */
	for (int i = 2; i < 6; i++)
		ask(f, "t", &a[i]);
	a[3].cancels = &a[4];
	a[5].cancels = &a[5];
	loop(f, QUIET_MS + 50, 0);
	ck_assert(deploy_reloading(f->deploy));
	a[2].request = deploy_cancel(a[2].request);
	wait_for(f, 2);
	loop(f, 50, 0);
	ck_assert_int_eq(a[0].done + a[1].done + a[2].done + a[4].done, 0);
	ck_assert_int_eq(a[3].done + a[5].done, 2);
	ck_assert_int_eq(runs(f), 1);
	free(t->pidfile);
	fixture_free(f);
}
END_TEST

START_TEST(test_cancel_all_of_a_run)
{
	struct fixture *f = fixture_new();
	struct asked a[2] = { 0 };
	struct target_config *t = counted_target(f, "t", "0.1");

	exec_target(f, "x", "sleep 0.1; echo $RENEWD_CERTIFICATE said; touch $1/ran");
	configure(f);
	ask(f, "t", &a[0]);
	ask(f, "x", &a[1]);
	loop(f, QUIET_MS + 30, 0);
	ck_assert(deploy_reloading(f->deploy));
	deploy_cancel(a[0].request);
	a[1].done = f->done; /* x may have ended by now on a slow machine */
	if (a[1].done == 0)
		deploy_cancel(a[1].request);
	for (int i = 0; i < 100 && (f->idle == 0 || access(in_dir(f, "ran"), F_OK) < 0);
	     i++)
		loop(f, 20, 0);
	ck_assert_int_eq(f->idle, 1);
	ck_assert_int_eq(runs(f), 1);
	ck_assert_int_eq(a[0].done, 0);
	free(t->pidfile);
	fixture_free(f);
}
END_TEST

START_TEST(test_free_in_the_middle)
{
	struct fixture *f = fixture_new();
	struct asked a[4] = { 0 };
	struct target_config *t = counted_target(f, "t", "20");
	double start = seconds();

	exec_target(f, "x", "sleep 20");
	configure(f);
	ask(f, "t", &a[0]);
	ask(f, "x", &a[1]);
	ask(f, "x", &a[2]);
	loop(f, QUIET_MS + 50, 0);
	ask(f, "t", &a[3]);
	f->deploy = deploy_free(f->deploy);
	loop(f, 50, 0);
	ck_assert_int_eq(f->done, 0);
	ck_assert_int_eq(f->idle, 0);
	ck_assert(seconds() - start < 5);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	free(t->pidfile);
	fixture_free(f);
}
END_TEST

/* ---- a new configuration ---- */

START_TEST(test_reconfigure)
{
	struct fixture *f = fixture_new();
	struct asked a[4] = { 0 };
	struct config other = { .targets = &f->targets[2], .target_count = 2 };

	exec_target(f, "kept", "sleep 0.2; echo old >>$1/said");
	exec_target(f, "gone", "sleep 0.2; echo gone >>$1/said");
	configure(f);
	ask(f, "kept", &a[0]);
	ask(f, "gone", &a[1]);
	loop(f, 50, 0);
	ask(f, "kept", &a[2]); /* waits: will run as newly configured */
	ask(f, "gone", &a[3]); /* was asked for in time */
	exec_target(f, "Kept", "echo new >>$1/said");
	exec_target(f, "fresh", "echo fresh >>$1/said");
	ck_assert_int_eq(deploy_configure(f->deploy, &other), 0);
	/* nothing of the old configuration is looked at any more */
	for (int i = 0; i < 2; i++) {
		free(f->targets[i].command.v);
		memset(&f->targets[i], 0, sizeof(f->targets[i]));
	}
	ck_assert_int_eq(
	    deploy_start(f->deploy, "gone", &subject, done_cb, &a[0], &a[0].request),
	    -ENOENT);
	wait_for(f, 4);
	for (int i = 0; i < 4; i++)
		ck_assert(a[i].done == 1 && a[i].ok);
	ck_assert_int_eq(count(read_all(in_dir(f, "said")), "old\n"), 1);
	ck_assert_int_eq(count(read_all(in_dir(f, "said")), "new\n"), 1);
	ck_assert_int_eq(count(read_all(in_dir(f, "said")), "gone\n"), 2);
	memset(&a[0], 0, sizeof(a[0]));
	ask(f, "fresh", &a[0]);
	wait_for(f, 1);
	ck_assert_int_eq(count(read_all(in_dir(f, "said")), "fresh\n"), 1);
	fixture_free(f);
}
END_TEST

/* One that becomes another type forgets nobody who waits. */
START_TEST(test_reconfigure_type)
{
	struct fixture *f = fixture_new();
	struct asked a[3] = { 0 };
	struct target_config *t;

	exec_target(f, "t", "sleep 0.2");
	configure(f);
	for (int i = 0; i < 3; i++)
		ask(f, "t", &a[i]);
	loop(f, 50, 0);
	f->config.target_count = 0;
	free(f->targets[0].command.v);
	t = counted_target(f, "t", "0");
	configure(f);
	wait_for(f, 3);
	ck_assert(a[0].ok);
	ck_assert(failed_with(&a[1], "pidfile"));
	ck_assert(failed_with(&a[2], "pidfile"));
	ck_assert_int_eq(runs(f), 1);
	free(t->pidfile);
	fixture_free(f);
}
END_TEST

struct removal {
	struct asked asked;
	struct asked other;
	struct config nothing;
};

static void
remove_cb(const struct acme_result *failure, void *arg)
{
	struct removal *m = arg;

	done_cb(failure, &m->asked);
	ck_assert_int_eq(deploy_configure(m->asked.f->deploy, &m->nothing), 0);
	m->other.request = deploy_cancel(m->other.request);
}

START_TEST(test_reconfigure_in_callback)
{
	struct fixture *f = fixture_new();
	struct removal m = { .asked = { .f = f } };

	exec_target(f, "t", "exit 0");
	configure(f);
	ck_assert_int_eq(
	    deploy_start(f->deploy, "t", &subject, remove_cb, &m, &m.asked.request), 0);
	ask(f, "t", &m.other);
	wait_for(f, 1);
	loop(f, 50, 0);
	ck_assert_int_eq(m.other.done, 0);
	fixture_free(f);
}
END_TEST

/* ---- signal and nginx ---- */

START_TEST(test_signal)
{
	struct fixture *f = fixture_new();
	struct asked a[3] = { 0 };
	char process[4096];
	pid_t server = start_server(f, process);
	struct target_config *t = target(f, TARGET_SIGNAL, "good");
	struct target_config *wrong = target(f, TARGET_SIGNAL, "wrong");
	struct target_config *none = target(f, TARGET_SIGNAL, "none");

	t->pidfile = wrong->pidfile = strdup(in_dir(f, "pid"));
	none->pidfile = strdup(in_dir(f, "nothing"));
	t->signal = wrong->signal = none->signal = SIGUSR2;
	t->process = none->process = process;
	wrong->process = (char *)"haproxy";
	configure(f);
	ask(f, "good", &a[0]);
	ask(f, "wrong", &a[1]);
	ask(f, "none", &a[2]);
	wait_for(f, 3);
	ck_assert(a[0].ok);
	ck_assert(failed_with(&a[1], "can't send SIGUSR2 to haproxy by pidfile /tmp/"));
	ck_assert(failed_with(&a[1], "another program"));
	ck_assert(failed_with(&a[2], "there is no such file"));
	ck_assert_str_eq(signals(f, 1), "usr2\n");
	ck_assert_int_ge(f->idle, 1);
	ck_assert(!deploy_reloading(f->deploy));
	stop_server(server);
	free(t->pidfile);
	free(none->pidfile);
	fixture_free(f);
}
END_TEST

START_TEST(test_nginx_test_fails)
{
	struct fixture *f = fixture_new();
	struct asked a[3] = { 0 };
	char process[4096];
	pid_t server = start_server(f, process);
	struct target_config *bad = target(f, TARGET_NGINX, "bad");
	struct target_config *none = target(f, TARGET_NGINX, "none");
	struct target_config *plain = target(f, TARGET_NGINX, "plain");

	bad->pidfile = none->pidfile = plain->pidfile = strdup(in_dir(f, "pid"));
	bad->process = none->process = process;
	bad->test_command =
	    words("sh", "-c", "echo nginx: emerg; echo test failed >&2; exit 1", NULL);
	none->test_command = words("/nonexistent/nginx", "-t", NULL);
	configure(f);
	ask(f, "bad", &a[0]);
	ask(f, "none", &a[1]);
	ask(f, "plain", &a[2]);
	wait_for(f, 3);
	ck_assert(failed_with(&a[0],
	    "not reloaded, as test_command ended with exit status 1: nginx: emerg test "
	    "failed"));
	ck_assert(
	    failed_with(&a[1], "test_command /nonexistent/nginx can't be started"));
	ck_assert(
	    failed_with(&a[2], "can't send SIGHUP to nginx")); /* sh isn't nginx */
	usleep(100000); /* a signal that was sent would be noted by now */
	ck_assert_str_eq(signals(f, 0), "");
	stop_server(server);
	free(bad->pidfile);
	fixture_free(f);
}
END_TEST

SUITE("deploy", test_exec_environment, test_exec_input, test_exec_failures,
    test_exec_output_is_logged, test_exec_one_by_one, test_unknown_target,
    test_collects, test_windows, test_during_a_run, test_two_targets, test_cancel,
    test_cancel_all_of_a_run, test_free_in_the_middle, test_reconfigure,
    test_reconfigure_type, test_reconfigure_in_callback, test_signal,
    test_nginx_test_fails)
