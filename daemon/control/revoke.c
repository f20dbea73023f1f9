/*
 * revoke.c - certificates are revoked over the control socket, and the answer waits for
 * the CA's.
 *
 * Handler of POST /v1/certificates/NAME/revoke. Who leaves, or gets no answer in time,
 * ends nothing but the waiting: what was asked is in the inventory.
 */
#include "control/revoke.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <event2/event.h>

#include "control/named.h"
#include "control/problem.h"
#include "control/routes.h"
#include "json.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "renew/renewal.h"
#include "renew/revoke.h"

#define WAIT_SECONDS 50 /* connections that are silent for longer are closed */

DEFINE_CLEANUP(struct json, json_free)

/* An answer that is waited for. */
struct waiting {
	struct call call; /* without query */
	int64_t certificate;
	revoke_then_cb *then; /* NULL: show it */
	struct revoke_wait *wait;
	struct event *deadline;
};

static void
waiting_free(struct waiting *w)
{
	revoke_forget(w->wait);
	if (w->deadline != NULL)
		event_free(w->deadline);
	free(w);
}

/* ---- answers ---- */

static void
reply_shown(struct call *call, const struct certificate *c)
{
	struct json_writer *w = json_writer_new();

	if (named_write(w, call->service, c) < 0) {
		json_writer_free(w);
		named_refuse(call, 500, "the inventory cannot be read");
		return;
	}
	call_reply_saved(call, 200, w);
}

/* Read anew: it has changed. */
static void
reply_done(struct waiting *w)
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;
	struct store *store = w->call.service->means.store;
	int r = certificate_get_id(store, w->certificate, &c);

	if (r == -ENOENT)
		named_refuse(&w->call, 404, "the certificate has gone meanwhile");
	else if (r < 0)
		named_refuse(&w->call, 500, "the inventory cannot be read");
	else if (w->then != NULL)
		w->then(&w->call, c);
	else
		reply_shown(&w->call, c);
}

/* The CA's words, and what happens next. */
static void
reply_failed(struct waiting *w, const struct revoke_outcome *outcome)
{
	const struct acme_result *failure = outcome->failure;
	char detail[1400];

	snprintf(detail, sizeof(detail), "%s: %s%s",
	    outcome->final ? "not revoked" : "not revoked yet", failure->detail,
	    outcome->final        ? w->then != NULL ? "; so it is not removed either,"
						      " and not tried again"
						    : "; it is not tried again"
		: w->then != NULL ? "; it is tried again, and removed after that"
				  : "; it is tried again");
	problem_send(w->call.http,
	    &(struct problem){ .status = failure->status == 0 &&
			failure->type == NULL && !outcome->final
		    ? 504
		    : 502,
		.type = failure->type,
		.detail = detail,
		.next_attempt = outcome->next_attempt });
}

static void
done_cb(const struct revoke_outcome *outcome, void *arg)
{
	struct waiting *w = arg;

	w->wait = NULL;
	call_attend(w->call.http, NULL, NULL);
	if (outcome->failure == NULL)
		reply_done(w);
	else
		reply_failed(w, outcome);
	waiting_free(w);
}

static void
deadline_cb(evutil_socket_t fd, short what, void *arg)
{
	struct waiting *w = arg;

	(void)fd;
	(void)what;
	call_attend(w->call.http, NULL, NULL);
	named_refuse(&w->call, 504,
	    w->then != NULL
		? "not revoked yet; that goes on, and the certificate is removed after it"
		: "not revoked yet; that goes on, and the certificate shows how");
	waiting_free(w);
}

static void
closed_cb(struct evhttp_connection *connection, void *arg)
{
	struct waiting *w = arg;

	(void)connection;
	call_abandon(w->call.http);
	waiting_free(w);
}

/* ---- asking ---- */

static struct waiting *
waiting_new(const struct call *call, const struct certificate *c, revoke_then_cb *then)
{
	struct waiting *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->call = (struct call){
		.service = call->service, .http = call->http, .uid = call->uid
	};
	memcpy(w->call.name, call->name, sizeof(w->call.name));
	w->certificate = c->id;
	w->then = then;
	w->deadline = evtimer_new(call->service->means.base, deadline_cb, w);
	if (w->deadline == NULL) {
		free(w);
		return NULL;
	}
	return w;
}

static const struct {
	int r;
	int status;
	const char *detail;
} refusals[] = {
	{ -ENODATA, 409, "nothing has been issued that could be revoked" },
	{ -EPERM, 409,
	    "it is paused, by renewctl or enabled = no, so nothing is ordered in its"
	    " place; another reason revokes it as it is" },
	{ -ESRCH, 409,
	    "it was removed, so nothing is ordered in its place; another reason revokes"
	    " it as it is" },
	{ -EBADMSG, 409,
	    "what it was added with is no longer valid, so nothing is ordered in its"
	    " place; another reason revokes it as it is" },
};

static void
refuse(struct call *call, int r)
{
	for (size_t i = 0; i < ELEMENTS(refusals); i++)
		if (refusals[i].r == r) {
			named_refuse(call, refusals[i].status, refusals[i].detail);
			return;
		}
	named_refuse(call, 500, "the inventory could not be written");
}

/* In log and history: who asked, and why. */
static void
note(const struct call *call, const char *name, enum acme_reason reason)
{
	char detail[100];

	snprintf(detail, sizeof(detail), "%s, at the control socket, by user %u",
	    acme_reason_name(reason), call->uid);
	log_line(LOG_NOTICE, (&(struct log_fields){ .certificate = name }),
	    "revocation asked for: %s", detail);
	(void)history_add(call->service->means.store,
	    &(struct history_event){ .at = clock_now(),
		.kind = "revocation-asked",
		.certificate = name,
		.detail = detail });
}

static int
begin(struct waiting *w, const struct certificate *c, const struct revoke_wish *wish)
{
	int r;

	r = renewals_revoke(
	    w->call.service->means.renewals, c, wish, done_cb, w, &w->wait);
	if (r == 0 && w->wait != NULL)
		note(&w->call, c->name, wish->reason);
	return r;
}

static void
ask(struct call *call, const struct certificate *c, const struct revoke_wish *wish,
    revoke_then_cb *then)
{
	struct waiting *w = waiting_new(call, c, then);
	int r = w != NULL ? begin(w, c, wish) : -ENOMEM;

	if (r < 0 && (r != -ENODATA || then == NULL)) {
		refuse(call, r);
	} else if (r < 0 || w->wait == NULL) {
		reply_done(w); /* nothing is left to revoke */
	} else {
		call_attend(call->http, closed_cb, w);
		event_add(w->deadline, &(struct timeval){ .tv_sec = WAIT_SECONDS });
		return;
	}
	if (w != NULL)
		waiting_free(w);
}

void
revoke_before(struct call *call, const struct certificate *c, revoke_then_cb *then)
{
	const struct revoke_wish wish = { .reason = ACME_REASON_CESSATION_OF_OPERATION,
		.removal = true };

	ask(call, c, &wish, then);
}

/* ---- POST ---- */

static const struct {
	const char *name;
	enum revoke_keys keys;
} key_names[] = {
	{ "all", REVOKE_ALL_KEYS },
	{ "ecdsa", REVOKE_ECDSA },
	{ "rsa", REVOKE_RSA },
};

static int
take_key(struct call *call, const char *text, struct revoke_wish *ret)
{
	for (size_t i = 0; text != NULL && i < ELEMENTS(key_names); i++)
		if (strcmp(key_names[i].name, text) == 0) {
			ret->keys = key_names[i].keys;
			return 0;
		}
	named_refuse_field(call, "key", "must be all, ecdsa or rsa");
	return -EINVAL;
}

static int
take_reason(struct call *call, const char *text, struct revoke_wish *ret)
{
	if (text != NULL && acme_reason_parse(text, &ret->reason) == 0)
		return 0;
	named_refuse_field(call, "reason",
	    "must be unspecified, keyCompromise, superseded or cessationOfOperation");
	return -EINVAL;
}

static int
read_wish(struct call *call, const struct json *body, struct revoke_wish *ret)
{
	int r = 0;

	for (size_t i = 0; i < json_count(body) && r == 0; i++) {
		const char *name = json_name_at(body, i);
		const char *text = json_string(json_at(body, i));

		if (strcmp(name, "reason") == 0) {
			r = take_reason(call, text, ret);
		} else if (strcmp(name, "key") == 0) {
			r = take_key(call, text, ret);
		} else {
			named_refuse_field(call, name, "no such field");
			r = -EINVAL;
		}
	}
	return r;
}

/* Also of one that was removed: what it had is still valid, and servers may use it. */
void
revoke_run(struct call *call)
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;
	_cleanup_(json_freep) struct json *body = NULL;
	struct revoke_wish wish = { 0 };

	if (call_unknown_parameter(call, "") || named_find_any(call, &c) < 0)
		return;
	if (c == NULL) {
		named_refuse(call, 404, "there is no certificate of this name");
		return;
	}
	if (call_body(call, &body) < 0 || read_wish(call, body, &wish) < 0)
		return;
	ask(call, c, &wish, NULL);
}
