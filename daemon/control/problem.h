/*
 * problem.h - errors of the control socket as problem details (RFC 9457).
 *
 * Used by control.c and the handlers.
 */
#ifndef PROBLEM_H
#define PROBLEM_H

#include <stddef.h>
#include <stdint.h>

struct config_errors;
struct evhttp_request;

struct problem {
	int status;
	const char *type;   /* a CA's, or NULL */
	const char *detail; /* one sentence for people */
	const char *field;  /* of the request, that `detail` is about; or NULL */
	const struct config_errors *errors; /* several of those, or NULL */
	int64_t next_attempt;               /* when to come again, or 0 */
};

/* Its JSON; to be freed. */
int problem_compose(const struct problem *p, char **ret, size_t *ret_len);
/* What HTTP calls this status. */
const char *problem_title(int status);
/* Answers the request. */
void problem_send(struct evhttp_request *http, const struct problem *p);

#endif
