/*
 * order_challenges.c - what the CA may fetch while an order is in flight.
 *
 * Called by order.c before each request, and at start for orders of before. Where a
 * token was fetched the order looks sooner.
 */
#include "renew/order_parts.h"

#include <errno.h>
#include <string.h>

#include "challenge/responder.h"
#include "platform/clock.h"

static void
fetched_cb(const char *token, void *arg)
{
	struct order *o = arg;

	if (o->flow == NULL)
		return;
	acme_flow_fetched(o->flow, clock_monotonic_ms(), token);
	if (o->request == NULL && !o->changed)
		order_pump(o);
}

static bool
still_wanted(const struct acme_challenge *challenges, size_t count, const char *token)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(challenges[i].token, token) == 0)
			return true;
	return false;
}

/* What is published is what the flow wants answered: no more, no less. */
int
order_publish(struct order *o)
{
	const struct acme_challenge *challenges;
	size_t count = acme_flow_challenges(o->flow, &challenges);
	size_t kept = 0;
	char **grown;
	int r;

	for (size_t i = 0; i < o->published_count; i++) {
		if (still_wanted(challenges, count, o->published[i])) {
			o->published[kept++] = o->published[i];
			continue;
		}
		responder_withdraw(o->means->responder, o->published[i], o);
		free(o->published[i]);
	}
	o->published_count = kept;
	grown = reallocarray(o->published, kept + count + 1, sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	o->published = grown;
	for (size_t i = 0; i < count; i++) {
		bool known = false;

		for (size_t k = 0; k < kept && !known; k++)
			known = strcmp(o->published[k], challenges[i].token) == 0;
		if (known)
			continue;
		r = responder_publish(o->means->responder, challenges[i].token,
		    challenges[i].key_authorization, fetched_cb, o);
		if (r < 0)
			return r;
		o->published[o->published_count] = strdup(challenges[i].token);
		if (o->published[o->published_count] == NULL)
			return -ENOMEM;
		o->published_count++;
	}
	return 0;
}

void
order_withdraw(struct order *o)
{
	for (size_t i = 0; i < o->published_count; i++) {
		responder_withdraw(o->means->responder, o->published[i], o);
		free(o->published[i]);
	}
	free(o->published);
	o->published = NULL;
	o->published_count = 0;
}

void
order_publish_stored(const struct renewal_means *means, const struct order_row *row)
{
	const char *line = row->challenges;

	while (line != NULL && *line != '\0') {
		size_t len = strcspn(line, "\n");
		_cleanup_free_ char *text = strndup(line, len);
		char *body = text != NULL ? strchr(text, ' ') : NULL;

		if (body != NULL) {
			*body++ = '\0';
			(void)responder_publish(
			    means->responder, text, body, NULL, NULL);
		}
		line += len + (line[len] == '\n');
	}
}
