/*
 * starttls.h - what is said to a server before a TLS handshake, where it doesn't begin
 * with one.
 *
 * Used by probe.c.
 */
#ifndef STARTTLS_H
#define STARTTLS_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"

struct starttls_talk {
	enum starttls kind; /* STARTTLS_KINDS: TLS at once */
	size_t step;
	bool said;  /* its command */
	size_t got; /* bytes of all answers */
	char answer[256];
	size_t len;
	char why[160];
};

/* Which kind, and the address behind it; lent from `address`. */
const char *starttls_address(const char *address, enum starttls *ret_kind);
/* On a socket that is connected, and again whenever it can be read: 1, TLS begins now;
 * 0, there is more to be read; -EPROTO, t->why says what the server said; or another
 * negative errno. Never reads further than the answer. t begins with its kind alone. */
int starttls_talk(struct starttls_talk *t, int fd);

#endif
