/*
 * ari_news.c - tells of windows and of problems with them; see ari_news.h.
 *
 * A window that is as expected is no news. One that changed is, with the page where the
 * CA explains it (RFC 9773 section 4.2).
 */
#include "renew/ari_news.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "buffer.h"
#include "platform/clock.h"
#include "platform/log.h"

/* One CA with which something is the matter, or was. */
struct trouble {
	char *ca;
	char *said; /* the last problem that was told */
	int64_t closed;
};

struct ari_news {
	struct store *store;
	struct trouble *troubles;
	size_t count;
};

struct ari_news *
ari_news_new(struct store *store)
{
	struct ari_news *n = calloc(1, sizeof(*n));

	if (n != NULL)
		n->store = store;
	return n;
}

struct ari_news *
ari_news_free(struct ari_news *n)
{
	if (n == NULL)
		return NULL;
	for (size_t i = 0; i < n->count; i++) {
		free(n->troubles[i].ca);
		free(n->troubles[i].said);
	}
	free(n->troubles);
	free(n);
	return NULL;
}

/* ---- CAs ---- */

static struct trouble *
find(const struct ari_news *n, const char *ca)
{
	for (size_t i = 0; i < n->count; i++)
		if (strcasecmp(n->troubles[i].ca, ca) == 0)
			return &n->troubles[i];
	return NULL;
}

/* NULL: no memory, and then things are said twice. */
static struct trouble *
find_or_add(struct ari_news *n, const char *ca)
{
	struct trouble *t = find(n, ca);
	struct trouble *grown;

	if (t != NULL)
		return t;
	grown = reallocarray(n->troubles, n->count + 1, sizeof(*grown));
	if (grown == NULL)
		return NULL;
	n->troubles = grown;
	t = &n->troubles[n->count];
	*t = (struct trouble){ .ca = strdup(ca) };
	if (t->ca == NULL)
		return NULL;
	n->count++;
	return t;
}

void
ari_news_close(struct ari_news *n, const char *ca, int64_t until)
{
	struct trouble *t = until != 0 ? find_or_add(n, ca) : find(n, ca);

	if (t != NULL)
		t->closed = until;
}

int64_t
ari_news_closed(const struct ari_news *n, const char *ca)
{
	const struct trouble *t = find(n, ca);

	return t != NULL ? t->closed : 0;
}

static bool
is_said(const struct trouble *t, const char *problem)
{
	return t != NULL && t->said != NULL && problem != NULL &&
	    strcmp(t->said, problem) == 0;
}

/* ---- problems ---- */

static void
tell_problem(struct ari_news *n, const struct renewal_info *before,
    const struct renewal_info *after)
{
	struct trouble *t = find_or_add(n, after->ca);
	const char *problem = after->problem != NULL ? after->problem : "no memory";
	bool old = is_said(t, problem) ||
	    (before->problem != NULL && strcmp(before->problem, problem) == 0);
	char at[CLOCK_TEXT_SIZE];

	log_line(old ? LOG_DEBUG : LOG_WARNING,
	    &(struct log_fields){ .event = LOG_EVENT_WINDOW_UNKNOWN,
		.certificate = after->name,
		.ca = after->ca,
		.retry_at = after->ask_at },
	    "the CA doesn't say when it is to be renewed, so it is renewed as planned: "
	    "%s; asked again at %s",
	    problem, clock_format(after->ask_at, at));
	if (t == NULL || old)
		return;
	free(t->said);
	t->said = strdup(problem);
}

/* The problem that was told of this CA has gone: it would be news again. */
static void
forget_problem(const struct ari_news *n, const struct renewal_info *before)
{
	struct trouble *t = find(n, before->ca);

	if (is_said(t, before->problem)) {
		free(t->said);
		t->said = NULL;
	}
}

/* ---- windows ---- */

static void
tell_window(const struct ari_news *n, const struct renewal_info *before,
    const struct renewal_info *after)
{
	_cleanup_(buffer_free) struct buffer text = { 0 };
	bool first = before->start == 0;
	bool over = after->end <= clock_now();
	char start[CLOCK_TEXT_SIZE];
	char end[CLOCK_TEXT_SIZE];

	buffer_printf(&text, "%s to %s", clock_format(after->start, start),
	    clock_format(after->end, end));
	if (!first)
		buffer_printf(&text, " instead of %s to %s",
		    clock_format(before->start, start), clock_format(before->end, end));
	if (after->explanation != NULL)
		buffer_printf(&text, "; the CA explains it at %s", after->explanation);
	if (text.failed)
		return;
	log_line(!first || over ? LOG_WARNING : LOG_DEBUG,
	    &(struct log_fields){ .event = LOG_EVENT_WINDOW_CHANGED,
		.certificate = after->name,
		.ca = after->ca,
		.retry_at = after->at },
	    over ? "the CA wants it renewed now: window %s"
		 : "the CA wants it renewed in the window %s",
	    text.data);
	if (!first || over)
		(void)history_add(n->store,
		    &(struct history_event){ .at = clock_now(),
			.kind = "window",
			.certificate = after->name,
			.ca = after->ca,
			.detail = text.data });
}

/* The same window, with a page about it that is new. */
static void
tell_explanation(const struct renewal_info *before, const struct renewal_info *after)
{
	if (after->explanation == NULL ||
	    (before->explanation != NULL &&
		strcmp(before->explanation, after->explanation) == 0))
		return;
	log_line(LOG_NOTICE,
	    &(struct log_fields){ .event = LOG_EVENT_WINDOW_CHANGED,
		.certificate = after->name,
		.ca = after->ca,
		.retry_at = after->at },
	    "the CA explains when it wants it renewed at %s", after->explanation);
}

void
ari_news_tell(struct ari_news *n, enum ari_outcome outcome,
    const struct renewal_info *before, const struct renewal_info *after)
{
	switch (outcome) {
	case ARI_MOVED:
		forget_problem(n, before);
		tell_window(n, before, after);
		break;
	case ARI_SAME:
		forget_problem(n, before);
		tell_explanation(before, after);
		break;
	case ARI_FAILED:
		tell_problem(n, before, after);
		break;
	case ARI_AGAIN:
		break;
	}
}
