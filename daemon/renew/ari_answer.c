/*
 * ari_answer.c - what the answer to a question about renewal information makes of its
 * row: the window and the point in it, when to ask again, what is wrong.
 *
 * Called by ari.c for each answer. A window that was good stays until another is known,
 * whatever comes in between.
 */
#include <stdio.h>
#include <string.h>

#include "renew/ari.h"
#include "result.h"
#include "schedule/wakeup.h"

#define SLOW_SECONDS 3600

static void
set_problem(struct renewal_info *row, const char *problem)
{
	free(row->problem);
	row->problem = problem != NULL ? strdup(problem) : NULL;
}

/* RFC 9773 section 4.3.3: a long-term error. What the CA says about waiting makes it
 * only longer. */
static enum ari_outcome
fail(struct renewal_info *row, const char *problem, int64_t retry_at, int64_t now,
    uint64_t jitter)
{
	int64_t told = retry_at != 0 ? wakeup_ask(now, retry_at) : 0;

	set_problem(row, problem);
	row->failures = 0;
	row->ask_at = wakeup_ask_later(now, jitter);
	if (row->ask_at < told)
		row->ask_at = told;
	return ARI_FAILED;
}

/* A temporary error is a lasting one when it has come often enough. */
static enum ari_outcome
refused(struct renewal_info *row, const struct acme_reply *reply, int64_t now,
    uint64_t jitter)
{
	_cleanup_(acme_result_freep) struct acme_result *why =
	    acme_reply_result(reply, "renewal-info");
	int64_t retry_at = acme_retry_at(reply);
	int64_t again = 0;

	row->failures++;
	if (reply->status == 0 || reply->status >= 500)
		again = wakeup_ask_retry(now, row->failures, retry_at);
	if (again == 0)
		return fail(row, why != NULL ? why->detail : "no memory", retry_at, now,
		    jitter);
	row->ask_at = again;
	return ARI_AGAIN;
}

/* The point is picked once, and kept while the window is the same: picked anew at each
 * question, it would come the sooner the more often the CA is asked. */
static void
pick(struct renewal_info *row, int64_t now, uint64_t jitter)
{
	int64_t calm = wakeup_calm(
	    row->issued_at, row->issued_before, row->not_after - row->not_before);

	row->at = wakeup_window(row->start, row->end, jitter);
	if (row->at < now)
		row->at = now; /* over: it is due */
	if (row->at < calm)
		row->at = calm;
}

enum ari_outcome
ari_answer(struct renewal_info *row, const struct acme_reply *reply, int64_t now,
    uint64_t jitter)
{
	struct acme_renewal_info *info = NULL;
	enum ari_outcome outcome = ARI_SAME;

	row->asked_at = now;
	if (reply->status != 200)
		return refused(row, reply, now, jitter);
	if (reply->body == NULL ||
	    acme_renewal_info_parse(reply->body, reply->body_len, &info) < 0)
		return fail(row, "its answer has no valid window", acme_retry_at(reply),
		    now, jitter);
	/* to a clock that is slow, a window that is over seems to be still to come; one
	 * that is fast can't be told from an answer out of a cache (RFC 9773 section 7)
	 */
	if (acme_reply_date(reply) > now + SLOW_SECONDS) {
		acme_renewal_info_free(info);
		return fail(row,
		    "the clock here is behind the CA's by more than an hour",
		    acme_retry_at(reply), now, jitter);
	}
	set_problem(row, NULL);
	row->failures = 0;
	row->ask_at = wakeup_ask(now, acme_retry_at(reply));
	free(row->explanation);
	row->explanation = steal_ptr(info->explanation_url);
	if (row->start != info->start || row->end != info->end) {
		row->start = info->start;
		row->end = info->end;
		pick(row, now, jitter);
		outcome = ARI_MOVED;
	}
	acme_renewal_info_free(info);
	return outcome;
}
