/*
 * request.h - HTTP/1.1 (RFC 9110, RFC 9112) as far as HTTP-01 needs it, on bytes in
 * memory: a strict reader of request heads and the composer of answers.
 *
 * Used by connection.c (reading) and responder.c (answering), and by tests and fuzzers:
 * no sockets, no clock, no allocation. GET and HEAD without bodies only.
 */
#ifndef REQUEST_H
#define REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A request line and all its fields, with the empty line. */
#define REQUEST_HEAD_MAX 8192

/* Bytes of the request; not NUL-terminated. */
struct request_text {
	const char *data;
	size_t len;
};

enum request_kind {
	REQUEST_CHALLENGE, /* asks for `token` */
	REQUEST_RESERVED,  /* below the challenge path, but no token can be there */
	REQUEST_OTHER,     /* anything else: not found, or a redirect */
	REQUEST_REFUSED,   /* answered with `status`, and the connection ends */
};

struct request {
	enum request_kind kind;
	int status; /* of REQUEST_REFUSED: 400 405 413 431 505 */
	bool head;  /* HEAD: the answer has no body */
	bool close; /* nothing more is read from this connection */
	struct request_text token;
	struct request_text target; /* path and query, as they came */
	struct request_text
	    host; /* without the port; empty where it can't be reflected */
};

/* How many bytes of data the first request takes; 0: it isn't complete yet. *scanned
 * (0 before the first byte of each request) keeps what needn't be looked at again when
 * more bytes have come. *ret points into data. Where it is REQUEST_REFUSED, all of data
 * is taken. */
size_t request_parse(
    const char *data, size_t len, size_t *scanned, struct request *ret);

/* What goes back: head, then body. */
struct request_answer {
	int status;
	bool close;       /* end the connection after this */
	const char *body; /* lent by the caller of request_answer(); NULL: none */
	size_t body_len;
	size_t head_len;
	char head[REQUEST_HEAD_MAX + 512];
};

struct request_site {
	const char *body; /* of the token asked for; NULL: nobody published it */
	bool redirect;    /* 308 to https for REQUEST_OTHER */
	bool close;       /* whatever the client wants */
	int64_t now;      /* seconds since 1970 */
};

void request_answer(const struct request *request, const struct request_site *site,
    struct request_answer *ret);

/* RFC 8555 section 8.3: characters of the base64url alphabet, at least one. */
bool request_token_valid(const char *token, size_t len);

#endif
