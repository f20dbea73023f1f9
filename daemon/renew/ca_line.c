/*
 * ca_line.c - the line in which requests wait, where a CA takes no more now: so many a
 * second, so many at once, none at all for a while.
 *
 * Part of ca_request.c. Whether an order may be begun was judged before; here it is
 * only held back where the CA has changed its mind since.
 */
#include "renew/ca_request.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "platform/clock.h"
#include "schedule/limits.h"

/* A CA that wants to be left alone for longer isn't waited for. */
#define SILENCE_MS (60 * 1000)

/* Of a CA that many use, and that says how many requests it wants in a second. */
#define PACED_CONNECTIONS 4

void
ca_line_leave(struct ca_request *q)
{
	q->in_line = false;
	TAILQ_REMOVE(&q->ca->line, q, entry);
}

static void
wait_for(struct ca *ca, int64_t at, int64_t now)
{
	int64_t ms = at > now ? at - now : 0;
	struct timeval delay = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	event_add(ca->line_timer, &delay);
}

void
ca_line_move(struct ca *ca)
{
	int64_t now = clock_monotonic_ms();

	if (!TAILQ_EMPTY(&ca->line))
		wait_for(ca, now, now);
}

/* What goes on with something comes before what begins. */
static void
join(struct ca_request *q)
{
	struct ca_request *other;

	q->in_line = true;
	if (q->action != ACME_ACTION_NEW_ORDER)
		TAILQ_FOREACH (other, &q->ca->line, entry)
			if (other->action == ACME_ACTION_NEW_ORDER) {
				TAILQ_INSERT_BEFORE(other, q, entry);
				return;
			}
	TAILQ_INSERT_TAIL(&q->ca->line, q, entry);
}

static bool
has_room(const struct ca *ca)
{
	bool paced = limits_rates(ca->limits)->requests > 0;

	return ca->on_wire < (paced ? PACED_CONNECTIONS : HTTPS_HOST_CONNECTIONS);
}

/* The earliest time, as far as it is known. */
static int64_t
send_at(const struct ca_request *q, int64_t now)
{
	struct ca_limits *l = q->ca->limits;
	int64_t orders = limits_no_orders(l);
	int64_t at = limits_send_at(l, now);

	return q->action == ACME_ACTION_NEW_ORDER && orders > at ? orders : at;
}

/* As the CA would answer, to this one, too. */
static void
refuse(struct ca_request *q, int64_t ms)
{
	int64_t seconds = (ms + 999) / 1000;
	char at[CLOCK_TEXT_SIZE];
	char retry_after[24];
	char body[200];

	clock_format(clock_now() + seconds, at);
	snprintf(retry_after, sizeof(retry_after), "%lld", (long long)seconds);
	snprintf(body, sizeof(body),
	    "{\"type\":\"urn:ietf:params:acme:error:rateLimited\",\"detail\":\"the CA "
	    "has said to another request that it wants to be left alone until %s\"}",
	    at);
	ca_request_answer(q,
	    &(struct acme_reply){ .status = 503,
		.retry_after = retry_after,
		.body = body,
		.body_len = strlen(body),
		.received_at = clock_now() });
}

static int
dispatch(struct ca_request *q, int64_t now)
{
	limits_take_request(q->ca->limits, now);
	return ca_request_send_now(q);
}

void
ca_line_cb(evutil_socket_t fd, short what, void *arg)
{
	struct ca *ca = ca_ref(arg);
	struct ca_request *q;

	(void)fd;
	(void)what;
	while ((q = TAILQ_FIRST(&ca->line)) != NULL) {
		int64_t now = clock_monotonic_ms();
		int64_t at = send_at(q, now);

		if (at > now && at - now < SILENCE_MS) {
			wait_for(ca, at, now);
			break;
		}
		if (at <= now && !has_room(ca))
			break; /* ca_line_move() follows */
		ca_line_leave(q);
		if (at > now)
			refuse(q, at - now);
		else
			ca_request_sent(q, dispatch(q, now));
	}
	ca_unref(ca);
}

int
ca_line_send(struct ca_request *q)
{
	struct ca *ca = q->ca;
	int64_t now = clock_monotonic_ms();

	if (acme_exchange_answer(q->exchange) != NULL)
		return 0;
	if (TAILQ_EMPTY(&ca->line) && has_room(ca) && send_at(q, now) <= now)
		return dispatch(q, now);
	join(q);
	wait_for(ca, now, now);
	return 0;
}
