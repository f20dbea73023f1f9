/*
 * test_log.c - what a line looks like as text, and which fields go to the journal.
 *
 * The journal is a datagram socket at a fixed path. To see what arrives there, a test
 * puts a socket of its own at that path in a mount namespace of its own; where the
 * machine doesn't allow that, it says so and checks less.
 */
#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "platform/clock.h"
#include "platform/log.h"

#define NOON 1795410000

static int saved_stderr = -1;

/* Standard error becomes a pipe, whose other end is returned. */
static int
capture(void)
{
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	saved_stderr = dup(STDERR_FILENO);
	ck_assert_int_ge(dup2(ends[1], STDERR_FILENO), 0);
	close(ends[1]);
	return ends[0];
}

static const char *
captured(int fd, char *text, size_t size)
{
	ssize_t n = read(fd, text, size - 1);

	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	close(fd);
	text[n < 0 ? 0 : n] = '\0';
	return text;
}

START_TEST(text_has_time_level_and_fields)
{
	const struct log_fields fields = {
		.certificate = "www", .ca = "pebble", .retry_at = NOON + 3600
	};
	char text[1024];
	int fd;

	unsetenv("JOURNAL_STREAM");
	clock_freeze(NOON);
	fd = capture();
	log_line(LOG_NOTICE, &fields, "issued by %s", "pebble");
	log_line(LOG_ERR, NULL, "no fields");
	log_line(LOG_CRIT, &(struct log_fields){ 0 }, "empty fields");
	ck_assert_str_eq(captured(fd, text, sizeof(text)),
	    "2026-11-23T05:00:00Z notice: issued by pebble "
	    "[certificate=www ca=pebble retry_at=2026-11-23T06:00:00Z]\n"
	    "2026-11-23T05:00:00Z error: no fields\n"
	    "2026-11-23T05:00:00Z critical: empty fields\n");
}
END_TEST

START_TEST(all_fields_in_order)
{
	const struct log_fields fields = { .certificate = "c",
		.domain = "d",
		.ca = "a",
		.order = "https://ca/o/1",
		.problem = "urn:x",
		.target = "t",
		.retry_at = 1 };
	char text[1024];
	int fd;

	unsetenv("JOURNAL_STREAM");
	clock_freeze(NOON);
	fd = capture();
	log_line(LOG_WARNING, &fields, "x");
	ck_assert_str_eq(captured(fd, text, sizeof(text)),
	    "2026-11-23T05:00:00Z warning: x [certificate=c domain=d ca=a "
	    "order=https://ca/o/1 problem=urn:x target=t "
	    "retry_at=1970-01-01T00:00:01Z]\n");
}
END_TEST

START_TEST(level_holds_back)
{
	char text[1024];
	int fd;

	unsetenv("JOURNAL_STREAM");
	clock_freeze(NOON);
	ck_assert(log_wanted(LOG_INFO));
	ck_assert(!log_wanted(LOG_DEBUG));
	fd = capture();
	log_line(LOG_DEBUG, NULL, "hidden");
	log_set_level(LOG_DEBUG);
	log_line(LOG_DEBUG, NULL, "shown");
	log_set_level(LOG_ERR);
	log_line(LOG_WARNING, NULL, "hidden");
	ck_assert(!log_wanted(LOG_WARNING));
	ck_assert(log_wanted(LOG_CRIT));
	ck_assert_str_eq(
	    captured(fd, text, sizeof(text)), "2026-11-23T05:00:00Z debug: shown\n");
}
END_TEST

START_TEST(control_characters_are_escaped)
{
	const struct log_fields fields = { .problem = "a\r\nb\x1b[2J" };
	char text[1024];
	int fd;

	unsetenv("JOURNAL_STREAM");
	clock_freeze(NOON);
	fd = capture();
	log_line(LOG_ERR, &fields, "one\ntwo\tthree\x7f %s",
	    "\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\x92 \xc2\x9b \xff \xc3");
	ck_assert_str_eq(captured(fd, text, sizeof(text)),
	    "2026-11-23T05:00:00Z error: one\\ntwo\\tthree\\x7f "
	    "\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\x92 \\xc2\\x9b \\xff \\xc3 "
	    "[problem=a\\x0d\\nb\\x1b[2J]\n");
}
END_TEST

START_TEST(long_lines_are_cut_not_broken)
{
	static char huge[100000];
	const struct log_fields fields = { .certificate = huge,
		.domain = huge,
		.ca = huge,
		.order = huge,
		.problem = huge,
		.target = "last",
		.retry_at = NOON };
	static char text[65536];
	int fd;

	unsetenv("JOURNAL_STREAM");
	clock_freeze(NOON);
	memset(huge, 1, sizeof(huge) - 1); /* four characters each once escaped */
	fd = capture();
	log_line(LOG_ERR, &fields, "%s", huge);
	captured(fd, text, sizeof(text));
	ck_assert_uint_gt(strlen(text), 2000);
	ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
}
END_TEST

START_TEST(errno_survives)
{
	char text[256];
	int fd;

	unsetenv("JOURNAL_STREAM");
	fd = capture();
	close(STDERR_FILENO);
	errno = ENOSPC;
	log_line(LOG_ERR, NULL, "into nothing");
	ck_assert_int_eq(errno, ENOSPC);
	captured(fd, text, sizeof(text));
}
END_TEST

static void
pretend_journal(int offset)
{
	char stream[64];
	struct stat st;

	ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino + (uintmax_t)offset);
	setenv("JOURNAL_STREAM", stream, 1);
}

START_TEST(another_journal_stream_means_text)
{
	char text[256];
	int fd;

	clock_freeze(NOON);
	fd = capture();
	pretend_journal(1);
	log_line(LOG_ERR, NULL, "redirected");
	ck_assert_str_eq(captured(fd, text, sizeof(text)),
	    "2026-11-23T05:00:00Z error: redirected\n");
}
END_TEST

static bool
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return done;
}

/* /run becomes an empty directory that nobody else sees. */
static bool
private_run(void)
{
	char map[64];

	if (geteuid() != 0) {
		snprintf(map, sizeof(map), "0 %ju 1", (uintmax_t)geteuid());
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ||
		    !write_file("/proc/self/uid_map", map))
			return false;
	} else if (unshare(CLONE_NEWNS) < 0) {
		return false;
	}
	return mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
	    mount("tmpfs", "/run", "tmpfs", 0, NULL) == 0;
}

static int
journal_socket(void)
{
	const struct sockaddr_un sa = { AF_UNIX, "/run/systemd/journal/socket" };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert(mkdir("/run/systemd", 0755) == 0 &&
	    mkdir("/run/systemd/journal", 0755) == 0);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

START_TEST(journal_gets_native_entries)
{
	const struct log_fields fields = { .event = LOG_EVENT_ISSUED,
		.certificate = "www",
		.problem = "a\nPRIORITY=0",
		.retry_at = NOON };
	char entry[4096], text[64];
	int fd, journal;
	ssize_t n;

	if (getenv("CK_FORK") != NULL || !private_run()) {
		fprintf(stderr, "skipped: no mount namespace of our own here\n");
		return;
	}
	journal = journal_socket();
	fd = capture();
	pretend_journal(0);
	log_line(LOG_NOTICE, &fields, "issued by %s", "pebble");
	ck_assert_str_eq(captured(fd, text, sizeof(text)), "");
	n = recv(journal, entry, sizeof(entry) - 1, 0);
	ck_assert_int_gt(n, 0);
	entry[n] = '\0';
	ck_assert_str_eq(entry,
	    "MESSAGE=issued by pebble\nPRIORITY=5\nSYSLOG_IDENTIFIER=renewd\n"
	    "MESSAGE_ID=5d66fb51d940450aa1dadb722d96dad8\n"
	    "RENEWD_CERTIFICATE=www\nRENEWD_PROBLEM=a\\nPRIORITY=0\n"
	    "RENEWD_RETRY_AT=2026-11-23T05:00:00Z\n");
}
END_TEST

START_TEST(events_have_ids_of_their_own)
{
	ck_assert_ptr_null(log_event_id(LOG_EVENT_NONE));
	for (enum log_event i = LOG_EVENT_NONE + 1; i < LOG_EVENTS; i++) {
		const char *id = log_event_id(i);

		ck_assert_ptr_nonnull(id);
		ck_assert_uint_eq(strlen(id), 32);
		ck_assert_uint_eq(strspn(id, "0123456789abcdef"), 32);
		for (enum log_event j = LOG_EVENT_NONE + 1; j < i; j++)
			ck_assert_str_ne(log_event_id(j), id);
	}
}
END_TEST

SUITE("log", text_has_time_level_and_fields, all_fields_in_order, level_holds_back,
    control_characters_are_escaped, long_lines_are_cut_not_broken, errno_survives,
    another_journal_stream_means_text, journal_gets_native_entries,
    events_have_ids_of_their_own)
