/*
 * renew.c - one managed certificate is renewed, by force or where it is due.
 *
 * Handler of /v1/certificates/NAME/renew. Where it isn't due its CA is asked first: the
 * answer waits for that, a few seconds at most.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "control/named.h"
#include "control/problem.h"
#include "control/routes.h"
#include "json.h"
#include "platform/log.h"
#include "renew/renewal.h"

#define WAIT_SECONDS 10 /* for CAs; what they say later counts later */

DEFINE_CLEANUP(struct json, json_free)

/* The members of the body; -EINVAL where one is wrong, which is answered then. */
static int
read_renew(struct call *call, const struct json *body, bool *ret_force)
{
	const struct json *force = json_get(body, "force");

	for (size_t i = 0; i < json_count(body); i++)
		if (strcmp(json_name_at(body, i), "force") != 0) {
			named_refuse_field(
			    call, json_name_at(body, i), "no such field");
			return -EINVAL;
		}
	if (force != NULL && json_type(force) != JSON_BOOL) {
		named_refuse_field(call, "force", "must be true or false");
		return -EINVAL;
	}
	*ret_force = json_is_true(force);
	return 0;
}

/* ---- answers ---- */

static void
reply_started(struct call *call, const char *name)
{
	log_line(LOG_INFO, (&(struct log_fields){ .certificate = name }),
	    "renewal asked for at the control socket");
	named_reply_saved(call, 202);
}

static void
reply_not_due(struct call *call)
{
	struct json_writer *w = json_writer_new();

	json_open_object(w);
	json_member_bool(w, "started", false);
	json_member_string(w, "reason", "not-due");
	json_close_object(w);
	call_reply(call, 200, w);
}

static void
reply_not_allowed(struct call *call, const struct certificate *c)
{
	problem_send(call->http,
	    &(struct problem){
		.status = 429,
		.detail = "the CA has said when it may be asked again",
		.next_attempt = c->next_attempt,
	    });
}

static void
refuse(struct call *call, int r)
{
	if (r == -EBADMSG)
		named_refuse(call, 409, NAMED_UNREADABLE);
	else
		call_refuse_store(call->http, "written", r);
}

static void
reply(struct call *call, const struct certificate *c, enum renewal_answer answer)
{
	switch (answer) {
	case RENEWAL_STARTED:
	case RENEWAL_RUNNING:
		reply_started(call, c->name);
		break;
	case RENEWAL_NOT_DUE:
		reply_not_due(call);
		break;
	case RENEWAL_NOT_ALLOWED:
		reply_not_allowed(call, c);
		break;
	case RENEWAL_PAUSED:
		named_refuse(call, 409, "it is paused, by renewctl or enabled = no");
		break;
	}
}

/* ---- waiting for CAs ---- */

struct waiting {
	struct call call;
	struct event *timer;
};

static void
waiting_free(struct waiting *w)
{
	renewals_look_forget(w->call.service->means.renewals, w);
	if (w->timer != NULL)
		event_free(w->timer);
	free(w);
}

static void
gone_cb(struct evhttp_connection *connection, void *arg)
{
	struct waiting *w = arg;

	(void)connection;
	call_abandon(w->call.http);
	waiting_free(w);
}

/* By what is known now. */
static void
told_cb(void *arg)
{
	struct waiting *w = arg;
	_cleanup_(certificate_freep) struct certificate *c = NULL;
	enum renewal_answer answer;
	int r;

	call_attend(w->call.http, NULL, NULL);
	if (named_find(&w->call, &c) == 0) {
		r = renewals_ask(w->call.service->means.renewals, c, false, &answer);
		if (r < 0)
			refuse(&w->call, r);
		else
			reply(&w->call, c, answer);
	}
	waiting_free(w);
}

static void
late_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	told_cb(arg);
}

/* False: there is nothing to wait for. */
static bool
wait_for_cas(const struct call *call, const struct certificate *c)
{
	static const struct timeval limit = { .tv_sec = WAIT_SECONDS };
	const struct control_means *means = &call->service->means;
	struct waiting *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return false;
	w->call = (struct call){
		.service = call->service, .http = call->http, .uid = call->uid
	};
	memcpy(w->call.name, call->name, sizeof(w->call.name));
	TAILQ_INIT(&w->call.query);
	w->timer = evtimer_new(means->base, late_cb, w);
	if (w->timer == NULL || evtimer_add(w->timer, &limit) < 0 ||
	    !renewals_look(means->renewals, c, told_cb, w)) {
		waiting_free(w);
		return false;
	}
	call_attend(call->http, gone_cb, w);
	return true;
}

void
certificates_renew(struct call *call)
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;
	_cleanup_(json_freep) struct json *body = NULL;
	enum renewal_answer answer;
	bool force;
	int r;

	if (named_find(call, &c) < 0 || call_body(call, &body) < 0 ||
	    read_renew(call, body, &force) < 0)
		return;
	r = renewals_ask(call->service->means.renewals, c, force, &answer);
	if (r < 0)
		refuse(call, r);
	else if (answer != RENEWAL_NOT_DUE || !wait_for_cas(call, c))
		reply(call, c, answer);
}
