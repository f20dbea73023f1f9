/*
 * ca_clock.c - is the clock here right? The CA's answers have the time in them.
 *
 * Part of ca.c. It only warns, and tells those who would renew something for its age:
 * nobody's clock is set, and nothing else follows from it.
 */
#include "renew/ca_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "platform/clock.h"
#include "platform/log.h"

#define DAY     (INT64_C(24) * 3600)
#define TOLERED 60 /* seconds: answers take some time, too */

static const struct {
	int64_t seconds;
	const char *name;
} units[] = {
	{ 365 * DAY, "years" },
	{ DAY, "days" },
	{ 3600, "hours" },
	{ 60, "minutes" },
	{ 1, "seconds" },
};

static void
tell(struct ca *ca, int64_t date)
{
	int64_t distance = ca->ahead > 0 ? ca->ahead : -ca->ahead;
	char there[CLOCK_TEXT_SIZE];
	size_t i = 0;

	while (distance < 2 * units[i].seconds)
		i++;
	log_line(LOG_WARNING,
	    &(struct log_fields){
		.event = LOG_EVENT_CLOCK_WRONG, .ca = ca->settings.name },
	    "the clock here is %" PRId64
	    " %s %s the CA's, where it is %s: is it set by "
	    "NTP?%s",
	    distance / units[i].seconds, units[i].name,
	    ca->ahead > 0 ? "ahead of" : "behind", clock_format(date, there),
	    ca->ahead >= DAY ? " Nothing is renewed for its age until it is right"
			     : "");
}

/* What has no nonce may be out of a cache, and then it is some hours old. */
void
ca_hear_clock(struct ca *ca, const struct acme_reply *reply)
{
	int64_t date = acme_reply_date(reply);
	int64_t ahead = reply->received_at - date;
	bool differs;

	if (reply->status == 0 || date == 0 || reply->received_at == 0)
		return;
	if (reply->replay_nonce == NULL && ahead > 0 && ahead < DAY)
		return;
	ca->ahead = ahead;
	differs = llabs(ahead) > TOLERED;
	if (differs && !ca->clock_said)
		tell(ca, date);
	else if (!differs && ca->clock_said)
		log_line(LOG_NOTICE,
		    &(struct log_fields){
			.event = LOG_EVENT_CLOCK_WRONG, .ca = ca->settings.name },
		    "the clock here and the CA's agree again");
	ca->clock_said = differs;
}

/* As seen last: what has been due for so long by the clock here isn't, by the CA's. */
bool
ca_denies(const struct ca *ca, int64_t due_at)
{
	return ca->ahead >= DAY && due_at > clock_now() - ca->ahead;
}
