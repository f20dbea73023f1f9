/*
 * certificates.c - one managed certificate: shown, renewed, paused, deployed again.
 *
 * Handlers of /v1/certificates/NAME that leave it as it is configured; what changes
 * that is in edit.c.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "control/named.h"
#include "control/problem.h"
#include "control/routes.h"
#include "json.h"
#include "platform/log.h"
#include "renew/renewal.h"

/* Added by the API, and a reload has taken away what it refers to. */
#define UNREADABLE \
  "what it was added with is no longer valid: its CA or deploy target has gone"

DEFINE_CLEANUP(struct json, json_free)

/* ---- showing ---- */

void
certificates_show(struct call *call)
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;
	struct json_writer *w;

	if (named_find(call, &c) < 0)
		return;
	w = json_writer_new();
	if (named_write(w, call->service, c) < 0) {
		json_writer_free(w);
		named_refuse(call, 500, "the inventory cannot be read");
		return;
	}
	call_reply(call, 200, w);
}

/* ---- renewing ---- */

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
	if (r < 0) {
		if (r == -EBADMSG)
			named_refuse(call, 409, UNREADABLE);
		else
			call_refuse_store(call->http, "written", r);
		return;
	}
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

/* ---- resting, deploying ---- */

static void
set_paused(struct call *call, bool paused, const char *kind)
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;

	if (named_find(call, &c) < 0)
		return;
	if (c->paused != paused) {
		if (renewals_pause(call->service->means.renewals, c, paused) < 0) {
			named_refuse(call, 500, "the inventory could not be written");
			return;
		}
		named_note(call, c->name, kind);
	}
	named_reply_saved(call, 200);
}

void
certificates_pause(struct call *call)
{
	set_paused(call, true, "paused");
}

void
certificates_resume(struct call *call)
{
	set_paused(call, false, "resumed");
}

void
certificates_deploy(struct call *call)
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;
	int r;

	if (named_find(call, &c) < 0)
		return;
	r = renewals_deploy(call->service->means.renewals, c);
	if (r == -ENODEV)
		named_refuse(call, 409, "no \"deploy\" is configured for it");
	else if (r == -ENODATA)
		named_refuse(call, 409, "nothing has been issued yet to be deployed");
	else if (r == -EBADMSG)
		named_refuse(call, 409, UNREADABLE);
	else if (r < 0)
		call_refuse_store(call->http, "written", r);
	else
		named_reply_saved(call, 202);
}
