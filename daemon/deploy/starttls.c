/*
 * starttls.c - asks mail, directory and database servers to begin TLS.
 *
 * Called by probe.c on a non-blocking socket. Answers are read byte by byte, so that
 * nothing of what follows is taken; they are a stranger's, bounded and never believed.
 */
#include "deploy/starttls.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define ANSWERS_MAX 8192 /* bytes, all together */

/* ---- by lines: RFC 3207 (smtp), RFC 9051 (imap), RFC 2595 (pop3) ---- */

struct line_step {
	const char *command; /* NULL: the server begins */
	const char *good;    /* how its last line begins */
	const char *skip;    /* how lines before that may begin, or NULL */
};

static const struct line_step smtp_steps[] = {
	{ NULL, "220", "220-" },
	{ "EHLO localhost\r\n", "250", "250-" },
	{ "STARTTLS\r\n", "220", "220-" },
};
static const struct line_step imap_steps[] = {
	{ NULL, "* OK", NULL },
	{ "a STARTTLS\r\n", "a OK", "* " },
};
static const struct line_step pop3_steps[] = {
	{ NULL, "+OK", NULL },
	{ "STLS\r\n", "+OK", NULL },
};

/* ---- by bytes ---- */

/* ExtendedRequest 1.3.6.1.4.1.1466.20037 (RFC 4511 section 4.14) */
static const char ldap_request[] = "\x30\x1d\x02\x01\x01\x77\x18\x80\x16"
				   "1.3.6.1.4.1.1466.20037";
/* SSLRequest: its length, and 1234 5679 */
static const char postgres_request[] = { 0, 0, 0, 8, 4, (char)0xd2, 22, 47 };

/* How the answer stands: 1 good, 0 not whole yet, -EPROTO. */
typedef int judge_fn(struct starttls_talk *t);

static judge_fn judge_line, judge_ldap, judge_postgres;

static const struct {
	const struct line_step *steps;
	size_t count;
	const char *request; /* where there are no steps */
	size_t len;
	judge_fn *judge;
} kinds[STARTTLS_KINDS] = {
	[STARTTLS_SMTP] = { smtp_steps, ELEMENTS(smtp_steps), NULL, 0, judge_line },
	[STARTTLS_IMAP] = { imap_steps, ELEMENTS(imap_steps), NULL, 0, judge_line },
	[STARTTLS_POP3] = { pop3_steps, ELEMENTS(pop3_steps), NULL, 0, judge_line },
	[STARTTLS_LDAP] = { NULL, 1, ldap_request, sizeof(ldap_request) - 1,
	    judge_ldap },
	[STARTTLS_POSTGRES] = { NULL, 1, postgres_request, sizeof(postgres_request),
	    judge_postgres },
};

const char *
starttls_address(const char *address, enum starttls *ret_kind)
{
	for (enum starttls kind = 0; kind < STARTTLS_KINDS; kind++) {
		size_t len = strlen(config_starttls[kind]);

		if (strncmp(address, config_starttls[kind], len) == 0 &&
		    strncmp(address + len, "://", 3) == 0) {
			*ret_kind = kind;
			return address + len + 3;
		}
	}
	*ret_kind = STARTTLS_KINDS;
	return address;
}

/* Its words, as far as they are words. */
static int
refuse(struct starttls_talk *t)
{
	char text[80];
	size_t n = 0;

	for (size_t i = 0; i < t->len && n < sizeof(text) - 1; i++) {
		unsigned char c = (unsigned char)t->answer[i];

		if (c != '\r' && c != '\n')
			text[n++] = (char)(c >= ' ' && c < 0x7f ? c : '?');
	}
	text[n] = '\0';
	snprintf(t->why, sizeof(t->why), "no STARTTLS by %s: it says \"%s\"",
	    config_starttls[t->kind], text);
	return -EPROTO;
}

static bool
begins(const struct starttls_talk *t, const char *with)
{
	return strncmp(t->answer, with, strlen(with)) == 0;
}

static int
judge_line(struct starttls_talk *t)
{
	const struct line_step *step = &kinds[t->kind].steps[t->step];

	if (t->answer[t->len - 1] != '\n')
		return t->len + 1 < sizeof(t->answer) ? 0 : refuse(t);
	t->answer[t->len] = '\0';
	if (step->skip != NULL && begins(t, step->skip)) {
		t->len = 0;
		return 0;
	}
	return begins(t, step->good) ? 1 : refuse(t);
}

/* A length in BER; some servers write it longer than it need be. */
static bool
read_length(const unsigned char *data, size_t len, size_t *at, size_t *ret)
{
	size_t bytes;

	if (*at >= len)
		return false;
	*ret = data[(*at)++];
	if (*ret < 0x80)
		return true;
	bytes = *ret & 0x7f;
	if (bytes > sizeof(uint32_t) || *at + bytes > len)
		return false;
	for (*ret = 0; bytes > 0; bytes--)
		*ret = *ret << 8 | data[(*at)++];
	return true;
}

/* LDAPMessage { 1, ExtendedResponse { resultCode ... } } */
static int
judge_ldap(struct starttls_talk *t)
{
	const unsigned char *data = (const unsigned char *)t->answer;
	static const unsigned char id[] = { 0x02, 0x01, 0x01, 0x78 };
	static const unsigned char success[] = { 0x0a, 0x01, 0x00 };
	size_t at = 1, whole, inner;

	if (data[0] != 0x30)
		return refuse(t);
	if (!read_length(data, t->len, &at, &whole) || t->len < at + whole)
		return t->len + 1 < sizeof(t->answer) ? 0 : refuse(t);
	if (whole < sizeof(id) || memcmp(data + at, id, sizeof(id)) != 0)
		return refuse(t);
	at += sizeof(id);
	if (!read_length(data, t->len, &at, &inner) || t->len < at + sizeof(success) ||
	    memcmp(data + at, success, sizeof(success)) != 0)
		return refuse(t);
	return 1;
}

static int
judge_postgres(struct starttls_talk *t)
{
	return t->answer[0] == 'S' ? 1 : refuse(t);
}

/* Until the answer is whole. */
static int
hear(struct starttls_talk *t, int fd)
{
	int r = 0;

	while (r == 0) {
		ssize_t n = recv(fd, t->answer + t->len, 1, 0);

		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (n == 0)
			return -ECONNRESET;
		if (++t->got > ANSWERS_MAX)
			return -EMSGSIZE;
		t->len++;
		r = kinds[t->kind].judge(t);
	}
	return r;
}

static int
say(const struct starttls_talk *t, int fd)
{
	const char *text = kinds[t->kind].request;
	size_t len = kinds[t->kind].len;
	ssize_t n;

	if (kinds[t->kind].steps != NULL) {
		text = kinds[t->kind].steps[t->step].command;
		len = text != NULL ? strlen(text) : 0;
	}
	n = len > 0 ? send(fd, text, len, MSG_NOSIGNAL) : 0;
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO; /* so little always fits */
}

int
starttls_talk(struct starttls_talk *t, int fd)
{
	while (t->kind != STARTTLS_KINDS && t->step < kinds[t->kind].count) {
		int r = t->len == 0 && !t->said ? say(t, fd) : 0;

		t->said = true;
		if (r == 0)
			r = hear(t, fd);
		if (r <= 0)
			return r;
		t->step++;
		t->len = 0;
		t->said = false;
	}
	return 1;
}
