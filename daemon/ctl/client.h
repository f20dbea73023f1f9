/*
 * client.h - requests to a running renewd over its control socket.
 *
 * Used by the verbs of renewctl. What comes back is bounded, and is not trusted to be
 * well-formed.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "scope.h"

struct client;
struct json;

struct client_reply {
	long status; /* HTTP */
	char *body;  /* NUL-terminated */
	size_t len;
	struct json *json; /* NULL where the body isn't JSON */
};

int client_new(const char *socket, struct client **ret);
struct client *client_free(struct client *c);
/* From now on it waits however long nothing comes: the answer is that of somebody else.
 */
void client_be_patient(struct client *c);

/* Sends a request and reads the answer. body (JSON) may be NULL. -ECONNREFUSED: nobody
 * listens at the socket, -EACCES: it may not be opened, -ECONNRESET: closed before an
 * answer, -ETIMEDOUT, -EFBIG, -EIO. */
int client_ask(struct client *c, const char *method, const char *path, const char *body,
    struct client_reply *ret);
/* GET whose body is copied to `out` as it comes where the status is 200; any other is
 * in *ret as from client_ask(). */
int client_copy(
    struct client *c, const char *path, FILE *out, struct client_reply *ret);
/* GET whose body, where the status is 200, is handed to cb line by line as it comes;
 * any other is in *ret. patient: however long nothing comes. A negative return of cb
 * ends it. */
int client_lines(struct client *c, const char *path, bool patient,
    int (*cb)(const char *line, size_t len, void *arg), void *arg,
    struct client_reply *ret);
void client_reply_clear(struct client_reply *reply);
/* What went wrong last, for people. */
const char *client_error(const struct client *c);

/* before NAME after, with NAME percent-encoded; to be freed. */
char *client_path(const char *before, const char *name, const char *after);

DEFINE_CLEANUP(struct client, client_free)

#endif
