/*
 * test_responder.c - the HTTP-01 listener on loopback sockets, with friendly clients
 * and others. What single requests mean is in test_request.c.
 */
#include "suite.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include "challenge/connection.h"
#include "challenge/listener.h"
#include "challenge/request.h"
#include "challenge/responder.h"
#include "config/config.h"
#include "platform/clock.h"
#include "platform/log.h"

#define PATH    "/.well-known/acme-challenge/"
#define HOST    "Host: example.net\r\n"
#define BODY    "tok-EN_1.thumbprint"
#define NOON    1795410000
#define PATIENT 20000 /* ms; only a failing test waits as long */

#define GET(path)   "GET " path " HTTP/1.1\r\n" HOST "\r\n"
#define WITH(field) "GET " PATH "tok-EN_1 HTTP/1.1\r\n" HOST field "\r\n\r\n"

/* ---- sockets -------------------------------------------------------------------- */

static struct event_base *base;
static struct responder *responder;
static char fetched[4096]; /* tokens, each with a blank */

static int64_t
milliseconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void
fetched_cb(const char *token, void *arg)
{
	ck_assert_ptr_eq(arg, &responder);
	strncat(fetched, token, sizeof(fetched) - strlen(fetched) - 2);
	strncat(fetched, " ", 2);
}

/* Loopback of this family at a port; 0: any. */
static socklen_t
loopback(int family, unsigned port, struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	ret->ss_family = (sa_family_t)family;
	if (family == AF_INET) {
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		v4->sin_port = htons((uint16_t)port);
		return sizeof(*v4);
	}
	v6->sin6_addr = in6addr_loopback;
	v6->sin6_port = htons((uint16_t)port);
	return sizeof(*v6);
}

/* A bound socket at a port that was free; -1 where the machine lacks the family. */
static int
bound_socket(int family, unsigned *ret_port)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage sa;
	socklen_t len = loopback(family, 0, &sa);

	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, len) < 0) {
		close(fd);
		return -1;
	}
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	*ret_port = ntohs(family == AF_INET ? ((struct sockaddr_in *)&sa)->sin_port
					    : ((struct sockaddr_in6 *)&sa)->sin6_port);
	return fd;
}

static unsigned
free_port(void)
{
	unsigned port = 0;
	int fd = bound_socket(AF_INET, &port);

	ck_assert_int_ge(fd, 0);
	close(fd);
	return port;
}

static int
client(int family, unsigned port)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage sa;
	socklen_t len = loopback(family, port, &sa);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sa, len), 0);
	return fd;
}

static void
tell(int fd, const char *text)
{
	ck_assert_int_eq(
	    send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Runs the loop for a while. */
static void
turn(int ms)
{
	int64_t until = milliseconds() + ms;

	do {
		event_base_loop(base, EVLOOP_NONBLOCK);
		if (ms > 0)
			poll(NULL, 0, 1);
	} while (milliseconds() < until);
}

/* What has come when the server has closed, or as soon as `enough` is among it.
 * *ret_closed (or NULL): 0 still open, 1 closed, -1 reset. */
static char *
hear(int fd, const char *enough, int *ret_closed)
{
	static char text[1 << 20];
	int64_t until = milliseconds() + PATIENT;
	size_t len = 0;
	ssize_t n = -1;

	text[0] = '\0';
	do {
		event_base_loop(base, EVLOOP_NONBLOCK);
		n = recv(fd, text + len, sizeof(text) - 1 - len, MSG_DONTWAIT);
		if (n > 0)
			len += (size_t)n;
		else if (n < 0 && errno == EAGAIN)
			poll(NULL, 0, 1);
		else
			break;
		text[len] = '\0';
		ck_assert_int_lt(milliseconds(), until);
	} while (enough == NULL || strstr(text, enough) == NULL);
	if (ret_closed != NULL)
		*ret_closed = n > 0 ? 0 : n == 0 ? 1 : -1;
	return text;
}

static size_t
occurrences(const char *text, const char *what)
{
	size_t n = 0;

	while ((text = strstr(text, what)) != NULL) {
		text += strlen(what);
		n++;
	}
	return n;
}

static void
start(void)
{
	signal(SIGPIPE, SIG_IGN); /* as main() does */
	log_set_level(LOG_EMERG);
	fetched[0] = '\0';
	base = event_base_new();
	ck_assert_ptr_nonnull(base);
	ck_assert_int_eq(responder_new(base, &responder), 0);
	ck_assert_int_eq(
	    responder_publish(responder, "tok-EN_1", BODY, fetched_cb, &responder), 0);
}

static void
stop(void)
{
	responder = responder_free(responder);
	event_base_free(base);
	libevent_global_shutdown();
}

/* Starts listening at "ADDRESS:port" of these formats. */
static size_t
listen_on(unsigned port, const char *first, const char *second)
{
	char texts[2][64], *v[2] = { texts[0], texts[1] };
	struct words words = { v, second == NULL ? 1 : 2 };
	size_t failed = 42;

	snprintf(texts[0], sizeof(texts[0]), "%s:%u", first, port);
	snprintf(
	    texts[1], sizeof(texts[1]), "%s:%u", second == NULL ? "" : second, port);
	ck_assert_int_eq(responder_listen(responder, &words, NULL, 0, &failed), 0);
	return failed;
}

static void
expect_served(int family, unsigned port)
{
	int fd = client(family, port);
	const char *text;

	tell(fd, WITH("Connection: close"));
	text = hear(fd, NULL, NULL);
	ck_assert_int_eq(strncmp(text, "HTTP/1.1 200 OK\r\n", 17), 0);
	ck_assert_str_eq(strstr(text, "\r\n\r\n"), "\r\n\r\n" BODY);
	close(fd);
}

START_TEST(listener_serves_v4)
{
	unsigned port = free_port();

	start();
	ck_assert(!responder_listening(responder));
	ck_assert_uint_eq(listen_on(port, "127.0.0.1", NULL), 0);
	ck_assert(responder_listening(responder));
	expect_served(AF_INET, port);
	turn(5);
	ck_assert_str_eq(fetched, "tok-EN_1 ");
	ck_assert_uint_eq(responder_counts(responder)->served, 1);
	stop();
}
END_TEST

START_TEST(listener_serves_v6_beside_v4)
{
	unsigned port;
	int fd = bound_socket(AF_INET6, &port);

	if (fd < 0) {
		fprintf(stderr, "skipped: this machine has no ::1\n");
		return;
	}
	close(fd);
	start();
	ck_assert_uint_eq(listen_on(port, "[::]", "0.0.0.0"), 0);
	expect_served(AF_INET6, port);
	expect_served(AF_INET, port);
	/* [::] alone doesn't take IPv4. */
	ck_assert_uint_eq(listen_on(port, "[::]", NULL), 0);
	expect_served(AF_INET6, port);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	{
		struct sockaddr_storage sa;
		socklen_t len = loopback(AF_INET, port, &sa);

		ck_assert_int_eq(connect(fd, (struct sockaddr *)&sa, len), -1);
		ck_assert_int_eq(errno, ECONNREFUSED);
	}
	close(fd);
	stop();
}
END_TEST

START_TEST(only_a_get_counts_as_fetched)
{
	unsigned port = free_port();
	const struct responder_counts *counts;
	const char *text;
	int fd;

	start();
	listen_on(port, "127.0.0.1", NULL);
	counts = responder_counts(responder);
	fd = client(AF_INET, port);
	tell(fd, "HEAD " PATH "tok-EN_1 HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
	text = hear(fd, NULL, NULL);
	ck_assert_str_eq(strstr(text, "\r\n\r\n"), "\r\n\r\n");
	ck_assert_ptr_nonnull(strstr(text, "Content-Length: 19\r\n"));
	close(fd);
	fd = client(AF_INET, port);
	tell(fd, GET(PATH "unknown") GET("/x") GET("/x y"));
	hear(fd, NULL, NULL);
	close(fd);
	turn(5);
	ck_assert_str_eq(fetched, "");
	ck_assert_uint_eq(counts->served, 1);
	ck_assert_uint_eq(counts->unknown, 1);
	ck_assert_uint_eq(counts->other, 1);
	ck_assert_uint_eq(counts->refused, 1);
	stop();
}
END_TEST

START_TEST(redirect_can_be_switched)
{
	unsigned port = free_port();
	int fd;

	start();
	listen_on(port, "127.0.0.1", NULL);
	fd = client(AF_INET, port);
	tell(fd, GET("/a"));
	ck_assert_ptr_nonnull(strstr(hear(fd, "\r\n\r\n", NULL), "404 Not Found"));
	responder_set_redirect(responder, true);
	tell(fd, GET("/a"));
	ck_assert_ptr_nonnull(
	    strstr(hear(fd, "\r\n\r\n", NULL), "Location: https://example.net/a\r\n"));
	tell(fd, GET(PATH "unknown"));
	ck_assert_ptr_nonnull(strstr(hear(fd, "\r\n\r\n", NULL), "404 Not Found"));
	close(fd);
	stop();
}
END_TEST

START_TEST(keep_alive_has_a_bound)
{
	unsigned port = free_port();
	int fd, closed = 0, n = 0;

	start();
	listen_on(port, "127.0.0.1", NULL);
	fd = client(AF_INET, port);
	while (closed == 0 && n < 1000) {
		tell(fd, GET(PATH "tok-EN_1"));
		n++;
		if (strstr(hear(fd, BODY, &closed), "Connection: close") != NULL)
			hear(fd, NULL, &closed);
	}
	ck_assert_int_eq(n, 100);
	ck_assert_int_eq(closed, 1);
	close(fd);
	stop();
}
END_TEST

START_TEST(bytes_one_at_a_time)
{
	static const char text[] = WITH("Connection: close");
	unsigned port = free_port();
	int fd;

	start();
	listen_on(port, "127.0.0.1", NULL);
	fd = client(AF_INET, port);
	for (size_t i = 0; i < strlen(text); i++) {
		ck_assert_int_eq(send(fd, text + i, 1, MSG_NOSIGNAL), 1);
		turn(0);
	}
	ck_assert_ptr_nonnull(strstr(hear(fd, NULL, NULL), "\r\n\r\n" BODY));
	close(fd);
	stop();
}
END_TEST

/* The client shuts its side down behind the request, as netcat does. */
START_TEST(half_closed_clients_get_their_answer)
{
	unsigned port = free_port();
	int fd, closed;

	start();
	listen_on(port, "127.0.0.1", NULL);
	fd = client(AF_INET, port);
	tell(fd, GET(PATH "tok-EN_1") GET("/"));
	shutdown(fd, SHUT_WR);
	ck_assert_uint_eq(occurrences(hear(fd, NULL, &closed), "HTTP/1.1 "), 2);
	ck_assert_int_eq(closed, 1);
	close(fd);
	ck_assert_uint_eq(responder_counts(responder)->refused, 0);
	stop();
}
END_TEST

/* Who comes and leaves without a word is a health check, nobody refused. */
START_TEST(silent_visits_arent_counted)
{
	const struct linger reset = { 1, 0 };
	unsigned port = free_port();
	int fd;

	start();
	listen_on(port, "127.0.0.1", NULL);
	close(client(AF_INET, port));
	fd = client(AF_INET, port);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
	turn(20);
	ck_assert_uint_eq(responder_counts(responder)->refused, 0);
	fd = client(AF_INET, port);
	tell(fd, "GET /half");
	close(fd);
	turn(20);
	ck_assert_uint_eq(responder_counts(responder)->refused, 1);
	stop();
}
END_TEST

/* A refused body is still on its way when the answer goes out: no reset may eat it. */
START_TEST(refusals_arrive_whole)
{
	static char body[60001];
	unsigned port = free_port();
	int fd, closed;

	start();
	listen_on(port, "127.0.0.1", NULL);
	memset(body, 'x', sizeof(body) - 1);
	fd = client(AF_INET, port);
	tell(fd, "POST / HTTP/1.1\r\n" HOST "Content-Length: 60000\r\n\r\n");
	tell(fd, body);
	ck_assert_ptr_nonnull(strstr(hear(fd, NULL, &closed), "Allow: GET, HEAD\r\n"));
	ck_assert_int_eq(closed, 1);
	close(fd);
	stop();
}
END_TEST

/* ---- limits: the same code with smaller ones ------------------------------------ */

static struct connections *connections;
static unsigned dropped;

static void
answer_cb(const struct request *q, bool last, struct request_answer *ret, void *arg)
{
	struct request_site site = {
		.close = last, .redirect = true, .body = BODY, .now = NOON
	};

	(void)arg;
	request_answer(q, &site, ret);
}

static void
dropped_cb(void *arg)
{
	(void)arg;
	dropped++;
}

static void
start_limited(size_t max, unsigned deadline_ms)
{
	const struct connection_limits limits = { max, 100, deadline_ms };
	const struct connection_handler handler = { answer_cb, dropped_cb, NULL };

	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_EMERG);
	dropped = 0;
	base = event_base_new();
	ck_assert_int_eq(connections_new(base, &limits, &handler, &connections), 0);
}

static void
stop_limited(void)
{
	connections = connections_free(connections);
	event_base_free(base);
	libevent_global_shutdown();
}

/* A connection without any listener; the client's end. */
static int
add_client(void)
{
	int ends[2];

	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends),
	    0);
	connections_add(connections, ends[0]);
	return ends[1];
}

/* Sends while reading, then reads to the end; all 100 answers must come. */
static size_t
send_rest(int fd, const char *data, size_t len)
{
	static char answers[1 << 20];
	int64_t until = milliseconds() + PATIENT;
	size_t sent = 0, heard = 0;
	ssize_t n = -1;

	while (n != 0) {
		n = sent < len ? send(fd, data + sent, len - sent, MSG_NOSIGNAL) : 0;
		sent += n > 0 ? (size_t)n : 0;
		turn(0);
		n = recv(fd, answers + heard, sizeof(answers) - 1 - heard, 0);
		heard += n > 0 ? (size_t)n : 0;
		ck_assert_int_lt(milliseconds(), until);
	}
	answers[heard] = '\0';
	ck_assert_uint_eq(occurrences(answers, "HTTP/1.1 308 "), 100);
	return sent;
}

/* A client that asks much and reads late: it is made to wait, so that what is buffered
 * for it stays small, and gets every answer in the end. */
START_TEST(late_readers_wait_and_get_all)
{
	enum { REQUESTS = 100, LEN = 8000 };
	_cleanup_free_ char *all = calloc(REQUESTS, LEN);
	size_t sent = 0;
	int fd, stuck = 0;

	memset(all, 'x', REQUESTS * LEN);
	for (char *one = all; one < all + REQUESTS * LEN; one += LEN) {
		static const char end[] = " HTTP/1.1\r\n" HOST "\r\n";

		memcpy(one, "GET /", 5);
		memcpy(one + LEN - strlen(end), end, strlen(end));
	}
	start_limited(10, PATIENT);
	fd = add_client();
	while (sent < REQUESTS * LEN && stuck < 50) {
		ssize_t n = send(fd, all + sent, REQUESTS * LEN - sent, MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
		stuck = n > 0 ? 0 : stuck + 1;
		turn(0);
	}
	ck_assert_uint_lt(sent, REQUESTS * LEN);
	sent += send_rest(fd, all + sent, REQUESTS * LEN - sent);
	ck_assert_uint_eq(sent, REQUESTS * LEN);
	close(fd);
	stop_limited();
}
END_TEST

START_TEST(deadline_is_for_the_whole_connection)
{
	int64_t begun = milliseconds();
	int slow, silent, busy, closed = 0;
	ssize_t n = -1;
	char c;

	start_limited(10, 200);
	slow = add_client();
	silent = add_client();
	busy = add_client();
	tell(busy, GET(PATH "x"));
	hear(busy, BODY, NULL);
	/* A byte every 10 ms would keep an idle timeout from ever being reached. */
	while (n < 0) {
		send(slow, "G", 1, MSG_NOSIGNAL);
		turn(10);
		n = recv(slow, &c, 1, 0);
		ck_assert_int_lt(milliseconds() - begun, PATIENT);
	}
	ck_assert_int_ge(milliseconds() - begun, 190);
	hear(silent, NULL, &closed);
	ck_assert_int_ne(closed, 0);
	hear(busy, NULL, &closed);
	ck_assert_int_ne(closed, 0);
	ck_assert_uint_eq(connections_count(connections), 0);
	ck_assert_uint_eq(dropped, 2); /* busy had its answer */
	close(slow);
	close(silent);
	close(busy);
	stop_limited();
}
END_TEST

START_TEST(oldest_makes_room)
{
	int fds[6], closed;

	start_limited(4, PATIENT);
	for (size_t i = 0; i < 6; i++)
		fds[i] = add_client();
	ck_assert_uint_eq(connections_count(connections), 4);
	ck_assert_uint_eq(dropped, 2);
	for (size_t i = 0; i < 2; i++) {
		hear(fds[i], NULL, &closed);
		ck_assert_int_ne(closed, 0);
	}
	for (size_t i = 2; i < 6; i++) {
		tell(fds[i], GET(PATH "x"));
		ck_assert_ptr_nonnull(strstr(hear(fds[i], BODY, NULL), "200 OK"));
	}
	for (size_t i = 0; i < 6; i++)
		close(fds[i]);
	stop_limited();
}
END_TEST

START_TEST(who_is_being_answered_stays)
{
	int first, second, third, closed = 0;

	start_limited(2, PATIENT);
	first = add_client();
	second = add_client();
	/* Answers are buffered in this turn, and written in the next one. */
	tell(first, GET(PATH "x"));
	tell(second, GET(PATH "x"));
	event_base_loop(base, EVLOOP_ONCE);
	third = add_client();
	ck_assert_uint_eq(dropped, 1);
	ck_assert_ptr_nonnull(strstr(hear(first, BODY, NULL), "200 OK"));
	ck_assert_ptr_nonnull(strstr(hear(second, BODY, NULL), "200 OK"));
	hear(third, NULL, &closed);
	ck_assert_int_ne(closed, 0);
	close(first);
	close(second);
	close(third);
	stop_limited();
}
END_TEST

static unsigned accepted;

static void
accepted_cb(int fd, void *arg)
{
	(void)arg;
	accepted++;
	close(fd);
}

static void
tick_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

/* How often the loop turns in 150 ms, with one timer of 20 ms in it. */
static unsigned
count_turns(void)
{
	struct event *tick = event_new(base, -1, EV_PERSIST, tick_cb, NULL);
	int64_t until = milliseconds() + 150;
	unsigned turns = 0;

	event_add(tick, &(struct timeval){ .tv_usec = 20000 });
	for (; milliseconds() < until; turns++)
		event_base_loop(base, EVLOOP_ONCE);
	event_free(tick);
	return turns;
}

START_TEST(no_descriptors_left)
{
	const struct listener_times times = { 1000, 30 };
	_cleanup_(listeners_freep) struct listeners *all = NULL;
	unsigned port = free_port();
	char text[32], *v[1] = { text };
	struct words words = { v, 1 };
	struct rlimit full, none;
	int64_t until;
	int fd;
	char c;

	log_set_level(LOG_EMERG);
	accepted = 0;
	base = event_base_new();
	snprintf(text, sizeof(text), "127.0.0.1:%u", port);
	ck_assert_int_eq(listeners_new(base, &times, accepted_cb, NULL, &all), 0);
	ck_assert_int_eq(listeners_set(all, &words, NULL, 0, NULL), 0);
	turn(1); /* whatever epoll needs is open */
	fd = client(AF_INET, port);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &full), 0);
	none = full;
	none.rlim_cur = (rlim_t)fd; /* all numbers below it are taken... */
	for (int i = 0; i < fd; i++)
		if (fcntl(i, F_GETFD) < 0)
			ck_assert_int_eq(dup2(fd, i), i); /* ...now */
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	/* The loop sleeps between attempts instead of spinning. */
	ck_assert_uint_lt(count_turns(), 50);
	ck_assert_uint_eq(accepted, 0);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &full), 0);
	for (until = milliseconds() + PATIENT; accepted == 0;) {
		ck_assert_int_lt(milliseconds(), until);
		turn(1);
		/* valgrind fails accept() only after the kernel has succeeded, and
		 * closes what it got: then another client has to come. */
		if (accepted == 0 && recv(fd, &c, 1, MSG_DONTWAIT) == 0) {
			close(fd);
			fd = client(AF_INET, port);
		}
	}
	ck_assert_uint_eq(accepted, 1);
	close(fd);
	all = listeners_free(all);
	event_base_free(base);
}
END_TEST

START_TEST(taken_addresses_are_tried_again)
{
	const struct listener_times times = { 20, 100 };
	_cleanup_(listeners_freep) struct listeners *all = NULL;
	int64_t until = milliseconds() + PATIENT;
	char text[32], *v[1] = { text };
	struct words words = { v, 1 };
	size_t failed = 0;
	unsigned port;
	int fd = bound_socket(AF_INET, &port);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	log_set_level(LOG_EMERG);
	base = event_base_new();
	snprintf(text, sizeof(text), "127.0.0.1:%u", port);
	ck_assert_int_eq(listeners_new(base, &times, accepted_cb, NULL, &all), 0);
	ck_assert_int_eq(listeners_set(all, &words, NULL, 0, &failed), 0);
	ck_assert_uint_eq(failed, 1);
	ck_assert(!listeners_open(all));
	turn(50);
	ck_assert(!listeners_open(all));
	close(fd);
	while (!listeners_open(all)) {
		ck_assert_int_lt(milliseconds(), until);
		turn(5);
	}
	all = listeners_free(all);
	event_base_free(base);
}
END_TEST

static void
expect_refused_address(const char *text)
{
	char copy[128], *v[1] = { copy };
	struct words words = { v, 1 };

	snprintf(copy, sizeof(copy), "%s", text);
	ck_assert_msg(
	    responder_listen(responder, &words, NULL, 0, NULL) == -EINVAL, "%s", text);
}

START_TEST(bad_addresses_change_nothing)
{
	unsigned port = free_port();

	start();
	listen_on(port, "127.0.0.1", NULL);
	expect_refused_address("");
	expect_refused_address("127.0.0.1");
	expect_refused_address("127.0.0.1:0");
	expect_refused_address("127.0.0.1:65536");
	expect_refused_address("::1:80");
	expect_refused_address("[::1]");
	expect_refused_address("localhost:80");
	ck_assert(responder_listening(responder));
	expect_served(AF_INET, port);
	stop();
}
END_TEST

START_TEST(reload_keeps_and_moves)
{
	unsigned port = free_port(), other;
	int waiting, gone;

	start();
	ck_assert_uint_eq(listen_on(port, "127.0.0.1", NULL), 0);
	/* Still in the backlog while the same address is configured again. */
	waiting = client(AF_INET, port);
	tell(waiting, GET(PATH "tok-EN_1"));
	ck_assert_uint_eq(listen_on(port, "127.0.0.1", "127.0.0.1"), 0);
	ck_assert_ptr_nonnull(strstr(hear(waiting, BODY, NULL), "200 OK"));
	/* The old one is in the way of the new one, and the other way round. */
	ck_assert_uint_eq(listen_on(port, "0.0.0.0", NULL), 0);
	expect_served(AF_INET, port);
	ck_assert_uint_eq(listen_on(port, "127.0.0.1", NULL), 0);
	expect_served(AF_INET, port);
	other = free_port();
	ck_assert_uint_eq(listen_on(other, "127.0.0.1", NULL), 0);
	expect_served(AF_INET, other);
	gone = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	{
		struct sockaddr_storage sa;
		socklen_t len = loopback(AF_INET, port, &sa);

		ck_assert_int_eq(connect(gone, (struct sockaddr *)&sa, len), -1);
	}
	close(gone);
	/* Connections outlive their listener. */
	tell(waiting, GET(PATH "tok-EN_1"));
	ck_assert_ptr_nonnull(strstr(hear(waiting, BODY, NULL), "200 OK"));
	close(waiting);
	stop();
}
END_TEST

START_TEST(passed_sockets_are_used)
{
	char text[] = "127.0.0.1:1", *v[1] = { text };
	struct words words = { v, 1 };
	unsigned port, other;
	int fds[2] = { bound_socket(AF_INET, &port), bound_socket(AF_INET, &other) };
	size_t failed = 0;

	ck_assert(fds[0] >= 0 && fds[1] >= 0);
	ck_assert_int_eq(listen(fds[0], 10), 0);
	start();
	/* The second one doesn't listen: that is said, and the first one used. */
	ck_assert_int_eq(responder_listen(responder, &words, fds, 2, &failed), 0);
	ck_assert_uint_eq(failed, 1);
	expect_served(AF_INET, port);
	/* A reload passes the same again. */
	ck_assert_int_eq(responder_listen(responder, &words, fds, 1, &failed), 0);
	ck_assert_uint_eq(failed, 0);
	expect_served(AF_INET, port);
	stop();
	ck_assert_int_ge(fcntl(fds[0], F_GETFD), 0);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

/* ---- tokens --------------------------------------------------------------------- */

START_TEST(tokens_are_checked)
{
	static const char *const bad[] = { "", " ", "a b", "a/b", "a.b", "a=", "a+b",
		"a\n", "\xc3\xa9" };
	char huge[3000];

	start();
	memset(huge, 'a', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	for (size_t i = 0; i < ELEMENTS(bad); i++)
		ck_assert_int_eq(
		    responder_publish(responder, bad[i], "x", NULL, NULL), -EINVAL);
	ck_assert_int_eq(responder_publish(responder, huge, "x", NULL, NULL), -EINVAL);
	responder_withdraw(responder, "a/b", NULL);
	responder_withdraw(responder, "nobody", NULL);
	stop();
}
END_TEST

static void
expect_answer(int fd, const char *token, const char *expected)
{
	char request[256];
	const char *text;

	snprintf(request, sizeof(request), "GET " PATH "%s HTTP/1.0\r\n\r\n", token);
	tell(fd, request);
	text = hear(fd, NULL, NULL);
	ck_assert_msg(strstr(text, expected) != NULL, "%s: %s", token, text);
	close(fd);
}

START_TEST(many_tokens_come_and_go)
{
	unsigned port = free_port();
	char token[32], body[64];

	start();
	listen_on(port, "127.0.0.1", NULL);
	for (int i = 0; i < 5000; i++) {
		snprintf(token, sizeof(token), "t%d", i);
		snprintf(body, sizeof(body), "old-%d", i);
		ck_assert_int_eq(
		    responder_publish(responder, token, body, NULL, NULL), 0);
		snprintf(body, sizeof(body), "body-%d.", i);
		ck_assert_int_eq(
		    responder_publish(responder, token, body, NULL, NULL), 0);
	}
	for (int i = 0; i < 5000; i += 2) {
		snprintf(token, sizeof(token), "t%d", i);
		responder_withdraw(responder, token, NULL);
	}
	for (int i = 0; i < 5000; i += 97) {
		snprintf(token, sizeof(token), "t%d", i);
		snprintf(body, sizeof(body), "\r\n\r\nbody-%d.", i);
		expect_answer(
		    client(AF_INET, port), token, i % 2 == 0 ? "404 Not Found" : body);
	}
	ck_assert_uint_eq(responder_counts(responder)->unknown, 26);
	ck_assert_uint_eq(responder_counts(responder)->served, 26);
	stop();
}
END_TEST

static void
withdraw_cb(const char *token, void *arg)
{
	strncat(fetched, token, sizeof(fetched) - strlen(fetched) - 1);
	responder_withdraw(arg, "one", arg);
	responder_withdraw(arg, "two", arg);
	ck_assert_int_eq(responder_publish(arg, "three", "3", NULL, NULL), 0);
}

START_TEST(owners_may_withdraw_when_told)
{
	unsigned port = free_port();
	int fd;

	start();
	listen_on(port, "127.0.0.1", NULL);
	responder_publish(responder, "one", "1", withdraw_cb, responder);
	responder_publish(responder, "two", "2", withdraw_cb, responder);
	fd = client(AF_INET, port);
	tell(fd, GET(PATH "one") GET(PATH "two") GET("/end"));
	hear(fd, "404 Not Found", NULL);
	turn(5);
	/* Both were fetched; the first to be told has withdrawn the second. */
	ck_assert_str_eq(fetched, "one");
	ck_assert_uint_eq(responder_counts(responder)->served, 2);
	close(fd);
	expect_answer(client(AF_INET, port), "two", "404 Not Found");
	expect_answer(client(AF_INET, port), "three", "\r\n\r\n3");
	stop();
}
END_TEST

static unsigned told[2];

static void
told_cb(const char *token, void *arg)
{
	ck_assert_str_eq(token, "shared");
	++*(unsigned *)arg;
}

/* Orders that share an authorization share its token: it stays until the last of them
 * lets it go, and all hear of a fetch. One without an owner, of before a restart, goes
 * with the first that owns it. */
START_TEST(a_token_of_two_owners)
{
	unsigned port = free_port();

	told[0] = told[1] = 0;
	start();
	listen_on(port, "127.0.0.1", NULL);
	responder_publish(responder, "shared", "s", NULL, NULL);
	responder_publish(responder, "shared", "s", told_cb, &told[0]);
	responder_publish(responder, "shared", "s", told_cb, &told[1]);
	expect_answer(client(AF_INET, port), "shared", "\r\n\r\ns");
	turn(5);
	ck_assert_uint_eq(told[0], 1);
	ck_assert_uint_eq(told[1], 1);
	responder_withdraw(responder, "shared", &told[0]);
	expect_answer(client(AF_INET, port), "shared", "\r\n\r\ns");
	turn(5);
	ck_assert_uint_eq(told[0], 1);
	ck_assert_uint_eq(told[1], 2);
	responder_withdraw(responder, "shared", &told[1]);
	expect_answer(client(AF_INET, port), "shared", "404 Not Found");
	stop();
}
END_TEST

START_TEST(free_with_all_in_flight)
{
	unsigned port = free_port();
	int fds[5];

	start();
	listen_on(port, "127.0.0.1", NULL);
	for (size_t i = 0; i < ELEMENTS(fds); i++) {
		fds[i] = client(AF_INET, port);
		tell(fds[i], GET(PATH "tok-EN_1"));
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	stop();
	for (size_t i = 0; i < ELEMENTS(fds); i++)
		close(fds[i]);
	ck_assert_ptr_null(responder_free(NULL));
}
END_TEST

SUITE("responder", listener_serves_v4, listener_serves_v6_beside_v4,
    only_a_get_counts_as_fetched, redirect_can_be_switched, keep_alive_has_a_bound,
    bytes_one_at_a_time, half_closed_clients_get_their_answer,
    silent_visits_arent_counted, refusals_arrive_whole, late_readers_wait_and_get_all,
    deadline_is_for_the_whole_connection, oldest_makes_room,
    who_is_being_answered_stays, no_descriptors_left, taken_addresses_are_tried_again,
    bad_addresses_change_nothing, reload_keeps_and_moves, passed_sockets_are_used,
    tokens_are_checked, many_tokens_come_and_go, owners_may_withdraw_when_told,
    a_token_of_two_owners, free_with_all_in_flight)
