/*
 * test_starttls.c - what is said before TLS, on a pair of sockets whose other end says
 * what servers say, and what they shouldn't. Real ones are in tests/e2e.
 */
#include "deploy/starttls.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "suite.h"

struct dialogue {
	enum starttls kind;
	const char *answer; /* all of it, at once or byte by byte */
	size_t len;
	const char *asked; /* NULL: refused */
	const char *why;
};

#define TEXT(text) (text), sizeof(text) - 1

static const struct dialogue dialogues[] = {
	{ STARTTLS_SMTP,
	    TEXT("220-hello\r\n220 you\r\n250-me\r\n250-STARTTLS\r\n250 HELP\r\n"
		 "220 go\r\n"),
	    "EHLO localhost\r\nSTARTTLS\r\n", NULL },
	{ STARTTLS_SMTP, TEXT("220 you\n250 me\n220\n"),
	    "EHLO localhost\r\nSTARTTLS\r\n", NULL },
	{ STARTTLS_SMTP, TEXT("220 you\r\n250 me\r\n454 not\tnow\r\n"), NULL,
	    "no STARTTLS by smtp: it says \"454 not?now\"" },
	{ STARTTLS_SMTP, TEXT("554 no\r\n"), NULL,
	    "no STARTTLS by smtp: it says \"554 no\"" },
	{ STARTTLS_IMAP, TEXT("* OK hi\r\n* CAPABILITY x\r\na OK go\r\n"),
	    "a STARTTLS\r\n", NULL },
	{ STARTTLS_IMAP, TEXT("* OK hi\r\na BAD what\r\n"), NULL,
	    "no STARTTLS by imap: it says \"a BAD what\"" },
	{ STARTTLS_IMAP, TEXT("* BYE\r\n"), NULL,
	    "no STARTTLS by imap: it says \"* BYE\"" },
	{ STARTTLS_POP3, TEXT("+OK hi\r\n+OK go\r\n"), "STLS\r\n", NULL },
	{ STARTTLS_POP3, TEXT("+OK hi\r\n-ERR\r\n"), NULL,
	    "no STARTTLS by pop3: it says \"-ERR\"" },
	{ STARTTLS_LDAP,
	    TEXT("\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"), "0",
	    NULL },
	/* lengths as Active Directory writes them */
	{ STARTTLS_LDAP,
	    TEXT(
		"\x30\x84\x00\x00\x00\x10\x02\x01\x01\x78\x84\x00\x00\x00\x07\x0a\x01\x00"
		"\x04\x00\x04\x00"),
	    "0", NULL },
	/* unavailable */
	{ STARTTLS_LDAP,
	    TEXT("\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x34\x04\x00\x04\x00"), NULL,
	    "no STARTTLS by ldap: it says \"0????x??4????\"" },
	{ STARTTLS_LDAP, TEXT("HTTP/1.1"), NULL, "no STARTTLS by ldap: it says \"H\"" },
	{ STARTTLS_LDAP, TEXT("\x30\x84\xff\xff\xff\xff"), "0", "" },
	{ STARTTLS_LDAP, TEXT("\x30\x02\x02\x01"), NULL,
	    "no STARTTLS by ldap: it says \"0???\"" },
	{ STARTTLS_POSTGRES, TEXT("S"), "", NULL },
	{ STARTTLS_POSTGRES, TEXT("N"), NULL,
	    "no STARTTLS by postgres: it says \"N\"" },
};

static int
talk(const struct dialogue *d, bool slowly, struct starttls_talk *t, char asked[256])
{
	int pair[2], r = 0;
	ssize_t n;

	*t = (struct starttls_talk){ .kind = d->kind };
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	if (!slowly)
		ck_assert_int_eq(send(pair[1], d->answer, d->len, 0), d->len);
	r = starttls_talk(t, pair[0]);
	for (size_t i = 0; slowly && r == 0 && i < d->len; i++) {
		ck_assert_int_eq(send(pair[1], d->answer + i, 1, 0), 1);
		r = starttls_talk(t, pair[0]);
	}
	n = recv(pair[1], asked, 255, 0);
	asked[n > 0 ? n : 0] = '\0';
	if (r == 1) /* nothing behind the answer was taken */
		ck_assert(recv(pair[0], asked + n + 1, 1, 0) < 0 && errno == EAGAIN);
	close(pair[0]);
	close(pair[1]);
	return r;
}

START_TEST(test_dialogues)
{
	for (size_t i = 0; i < ELEMENTS(dialogues); i++)
		for (int slowly = 0; slowly < 2; slowly++) {
			const struct dialogue *d = &dialogues[i];
			struct starttls_talk t;
			char asked[260] = "";
			int r = talk(d, slowly, &t, asked);

			if (d->asked == NULL) {
				ck_assert_int_eq(r, -EPROTO);
				ck_assert_str_eq(t.why, d->why);
				continue;
			}
			ck_assert_int_eq(r, d->why == NULL ? 1 : 0);
			ck_assert_msg(d->kind == STARTTLS_LDAP
				? asked[0] == '0'
				: strcmp(asked, d->asked) == 0,
			    "%zu: %s", i, asked);
		}
}
END_TEST

/* One that never comes to an end, in one line or in many. */
START_TEST(test_endless)
{
	static const char *const lines[] = { "220-more\r\n", "220-more" };

	for (size_t i = 0; i < ELEMENTS(lines); i++) {
		struct starttls_talk t = { .kind = STARTTLS_SMTP };
		int pair[2], r = 0;

		ck_assert_int_eq(
		    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
		for (int k = 0; k < 2000 && r == 0; k++) {
			(void)send(pair[1], lines[i], strlen(lines[i]), 0);
			r = starttls_talk(&t, pair[0]);
		}
		ck_assert_int_eq(r, i == 0 ? -EMSGSIZE : -EPROTO);
		close(pair[1]);
		close(pair[0]);
	}
}
END_TEST

START_TEST(test_gone)
{
	for (enum starttls kind = 0; kind < STARTTLS_KINDS; kind++) {
		struct starttls_talk t = { .kind = kind };
		int pair[2];

		ck_assert_int_eq(
		    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
		shutdown(pair[1], SHUT_WR);
		ck_assert_int_eq(starttls_talk(&t, pair[0]), -ECONNRESET);
		close(pair[1]);
		close(pair[0]);
	}
}
END_TEST

START_TEST(test_addresses)
{
	enum starttls kind;

	ck_assert_str_eq(starttls_address("pop3://[::1]:110", &kind), "[::1]:110");
	ck_assert_int_eq(kind, STARTTLS_POP3);
	ck_assert_str_eq(starttls_address("127.0.0.1:443", &kind), "127.0.0.1:443");
	ck_assert_int_eq(kind, STARTTLS_KINDS);
	ck_assert_int_eq(
	    starttls_talk(&(struct starttls_talk){ .kind = STARTTLS_KINDS }, -1), 1);
}
END_TEST

SUITE("starttls", test_dialogues, test_endless, test_gone, test_addresses)
