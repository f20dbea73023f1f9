/*
 * renew.c - the verb `renew`: asks for renewals, and with --wait stays until the first
 * attempt of each has ended.
 *
 * Called through the table of verbs. All are asked for first, so that they run side by
 * side; leaving early ends nothing but the waiting.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "buffer.h"
#include "ctl/attempt.h"
#include "ctl/client.h"
#include "ctl/verbs.h"
#include "json.h"
#include "platform/clock.h"
#include "scope.h"

#define LOOK_FIRST_MS 200
#define LOOK_LAST_MS  1000
#define AWAY_MAX_MS   30000 /* so long may a daemon be away, as for a restart */

/* One NAME of the command line. */
struct asked {
	const char *name;
	char *path;
	struct client_reply before; /* what `attempt` compares with */
	struct attempt attempt;
	bool waiting;
	bool added;         /* so it isn't to be renewed, but to be there */
	int64_t away_since; /* ms; 0: it answers */
};

struct wait {
	const struct ctl *ctl;
	struct asked *asked;
	size_t count;
	int64_t begun; /* ms */
	bool progress; /* on a terminal */
	int status;    /* worst so far */
};

/* ---- asking ---- */

static void
worsen(int *status, int other)
{
	if (other > *status)
		*status = other;
}

/* Without --wait: what the daemon made of the request. */
static void
print_answer(const struct ctl *ctl, const char *name, const struct client_reply *reply)
{
	const char *text = reply->status == 202 ? "started" : "not-due";

	if (ctl->json) {
		verbs_print_json(reply);
		return;
	}
	show_print(&ctl->show, stdout, name);
	if (ctl->show.terminal)
		puts(reply->status == 202
			? ": renewal started"
			: ": not due; --force renews it nevertheless");
	else
		printf("\t%s\n", text);
}

/* NAME, state, not_after: what --wait ends with. */
static void
print_result(const struct ctl *ctl, const struct client_reply *reply)
{
	_cleanup_(buffer_free) struct buffer b = { 0 };
	static const char *const names[] = { "name", "state", "not_after" };

	if (ctl->json) {
		verbs_print_json(reply);
		return;
	}
	for (size_t i = 0; i < ELEMENTS(names); i++) {
		if (i > 0)
			buffer_puts(&b, "\t");
		show_text(&ctl->show, &b, json_string(json_get(reply->json, names[i])));
	}
	if (b.data != NULL)
		puts(b.data);
	fflush(stdout);
}

/* Not due is no failure: the certificate stands as it should. */
static int
print_not_due(const struct ctl *ctl, const struct asked *a)
{
	struct client_reply reply;
	int status;

	if (!verbs_ask(ctl, a->name, "GET", a->path, NULL, &reply, &status))
		return status;
	if (!a->added)
		verbs_complain(ctl, a->name, "not due; --force renews it nevertheless");
	print_result(ctl, &reply);
	client_reply_clear(&reply);
	return CTL_DONE;
}

static int
ask(const struct ctl *ctl, struct asked *a)
{
	_cleanup_free_ char *path = NULL;
	int status;

	a->path = client_path("/v1/certificates/", a->name, "");
	path = client_path("/v1/certificates/", a->name, "/renew");
	if (a->path == NULL || path == NULL)
		return CTL_REFUSED;
	if (!verbs_ask(ctl, a->name, "POST", path,
		ctl->given & CTL_FORCE ? "{\"force\":true}" : "{}", &a->before,
		&status))
		return status;
	if ((ctl->given & CTL_WAIT) == 0) {
		print_answer(ctl, a->name, &a->before);
		return CTL_DONE;
	}
	if (a->before.status != 202)
		return print_not_due(ctl, a);
	a->attempt.before = a->before.json;
	a->waiting = true;
	return CTL_DONE;
}

/* ---- how it ended ---- */

/* True: one that is required has not taken it. */
static bool
warn_of_deployments(const struct ctl *ctl, const char *name, const struct json *c)
{
	const struct json *rows = json_get(c, "deployments");
	bool lacks = false;

	for (size_t i = 0; i < json_count(rows); i++) {
		const struct json *row = json_at(rows, i);
		const char *state = json_string(json_get(row, "state"));
		const char *target = json_string(json_get(row, "target"));
		const char *detail = json_string(json_get(row, "detail"));
		_cleanup_(buffer_free) struct buffer b = { 0 };

		if (state == NULL ||
		    (strcmp(state, "failed") != 0 && strcmp(state, "pending") != 0))
			continue;
		lacks = lacks || json_is_true(json_get(row, "required"));
		buffer_printf(&b, "%sdeployment to %s %s",
		    json_is_true(json_get(row, "required")) ? "" : "warning: ",
		    target != NULL ? target : "?",
		    strcmp(state, "failed") == 0 ? "failed" : "is still pending");
		if (detail != NULL && *detail != '\0')
			buffer_printf(&b, ": %s", detail);
		if (b.data != NULL)
			verbs_complain(ctl, name, b.data);
	}
	return lacks;
}

/* What was issued broke a server. */
static bool
warn_of_rollback(const struct ctl *ctl, const char *name, const struct json *c)
{
	const struct json *back = json_get(c, "rolled_back");
	const char *target = json_string(json_get(back, "target"));
	const char *detail = json_string(json_get(back, "detail"));
	_cleanup_(buffer_free) struct buffer b = { 0 };

	if (target == NULL)
		return false;
	buffer_printf(&b, "rolled back, as it broke %s: %s", target,
	    detail != NULL ? detail : "-");
	if (b.data != NULL)
		verbs_complain(ctl, name, b.data);
	return true;
}

/* "detail (type); next attempt in 5 minutes (...)" */
static void
complain_of_failure(const struct ctl *ctl, const char *name, const struct json *c)
{
	const struct json *error = json_get(c, "last_error");
	const char *activity = json_string(json_get(c, "activity"));
	const char *detail = json_string(json_get(error, "detail"));
	const char *type = json_string(json_get(error, "type"));
	const char *next = json_string(json_get(c, "next_attempt"));
	_cleanup_(buffer_free) struct buffer b = { 0 };
	char when[64];
	int64_t at;

	buffer_puts(&b, detail != NULL ? detail : "no certificate was issued");
	if (type != NULL)
		buffer_printf(&b, " (%s)", type);
	if (next != NULL && clock_parse(next, &at) == 0)
		buffer_printf(&b, "; next attempt %s (%s)",
		    show_when(clock_now(), at, when, sizeof(when)), next);
	else if (activity != NULL && strcmp(activity, "parked") == 0)
		buffer_puts(&b, "; parked, no next attempt by itself");
	else if (activity != NULL && strcmp(activity, "paused") == 0)
		buffer_puts(&b, "; paused");
	if (b.data != NULL)
		verbs_complain(ctl, name, b.data);
}

static void
clear_progress(const struct wait *w)
{
	if (w->progress)
		fputs("\r\033[K", stderr);
}

static void
finish(struct wait *w, struct asked *a, enum attempt_state state,
    const struct client_reply *reply)
{
	clear_progress(w);
	a->waiting = false;
	if (state != ATTEMPT_FAILED || w->ctl->json)
		print_result(w->ctl, reply);
	if (state == ATTEMPT_FAILED) {
		complain_of_failure(w->ctl, a->name, reply->json);
		worsen(&w->status, CTL_REFUSED);
	}
	if (warn_of_deployments(w->ctl, a->name, reply->json))
		worsen(&w->status, CTL_REFUSED);
	if (warn_of_rollback(w->ctl, a->name, reply->json))
		worsen(&w->status, CTL_REFUSED);
}

/* ---- waiting ---- */

/* A daemon that is restarted goes on with the order; one that stays away doesn't. */
static void
note_away(struct wait *w, struct asked *a, int r)
{
	int64_t now = clock_monotonic_ms();

	if (a->away_since == 0)
		a->away_since = now;
	if (now - a->away_since < AWAY_MAX_MS)
		return;
	clear_progress(w);
	a->waiting = false;
	worsen(&w->status, verbs_complain_error(w->ctl, a->name, r));
}

static void
look(struct wait *w, struct asked *a)
{
	enum attempt_state state;
	struct client_reply reply;
	int r;

	r = client_ask(w->ctl->client, "GET", a->path, NULL, &reply);
	if (r < 0) {
		note_away(w, a, r);
		return;
	}
	a->away_since = 0;
	if (reply.status != 200 || json_type(reply.json) != JSON_OBJECT) {
		clear_progress(w);
		a->waiting = false;
		verbs_complain_problem(w->ctl, a->name, &reply);
		worsen(&w->status, CTL_REFUSED);
	} else {
		state = attempt_judge(&a->attempt, reply.json, clock_monotonic_ms());
		if (state != ATTEMPT_RUNS)
			finish(w, a, state, &reply);
	}
	client_reply_clear(&reply);
}

static size_t
count_waiting(const struct wait *w, const char **ret_name)
{
	size_t count = 0;

	for (size_t i = 0; i < w->count; i++)
		if (w->asked[i].waiting) {
			*ret_name = w->asked[i].name;
			count++;
		}
	return count;
}

static void
show_progress(const struct wait *w, size_t left, const char *name, int64_t ms)
{
	if (!w->progress)
		return;
	clear_progress(w);
	if (left == 1)
		show_print(&w->ctl->show, stderr, name);
	else
		fprintf(stderr, "%zu certificates", left);
	fprintf(stderr, ": renewing, %" PRId64 " s", ms / 1000);
	fflush(stderr);
}

static void
give_up(struct wait *w)
{
	clear_progress(w);
	for (size_t i = 0; i < w->count; i++)
		if (w->asked[i].waiting)
			verbs_complain(w->ctl, w->asked[i].name,
			    "not done in time; renewd goes on with it");
	worsen(&w->status, CTL_REFUSED);
}

static void
pause_ms(int64_t ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static void
wait_for_all(struct wait *w)
{
	int64_t limit = w->ctl->timeout_s * 1000;
	int64_t delay = LOOK_FIRST_MS;
	const char *name = NULL;
	size_t left;

	while ((left = count_waiting(w, &name)) > 0) {
		int64_t passed = clock_monotonic_ms() - w->begun;

		if (passed >= limit) {
			give_up(w);
			return;
		}
		show_progress(w, left, name, passed);
		pause_ms(delay < limit - passed ? delay : limit - passed);
		for (size_t i = 0; i < w->count; i++)
			if (w->asked[i].waiting)
				look(w, &w->asked[i]);
		delay = delay * 3 / 2 < LOOK_LAST_MS ? delay * 3 / 2 : LOOK_LAST_MS;
	}
	clear_progress(w);
}

static int
renew_all(const struct ctl *ctl, const char *const *names, size_t count, bool added)
{
	struct wait w = { .ctl = ctl, .count = count };

	w.asked = calloc(count, sizeof(*w.asked));
	if (w.asked == NULL)
		return CTL_REFUSED;
	w.progress = isatty(STDERR_FILENO) == 1;
	w.begun = clock_monotonic_ms();
	for (size_t i = 0; i < w.count && w.status != CTL_NO_DAEMON; i++) {
		w.asked[i].name = names[i];
		w.asked[i].added = added;
		worsen(&w.status, ask(ctl, &w.asked[i]));
	}
	wait_for_all(&w);
	for (size_t i = 0; i < w.count; i++) {
		free(w.asked[i].path);
		client_reply_clear(&w.asked[i].before);
	}
	free(w.asked);
	return w.status;
}

int
renew_wait(const struct ctl *ctl, const char *name)
{
	return renew_all(ctl, &name, 1, true);
}

int
verb_renew(const struct ctl *ctl)
{
	return renew_all(ctl, (const char *const *)ctl->args, ctl->count, false);
}
