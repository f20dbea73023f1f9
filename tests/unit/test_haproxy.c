/*
 * test_haproxy.c - deploy/haproxy.c. HAProxy is played by a listener where the answers
 * of several versions matter, and is real at the end.
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <sys/un.h>

#include "deploy/haproxy_answer.h"
#include "deploy/haproxy_name.h"
#include "deploy_fixture.h"

/* Answers in order; the last one stays. */
struct played {
	struct fixture *f;
	struct evconnlistener *listener;
	struct event *return_event;
	const char *const *procs; /* for `show proc` before and after */
	const char *reload;       /* for `reload` */
	int away_ms;              /* refuses connections for so long after `reload` */
	int shows;
	int reloads;
	bool mute; /* never answers */
	struct bufferevent *muted[4];
	size_t muted_count;
};

struct talk {
	struct played *p;
	char command[64];
};

static void
talk_end(struct bufferevent *bev, short what, void *arg)
{
	(void)what;
	bufferevent_free(bev);
	free(arg);
}

static void
sent_cb(struct bufferevent *bev, void *arg)
{
	talk_end(bev, 0, arg);
}

static void listen_as(struct played *p);

static void
return_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	listen_as(arg);
}

/* As a master does that starts itself anew. */
static void
go_away(struct played *p)
{
	const struct timeval away = { .tv_usec = p->away_ms * 1000 };

	evconnlistener_free(p->listener);
	p->listener = NULL;
	event_add(p->return_event, &away);
}

static const char *
reply_to(struct played *p, const char *command)
{
	const char *reply;

	if (strcmp(command, "reload\n") == 0) {
		p->reloads++;
		if (p->away_ms > 0)
			go_away(p);
		return p->reload;
	}
	ck_assert_str_eq(command, "show proc\n");
	reply = p->procs[p->shows];
	if (p->procs[p->shows + 1] != NULL)
		p->shows++;
	return reply;
}

/* Like HAProxy, it ends the connection once our side is shut down. */
static void
talk_event_cb(struct bufferevent *bev, short what, void *arg)
{
	struct talk *k = arg;
	struct evbuffer *in = bufferevent_get_input(bev);
	int n = evbuffer_remove(in, k->command, sizeof(k->command) - 1);
	const char *reply;

	k->command[n > 0 ? n : 0] = '\0';
	if (k->p->mute) {
		ck_assert_uint_lt(k->p->muted_count, ELEMENTS(k->p->muted));
		k->p->muted[k->p->muted_count++] = bev;
		bufferevent_disable(bev, EV_READ);
		free(k);
		return;
	}
	reply = reply_to(k->p, k->command);
	if (*reply == '\0') {
		talk_end(bev, what, arg);
		return;
	}
	bufferevent_setcb(bev, NULL, sent_cb, talk_end, arg);
	bufferevent_write(bev, reply, strlen(reply));
}

static void
accept_cb(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *address,
    int len, void *arg)
{
	struct played *p = arg;
	struct talk *k = calloc(1, sizeof(*k));
	struct bufferevent *bev =
	    bufferevent_socket_new(p->f->base, fd, BEV_OPT_CLOSE_ON_FREE);

	(void)l, (void)address, (void)len;
	k->p = p;
	bufferevent_setcb(bev, NULL, NULL, talk_event_cb, k);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static void
listen_as(struct played *p)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/master", p->f->dir);
	unlink(address.sun_path);
	p->listener = evconnlistener_new_bind(p->f->base, accept_cb, p,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 5,
	    (struct sockaddr *)&address, sizeof(address));
	ck_assert_ptr_nonnull(p->listener);
}

#define HEAD26 \
  "#<PID>          <type>          <reloads>       <uptime>        <version>      \n"
#define SHOW26(pid, reloads, failed, worker, worker_reloads)            \
  HEAD26 pid "            master          " reloads " [failed: " failed \
	     "]  0d00h00m01s     2.6.12\n# workers\n" worker            \
	     "            worker          " worker_reloads              \
	     "               0d00h00m00s     2.6.12\n# programs\n\n"
#define BEFORE SHOW26("5103", "0", "0", "5106", "0")
#define HEAD24                                                                       \
  "#<PID>          <type>          <relative PID>  <reloads>       <uptime>        " \
  "<version>      \n"
#define SHOW24(reloads, worker, worker_reloads)                        \
  HEAD24 "5103            master          0               " reloads    \
	 "               0d00h00m01s     2.4.22\n# workers\n" worker   \
	 "            worker          1               " worker_reloads \
	 "               0d00h00m00s     2.4.22\n# programs\n\n"

static const struct scene {
	const char *what;
	const char *procs[4];
	const char *reload;
	int away_ms;
	const char *failure; /* NULL: it goes well */
	int reloads;
	const char *not_in_failure;
} scenes[] = {
	{ "2.6, good", { BEFORE, SHOW26("5103", "1", "0", "5153", "0") }, "", 100, NULL,
	    1, NULL },
	{ "2.6, bad", { BEFORE, SHOW26("5103", "1", "1", "5106", "1") }, "", 50,
	    "HAProxy failed to reload (1 times by now)", 1, NULL },
	{ "2.6, bad before, good now",
	    { SHOW26("5103", "3", "2", "5106", "3"),
		SHOW26("5103", "4", "0", "5163", "0") },
	    "", 50, NULL, 1, NULL },
	{ "2.6, the old one still answers, then nothing, then the new one",
	    { BEFORE, BEFORE, "", SHOW26("5103", "1", "0", "5153", "0") }, "", 0, NULL,
	    1, NULL },
	{ "2.6, with old workers",
	    { BEFORE,
		HEAD26
		"5103 master 1 [failed: 0] 0d 2.6.12\n# workers\n"
		"5153 worker 0 0d 2.6.12\n# old workers\n5106 worker 1 0d 2.6.12\n"
		"# programs\n\n" },
	    "", 50, NULL, 1, NULL },
	{ "started anew by somebody", { BEFORE, SHOW26("900", "0", "0", "901", "0") },
	    "", 50, NULL, 1, NULL },
	{ "2.6, never a new worker", { BEFORE, SHOW26("5103", "1", "0", "5106", "1") },
	    "", 50, "was asked to reload, but didn't show a new worker", 1, NULL },
	{ "2.6, never reloads", { BEFORE }, "", 0, "was asked to reload", 1, NULL },
	{ "2.4, good", { SHOW24("0", "5106", "0"), SHOW24("1", "5153", "0") }, "", 50,
	    NULL, 1, NULL },
	{ "2.4, bad", { SHOW24("0", "5106", "0"), SHOW24("1", "5106", "1") }, "", 50,
	    "was asked to reload", 1, NULL },
	{ "2.7, good", { BEFORE }, "Success=1\n--\n[NOTICE]   (1) : New worker\n", 0,
	    NULL, 1, NULL },
	{ "2.7, bad", { BEFORE },
	    "Success=0\n--\n[NOTICE]   (11) : haproxy version is 2.8.1\n"
	    "[ALERT]    (11) : config : unable to load certificate 'x.pem'.\n",
	    0,
	    "\"reload\" with: Success=0 -- [NOTICE]   (11) : haproxy version is 2.8.1 "
	    "[ALERT]    (11) : config : unable to load certificate 'x.pem'.",
	    1, NULL },
	{ "may not reload", { BEFORE }, "Permission denied\n\n", 0,
	    "\"reload\" with: Permission denied", 1, NULL },
	{ "not a master socket", { "Unknown command: 'show proc'\n\n" }, "", 0,
	    "\"show proc\" with: Unknown command: 'show proc'", 0, NULL },
	{ "garbage", { "1 2 3 4\nmaster master master\n# \n" }, "", 0,
	    "\"show proc\" with:", 0, NULL },
	{ "huge numbers",
	    { HEAD26 "99999999999999999999999 master 99999999999999999999 [failed: "
		     "9999999999999999999999]\n" },
	    "", 0, "\"show proc\" with:", 0, NULL },
};

static void
play(const struct scene *scene)
{
	struct fixture *f = fixture_new();
	struct played p = { .f = f,
		.procs = scene->procs,
		.reload = scene->reload,
		.away_ms = scene->away_ms };
	struct target_config *t = target(f, TARGET_HAPROXY, "edge");
	struct asked a = { 0 };

	t->master_socket = strdup(in_dir(f, "master"));
	t->timeout.seconds = 1;
	p.return_event = evtimer_new(f->base, return_cb, &p);
	listen_as(&p);
	deploy_set_windows(f->deploy, 1, 1);
	configure(f);
	ask(f, "edge", &a);
	wait_for(f, 1);
	if (scene->failure == NULL)
		ck_assert_msg(a.ok, "%s: %s", scene->what, a.detail);
	else
		ck_assert_msg(failed_with(&a, scene->failure), "%s", scene->what);
	ck_assert_msg(p.reloads == scene->reloads, "%s", scene->what);
	loop(f, 20, 0); /* connections end */
	ck_assert_int_eq(f->idle, 1);
	if (p.listener != NULL)
		evconnlistener_free(p.listener);
	event_free(p.return_event);
	free(t->master_socket);
	fixture_free(f);
}

START_TEST(test_haproxy_versions)
{
	for (size_t i = 0; i < ELEMENTS(scenes); i++)
		play(&scenes[i]);
}
END_TEST

START_TEST(test_haproxy_endless_answer)
{
	size_t len = 200000;
	char *answer = malloc(len + 1);
	struct scene scene = { "endless", { answer }, "", 0, "File too large", 0,
		NULL };

	memset(answer, 'x', len);
	answer[len] = '\0';
	play(&scene);
	free(answer);
}
END_TEST

START_TEST(test_haproxy_mute)
{
	struct fixture *f = fixture_new();
	struct played p = { .f = f, .mute = true };
	struct target_config *t = target(f, TARGET_HAPROXY, "edge");
	struct asked a[2] = { 0 };

	t->master_socket = strdup(in_dir(f, "master"));
	t->timeout.seconds = 1;
	listen_as(&p);
	deploy_set_windows(f->deploy, 1, 1);
	configure(f);
	ask(f, "edge", &a[0]);
	loop(f, 200, 0);
	ask(f, "edge", &a[1]);
	wait_for(f, 1);
	ck_assert(
	    failed_with(&a[0], "HAProxy didn't answer in time on its master socket"));
	loop(f, 50, 0);
	ck_assert(deploy_reloading(f->deploy)); /* the second run, which ends here */
	f->deploy = deploy_free(f->deploy);
	loop(f, 20, 0);
	for (size_t i = 0; i < p.muted_count; i++)
		bufferevent_free(p.muted[i]);
	evconnlistener_free(p.listener);
	free(t->master_socket);
	fixture_free(f);
}
END_TEST

/* No socket, or nobody behind it: by pidfile, if there is one. */
START_TEST(test_haproxy_by_pidfile)
{
	struct fixture *f = fixture_new();
	struct asked a[4] = { 0 };
	char process[4096];
	pid_t server = start_server(f, process);
	struct target_config *both = target(f, TARGET_HAPROXY, "both");
	struct target_config *pidfile = target(f, TARGET_HAPROXY, "pidfile");
	struct target_config *neither = target(f, TARGET_HAPROXY, "neither");
	struct target_config *stale = target(f, TARGET_HAPROXY, "stale");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/stale", f->dir);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	both->master_socket = neither->master_socket = strdup(in_dir(f, "none"));
	both->pidfile = pidfile->pidfile = stale->pidfile = strdup(in_dir(f, "pid"));
	stale->master_socket = address.sun_path;
	both->process = pidfile->process = process;
	deploy_set_windows(f->deploy, 1, 1);
	configure(f);
	ask(f, "both", &a[0]);
	ask(f, "pidfile", &a[1]);
	ask(f, "neither", &a[2]);
	wait_for(f, 3);
	ck_assert(a[0].ok && a[1].ok);
	ck_assert(failed_with(&a[2], "there is no master socket /tmp/"));
	WAIT_UNTIL(1, count(read_all(in_dir(f, "signals")), "usr2") >= 1);
	ck_assert(contains(read_all(in_dir(f, "signals")), "usr2\n"));
	ck_assert_int_eq(count(read_all(in_dir(f, "signals")), "hup"), 0);
	/* both ways fail: both are said */
	ask(f, "stale", &a[3]);
	wait_for(f, 1);
	ck_assert(
	    failed_with(&a[3], "Connection refused; can't send SIGUSR2 to haproxy"));
	stop_server(server);
	free(both->master_socket);
	free(both->pidfile);
	fixture_free(f);
}
END_TEST

START_TEST(test_haproxy_denied)
{
	static const char *const procs[] = { BEFORE, NULL };
	struct fixture *f = fixture_new();
	struct played p = { .f = f, .procs = procs, .reload = "" };
	struct target_config *t = target(f, TARGET_HAPROXY, "edge");
	struct asked a[2] = { 0 };

	t->master_socket = strdup(in_dir(f, "master"));
	listen_as(&p);
	chmod(t->master_socket, 0600);
	chmod(f->dir, 0711);
	deploy_set_windows(f->deploy, 1, 1);
	configure(f);
	if (geteuid() != 0) {
		fprintf(stderr, "test_haproxy_denied: skipped, needs root\n");
	} else {
		ck_assert_int_eq(seteuid(NOBODY), 0);
		ask(f, "edge", &a[0]);
		wait_for(f, 1);
		ck_assert_int_eq(seteuid(0), 0);
		ck_assert(failed_with(&a[0], "may not open /tmp/"));
		ck_assert(failed_with(&a[0],
		    "which belongs to user root and group root with mode 0600: start HAProxy "
		    "with \"-S "));
		ck_assert(failed_with(&a[0], ",mode,660,group,GROUP\" and put user "));
		chmod(f->dir, 0700);
		ck_assert_int_eq(seteuid(NOBODY), 0);
		ask(f, "edge", &a[1]);
		wait_for(f, 1);
		ck_assert_int_eq(seteuid(0), 0);
		ck_assert(failed_with(&a[1], "may not look into a directory of /tmp/"));
	}
	evconnlistener_free(p.listener);
	free(t->master_socket);
	fixture_free(f);
}
END_TEST

START_TEST(test_haproxy_long_path)
{
	struct fixture *f = fixture_new();
	struct target_config *t = target(f, TARGET_HAPROXY, "edge");
	struct asked a = { 0 };
	char path[200];

	memset(path, 'a', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	t->master_socket = path;
	deploy_set_windows(f->deploy, 1, 1);
	configure(f);
	ask(f, "edge", &a);
	wait_for(f, 1);
	ck_assert(failed_with(&a, "File name too long"));
	fixture_free(f);
}
END_TEST

/* ---- the runtime API's words ---- */

START_TEST(test_haproxy_answers)
{
	char name[16] = "";

	ck_assert(haproxy_has_line("Committing x\nSuccess!\n\n", "Success!"));
	ck_assert(haproxy_has_line("Success!", "Success!"));
	ck_assert(!haproxy_has_line("Success! Not\nNo Success!\n", "Success!"));
	ck_assert(!haproxy_has_line("", "Success!"));
	ck_assert_str_eq(haproxy_field("a\nb: c", "b: "), "c");
	ck_assert_ptr_null(haproxy_field("ab: c\n", "b: "));
	ck_assert_ptr_null(haproxy_field("", "b: "));
	ck_assert(haproxy_shows_serial("Filename: x\nSerial: 04A1\nx\n", "4a1"));
	ck_assert(haproxy_shows_serial("Serial: 4a1", "004A1"));
	ck_assert(!haproxy_shows_serial("Serial: 4a1f\n", "4a1"));
	ck_assert(!haproxy_shows_serial("Serial: \n", "4a1"));
	ck_assert(!haproxy_shows_serial("Not serial: 4a1\n", "4a1"));
	ck_assert(haproxy_transaction(
	    "Transaction created for certificate /a.pem!\n\n", name, sizeof(name)));
	ck_assert_str_eq(name, "/a.pem");
	ck_assert(haproxy_transaction(
	    "note\nTransaction updated for certificate /b!\n", name, sizeof(name)));
	ck_assert_str_eq(name, "/b");
	ck_assert(!haproxy_transaction(
	    "Transaction created for certificate /a-longer-one.pem!\n", name,
	    sizeof(name)));
	ck_assert(!haproxy_transaction(
	    "Transaction created for certificate /a", name, sizeof(name)));
	ck_assert(!haproxy_transaction(
	    "Can't replace a certificate which is not referenced!\n", name,
	    sizeof(name)));
	ck_assert(
	    haproxy_ongoing("The ongoing transaction is about '/a.pem' but you are "
			    "trying to set '/b.pem'\nCan't update /b.pem!\n",
		name, sizeof(name)));
	ck_assert_str_eq(name, "/a.pem");
	ck_assert(!haproxy_ongoing(
	    "The ongoing transaction is about '/a.pem", name, sizeof(name)));
	ck_assert(!haproxy_ongoing(
	    "Transaction updated for certificate /b!\n", name, sizeof(name)));
}
END_TEST

/* ---- names of items in crt-stores ---- */

START_TEST(test_haproxy_items)
{
	const struct haproxy_file one = {
		.certificate = "a.test", .bundle_dir = "/x/live/a.test", .kind = ".rsa"
	};
	const struct haproxy_file given = { .certificate = "a.test",
		.bundle_dir = "/x/live/a.test",
		.bundle_path = "/etc/all-{name}.pem",
		.kind = "" };
	const struct haproxy_file haproxy = {
		.certificate = "haproxy", .bundle_dir = "/x/live/haproxy", .kind = ""
	};
	const struct {
		const struct haproxy_file *file;
		const char *item, *path;
		bool leads;
	} cases[] = {
		{ &one, "@web/x", "/x/live/a.test/haproxy.pem.rsa", true },
		{ &one, "@web/x", "/x/live/a.test/haproxy.pem.ecdsa", false },
		{ &one, "@web/x", "/y/live/a.test/haproxy.pem.rsa", false },
		{ &one, "@web/x", "a.test/haproxy.pem.rsa", true },
		{ &one, "@web/x", "./live/a.test/haproxy.pem.rsa", true },
		{ &one, "@web/x", "x/live/a.test/haproxy.pem.rsa", true },
		{ &one, "@web/x", "y/x/live/a.test/haproxy.pem.rsa", false },
		{ &one, "@web/x", "a.test/fullchain.rsa.pem", true },
		{ &one, "@web/x", "a.test/fullchain.pem", false },
		{ &one, "@web/x", "a.test.pem.rsa", true },
		{ &one, "@web/x", "haproxy/a.test.pem.rsa", true },
		/* without its name, or with a bit of it, it may be anybody's */
		{ &one, "@web/x", "haproxy.pem.rsa", false },
		{ &one, "@web/x", "test/haproxy.pem.rsa", false },
		{ &one, "@web/x", "test.pem.rsa", false },
		{ &one, "@web/x", "b.test/haproxy.pem.rsa", false },
		{ &haproxy, "@web/x", "haproxy.pem", true }, /* in the flat directory */
		{ &haproxy, "@web/x", "fullchain.pem", false },
		/* where no path is told */
		{ &one, "@web/a.test/haproxy.pem.rsa", "", true },
		{ &one, "@web/x/live/a.test/haproxy.pem.rsa", "", true },
		{ &one, "a.test/haproxy.pem.rsa", "", true },
		{ &one, "@web/a.test", "", false },
		{ &one, "@", "", false },
		{ &one, "", "", false },
		{ &given, "@web/x", "/etc/all-a.test.pem", true },
		{ &given, "@web/x", "all-a.test.pem", true },
		{ &given, "@web/x", "a.test.pem", false },
		{ &given, "@web/x", "/x/live/a.test/haproxy.pem", false },
	};

	for (size_t i = 0; i < ELEMENTS(cases); i++)
		ck_assert_msg(haproxy_name_leads(cases[i].file, cases[i].item,
				  cases[i].path) == cases[i].leads,
		    "%zu: %s %s", i, cases[i].item, cases[i].path);
	ck_assert(haproxy_name_is_ours(&one, "/x/live/b.test/haproxy.pem"));
	ck_assert(haproxy_name_is_ours(&one, "/x/haproxy/b.test.pem"));
	ck_assert(!haproxy_name_is_ours(&one, "/x/liver/b.test/haproxy.pem"));
	ck_assert(!haproxy_name_is_ours(&one, "/x/certs/b.test.pem"));
	ck_assert(!haproxy_name_is_ours(&one, "@web/b.test"));
	ck_assert(!haproxy_name_is_ours(&given, "/etc/all-b.test.pem"));
}
END_TEST

/* ---- HAProxy itself ---- */

#define HAPROXY "/usr/sbin/haproxy"

static void
configure_haproxy(struct fixture *f, bool good)
{
	char text[512];

	snprintf(text, sizeof(text),
	    "global\n  stats socket %s/admin level admin\n"
	    "defaults\n  mode http\n  timeout client 1s\n  timeout server 1s\n"
	    "  timeout connect 1s\n"
	    "frontend f\n  bind unix@%s/front\n  http-request return status 200\n%s",
	    f->dir, f->dir, good ? "" : "nonsense\n");
	write_file(in_dir(f, "cfg"), text, 0600);
}

static pid_t
start_haproxy(struct fixture *f)
{
	pid_t pid;
	int fd;

	configure_haproxy(f, true);
	pid = fork();
	if (pid == 0) {
		fd = open(in_dir(f, "haproxy.log"), O_CREAT | O_WRONLY, 0600);
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		execl(HAPROXY, "haproxy", "-W", "-S", in_dir(f, "master"), "-p",
		    in_dir(f, "pid"), "-f", in_dir(f, "cfg"), (char *)NULL);
		_exit(127);
	}
	WAIT_UNTIL(5, access(in_dir(f, "front"), F_OK) == 0);
	return pid;
}

/* A master that executes itself anew just now loses a SIGTERM, so it gets another. */
static void
stop_haproxy(pid_t pid)
{
	for (int i = 0; i < 300 && waitpid(pid, NULL, WNOHANG) == 0; i++) {
		kill(pid, i < 200 ? SIGTERM : SIGKILL);
		usleep(50000); /* before it is told again */
	}
}

START_TEST(test_haproxy_itself)
{
	struct fixture *f;
	struct target_config *t;
	struct asked a[5] = { 0 };
	pid_t pid;

	if (access(HAPROXY, X_OK) < 0) {
		fprintf(
		    stderr, "test_haproxy_itself: skipped, there is no " HAPROXY "\n");
		return;
	}
	f = fixture_new();
	pid = start_haproxy(f);
	t = target(f, TARGET_HAPROXY, "edge");
	t->master_socket = strdup(in_dir(f, "master"));
	deploy_set_windows(f->deploy, 1, 1);
	configure(f);
	ask(f, "edge", &a[0]);
	wait_for(f, 1);
	ck_assert_msg(a[0].ok, "good: %s", a[0].detail);
	configure_haproxy(f, false);
	ask(f, "edge", &a[1]);
	wait_for(f, 1);
	/* 2.6 says so itself by [failed: 1], later ones by Success=0 */
	ck_assert(failed_with(&a[1], "HAProxy"));
	configure_haproxy(f, true);
	ask(f, "edge", &a[2]);
	wait_for(f, 1);
	ck_assert_msg(a[2].ok, "good again: %s", a[2].detail);
	/* and without the socket */
	free(t->master_socket);
	t->master_socket = NULL;
	t->pidfile = strdup(in_dir(f, "pid"));
	configure(f);
	ask(f, "edge", &a[3]);
	wait_for(f, 1);
	ck_assert_msg(a[3].ok, "by pidfile: %s", a[3].detail);
	WAIT_UNTIL(
	    3, count(read_all(in_dir(f, "haproxy.log")), "Reloading HAProxy") >= 4);
	ck_assert_int_eq(
	    count(read_all(in_dir(f, "haproxy.log")), "Reloading HAProxy"), 4);
	stop_haproxy(pid);
	ask(f, "edge", &a[4]);
	wait_for(f, 1);
	ck_assert(failed_with(&a[4], "can't send SIGUSR2 to haproxy"));
	free(t->pidfile);
	fixture_free(f);
}
END_TEST

SUITE("haproxy", test_haproxy_versions, test_haproxy_endless_answer, test_haproxy_mute,
    test_haproxy_by_pidfile, test_haproxy_denied, test_haproxy_long_path,
    test_haproxy_answers, test_haproxy_items, test_haproxy_itself)
