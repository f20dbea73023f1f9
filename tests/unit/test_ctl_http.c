/*
 * test_ctl_http.c - what renewctl makes of answers, whole, broken off and senseless.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buffer.h"
#include "ctl/http.h"
#include "suite.h"

static int
take(long status, const char *data, size_t len, void *arg)
{
	if (status == 418)
		return -EFBIG;
	buffer_add(arg, data, len);
	return 0;
}

#define OK      "HTTP/1.1 200 OK\r\n"
#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"

static const struct {
	const char *answer;
	int r;
	long status;
	const char *body; /* that was handed on */
} answers[] = {
	{ OK "Content-Length: 5\r\n\r\nhello", 0, 200, "hello" },
	{ OK "content-length:5\r\n\r\nhello, and more", 0, 200, "hello" },
	{ OK "Content-Length: 5\n\nhello", 0, 200, "hello" },
	{ OK "\r\nuntil the end", 0, 200, "until the end" },
	{ "HTTP/1.1 204 No Content\r\n\r\n", 0, 204, "" },
	{ "HTTP/1.0 503 x\r\nContent-Length: 0\r\n\r\n", 0, 503, "" },
	{ CHUNKED "3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n", 0, 200,
	    "abc0123456789" },
	/* broken off */
	{ "", -ECONNRESET, 0, "" },
	{ "HTTP/1.1 20", -EPIPE, 0, "" },
	{ OK "Content-Length: 5\r\n", -EPIPE, 0, "" },
	{ OK "Content-Length: 5\r\n\r\nhell", -EPIPE, 0, "hell" },
	{ CHUNKED "3\r\nabc\r\n", -EPIPE, 0, "abc" },
	{ CHUNKED "3\r\nab", -EPIPE, 0, "ab" },
	{ CHUNKED, -EPIPE, 0, "" },
	/* senseless */
	{ "SSH-2.0-OpenSSH\r\n", -EBADMSG, 0, "" },
	{ "HTTP/1.1 abc\r\n\r\n", -EBADMSG, 0, "" },
	{ "HTTP/1.1 999 x\r\n\r\n", -EBADMSG, 0, "" },
	{ OK "no colon\r\n\r\n", -EBADMSG, 0, "" },
	{ OK "Content-Length: -1\r\n\r\n", -EBADMSG, 0, "" },
	{ OK "Content-Length: 99999999999999999999\r\n\r\n", -EBADMSG, 0, "" },
	{ OK "Transfer-Encoding: gzip\r\n\r\n", -EBADMSG, 0, "" },
	{ CHUNKED "zz\r\n", -EBADMSG, 0, "" },
	{ CHUNKED "3\r\nabcd\r\n", -EBADMSG, 0, "abc" },
	{ CHUNKED "fffffffffffffffff\r\nabc", -EBADMSG, 0, "" },
	/* the caller has had enough */
	{ "HTTP/1.1 418 x\r\n\r\ntea", -EFBIG, 0, "" },
};

static void
check_answer(const char *answer, int r, long status, const char *text)
{
	_cleanup_(buffer_free) struct buffer body = { 0 };
	struct http_request request = { "GET", "/x", NULL, 5, take, &body };
	long seen = 0;
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(write(fds[1], answer, strlen(answer)), (int)strlen(answer));
	shutdown(fds[1], SHUT_WR);
	ck_assert_msg(http_ask(fds[0], &request, &seen) == r, "%s", answer);
	ck_assert_msg(seen == status, "%s", answer);
	ck_assert_str_eq(body.data != NULL ? body.data : "", text);
	close(fds[0]);
	close(fds[1]);
}

START_TEST(test_answers)
{
	for (size_t i = 0; i < ELEMENTS(answers); i++)
		check_answer(answers[i].answer, answers[i].r, answers[i].status,
		    answers[i].body);
}
END_TEST

/* What it says itself. */
START_TEST(test_request)
{
	_cleanup_(buffer_free) struct buffer body = { 0 };
	struct http_request request = { "PUT", "/v1/x", "{}", 5, take, &body };
	const char *answer = OK "Content-Length: 0\r\n\r\n";
	char said[512] = "";
	long status = 0;
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(write(fds[1], answer, strlen(answer)), (int)strlen(answer));
	ck_assert_int_eq(http_ask(fds[0], &request, &status), 0);
	ck_assert_int_gt(read(fds[1], said, sizeof(said) - 1), 0);
	ck_assert_str_eq(said,
	    "PUT /v1/x HTTP/1.1\r\nHost: renewd\r\nConnection: close\r\n"
	    "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
	close(fds[0]);
	close(fds[1]);
}
END_TEST

/* Silence ends. */
START_TEST(test_silence)
{
	struct http_request request = { "GET", "/x", NULL, 1, take, NULL };
	long status = 0;
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(http_ask(fds[0], &request, &status), -ETIMEDOUT);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

SUITE("ctl_http", test_answers, test_request, test_silence)
