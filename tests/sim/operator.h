/*
 * operator.h - somebody who asks renewd for things over its control socket, at given
 * times, and asks again until the answer is a yes.
 *
 * What was answered is in the world, so that it survives the daemon. Called from
 * virtual_time.c before the loop waits: it never waits itself.
 */
#ifndef OPERATOR_H
#define OPERATOR_H

#include <stdbool.h>
#include <stdint.h>

#define OPERATOR_WISHES 8

struct operator_wish {
	int64_t at;   /* seconds since 1970; 0: none */
	int64_t next; /* not before */
	char method[8];
	char path[96];
	char body[96];
	bool granted;
	unsigned asked;
	int status; /* of the last answer */
};

struct operator
{
	struct operator_wish wishes[OPERATOR_WISHES];
};

void operator_plan(struct operator* o, int64_t at, const char *method, const char *path,
    const char *body);
/* In the daemon's process; the socket of the control API. */
void operator_use(struct operator* o, const char *socket_path);
/* The first that was never granted, or NULL. */
const struct operator_wish *operator_missing(const struct operator* o);

#endif
