/*
 * outage.c - see outage.h.
 */
#include "schedule/outage.h"

#include "scope.h"

#define DAY (INT64_C(24) * 3600)

static const int64_t delays[] = { 60, 120, 300, OUTAGE_PROBE_SECONDS };

/* A fifth less by chance, never more. */
static int64_t
pick_delay(unsigned probes, uint64_t jitter)
{
	int64_t delay =
	    delays[probes < ELEMENTS(delays) ? probes : ELEMENTS(delays) - 1];

	return delay - (int64_t)(jitter % (uint64_t)(delay / 5 + 1));
}

bool
outage_note(
    struct outage *o, int64_t now_ms, int64_t now, int64_t not_before, uint64_t jitter)
{
	int64_t delay;
	bool news;

	if (o->since != 0 && now_ms < o->probe_at)
		return false;
	if (o->since == 0 || o->since > now)
		o->since = now;
	delay = pick_delay(o->probes, jitter);
	if (not_before > now + delay)
		delay = not_before - now;
	o->probes++;
	o->probe_at = now_ms + delay * 1000;
	o->shown_at = now + delay;
	news = o->said_at == 0 || now - o->said_at >= DAY || now < o->said_at;
	if (news)
		o->said_at = now;
	return news;
}

bool
outage_end(struct outage *o)
{
	bool was = o->since != 0;

	*o = (struct outage){ 0 };
	return was;
}
