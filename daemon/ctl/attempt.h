/*
 * attempt.h - has a renewal that was asked for ended, and how?
 *
 * Pure judgement over the certificate as the API shows it, before and now; renew.c does
 * the asking and waiting.
 */
#ifndef ATTEMPT_H
#define ATTEMPT_H

#include <stdbool.h>
#include <stdint.h>

struct json;

enum attempt_state {
	ATTEMPT_RUNS, /* or waits for room */
	ATTEMPT_DONE, /* issued, and given to the servers as far as that went */
	ATTEMPT_FAILED,
};

struct attempt {
	const struct json *before; /* as it stood when the renewal was accepted; lent */
	bool ran;                  /* it was seen at work */
	int64_t idle_since;        /* ms; 0: not seen idle after that */
};

/* now_ms: of a clock that doesn't jump. */
enum attempt_state attempt_judge(
    struct attempt *a, const struct json *now, int64_t now_ms);

#endif
