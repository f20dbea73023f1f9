/*
 * child.c - programs run with arguments of their own, a deadline and bounded output.
 *
 * Called by the deploy targets. A child is over when its process is, which a pidfd
 * tells: neither a grandchild that keeps the pipe open nor a child that closes it early
 * changes that. It must never block the loop, and never start a shell.
 */
#include "platform/child.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "scope.h"

#define OUTPUT_SIZE   4096
#define LINE_SIZE     2048
#define READ_SIZE     4096
#define DRAIN_READS   16 /* of READ_SIZE: what a pipe holds */
#define FLOOD_SIZE    (16 * 1024 * 1024)
#define REAP_MS       1000
#define DEFAULT_PATH  "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define DEFAULT_LANG  "C.UTF-8"
#define STANDARD_VARS 2

struct child {
	pid_t pid; /* 0: not started, or reaped */
	int pidfd;
	int output_fd;
	struct event *exit_event;
	struct event *output_event;
	struct event *deadline_event;
	int ended; /* by us: -ETIME, -EFBIG; else 0 */
	size_t written;
	bool busy; /* in a callback: child_free() leaves the memory to it */
	bool freed;
	char line[LINE_SIZE];
	size_t line_len;
	char output[OUTPUT_SIZE + 1];
	size_t output_len;
	child_line_cb *line_cb;
	child_done_cb *done_cb;
	void *arg;
};

static struct event *
free_event(struct event *e)
{
	if (e != NULL)
		event_free(e);
	return NULL;
}

static int
close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
	return -1;
}

static void
stop_events(struct child *c)
{
	c->exit_event = free_event(c->exit_event);
	c->output_event = free_event(c->output_event);
	c->deadline_event = free_event(c->deadline_event);
	c->output_fd = close_fd(c->output_fd);
	c->pidfd = close_fd(c->pidfd);
}

/* The pid is ours, and so is the group of that number, as long as it isn't reaped. */
static void
kill_group(const struct child *c)
{
	if (c->pid > 0)
		kill(-c->pid, SIGKILL);
}

/* A killed process is gone in well under a millisecond, unless it hangs in the kernel:
 * then it isn't waited for any longer. */
static void
kill_and_reap(struct child *c)
{
	struct pollfd p = { .fd = c->pidfd, .events = POLLIN };

	if (c->pid <= 0)
		return;
	kill_group(c);
	if (c->pidfd >= 0)
		poll(&p, 1, REAP_MS);
	waitpid(c->pid, NULL, c->pidfd >= 0 ? WNOHANG : 0);
	c->pid = 0;
}

struct child *
child_free(struct child *c)
{
	if (c == NULL)
		return NULL;
	kill_and_reap(c);
	stop_events(c);
	if (c->busy)
		c->freed = true;
	else
		free(c);
	return NULL;
}

DEFINE_CLEANUP(struct child, child_free)

/* Ends what set busy. */
static void
leave(struct child *c)
{
	c->busy = false;
	if (c->freed)
		free(c);
}

static void
flush_line(struct child *c)
{
	if (c->line_len == 0)
		return;
	c->line[c->line_len] = '\0';
	c->line_len = 0;
	if (c->line_cb != NULL)
		c->line_cb(c->line, c->arg);
}

static void
keep_output(struct child *c, const char *data, size_t len)
{
	size_t kept = c->output_len;

	if (len > OUTPUT_SIZE) {
		data += len - OUTPUT_SIZE;
		len = OUTPUT_SIZE;
	}
	if (kept > OUTPUT_SIZE - len)
		kept = OUTPUT_SIZE - len;
	memmove(c->output, c->output + c->output_len - kept, kept);
	memcpy(c->output + kept, data, len);
	c->output_len = kept + len;
	c->output[c->output_len] = '\0';
}

/* Lines longer than the buffer come in pieces, empty ones not at all. */
static void
split_lines(struct child *c, const char *data, size_t len)
{
	for (size_t i = 0; i < len && !c->freed; i++) {
		if (data[i] != '\n')
			c->line[c->line_len++] = data[i];
		if (data[i] == '\n' || c->line_len == sizeof(c->line) - 1)
			flush_line(c);
	}
}

static void
end(struct child *c, int why)
{
	if (c->ended == 0)
		c->ended = why;
	kill_group(c);
}

/* Reads once. 0: nothing there now; -1: nothing will come any more. */
static ssize_t
read_some(struct child *c)
{
	char data[READ_SIZE];
	ssize_t n = read(c->output_fd, data, sizeof(data));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (n == 0)
		return -1;
	for (ssize_t i = 0; i < n; i++)
		if (data[i] == '\0')
			data[i] = '?'; /* or it would end the text */
	c->written += (size_t)n;
	if (c->written > FLOOD_SIZE)
		end(c, -EFBIG);
	keep_output(c, data, n);
	split_lines(c, data, n);
	return n;
}

static void
output_cb(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;

	(void)fd, (void)what;
	c->busy = true;
	if (read_some(c) < 0)
		c->output_event = free_event(c->output_event);
	leave(c);
}

/* A grandchild may go on writing for ever: so much, and no more. */
static void
drain(struct child *c)
{
	for (int i = 0; i < DRAIN_READS && !c->freed; i++)
		if (read_some(c) <= 0)
			break;
	if (!c->freed)
		flush_line(c);
}

static void
exit_cb(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;
	int status;
	pid_t pid;

	(void)fd, (void)what;
	pid = waitpid(c->pid, &status, WNOHANG);
	if (pid == 0 || (pid < 0 && errno == EINTR))
		return;
	if (pid < 0)
		status = -errno;
	if (c->ended < 0)
		status = c->ended;
	c->pid = 0;
	c->busy = true;
	drain(c);
	if (!c->freed) {
		stop_events(c);
		c->done_cb(status, c->output, c->arg);
	}
	leave(c);
}

static void
deadline_cb(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;

	(void)fd, (void)what;
	end(c, -ETIME);
}

/* "NAME=value" of our own environment, or a default; NULL without memory. */
static char *
variable(const char *name, const char *otherwise)
{
	const char *value = getenv(name);
	char *text;

	if (asprintf(&text, "%s=%s", name, value != NULL ? value : otherwise) < 0)
		return NULL;
	return text;
}

/* The order matters where renewd itself was started with a standard descriptor closed,
 * and `output` has its number. */
static int
set_actions(posix_spawn_file_actions_t *actions, int input, int output)
{
	int r = 0;

	if (input >= 0)
		r = posix_spawn_file_actions_adddup2(actions, input, STDIN_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(actions, output, STDOUT_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(
		    actions, STDOUT_FILENO, STDERR_FILENO);
	if (r == 0 && input < 0)
		r = posix_spawn_file_actions_addopen(
		    actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(
		    actions, STDERR_FILENO + 1);
	return -r;
}

static int
set_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	sigdelset(&all, SIGKILL);
	sigdelset(&all, SIGSTOP);
	r = posix_spawnattr_setsigmask(attributes, &none);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(attributes, &all);
	if (r == 0)
		r = posix_spawnattr_setpgroup(attributes, 0);
	if (r == 0)
		r = posix_spawnattr_setflags(attributes,
		    POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
			POSIX_SPAWN_SETPGROUP);
	return -r;
}

/* Returns when the program runs, or with the reason why it can't. */
static int
spawn(char *const argv[], char *const envp[], int input, int output, pid_t *ret)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int r;

	r = -posix_spawn_file_actions_init(&actions);
	if (r < 0)
		return r;
	r = -posix_spawnattr_init(&attributes);
	if (r < 0) {
		posix_spawn_file_actions_destroy(&actions);
		return r;
	}
	r = set_actions(&actions, input, output);
	if (r == 0)
		r = set_attributes(&attributes);
	if (r == 0)
		r = -posix_spawnp(ret, argv[0], &actions, &attributes, argv, envp);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return r;
}

static int
spawn_clean(struct child *c, char *const argv[], char *const environment[], int input,
    int output)
{
	_cleanup_free_ char *path = variable("PATH", DEFAULT_PATH);
	_cleanup_free_ char *lang = variable("LANG", DEFAULT_LANG);
	_cleanup_free_ char **envp = NULL;
	size_t n = 0;
	pid_t pid;
	int r;

	while (environment != NULL && environment[n] != NULL)
		n++;
	envp = calloc(n + STANDARD_VARS + 1, sizeof(*envp));
	if (path == NULL || lang == NULL || envp == NULL)
		return -ENOMEM;
	envp[0] = path;
	envp[1] = lang;
	for (size_t i = 0; i < n; i++)
		envp[STANDARD_VARS + i] = environment[i];
	r = spawn(argv, envp, input, output, &pid);
	if (r == 0)
		c->pid = pid;
	return r;
}

/* Ours doesn't block; the child's must, or programs that don't expect it lose output.
 */
static int
open_pipe(int *ret_read, int *ret_write)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	if (fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0) {
		int r = -errno;

		close(fds[0]);
		close(fds[1]);
		return r;
	}
	*ret_read = fds[0];
	*ret_write = fds[1];
	return 0;
}

static int
watch(struct child *c, struct event_base *base, unsigned timeout_seconds)
{
	struct timeval timeout = { .tv_sec = timeout_seconds };

	c->pidfd = pidfd_open(c->pid, 0); /* close-on-exec by itself */
	if (c->pidfd < 0)
		return -errno;
	c->exit_event = event_new(base, c->pidfd, EV_READ | EV_PERSIST, exit_cb, c);
	c->output_event =
	    event_new(base, c->output_fd, EV_READ | EV_PERSIST, output_cb, c);
	c->deadline_event = evtimer_new(base, deadline_cb, c);
	if (c->exit_event == NULL || c->output_event == NULL ||
	    c->deadline_event == NULL || event_add(c->exit_event, NULL) < 0 ||
	    event_add(c->output_event, NULL) < 0 ||
	    event_add(c->deadline_event, &timeout) < 0)
		return -ENOMEM;
	return 0;
}

/* A file that only the child can read, so that it may read all of it, or none, and we
 * never wait. Its number is above those of the standard descriptors. -1: no text. */
static int
open_input(const char *text, int *ret)
{
	_cleanup_close_ int fd = -1;
	size_t len;

	*ret = -1;
	if (text == NULL)
		return 0;
	fd = memfd_create("renewd-input", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (len = strlen(text); len > 0;) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		text += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	*ret = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	return *ret < 0 ? -errno : 0;
}

int
child_run(struct event_base *base, char *const argv[], char *const environment[],
    unsigned timeout_seconds, child_line_cb *line_cb, child_done_cb *done_cb, void *arg,
    struct child **ret)
{
	return child_run_fed(
	    base, argv, environment, NULL, timeout_seconds, line_cb, done_cb, arg, ret);
}

int
child_run_fed(struct event_base *base, char *const argv[], char *const environment[],
    const char *input, unsigned timeout_seconds, child_line_cb *line_cb,
    child_done_cb *done_cb, void *arg, struct child **ret)
{
	_cleanup_(child_freep) struct child *c = NULL;
	_cleanup_close_ int output = -1, in = -1;
	int r;

	assert(argv[0] != NULL);
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	c->pidfd = c->output_fd = -1;
	c->line_cb = line_cb;
	c->done_cb = done_cb;
	c->arg = arg;
	r = open_input(input, &in);
	if (r == 0)
		r = open_pipe(&c->output_fd, &output);
	if (r == 0)
		r = spawn_clean(c, argv, environment, in, output);
	if (r == 0)
		r = watch(c, base, timeout_seconds);
	if (r < 0)
		return r;
	*ret = steal_ptr(c);
	return 0;
}

const char *
child_explain(int status, char ret[CHILD_EXPLAIN_SIZE])
{
	if (status == -ETIME)
		snprintf(ret, CHILD_EXPLAIN_SIZE, "was killed at its deadline");
	else if (status == -EFBIG)
		snprintf(ret, CHILD_EXPLAIN_SIZE,
		    "was killed, as it wrote more than 16 MiB");
	else if (status < 0)
		snprintf(ret, CHILD_EXPLAIN_SIZE, "was lost: %s", strerror(-status));
	else if (WIFSIGNALED(status))
		snprintf(ret, CHILD_EXPLAIN_SIZE, "was killed by signal %d (SIG%s)",
		    WTERMSIG(status), sigabbrev_np(WTERMSIG(status)) ?: "?");
	else
		snprintf(ret, CHILD_EXPLAIN_SIZE, "ended with exit status %d",
		    WEXITSTATUS(status));
	return ret;
}
