/*
 * test_child.c - child.c against real programs, well-behaved and not.
 */
#include "platform/child.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "need_pidfd.h"
#include "suite.h"

#define TIMEOUT 10
#define LINES   64

struct seen {
	struct event_base *base;
	struct child *child;
	int done;
	int status;
	char output[8192];
	int lines;
	char line[LINES][4096];
	int free_at_line; /* frees the child within this line's callback */
	bool free_at_done;
};

static void
line_cb(const char *line, void *arg)
{
	struct seen *s = arg;

	if (s->lines < LINES)
		snprintf(s->line[s->lines], sizeof(s->line[0]), "%s", line);
	if (++s->lines == s->free_at_line) {
		s->child = child_free(s->child);
		event_base_loopbreak(s->base);
	}
}

static void
done_cb(int status, const char *output, void *arg)
{
	struct seen *s = arg;

	s->done++;
	s->status = status;
	snprintf(s->output, sizeof(s->output), "%s", output);
	if (s->free_at_done)
		s->child = child_free(s->child);
	event_base_loopbreak(s->base);
}

static void
stop_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	event_base_loopbreak(arg);
}

static void
loop(struct event_base *base, int ms)
{
	struct timeval most = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
	struct event *e = evtimer_new(base, stop_cb, base);

	event_add(e, &most);
	event_base_dispatch(base);
	event_free(e);
}

static struct seen *
seen_new(void)
{
	struct seen *s = calloc(1, sizeof(*s));

	ck_assert_ptr_nonnull(s);
	s->base = event_base_new();
	return s;
}

static void
seen_free(struct seen *s)
{
	child_free(s->child);
	event_base_free(s->base);
	free(s);
}

static int
run_shell(struct seen *s, const char *script, unsigned timeout)
{
	char *const argv[] = { (char *)"sh", (char *)"-c", (char *)script, NULL };

	return child_run(s->base, argv, NULL, timeout, line_cb, done_cb, s, &s->child);
}

/* Runs a script to its end. */
static struct seen *
shell(const char *script, unsigned timeout)
{
	struct seen *s = seen_new();

	ck_assert_int_eq(run_shell(s, script, timeout), 0);
	ck_assert_int_eq(s->done, 0);
	loop(s->base, 20000);
	ck_assert_int_eq(s->done, 1);
	return s;
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

START_TEST(test_output_and_status)
{
	struct seen *s =
	    shell("echo one; echo; echo two >&2; printf three; exit 7", TIMEOUT);

	ck_assert(WIFEXITED(s->status));
	ck_assert_int_eq(WEXITSTATUS(s->status), 7);
	ck_assert_str_eq(s->output, "one\n\ntwo\nthree");
	ck_assert_int_eq(s->lines, 3);
	ck_assert_str_eq(s->line[0], "one");
	ck_assert_str_eq(s->line[1], "two");
	ck_assert_str_eq(s->line[2], "three");
	seen_free(s);
}
END_TEST

START_TEST(test_lines_come_at_once)
{
	struct seen *s = seen_new();

	s->free_at_line = 1;
	ck_assert_int_eq(run_shell(s, "echo early; exec sleep 30", TIMEOUT), 0);
	loop(s->base, 5000);
	ck_assert_int_eq(s->lines, 1);
	ck_assert_int_eq(s->done, 0);
	seen_free(s);
}
END_TEST

START_TEST(test_signalled)
{
	struct seen *s = shell("kill -TERM $$", TIMEOUT);
	char text[CHILD_EXPLAIN_SIZE];

	ck_assert(WIFSIGNALED(s->status));
	ck_assert_int_eq(WTERMSIG(s->status), SIGTERM);
	ck_assert_str_eq(
	    child_explain(s->status, text), "was killed by signal 15 (SIGTERM)");
	seen_free(s);
}
END_TEST

START_TEST(test_explain)
{
	char text[CHILD_EXPLAIN_SIZE];

	ck_assert_str_eq(child_explain(3 << 8, text), "ended with exit status 3");
	ck_assert_str_eq(child_explain(-ETIME, text), "was killed at its deadline");
	ck_assert_str_eq(
	    child_explain(-EFBIG, text), "was killed, as it wrote more than 16 MiB");
	ck_assert_ptr_nonnull(strstr(child_explain(-ECHILD, text), "No child"));
}
END_TEST

/* The whole group goes, also a grandchild that would keep the pipe open. */
START_TEST(test_deadline)
{
	double start = seconds();
	struct seen *s =
	    shell("trap '' TERM; sleep 30 & echo $!; echo here; wait; sleep 30", 1);
	pid_t grandchild;

	ck_assert_int_eq(s->status, -ETIME);
	ck_assert(seconds() - start < 5);
	ck_assert_str_eq(s->line[1], "here");
	grandchild = atol(s->line[0]);
	ck_assert_int_gt(grandchild, 1);
	for (int i = 0; i < 500 && kill(grandchild, 0) == 0; i++) {
		char path[64], text[512] = "";
		FILE *f;

		/* nobody may be there to reap it */
		snprintf(path, sizeof(path), "/proc/%d/stat", grandchild);
		f = fopen(path, "r");
		if (f == NULL || fgets(text, sizeof(text), f) == NULL ||
		    strstr(text, ") Z") != NULL)
			grandchild = -1;
		if (f != NULL)
			fclose(f);
		if (grandchild < 0)
			break;
		usleep(10000); /* until the kernel has ended it */
	}
	ck_assert(grandchild < 0 || kill(grandchild, 0) < 0);
	seen_free(s);
}
END_TEST

START_TEST(test_grandchild_holds_pipe)
{
	double start = seconds();
	struct seen *s = shell("sleep 8 & echo $!; printf last", TIMEOUT);

	ck_assert(seconds() - start < 5);
	ck_assert_int_eq(s->status, 0);
	ck_assert_str_eq(s->line[1], "last");
	kill(atol(s->line[0]), SIGKILL);
	seen_free(s);
}
END_TEST

/* One that never stops writing must not keep us either. */
START_TEST(test_grandchild_writes_on)
{
	double start = seconds();
	struct seen *s =
	    shell("(while :; do echo y; done) & sleep 0.1; exit 4", TIMEOUT);

	ck_assert(seconds() - start < 5);
	ck_assert_int_eq(WEXITSTATUS(s->status), 4);
	seen_free(s);
}
END_TEST

START_TEST(test_closes_output_early)
{
	struct seen *s = shell("echo x; exec >&- 2>&-; sleep 0.3; exit 5", TIMEOUT);

	ck_assert_int_eq(WEXITSTATUS(s->status), 5);
	ck_assert_str_eq(s->output, "x\n");
	seen_free(s);
}
END_TEST

START_TEST(test_output_is_bounded)
{
	struct seen *s = shell(
	    "i=0; while [ $i -lt 3000 ]; do echo 0123456789; i=$((i+1)); done; echo end",
	    TIMEOUT);

	ck_assert_uint_eq(strlen(s->output), 4096);
	ck_assert_str_eq(s->output + 4096 - 15, "0123456789\nend\n");
	ck_assert_int_eq(s->lines, 3001);
	seen_free(s);
}
END_TEST

/* It would keep the loop at work until its deadline. */
START_TEST(test_flood)
{
	double start = seconds();
	struct seen *s = shell("yes 0123456789 & yes abc; echo not reached", TIMEOUT);

	ck_assert(seconds() - start < 8);
	ck_assert_int_eq(s->status, -EFBIG);
	ck_assert_uint_eq(strlen(s->output), 4096);
	seen_free(s);
}
END_TEST

/* Whole, however long; one that doesn't read it isn't waited for. */
START_TEST(test_input)
{
	char *const count[] = { (char *)"wc", (char *)"-c", NULL };
	char *const deaf[] = { (char *)"true", NULL };
	size_t len = 1 << 20;
	char *text = malloc(len + 1);
	struct seen *s = seen_new();

	memset(text, 'x', len);
	text[len] = '\0';
	ck_assert_int_eq(child_run_fed(s->base, count, NULL, text, TIMEOUT, line_cb,
			     done_cb, s, &s->child),
	    0);
	loop(s->base, 5000);
	ck_assert_str_eq(s->output, "1048576\n");
	s->child = child_free(s->child);
	ck_assert_int_eq(child_run_fed(s->base, deaf, NULL, text, TIMEOUT, line_cb,
			     done_cb, s, &s->child),
	    0);
	loop(s->base, 5000);
	ck_assert_int_eq(s->done, 2);
	ck_assert_int_eq(s->status, 0);
	free(text);
	seen_free(s);
}
END_TEST

START_TEST(test_long_line_and_nul)
{
	struct seen *s =
	    shell("head -c 5000 /dev/zero; echo; printf 'a\\0b\\n'", TIMEOUT);

	ck_assert_int_eq(s->lines, 4);
	ck_assert_uint_eq(
	    strlen(s->line[0]) + strlen(s->line[1]) + strlen(s->line[2]), 5000);
	ck_assert_uint_lt(strlen(s->line[0]), 4096);
	ck_assert_str_eq(s->line[3], "a?b");
	ck_assert_uint_eq(strlen(s->output), 4096);
	seen_free(s);
}
END_TEST

/* Clean: environment, descriptors, signals, group, standard input. */
START_TEST(test_environment)
{
	char *const argv[] = { (char *)"env", NULL };
	char *const environment[] = { (char *)"RENEWD_A=b c", NULL };
	struct seen *s = seen_new();

	setenv("RENEWD_SECRET", "hidden", 1);
	ck_assert_int_eq(child_run(s->base, argv, environment, TIMEOUT, line_cb,
			     done_cb, s, &s->child),
	    0);
	loop(s->base, 5000);
	ck_assert_int_eq(s->lines, 3);
	ck_assert_int_eq(strncmp(s->line[0], "PATH=/", 6), 0);
	ck_assert_int_eq(strncmp(s->line[1], "LANG=", 5), 0);
	ck_assert_str_eq(s->line[2], "RENEWD_A=b c");
	seen_free(s);
}
END_TEST

/* The descriptor that ls reads the directory by is there as well. */
START_TEST(test_descriptors)
{
	int leak = open("/dev/null", O_RDONLY); /* not close-on-exec */
	struct seen *s;

	ck_assert_int_ge(leak, 3);
	s = shell("readlink /proc/self/fd/0; exec ls /proc/self/fd", TIMEOUT);
	ck_assert_str_eq(s->output, "/dev/null\n0\n1\n2\n3\n");
	close(leak);
	seen_free(s);
}
END_TEST

START_TEST(test_signals_and_group)
{
	unsigned long long ignored;
	sigset_t mask;
	struct seen *s;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signal(SIGPIPE, SIG_IGN);
	s = shell("grep -E '^Sig(Blk|Ign):' /proc/self/status; "
		  "read pid comm state parent group rest </proc/$$/stat; "
		  "[ $group = $$ ] && echo own group",
	    TIMEOUT);
	ck_assert_int_eq(s->lines, 3);
	ck_assert_str_eq(s->line[0], "SigBlk:\t0000000000000000");
	ignored = strtoull(s->line[1] + strlen("SigIgn:\t"), NULL, 16);
	/* 32 and 33 are libc's own, and come as they were when this test was started */
	ck_assert_uint_eq(ignored & ~(3ULL << 31), 0);
	ck_assert_str_eq(s->line[2], "own group");
	signal(SIGPIPE, SIG_DFL);
	seen_free(s);
}
END_TEST

static int
try_program(const char *program)
{
	char *const argv[] = { (char *)program, NULL };
	struct seen *s = seen_new();
	int r;

	r = child_run(s->base, argv, NULL, TIMEOUT, line_cb, done_cb, s, &s->child);
	if (r == 0)
		loop(s->base, 5000);
	else {
		loop(s->base, 20);
		ck_assert_ptr_null(s->child);
		ck_assert_int_eq(s->done, 0);
	}
	seen_free(s);
	return r;
}

START_TEST(test_cannot_start)
{
	char script[] = "/tmp/renewd-child-XXXXXX";
	int fd = mkstemp(script);

	setenv("PATH", "/usr/bin:/bin", 1); /* a folder closed to us gives -EACCES */
	ck_assert_int_eq(try_program("/nonexistent/program"), -ENOENT);
	ck_assert_int_eq(try_program("renewd-no-such-program"), -ENOENT);
	ck_assert_int_eq(try_program("/etc/passwd"), -EACCES);
	/* without #! only a shell would take it, and none is asked */
	ck_assert_int_eq(write(fd, "exit 0\n", 7), 7);
	fchmod(fd, 0700);
	close(fd);
	ck_assert_int_eq(try_program(script), -ENOEXEC);
	unlink(script);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* nothing is left to reap */
	ck_assert_int_eq(errno, ECHILD);
}
END_TEST

START_TEST(test_free_kills)
{
	struct seen *s = seen_new();
	double start = seconds();

	ck_assert_int_eq(run_shell(s, "trap '' TERM INT HUP; sleep 30", TIMEOUT), 0);
	s->child = child_free(s->child);
	ck_assert(seconds() - start < 3);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
	loop(s->base, 50);
	ck_assert_int_eq(s->done, 0);
	ck_assert_ptr_null(child_free(NULL));
	seen_free(s);
}
END_TEST

START_TEST(test_free_in_callbacks)
{
	struct seen *s = seen_new();

	s->free_at_done = true;
	ck_assert_int_eq(run_shell(s, "echo a", TIMEOUT), 0);
	loop(s->base, 5000);
	ck_assert_int_eq(s->done, 1);
	s->free_at_line =
	    3; /* a was the first; the others come in one piece, after the end */
	ck_assert_int_eq(run_shell(s, "printf 'b\\nc\\nd\\n'", TIMEOUT), 0);
	usleep(200000); /* until all has been written and it has ended */
	loop(s->base, 5000);
	ck_assert_int_eq(s->lines, 3);
	ck_assert_int_eq(s->done, 1);
	seen_free(s);
}
END_TEST

/* Descriptors must not leak, run after run. */
START_TEST(test_many)
{
	int before = dup(0), after;

	close(before);
	for (int i = 0; i < 20; i++)
		seen_free(shell("echo $$", TIMEOUT));
	after = dup(0);
	close(after);
	ck_assert_int_eq(before, after);
}
END_TEST

SUITE("child", test_output_and_status, test_lines_come_at_once, test_signalled,
    test_explain, test_deadline, test_grandchild_holds_pipe, test_grandchild_writes_on,
    test_closes_output_early, test_output_is_bounded, test_flood, test_input,
    test_long_line_and_nul, test_environment, test_descriptors, test_signals_and_group,
    test_cannot_start, test_free_kills, test_free_in_callbacks, test_many)
