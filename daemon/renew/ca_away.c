/*
 * ca_away.c - a CA that doesn't answer: noticed, said once and then once a day, and
 * said when it is back.
 *
 * Part of ca.c. What follows from it is decided elsewhere: schedule/outage.c says when
 * it is tried again, gate.c and queue.c by whom.
 */
#include "renew/ca_private.h"

#include <stdio.h>

#include "platform/clock.h"
#include "platform/log.h"
#include "schedule/limits.h"

#define DAY  (INT64_C(24) * 3600)
#define HOUR INT64_C(3600)

/* "3 days", "5 hours", "2 minutes" */
static const char *
describe_time(int64_t seconds, char *ret, size_t size)
{
	int64_t unit = seconds >= 2 * DAY ? DAY : seconds >= 2 * HOUR ? HOUR : 60;

	snprintf(ret, size, "%lld %s", (long long)(seconds / unit),
	    unit == DAY        ? "days"
		: unit == HOUR ? "hours"
			       : "minutes");
	return ret;
}

static int64_t
count_waiting(const struct ca *ca)
{
	int64_t count = 0;

	(void)queue_count(ca->means->store, ca->settings.name, &count);
	return count;
}

void
ca_unanswered(struct ca *ca, const struct acme_result *failure)
{
	const struct outage *o = limits_outage(ca->limits);
	struct log_fields f = { .event = LOG_EVENT_CA_FAILED,
		.ca = ca->settings.name,
		.problem = failure->type };
	bool began = o->since == 0;
	bool news = limits_unanswered(ca->limits, failure->not_before);
	char since[CLOCK_TEXT_SIZE];

	ca_note(ca, failure);

	f.retry_at = failure->not_before;
	if (began)
		ca_history(ca, "ca-away", failure->detail);
	if (news && o->probes > 1)
		log_line(LOG_ERR, &f,
		    "the CA has not answered since %s, and %lld certificates wait for it: "
		    "%s; it is tried every %d minutes",
		    clock_format(o->since, since), (long long)count_waiting(ca),
		    failure->detail, OUTAGE_PROBE_SECONDS / 60);
	else
		log_line(news ? LOG_ERR : LOG_DEBUG, &f,
		    "the CA cannot be used: %s; what needs it is tried again by itself",
		    failure->detail);
}

void
ca_answered(struct ca *ca)
{
	int64_t since = limits_outage(ca->limits)->since;
	char time[32];

	if (!limits_answered(ca->limits))
		return;
	ca_note(ca, NULL);
	log_line(LOG_NOTICE,
	    &(struct log_fields){ .event = LOG_EVENT_CA_BACK, .ca = ca->settings.name },
	    "the CA answers again, after %s: %lld certificates wait for it",
	    describe_time(clock_now() - since, time, sizeof(time)),
	    (long long)count_waiting(ca));
	ca_history(ca, "ca-back", NULL);
}

/* Of the directory and the account ca.c hears itself: they may be answered by a cache,
 * or be refused. A nonce is needed for all else, and a 500 of anything else may be
 * about one order alone. */
void
ca_heard(struct ca *ca, const struct ca_heard *heard)
{
	const struct acme_reply *reply = heard->reply;
	struct acme_result *failure;

	ca_hear_clock(ca, reply);
	if (!heard->by_account)
		return;
	if (reply->status != 0 && reply->status < 500) {
		ca->answered_at = clock_monotonic_ms();
		ca_answered(ca);
		return;
	}
	if (reply->status != 0 && heard->sending != ACME_ACTION_NONCE)
		return;
	if (ca->answered_at >= heard->sent_at)
		return; /* others were answered meanwhile: it is there */
	failure = acme_reply_result(reply, "order");
	if (failure != NULL)
		ca_unanswered(ca, failure);
	acme_result_free(failure);
}
