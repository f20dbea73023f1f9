/*
 * test_haproxy_cli.c - deploy/haproxy_cli.c: where the answers end that come in one
 * connection. HAProxy is played, word for word, piece by piece.
 */
#include "deploy/haproxy_cli.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "suite.h"

#define LINK "/tmp/renewd-test-cli"

struct world {
	struct event_base *base;
	char path[64];
	int listener, link; /* HAProxy's sides */
	struct haproxy_cli *cli;
	int answers, r;
	char answer[256];
	const char *again; /* asked from within answer_cb */
};

static void
answer_cb(int r, const char *answer, void *arg)
{
	struct world *w = arg;
	const struct haproxy_question again = { .command = steal_ptr(w->again) };

	w->answers++;
	w->r = r;
	snprintf(w->answer, sizeof(w->answer), "%s", r == 0 ? answer : "");
	if (again.command != NULL)
		ck_assert_int_eq(
		    haproxy_cli_go_on(w->cli, &again, 2000, answer_cb, w), 0);
}

static void
begin(struct world *w)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	*w = (struct world){ .base = event_base_new(), .link = -1 };
	snprintf(w->path, sizeof(w->path), LINK "-%d", (int)getpid());
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", w->path);
	unlink(w->path);
	w->listener = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(
	    bind(w->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(w->listener, 4), 0);
	ck_assert_int_eq(haproxy_cli_open(w->base, w->path, &w->cli), 0);
}

static void
end(struct world *w)
{
	haproxy_cli_free(w->cli);
	closep(&w->link);
	closep(&w->listener);
	unlink(w->path);
	event_base_free(w->base);
}

static void
turn(struct world *w)
{
	event_base_loop(w->base, EVLOOP_NONBLOCK);
}

static void
ask(struct world *w, const char *command, const char *payload, int timeout_ms)
{
	const struct haproxy_question q = { .command = command, .payload = payload };

	ck_assert_int_eq(haproxy_cli_go_on(w->cli, &q, timeout_ms, answer_cb, w), 0);
}

/* Exactly this was asked. */
static void
hear(struct world *w, const char *text)
{
	char heard[256] = "";
	ssize_t n = recv(w->link, heard, sizeof(heard) - 1, MSG_DONTWAIT);

	ck_assert_int_ge(n, 0);
	ck_assert_str_eq(heard, text);
}

static void
hear_nothing(struct world *w)
{
	char c;

	ck_assert_int_eq(recv(w->link, &c, 1, MSG_DONTWAIT), -1);
}

static void
say(struct world *w, const char *text)
{
	ck_assert_int_eq(
	    send(w->link, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
	turn(w);
}

/* Connected, and interactive once it has heard the prompt. */
static void
greet(struct world *w, const char *prompt)
{
	w->link = accept(w->listener, NULL, NULL);
	ck_assert_int_ge(w->link, 0);
	turn(w);
	hear(w, "prompt\n");
	say(w, prompt);
}

static void
expect(struct world *w, int answers, const char *answer)
{
	ck_assert_int_eq(w->answers, answers);
	ck_assert_int_eq(w->r, 0);
	ck_assert_str_eq(w->answer, answer);
}

START_TEST(test_one_connection)
{
	struct world w;

	begin(&w);
	ask(&w, "show ssl cert a", NULL, 2000);
	greet(&w, "\n> ");
	hear(&w, "show ssl cert a\n");
	say(&w, "Filename: a\nSubject: /CN=x> ");
	ck_assert_int_eq(w.answers, 0);
	say(&w, "\n\n>");
	ck_assert_int_eq(w.answers, 0);
	w.again = "commit ssl cert a";
	say(&w, " ");
	expect(&w, 1, "Filename: a\nSubject: /CN=x> \n\n");
	hear(&w, "commit ssl cert a\n");
	say(&w, "Success!\n\n> ");
	expect(&w, 2, "Success!\n\n");
	hear_nothing(&w);
	end(&w);
}
END_TEST

/* Its prompts between the lines of a payload are no part of the answer. */
START_TEST(test_payload)
{
	struct world w;

	begin(&w);
	ask(&w, "set ssl cert a", "KEY\nCERT\n", 2000);
	greet(&w, "\n> ");
	hear(&w, "set ssl cert a <<\nKEY\nCERT\n\n");
	say(&w, "+ + ");
	ck_assert_int_eq(w.answers, 0);
	say(&w, "+ Transaction created for certificate a!\n\n> ");
	expect(&w, 1, "Transaction created for certificate a!\n\n");
	end(&w);
}
END_TEST

START_TEST(test_master)
{
	struct world w;

	begin(&w);
	ask(&w, "@1 show ssl cert a", NULL, 2000);
	greet(&w, "master[ReloadFailed]> ");
	hear(&w, "@1 show ssl cert a\n");
	say(&w, "Filename: a\n\nmaster> ");
	expect(&w, 1, "Filename: a\n\n");
	end(&w);
}
END_TEST

/* HAProxy ends connections that are idle. */
START_TEST(test_closed_in_between)
{
	struct world w;

	begin(&w);
	ask(&w, "one", NULL, 2000);
	greet(&w, "\n> ");
	hear(&w, "one\n");
	say(&w, "1\n\n> ");
	expect(&w, 1, "1\n\n");
	closep(&w.link);
	turn(&w);
	ck_assert_int_eq(w.answers, 1);
	ask(&w, "two", NULL, 2000);
	greet(&w, "\n> ");
	hear(&w, "two\n");
	say(&w, "2\n\n> ");
	expect(&w, 2, "2\n\n");
	/* what nobody asked for isn't the answer to what is asked next */
	say(&w, "Success!\n\n> ");
	closep(&w.link);
	ask(&w, "three", NULL, 2000);
	greet(&w, "\n> ");
	hear(&w, "three\n");
	say(&w, "3\n\n> ");
	expect(&w, 3, "3\n\n");
	end(&w);
}
END_TEST

START_TEST(test_breaks)
{
	struct world w;
	char text[9000];

	begin(&w);
	ask(&w, "one", NULL, 2000);
	greet(&w, "\n> ");
	say(&w, "half of an ans");
	closep(&w.link);
	turn(&w);
	ck_assert_int_eq(w.answers, 1);
	ck_assert_int_eq(w.r, -ECONNRESET);
	ask(&w, "two", NULL, 20);
	greet(&w, "\n> ");
	event_base_loop(w.base, EVLOOP_ONCE);
	ck_assert_int_eq(w.answers, 2);
	ck_assert_int_eq(w.r, -ETIMEDOUT);
	closep(&w.link);
	ask(&w, "three", NULL, 2000);
	greet(&w, "\n> ");
	memset(text, 'x', sizeof(text));
	for (int i = 0; i < 20 && w.answers < 3; i++) {
		ck_assert_int_gt(send(w.link, text, sizeof(text), MSG_NOSIGNAL), 0);
		for (int k = 0; k < 4; k++)
			turn(&w);
	}
	ck_assert_int_eq(w.answers, 3);
	ck_assert_int_eq(w.r, -EFBIG);
	/* nobody is there any more */
	closep(&w.listener);
	w.listener = -1;
	ck_assert_int_eq(
	    haproxy_cli_go_on(w.cli, &(struct haproxy_question){ .command = "four" },
		2000, answer_cb, &w),
	    -ECONNREFUSED);
	ck_assert_int_eq(w.answers, 3);
	end(&w);
}
END_TEST

SUITE("haproxy_cli", test_one_connection, test_payload, test_master,
    test_closed_in_between, test_breaks)
