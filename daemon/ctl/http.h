/*
 * http.h - one request and its answer over a UNIX socket, as HTTP/1.1.
 *
 * Used by client.c alone. It knows what a server of our own sends, and no more: no
 * redirects, no compression, no second request on a connection. What comes is bounded.
 */
#ifndef HTTP_H
#define HTTP_H

#include <stddef.h>

struct http_request {
	const char *method;
	const char *path;
	const char *body; /* JSON; NULL: none */
	int timeout;      /* s of silence; 0: none */
	/* A part of the answer's body, as it comes; a negative return ends it. */
	int (*take)(long status, const char *data, size_t len, void *arg);
	void *arg;
};

/* A connection. -ECONNREFUSED or -ENOENT: nobody listens, -EACCES, -EAGAIN: too many
 * wait there, -ENAMETOOLONG. */
int http_connect(const char *socket, int *ret_fd);
/* -ECONNRESET: closed before an answer, -EPIPE: within it, -ETIMEDOUT, -EBADMSG: that
 * isn't HTTP, or what take() returned. */
int http_ask(int fd, const struct http_request *request, long *ret_status);

#endif
