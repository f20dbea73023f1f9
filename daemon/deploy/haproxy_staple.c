/*
 * haproxy_staple.c - sets OCSP responses over HAProxy's runtime API.
 *
 * Called by haproxy_hot.c. A certificate that has had a response gets another by "set
 * ssl ocsp-response"; one that was loaded without gets its first as a part of it, by
 * "set ssl cert NAME.ocsp", in a transaction. It must leave none behind.
 */
#include "deploy/haproxy_staple.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/haproxy_answer.h"
#include "deploy/haproxy_cli.h"
#include "platform/file.h"
#include "scope.h"

#define ANSWER_MS 10000
#define DATA_MAX  (64 * 1024)
#define NAME_SIZE (PATH_MAX + 32)

enum step { UPDATE, SET, COMMIT, ABORT, DONE };

struct haproxy_staple {
	struct haproxy_cli *cli; /* the caller's */
	char *socket;
	bool master;
	char *name;
	char *payload; /* base64 */
	enum step step;
	char why[512]; /* "": all is well */
	haproxy_staple_cb *done_cb;
	void *arg;
};

DEFINE_CLEANUP(struct haproxy_staple, haproxy_staple_free)

static enum step
refused(struct haproxy_staple *s, const char *answer, enum step next)
{
	snprintf(s->why, sizeof(s->why),
	    "HAProxy on %.100s doesn't take the OCSP response of %.150s: %.200s",
	    s->socket, s->name, answer);
	return next;
}

static enum step
got_update(struct haproxy_staple *s, const char *answer)
{
	(void)s;
	return haproxy_has_line(answer, "OCSP Response updated!") ? DONE : SET;
}

static enum step
got_set(struct haproxy_staple *s, const char *answer)
{
	char name[NAME_SIZE];

	if (!haproxy_transaction(answer, name, sizeof(name)))
		return refused(s, answer, DONE);
	/* somebody else's is spoilt now: neither may be committed by us */
	return strcmp(name, s->name) == 0 ? COMMIT : refused(s, answer, ABORT);
}

static enum step
got_commit(struct haproxy_staple *s, const char *answer)
{
	return haproxy_has_line(answer, "Success!") ? DONE : refused(s, answer, ABORT);
}

static enum step
got_abort(struct haproxy_staple *s, const char *answer)
{
	(void)s, (void)answer;
	return DONE;
}

static const struct {
	const char *command;
	const char *suffix; /* of the name; NULL: no name */
	bool payload;
	enum step (*got)(struct haproxy_staple *s, const char *answer);
} steps[] = {
	[UPDATE] = { "set ssl ocsp-response", NULL, true, got_update },
	[SET] = { "set ssl cert", ".ocsp", true, got_set },
	[COMMIT] = { "commit ssl cert", "", false, got_commit },
	[ABORT] = { "abort ssl cert", "", false, got_abort },
};

static void go_on(struct haproxy_staple *s, enum step step);

static void
answer_cb(int r, const char *answer, void *arg)
{
	struct haproxy_staple *s = arg;
	enum step next = DONE;

	if (r < 0)
		refused(s, strerror(-r), DONE);
	else
		next = steps[s->step].got(s, answer);
	go_on(s, next);
}

static int
ask(struct haproxy_staple *s)
{
	char command[NAME_SIZE + 64];
	const char *suffix = steps[s->step].suffix;
	const struct haproxy_question q = {
		.command = command,
		.payload = steps[s->step].payload ? s->payload : NULL,
	};

	snprintf(command, sizeof(command), "%s%s%s%s%s", s->master ? "@1 " : "",
	    steps[s->step].command, suffix != NULL ? " " : "",
	    suffix != NULL ? s->name : "", suffix != NULL ? suffix : "");
	return haproxy_cli_go_on(s->cli, &q, ANSWER_MS, answer_cb, s);
}

static void
go_on(struct haproxy_staple *s, enum step step)
{
	int r;

	s->step = step;
	r = step != DONE ? ask(s) : 0;
	if (r < 0)
		refused(s, strerror(-r), DONE);
	if (r < 0 || step == DONE)
		s->done_cb(*s->why != '\0' ? s->why : NULL, s->arg);
}

static int
read_payload(struct haproxy_staple *s, const char *file)
{
	char *data;
	size_t len;
	int r = file_read(AT_FDCWD, file, DATA_MAX, &data, &len);

	if (r < 0)
		return r;
	s->payload = malloc(len / 3 * 4 + 8);
	if (s->payload != NULL) {
		int n = EVP_EncodeBlock(
		    (unsigned char *)s->payload, (const unsigned char *)data, (int)len);

		snprintf(s->payload + n, 2, "\n");
	}
	free(data);
	return s->payload != NULL ? 0 : -ENOMEM;
}

int
haproxy_staple_start(struct haproxy_cli *cli, const struct haproxy_staple_wish *wish,
    haproxy_staple_cb *done_cb, void *arg, struct haproxy_staple **ret)
{
	_cleanup_(haproxy_staple_freep) struct haproxy_staple *s =
	    calloc(1, sizeof(*s));
	int r;

	if (s == NULL)
		return -ENOMEM;
	s->cli = cli;
	s->master = wish->master;
	s->done_cb = done_cb;
	s->arg = arg;
	s->socket = strdup(wish->socket);
	s->name = strdup(wish->name);
	if (s->socket == NULL || s->name == NULL)
		return -ENOMEM;
	r = read_payload(s, wish->file);
	if (r == 0)
		r = ask(s);
	if (r < 0)
		return r;
	*ret = steal_ptr(s);
	return 0;
}

struct haproxy_staple *
haproxy_staple_free(struct haproxy_staple *s)
{
	if (s == NULL)
		return NULL;
	free(s->socket);
	free(s->name);
	free(s->payload);
	free(s);
	return NULL;
}
