/*
 * test_unit.c - units that systemd reloads: with a bus of our own, on which a child
 * plays systemd, the unit's name saying how.
 */
#include "deploy_fixture.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>

#define SYSTEMD "org.freedesktop.systemd1"
#define PATH    "/org/freedesktop/systemd1"
#define JOB     "/org/freedesktop/systemd1/job/"
#define MANAGER "org.freedesktop.systemd1.Manager"

/* ---- what plays systemd ---- */

static int
say_removed(sd_bus *bus, unsigned id, const char *unit, const char *result)
{
	sd_bus_message *m = NULL;
	char path[64];

	snprintf(path, sizeof(path), JOB "%u", id);
	sd_bus_message_new_signal(bus, &m, PATH, MANAGER, "JobRemoved");
	sd_bus_message_append(m, "uoss", id, path, unit, result);
	sd_bus_message_set_sender(m, SYSTEMD);
	sd_bus_send(bus, m, NULL);
	sd_bus_message_unref(m);
	return 1;
}

static const struct refusal {
	const char *unit;
	const char *error;
} refusals[] = {
	{ "denied.service", SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED },
	{ "forbidden.service", SD_BUS_ERROR_ACCESS_DENIED },
	{ "unknown.service", "org.freedesktop.systemd1.NoSuchUnit" },
	{ "plain.service", "org.freedesktop.systemd1.JobTypeNotApplicable" },
	{ "masked.service", "org.freedesktop.systemd1.UnitMasked" },
};

/* Of the server that is in the fixture's directory; 0: none. */
static pid_t
main_pid(const char *dir)
{
	char path[128];
	int pid = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/pid", dir);
	file = fopen(path, "r");
	if (file == NULL || fscanf(file, "%9d", &pid) != 1)
		pid = 0;
	if (file != NULL)
		fclose(file);
	return pid;
}

/* "failed.service" ends like that, "done.service" well, "hup.service" after its signal.
 */
static int
play_unit(sd_bus_message *m, const char *dir)
{
	sd_bus *bus = sd_bus_message_get_bus(m);
	const char *unit = NULL, *mode = NULL;
	char line[128], result[32];

	sd_bus_message_read(m, "ss", &unit, &mode);
	for (size_t i = 0; i < ELEMENTS(refusals); i++)
		if (strcmp(unit, refusals[i].unit) == 0)
			return sd_bus_reply_method_errorf(
			    m, refusals[i].error, "words of systemd's");
	snprintf(line, sizeof(line), "%s/asked", dir);
	FILE *file = fopen(line, "a");
	fprintf(file, "%s %s %s\n", sd_bus_message_get_member(m), unit, mode);
	fclose(file);
	/* one that is somebody else's */
	say_removed(bus, 6, unit, "failed");
	sd_bus_reply_method_return(m, "o", JOB "7");
	say_removed(bus, 8, unit, "failed");
	if (strcmp(unit, "silent.service") == 0)
		return 1;
	if (strcmp(unit, "vanishing.service") == 0) {
		sd_bus_flush(bus);
		_exit(0);
	}
	if (strcmp(unit, "hup.service") == 0) {
		kill(main_pid(dir), SIGHUP);
		return say_removed(bus, 7, unit, "done");
	}
	snprintf(result, sizeof(result), "%.*s", (int)strcspn(unit, "."), unit);
	return say_removed(bus, 7, unit, result);
}

static int
play_cb(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	(void)error;
	if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus", "Hello"))
		return sd_bus_reply_method_return(m, "s", ":1.1");
	if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus", NULL))
		return sd_bus_reply_method_return(m, NULL);
	if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Properties", "Get"))
		return sd_bus_reply_method_return(m, "v", "u",
		    strstr(sd_bus_message_get_path(m), "/unit/hup_2eservice") != NULL
			? (uint32_t)main_pid(arg)
			: 0);
	if (sd_bus_message_is_method_call(m, MANAGER, NULL))
		return play_unit(m, arg);
	return 0;
}

static void __attribute__((noreturn)) serve(int fd, const char *dir)
{
	sd_bus *bus = NULL;
	sd_id128_t id;
	int r;

	sd_id128_randomize(&id);
	sd_bus_new(&bus);
	sd_bus_set_fd(bus, fd, fd);
	sd_bus_set_server(bus, 1, id);
	sd_bus_set_anonymous(bus, 1);
	sd_bus_set_trusted(bus, 1);
	sd_bus_add_filter(bus, NULL, play_cb, (void *)dir);
	sd_bus_start(bus);
	while ((r = sd_bus_process(bus, NULL)) >= 0)
		if (r == 0 && sd_bus_wait(bus, UINT64_MAX) < 0)
			break;
	_exit(0);
}

static pid_t
start_bus(struct fixture *f)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char text[160];
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	pid_t pid;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/bus", f->dir);
	snprintf(text, sizeof(text), "unix:path=%s", address.sun_path);
	ck_assert_int_eq(setenv("DBUS_SYSTEM_BUS_ADDRESS", text, 1), 0);
	ck_assert_int_eq(
	    bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(listener, 8), 0);
	pid = fork();
	if (pid == 0) {
		for (;;) {
			int fd = accept(listener, NULL, NULL);

			if (fork() == 0)
				serve(fd, f->dir);
			close(fd);
		}
	}
	close(listener);
	return pid;
}

static void
no_bus(struct fixture *f)
{
	char text[160];

	snprintf(text, sizeof(text), "unix:path=%s/nothing", f->dir);
	ck_assert_int_eq(setenv("DBUS_SYSTEM_BUS_ADDRESS", text, 1), 0);
}

/* ---- tests ---- */

static const struct {
	const char *unit;
	const char *why; /* NULL: well */
} cases[] = {
	{ "done.service", NULL },
	{ "failed.service", "asked to reload failed.service: it failed; \"systemctl" },
	{ "invalid.service", "it isn't running, or can't be reloaded" },
	{ "canceled.service", "another job" },
	{ "timeout.service", "waited too long" },
	{ "dependency.service", "depends on failed" },
	{ "somethingnew.service", "somethingnew.service: somethingnew" },
	{ "denied.service", "may not reload denied.service: polkit must be installed" },
	{ "forbidden.service", "a rule allow it" },
	{ "unknown.service", "systemd knows no unit unknown.service" },
	{ "plain.service", "action = restart" },
	{ "masked.service", "systemd won't reload masked.service: words of systemd's" },
	{ "silent.service", "didn't say in time" },
	{ "vanishing.service", "lost the bus" },
};

START_TEST(test_unit_outcomes)
{
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct fixture *f = fixture_new();
		struct target_config *t = target(f, TARGET_SYSTEMD, "t");
		struct asked a = { 0 };
		pid_t bus = start_bus(f);

		t->unit = (char *)cases[i].unit;
		t->action = UNIT_RELOAD;
		t->timeout.seconds = 2;
		deploy_set_windows(f->deploy, 1, 1);
		configure(f);
		ask(f, "t", &a);
		wait_for(f, 1);
		if (cases[i].why != NULL)
			ck_assert(failed_with(&a, cases[i].why));
		else
			ck_assert_msg(a.ok, "%s", a.detail);
		stop_server(bus);
		fixture_free(f);
	}
}
END_TEST

static const struct {
	enum unit_action action;
	const char *asked;
} methods[] = {
	{ UNIT_RELOAD, "ReloadUnit done.service replace\n" },
	{ UNIT_RESTART, "RestartUnit done.service replace\n" },
	{ UNIT_RELOAD_OR_RESTART, "ReloadOrRestartUnit done.service replace\n" },
};

START_TEST(test_unit_actions)
{
	for (size_t i = 0; i < ELEMENTS(methods); i++) {
		struct fixture *f = fixture_new();
		struct target_config *t = target(f, TARGET_SYSTEMD, "t");
		struct asked a[2] = { 0 };
		pid_t bus = start_bus(f);

		t->unit = (char *)"done.service";
		t->action = methods[i].action;
		configure(f);
		ask(f, "t", &a[0]);
		ask(f, "t", &a[1]);
		wait_for(f, 2);
		ck_assert_msg(a[0].ok && a[1].ok, "%s", a[0].detail);
		/* one reload for both */
		ck_assert_str_eq(read_all(in_dir(f, "asked")), methods[i].asked);
		stop_server(bus);
		fixture_free(f);
	}
}
END_TEST

START_TEST(test_unit_without_bus)
{
	struct fixture *f = fixture_new();
	struct target_config *t = target(f, TARGET_SYSTEMD, "t");
	struct asked a = { 0 };

	no_bus(f);
	t->unit = (char *)"done.service";
	t->action = UNIT_RELOAD;
	deploy_set_windows(f->deploy, 1, 1);
	configure(f);
	ask(f, "t", &a);
	wait_for(f, 1);
	ck_assert(failed_with(&a, "the system bus must run"));
	fixture_free(f);
}
END_TEST

/* Freed while it goes on: done_cb isn't called, and nothing leaks. */
START_TEST(test_unit_freed)
{
	struct fixture *f = fixture_new();
	struct target_config *t = target(f, TARGET_SYSTEMD, "t");
	struct asked a = { 0 };
	pid_t bus = start_bus(f);

	t->unit = (char *)"silent.service";
	t->action = UNIT_RELOAD;
	deploy_set_windows(f->deploy, 1, 1);
	configure(f);
	ask(f, "t", &a);
	loop(f, 200, 0);
	ck_assert_int_eq(a.done, 0);
	stop_server(bus);
	fixture_free(f);
}
END_TEST

/* What has a unit and a pidfile: systemd first, then the signal, but not where systemd
 * has tried and failed. */
START_TEST(test_unit_or_pidfile)
{
	static const struct {
		enum target_type type;
		const char *unit;
		const char *signal; /* NULL: none */
		bool ok;
	} ways[] = {
		{ TARGET_NGINX, "done.service", NULL, true },
		{ TARGET_NGINX, "denied.service", "hup\n", true },
		{ TARGET_NGINX, "failed.service", NULL, false },
		{ TARGET_HAPROXY, "done.service", NULL, true },
		{ TARGET_HAPROXY, "denied.service", "usr2\n", true },
		{ TARGET_HAPROXY, "failed.service", NULL, false },
	};

	for (size_t i = 0; i < ELEMENTS(ways); i++) {
		struct fixture *f = fixture_new();
		struct target_config *t = target(f, ways[i].type, "t");
		char process[4096];
		pid_t server = start_server(f, process), bus = start_bus(f);
		struct asked a = { 0 };

		t->unit = (char *)ways[i].unit;
		t->process = process;
		t->pidfile = strdup(in_dir(f, "pid"));
		/* a master socket that isn't there is no obstacle */
		if (ways[i].type == TARGET_HAPROXY)
			t->master_socket = strdup(in_dir(f, "master"));
		deploy_set_windows(f->deploy, 1, 1);
		configure(f);
		ask(f, "t", &a);
		wait_for(f, 1);
		ck_assert_msg(a.ok == ways[i].ok, "%s", a.detail);
		ck_assert_str_eq(signals(f, ways[i].signal != NULL ? 1 : 0),
		    ways[i].signal != NULL ? ways[i].signal : "");
		free(t->pidfile);
		free(t->master_socket);
		stop_server(server);
		stop_server(bus);
		fixture_free(f);
	}
}
END_TEST

/* ---- nginx, whose unit is reloaded ---- */

#define NGINX "/usr/sbin/nginx"

static void
configure_nginx(struct fixture *f, bool good)
{
	char text[512];

	snprintf(text, sizeof(text),
	    "daemon off;\npid %s/pid;\nerror_log stderr;\nevents {}\n"
	    "http {\naccess_log off;\nserver { listen unix:%s/front; }\n}\n%s",
	    f->dir, f->dir, good ? "" : "nonsense;\n");
	write_file(in_dir(f, "nginx.conf"), text, 0644);
}

static pid_t
start_nginx(struct fixture *f)
{
	pid_t pid;

	configure_nginx(f, true);
	pid = fork();
	if (pid == 0) {
		int fd = open(in_dir(f, "nginx.log"), O_CREAT | O_WRONLY, 0600);

		dup2(fd, STDERR_FILENO);
		execl(NGINX, "nginx", "-c", in_dir(f, "nginx.conf"), (char *)NULL);
		_exit(127);
	}
	WAIT_UNTIL(5, main_pid(f->dir) != 0);
	return pid;
}

/* systemd says that it went well, as the signal was sent; the workers know better. */
START_TEST(test_unit_nginx)
{
	struct fixture *f;
	struct target_config *t;
	struct asked a[3] = { 0 };
	pid_t nginx, bus;

	if (access(NGINX, X_OK) < 0) {
		fprintf(stderr, "test_unit_nginx: skipped, there is no " NGINX "\n");
		return;
	}
	f = fixture_new();
	nginx = start_nginx(f);
	bus = start_bus(f);
	t = target(f, TARGET_NGINX, "t");
	t->unit = (char *)"hup.service";
	deploy_set_windows(f->deploy, 1, 1);
	configure(f);
	ask(f, "t", &a[0]);
	wait_for(f, 1);
	ck_assert_msg(a[0].ok, "good: %s", a[0].detail);
	configure_nginx(f, false);
	ask(f, "t", &a[1]);
	wait_for(f, 1);
	ck_assert_msg(failed_with(&a[1], "nginx goes on as it was: unknown directive"),
	    "bad: %s", a[1].detail);
	/* where systemd can't be asked, the signal does, and is watched as well */
	t->unit = (char *)"denied.service";
	t->pidfile = strdup(in_dir(f, "pid"));
	configure(f);
	ask(f, "t", &a[2]);
	wait_for(f, 1);
	ck_assert_msg(failed_with(&a[2], "nginx goes on as it was: unknown directive"),
	    "by pidfile: %s", a[2].detail);
	free(t->pidfile);
	kill(nginx, SIGTERM);
	waitpid(nginx, NULL, 0);
	stop_server(bus);
	fixture_free(f);
}
END_TEST

SUITE("unit", test_unit_outcomes, test_unit_actions, test_unit_without_bus,
    test_unit_freed, test_unit_or_pidfile, test_unit_nginx)
