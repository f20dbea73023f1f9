/*
 * run.c - one run of a target, from its start to the news of its end.
 *
 * Called by deploy.c to begin and by the types' files to end. It must never call
 * done_cb from a call of theirs: the end goes through the loop.
 */
#include "deploy/run.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "deploy/target.h"
#include "platform/log.h"
#include "platform/unit_job.h"
#include "platform/worker.h"

#define STAGE      "deploy"
#define TIMEOUT    120
#define MOST_LINES 1000 /* of a run, into the log */
#define LINE_SIZE  1024

static char no_memory[] = "out of memory";

const struct acme_result run_no_memory = {
	.class = ACME_RETRY,
	.stage = STAGE,
	.detail = no_memory,
};

static void
end(struct run *r)
{
	assert(!r->ended);
	r->ended = true;
	event_active(r->end_event, 0, 0);
}

void
run_succeeded(struct run *r)
{
	end(r);
}

unsigned
run_timeout(const struct run *r)
{
	int64_t seconds = r->target->timeout.seconds;

	if (seconds <= 0)
		return TIMEOUT;
	return seconds < INT_MAX ? seconds : INT_MAX;
}

int
run_in_thread(
    struct run *r, void (*thread_cb)(void *arg), void (*done_cb)(void *arg), void *arg)
{
	int error = 0;

	if (*r->worker == NULL)
		error = worker_new(r->base, r->worker);
	return error < 0 ? error : worker_run(*r->worker, thread_cb, done_cb, arg);
}

static void
log_said(const struct run *r, const char *line)
{
	const struct log_fields fields = {
		.certificate = r->subject != NULL ? r->subject->certificate : NULL,
		.target = r->target->name,
	};

	log_line(LOG_INFO, &fields, "target says: %s", line);
}

void
run_say(struct run *r, const char *line)
{
	r->lines++;
	if (r->lines <= MOST_LINES)
		log_said(r, line);
	else if (r->lines == MOST_LINES + 1)
		log_said(r, "(and more, which isn't logged)");
}

void
run_say_all(struct run *r, const char *text)
{
	char line[LINE_SIZE];

	for (text += strspn(text, "\n"); *text != '\0'; text += strspn(text, "\n")) {
		size_t len = strcspn(text, "\n");

		snprintf(line, sizeof(line), "%.*s", (int)len, text);
		run_say(r, line);
		text += len;
	}
}

static void
cut_blanks(char *text, size_t len)
{
	while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
		text[--len] = '\0';
}

/* NULL without memory. */
static struct acme_result *compose(enum acme_class class, const char *format,
    va_list ap) __attribute__((format(printf, 2, 0)));

static struct acme_result *
compose(enum acme_class class, const char *format, va_list ap)
{
	struct acme_result *result;
	char *text;
	int len = vasprintf(&text, format, ap);

	if (len < 0)
		return NULL;
	cut_blanks(text, len);
	result = acme_result_new(class, STAGE, "%s", text);
	free(text);
	return result;
}

void
run_failed(struct run *r, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	r->failure = compose(ACME_RETRY, format, ap);
	va_end(ap);
	r->failed = true;
	end(r);
}

/* The first failure stays. */
static void fail_subject(struct run *r, size_t i, enum acme_class class,
    const char *format, va_list ap) __attribute__((format(printf, 4, 0)));

static void
fail_subject(
    struct run *r, size_t i, enum acme_class class, const char *format, va_list ap)
{
	if (r->subjects[i].failure != NULL)
		return;
	r->subjects[i].failure = compose(class, format, ap);
	if (r->subjects[i].failure == NULL)
		r->failed = true;
}

void
run_subject_failed(struct run *r, size_t i, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fail_subject(r, i, ACME_RETRY, format, ap);
	va_end(ap);
}

void
run_subject_refused(struct run *r, size_t i, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fail_subject(r, i, ACME_GIVE_UP, format, ap);
	va_end(ap);
}

/* done_cb frees the run. */
static void
end_cb(evutil_socket_t fd, short what, void *arg)
{
	struct run *r = arg;

	(void)fd, (void)what;
	if (!r->failed)
		r->done_cb(NULL, r->arg);
	else
		r->done_cb(r->failure != NULL ? r->failure : &run_no_memory, r->arg);
}

void
run_free_subjects(struct run_subject *subjects, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		target_subject_free(subjects[i].it);
		acme_result_free(subjects[i].failure);
	}
	free(subjects);
}

int
run_new(struct event_base *base, struct worker **worker,
    const struct target_config *target, struct run_subject *subjects, size_t count,
    deploy_done_cb *done_cb, void *arg, struct run **ret)
{
	struct run *r = calloc(1, sizeof(*r));
	int started;

	if (r == NULL) {
		run_free_subjects(subjects, count);
		return -ENOMEM;
	}
	r->base = base;
	r->worker = worker;
	r->subjects = subjects;
	r->subject_count = count;
	r->done_cb = done_cb;
	r->arg = arg;
	r->target = target_copy(target);
	r->end_event = evtimer_new(base, end_cb, r);
	if (r->target == NULL || r->end_event == NULL) {
		run_free(r);
		return -ENOMEM;
	}
	r->type = types_get(target->type);
	r->subject = r->type->whole ? NULL : subjects[0].it;
	started = r->type->start(r);
	if (started < 0 && !r->ended)
		run_failed(
		    r, "%s can't be started: %s", r->type->name, strerror(-started));
	*ret = r;
	return 0;
}

struct run *
run_free(struct run *r)
{
	if (r == NULL)
		return NULL;
	if (r->type != NULL)
		r->type->stop(r);
	unit_job_free(r->unit_job);
	if (r->end_event != NULL)
		event_free(r->end_event);
	target_free(r->target);
	run_free_subjects(r->subjects, r->subject_count);
	acme_result_free(r->failure);
	free(r);
	return NULL;
}
