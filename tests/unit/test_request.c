/*
 * test_request.c - HTTP-01 requests as bytes: what is answered, and that nothing else
 * matters than the bytes.
 */
#include "suite.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "challenge/request.h"

#define PATH "/.well-known/acme-challenge/"
#define HOST "Host: example.net\r\n"
#define BODY "tok-EN_1.thumbprint"
#define NOON 1795410000

/* status 0: not complete. The one published token is tok-EN_1. */
struct sample {
	const char *text;
	size_t len; /* 0: strlen(text) */
	int status;
	int redirected; /* status with redirect on; 0: the same */
	const char *location;
};

#define GET(path)     "GET " path " HTTP/1.1\r\n" HOST "\r\n"
#define WITH(field)   "GET " PATH "tok-EN_1 HTTP/1.1\r\n" HOST field "\r\n\r\n"
#define TO_HOST(host) "GET " PATH "tok-EN_1 HTTP/1.1\r\nHost: " host "\r\n\r\n"
#define REFLECT(host) "GET /a HTTP/1.1\r\nHost: " host "\r\n\r\n"
#define BYTES(text)   (text), sizeof(text) - 1

static const struct sample samples[] = {
	/* Good ones. */
	{ GET(PATH "tok-EN_1"), 0, 200, 0, NULL },
	{ "HEAD " PATH "tok-EN_1 HTTP/1.1\r\n" HOST "\r\n", 0, 200, 0, NULL },
	{ "\r\n" GET(PATH "tok-EN_1"), 0, 200, 0, NULL },
	{ "GET " PATH "tok-EN_1 HTTP/1.0\r\n\r\n", 0, 200, 0, NULL },
	{ "GET " PATH "tok-EN_1 HTTP/1.0\r\n" HOST "\r\n", 0, 200, 0, NULL },
	{ "GET " PATH "tok-EN_1 HTTP/1.7\r\n" HOST "\r\n", 0, 200, 0, NULL },
	{ "GET " PATH "tok-EN_1 HTTP/1.1\r\nhOsT:example.net\t \r\n\r\n", 0, 200, 0,
	    NULL },
	{ WITH("Accept: */*\r\nUser-Agent: \xc3\xa9 \"x\"\r\nX:"), 0, 200, 0, NULL },
	{ WITH("Content-Length: 0"), 0, 200, 0, NULL },
	{ TO_HOST("example.net:80"), 0, 200, 0, NULL },
	{ TO_HOST("example.net:"), 0, 200, 0, NULL },
	{ TO_HOST("192.0.2.1:5002"), 0, 200, 0, NULL },
	{ TO_HOST("[2001:db8::1]"), 0, 200, 0, NULL },
	{ TO_HOST("[::ffff:192.0.2.1]:80"), 0, 200, 0, NULL },
	{ TO_HOST("renewd_backend"), 0, 200, 0, NULL },
	/* Not there, and never redirected. */
	{ GET(PATH "unknown"), 0, 404, 404, NULL },
	{ GET(PATH "tok-EN_"), 0, 404, 404, NULL },
	{ GET(PATH "tok-EN_11"), 0, 404, 404, NULL },
	{ GET(PATH "TOK-en_1"), 0, 404, 404, NULL },
	{ GET(PATH "tok-EN_1?x=y"), 0, 404, 404, NULL },
	{ GET(PATH "tok-EN_1?"), 0, 404, 404, NULL },
	{ GET(PATH "tok-EN_1/"), 0, 404, 404, NULL },
	{ GET(PATH "x/../tok-EN_1"), 0, 404, 404, NULL },
	{ GET(PATH "tok%2dEN_1"), 0, 404, 404, NULL },
	{ GET(PATH), 0, 404, 404, NULL },
	/* Anything else. */
	{ GET("/"), 0, 404, 308, "https://example.net/" },
	{ GET("/a/b?c=d&e"), 0, 404, 308, "https://example.net/a/b?c=d&e" },
	{ GET("//evil.example/x"), 0, 404, 308, "https://example.net//evil.example/x" },
	{ GET("/" PATH "tok-EN_1"), 0, 404, 308, NULL },
	{ GET("/.well-known/acme-challenge"), 0, 404, 308, NULL },
	{ GET("/.WELL-KNOWN/acme-challenge/tok-EN_1"), 0, 404, 308, NULL },
	{ REFLECT("example.net:8080"), 0, 404, 308, "https://example.net/a" },
	{ REFLECT("[2001:db8::1]:80"), 0, 404, 308, "https://[2001:db8::1]/a" },
	{ REFLECT("EXAMPLE.net."), 0, 404, 308, "https://EXAMPLE.net./a" },
	{ REFLECT("renewd_backend"), 0, 404, 400, NULL },
	{ "GET /a HTTP/1.0\r\n\r\n", 0, 404, 400, NULL },
	/* Hosts that aren't. */
	{ TO_HOST(""), 0, 400, 0, NULL },
	{ TO_HOST(":80"), 0, 400, 0, NULL },
	{ TO_HOST("a b"), 0, 400, 0, NULL },
	{ TO_HOST("a,b"), 0, 400, 0, NULL },
	{ TO_HOST("a/b"), 0, 400, 0, NULL },
	{ TO_HOST("user@a"), 0, 400, 0, NULL },
	{ TO_HOST("a?b"), 0, 400, 0, NULL },
	{ TO_HOST("a#b"), 0, 400, 0, NULL },
	{ TO_HOST("a:80:80"), 0, 400, 0, NULL },
	{ TO_HOST("a:8x"), 0, 400, 0, NULL },
	{ TO_HOST("a:123456"), 0, 400, 0, NULL },
	{ TO_HOST("::1"), 0, 400, 0, NULL },
	{ TO_HOST("[::1"), 0, 400, 0, NULL },
	{ TO_HOST("[]"), 0, 400, 0, NULL },
	{ TO_HOST("[::1]x"), 0, 400, 0, NULL },
	{ TO_HOST("[::1]:x"), 0, 400, 0, NULL },
	{ TO_HOST("[::1%25eth0]"), 0, 400, 0, NULL },
	{ TO_HOST("[example.net]"), 0, 400, 0, NULL },
	{ TO_HOST("\xc3\xa9.example"), 0, 400, 0, NULL },
	{ WITH(HOST), 0, 400, 0, NULL },
	{ WITH("Host: other.example"), 0, 400, 0, NULL },
	{ "GET " PATH "tok-EN_1 HTTP/1.1\r\n\r\n", 0, 400, 0, NULL },
	{ "GET " PATH "tok-EN_1 HTTP/1.0\r\n" HOST HOST "\r\n", 0, 400, 0, NULL },
	/* Broken lines. */
	{ WITH("Host : a"), 0, 400, 0, NULL },
	{ WITH("X y: z"), 0, 400, 0, NULL },
	{ WITH(" folded"), 0, 400, 0, NULL },
	{ WITH("X: y\r\n\tfolded"), 0, 400, 0, NULL },
	{ WITH(": nameless"), 0, 400, 0, NULL },
	{ WITH("no colon"), 0, 400, 0, NULL },
	{ WITH("X: a\rb"), 0, 400, 0, NULL },
	{ WITH("X: a\nY: b"), 0, 400, 0, NULL },
	{ WITH("X: \x7f"), 0, 400, 0, NULL },
	{ WITH("X: \x01"), 0, 400, 0, NULL },
	{ BYTES(WITH("X: a\0b")), 400, 0, NULL },
	{ BYTES("GET " PATH "tok-EN_1\0 HTTP/1.1\r\n" HOST "\r\n"), 400, 0, NULL },
	{ "GET " PATH "tok-EN_1 HTTP/1.1\n"
	  "Host: a\n\n",
	    0, 400, 0, NULL },
	{ "\r\n\r\n" GET(PATH "tok-EN_1"), 0, 400, 0, NULL },
	{ "\n" GET(PATH "tok-EN_1"), 0, 400, 0, NULL },
	/* Request lines that aren't. */
	{ "GET " PATH "tok-EN_1\r\n" HOST "\r\n", 0, 400, 0, NULL },
	{ "GET  " PATH "tok-EN_1 HTTP/1.1\r\n" HOST "\r\n", 0, 400, 0, NULL },
	{ "GET " PATH "tok-EN_1  HTTP/1.1\r\n" HOST "\r\n", 0, 400, 0, NULL },
	{ "GET " PATH "tok-EN_1 HTTP/1.1 \r\n" HOST "\r\n", 0, 400, 0, NULL },
	{ " GET " PATH "tok-EN_1 HTTP/1.1\r\n" HOST "\r\n", 0, 400, 0, NULL },
	{ "GET\t" PATH "tok-EN_1 HTTP/1.1\r\n" HOST "\r\n", 0, 400, 0, NULL },
	{ "GET " PATH "tok EN_1 HTTP/1.1\r\n" HOST "\r\n", 0, 400, 0, NULL },
	{ "G\"T / HTTP/1.1\r\n" HOST "\r\n", 0, 400, 0, NULL },
	{ GET("http://example.net" PATH "tok-EN_1"), 0, 400, 0, NULL },
	{ GET("example.net:80"), 0, 400, 0, NULL },
	{ GET("*"), 0, 400, 0, NULL },
	{ GET("/#fragment"), 0, 400, 0, NULL },
	{ GET("/\xc3\xa9"), 0, 400, 0, NULL },
	{ "GET / HTTP/1.1x\r\n" HOST "\r\n", 0, 400, 0, NULL },
	{ "GET / http/1.1\r\n" HOST "\r\n", 0, 400, 0, NULL },
	{ "GET / HTTP/11\r\n" HOST "\r\n", 0, 400, 0, NULL },
	{ "GET / HTTP/2.0\r\n" HOST "\r\n", 0, 505, 0, NULL },
	{ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, 505, 0, NULL },
	{ BYTES("\x16\x03\x01\x02\x00\x01"), 400, 0, NULL }, /* TLS on the wrong port */
	/* Methods and bodies. */
	{ "POST " PATH "tok-EN_1 HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", 0,
	    405, 0, NULL },
	{ "get / HTTP/1.1\r\n" HOST "\r\n", 0, 405, 0, NULL },
	{ "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 0, 405, 0, NULL },
	{ "CONNECT a:1 HTTP/1.1\r\n" HOST "\r\n", 0, 405, 0, NULL },
	{ "TRACE / HTTP/1.1\r\n" HOST "\r\n", 0, 405, 0, NULL },
	{ WITH("Content-Length: 3"), 0, 413, 0, NULL },
	{ WITH("Content-Length: 0\r\nContent-Length: 3"), 0, 413, 0, NULL },
	{ WITH("Content-Length: 99999999999999999999999"), 0, 413, 0, NULL },
	{ WITH("Transfer-Encoding: chunked"), 0, 413, 0, NULL },
	{ WITH("transfer-encoding: identity"), 0, 413, 0, NULL },
	{ WITH("Content-Length:"), 0, 400, 0, NULL },
	{ WITH("Content-Length: -1"), 0, 400, 0, NULL },
	{ WITH("Content-Length: +0"), 0, 400, 0, NULL },
	{ WITH("Content-Length: 0, 0"), 0, 400, 0, NULL },
	/* Not complete. */
	{ "", 0, 0, 0, NULL },
	{ "\r", 0, 0, 0, NULL },
	{ "G", 0, 0, 0, NULL },
	{ "GET / HTTP/1.1\r\n" HOST, 0, 0, 0, NULL },
	{ "GET / HTTP/1.1\r\n" HOST "\r", 0, 0, 0, NULL },
};

/* Parses and answers; -1: more is needed. */
static int
ask(const char *data, size_t len, size_t *scanned, bool redirect,
    struct request_answer *ret)
{
	struct request_site site = { .redirect = redirect, .now = NOON };
	struct request q;
	size_t n = request_parse(data, len, scanned, &q);

	if (n == 0)
		return -1;
	ck_assert_uint_le(n, len);
	if (q.kind == REQUEST_CHALLENGE && q.token.len == 8 &&
	    memcmp(q.token.data, "tok-EN_1", 8) == 0)
		site.body = BODY;
	request_answer(&q, &site, ret);
	ck_assert_uint_lt(ret->head_len, sizeof(ret->head));
	return ret->status;
}

/* A copy without a byte behind it, so that ASan sees who reads too far. */
static char *
exact(const char *text, size_t len)
{
	char *copy = malloc(len > 0 ? len : 1);

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, text, len);
	return copy;
}

static size_t
sample_len(const struct sample *s)
{
	return s->len > 0 ? s->len : strlen(s->text);
}

static int
sample_status(const struct sample *s, bool redirect)
{
	if (s->status == 0)
		return -1;
	return redirect && s->redirected != 0 ? s->redirected : s->status;
}

static void
check_sample(const struct sample *s, bool redirect)
{
	_cleanup_free_ char *data = exact(s->text, sample_len(s));
	struct request_answer a = { 0 };
	size_t scanned = 0;
	char location[128];

	ck_assert_msg(ask(data, sample_len(s), &scanned, redirect, &a) ==
		sample_status(s, redirect),
	    "%s: %d", s->text, a.status);
	if (a.status != 308)
		ck_assert_ptr_null(memmem(a.head, a.head_len, "Location", 8));
	if (a.status != 308 || s->location == NULL)
		return;
	snprintf(location, sizeof(location), "\r\nLocation: %s\r\n", s->location);
	ck_assert_msg(memmem(a.head, a.head_len, location, strlen(location)) != NULL,
	    "%s: %s", s->text, location);
}

START_TEST(parser_answers)
{
	for (size_t i = 0; i < ELEMENTS(samples); i++) {
		check_sample(&samples[i], false);
		check_sample(&samples[i], true);
	}
}
END_TEST

/* However the bytes are cut into packets, the answer is the same, and never one of
 * success before the end. */
static void
check_cuts(const struct sample *s)
{
	size_t len = sample_len(s);
	struct request_answer whole = { 0 }, parts = { 0 };
	size_t scanned = 0;
	int expected = ask(s->text, len, &scanned, false, &whole);

	for (size_t cut = 0; cut < len; cut++) {
		_cleanup_free_ char *first = exact(s->text, cut);
		int status;

		scanned = 0;
		status = ask(first, cut, &scanned, false, &parts);
		if (status == -1)
			status = ask(s->text, len, &scanned, false, &parts);
		ck_assert_msg(
		    status == expected, "%s cut at %zu: %d", s->text, cut, status);
		ck_assert_uint_eq(parts.head_len, whole.head_len);
		ck_assert_int_eq(memcmp(parts.head, whole.head, whole.head_len), 0);
	}
}

START_TEST(parser_doesnt_depend_on_packets)
{
	for (size_t i = 0; i < ELEMENTS(samples); i++)
		check_cuts(&samples[i]);
}
END_TEST

START_TEST(answer_is_exact)
{
	static const char head[] = "HTTP/1.1 200 OK\r\n"
				   "Date: Mon, 23 Nov 2026 05:00:00 GMT\r\n"
				   "Content-Type: application/octet-stream\r\n"
				   "Cache-Control: no-store\r\n"
				   "Content-Length: 19\r\n"
				   "\r\n";
	static const char get[] = GET(PATH "tok-EN_1");
	static const char asked[] = "HEAD " PATH "tok-EN_1 HTTP/1.1\r\n" HOST "\r\n";
	struct request_answer a;
	size_t scanned = 0;

	ck_assert_int_eq(ask(BYTES(get), &scanned, false, &a), 200);
	ck_assert_uint_eq(a.head_len, strlen(head));
	ck_assert_int_eq(memcmp(a.head, head, a.head_len), 0);
	ck_assert_uint_eq(a.body_len, strlen(BODY));
	ck_assert_str_eq(a.body, BODY);
	ck_assert(!a.close);
	scanned = 0;
	ck_assert_int_eq(ask(BYTES(asked), &scanned, false, &a), 200);
	ck_assert_int_eq(memcmp(a.head, head, a.head_len), 0);
	ck_assert_ptr_null(a.body);
	ck_assert_uint_eq(a.body_len, 0);
}
END_TEST

START_TEST(connection_ends_when_it_must)
{
	static const struct {
		const char *text;
		bool close;
	} table[] = {
		{ GET(PATH "tok-EN_1"), false },
		{ GET(PATH "unknown"), false },
		{ GET("/"), false },
		{ WITH("Connection: keep-alive"), false },
		{ WITH("Connection: closed"), false },
		{ WITH("Connection: close"), true },
		{ WITH("connection: Upgrade , CLOSE"), true },
		{ WITH("Connection: close\r\nConnection: keep-alive"), true },
		{ "GET / HTTP/1.0\r\n\r\n", true },
		{ "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true },
		{ "DELETE / HTTP/1.1\r\n" HOST "\r\n", true },
		{ WITH("Content-Length: 3"), true },
		{ "GET / HTTP/1.1\r\n\r\n", true },
	};

	for (size_t i = 0; i < ELEMENTS(table); i++) {
		static const char field[] = "\r\nConnection: close\r\n";
		struct request_answer a;
		size_t scanned = 0;

		ask(table[i].text, strlen(table[i].text), &scanned, false, &a);
		ck_assert_msg(a.close == table[i].close, "%s", table[i].text);
		ck_assert((memmem(a.head, a.head_len, field, strlen(field)) != NULL) ==
		    a.close);
	}
}
END_TEST

/* A head of this size, filled up by one field. */
static char *
head_of(size_t len)
{
	static const char start[] = "GET " PATH "tok-EN_1 HTTP/1.1\r\n" HOST "X: ";
	char *text = malloc(len);

	ck_assert_ptr_nonnull(text);
	memset(text, 'x', len);
	memcpy(text, start, strlen(start));
	memcpy(text + len - 4, "\r\n\r\n", 4);
	return text;
}

START_TEST(heads_are_bounded)
{
	_cleanup_free_ char *fits = head_of(REQUEST_HEAD_MAX);
	_cleanup_free_ char *over = head_of(REQUEST_HEAD_MAX + 1);
	struct request_answer a;
	size_t scanned = 0;

	ck_assert_int_eq(ask(fits, REQUEST_HEAD_MAX, &scanned, false, &a), 200);
	scanned = 0;
	ck_assert_int_eq(ask(over, REQUEST_HEAD_MAX, &scanned, false, &a), -1);
	ck_assert_int_eq(ask(over, REQUEST_HEAD_MAX + 1, &scanned, false, &a), 431);
	ck_assert(a.close);
}
END_TEST

START_TEST(longest_redirect_fits)
{
	_cleanup_free_ char *text = head_of(REQUEST_HEAD_MAX);
	static const char end[] = " HTTP/1.1\r\nHost: a\r\n\r\n";
	struct request_answer a;
	size_t scanned = 0;

	memset(text, 'x', REQUEST_HEAD_MAX);
	memcpy(text, "GET /", 5);
	memcpy(text + REQUEST_HEAD_MAX - strlen(end), end, strlen(end));
	ck_assert_int_eq(ask(text, REQUEST_HEAD_MAX, &scanned, true, &a), 308);
	ck_assert_uint_gt(a.head_len, 8000);
}
END_TEST

START_TEST(pipelined_requests_are_taken_one_by_one)
{
	static const char two[] = GET(PATH "tok-EN_1") GET("/");
	size_t first = strlen(GET(PATH "tok-EN_1")), scanned = 0;
	struct request q;

	ck_assert_uint_eq(request_parse(BYTES(two), &scanned, &q), first);
	ck_assert_int_eq(q.kind, REQUEST_CHALLENGE);
	scanned = 0;
	ck_assert_uint_eq(request_parse(two + first, strlen(two) - first, &scanned, &q),
	    strlen(two) - first);
	ck_assert_int_eq(q.kind, REQUEST_OTHER);
}
END_TEST

/* Mutations of a good request: never a crash, an endless loop or a status that isn't
 * ours. With a fixed seed, so that a failure comes again. */
START_TEST(mutations_are_harmless)
{
	static const char good[] = GET(PATH "tok-EN_1");
	static const int known[] = { -1, 200, 308, 400, 404, 405, 413, 431, 505 };
	uint32_t seed = 1;

	for (int i = 0; i < 20000; i++) {
		_cleanup_free_ char *text = exact(good, strlen(good));
		struct request_answer a;
		size_t scanned = 0;
		bool ours = false;
		int status;

		for (int k = 0; k < 1 + i % 4; k++) {
			seed = seed * 1664525 + 1013904223;
			text[(seed >> 8) % strlen(good)] = (char)(seed >> 24);
		}
		status = ask(text, strlen(good), &scanned, i % 2 == 0, &a);
		for (size_t k = 0; k < ELEMENTS(known); k++)
			ours |= status == known[k];
		ck_assert_int_eq(ours, true);
	}
}
END_TEST

SUITE("request", parser_answers, parser_doesnt_depend_on_packets, answer_is_exact,
    connection_ends_when_it_must, heads_are_bounded, longest_redirect_fits,
    pipelined_requests_are_taken_one_by_one, mutations_are_harmless)
