/*
 * haproxy_talk.h - one certificate given to one HAProxy process under one name, over
 * its runtime API.
 *
 * Used by haproxy_hot.c.
 */
#ifndef HAPROXY_TALK_H
#define HAPROXY_TALK_H

#include <stdbool.h>
#include <stddef.h>

#include "deploy/haproxy_name.h"

struct haproxy_cli;
struct haproxy_talk;
struct run;

/* Strings are lent until the end. */
struct haproxy_talk_wish {
	struct run *run;
	size_t subject; /* of the run: it fails, where HAProxy refuses it */
	struct haproxy_file file;
	struct haproxy_cli *cli; /* nothing else is asked on it meanwhile */
	const char *socket;      /* that it leads to, for what is said of it */
	bool master;             /* the master's: its worker is asked through it */
	const char *name;
	const char *list; /* a directory that may take it; NULL: its name is in none */
	bool add;         /* HAProxy doesn't know the name: add it to list */
	const char *pem;
	const char *serial; /* of the leaf */
};

struct haproxy_talk_end {
	bool known;  /* HAProxy knows the name, or was told to and refused */
	bool has;    /* it has the certificate now */
	bool master; /* as it turned out */
};

/* r < 0: this process can't be asked. Called once, from the loop. */
typedef void haproxy_talk_cb(int r, const struct haproxy_talk_end *end, void *arg);

int haproxy_talk_start(const struct haproxy_talk_wish *wish, haproxy_talk_cb *done_cb,
    void *arg, struct haproxy_talk **ret);
/* Also in done_cb, which isn't called any more. */
struct haproxy_talk *haproxy_talk_free(struct haproxy_talk *t);

#endif
