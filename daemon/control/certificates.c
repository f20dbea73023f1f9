/*
 * certificates.c - one managed certificate: shown, paused, deployed again.
 *
 * Handlers of /v1/certificates/NAME that leave it as it is configured; what changes
 * that is in edit.c; renewing in renew.c.
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

static void
ask_targets(struct call *call, const char *none,
    int (*ask)(struct renewals *r, struct certificate *c))
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;
	int r;

	if (named_find(call, &c) < 0)
		return;
	r = ask(call->service->means.renewals, c);
	if (r == -ENODEV)
		named_refuse(call, 409, none);
	else if (r == -ENODATA)
		named_refuse(call, 409, "nothing has been issued yet to be deployed");
	else if (r == -EBADMSG)
		named_refuse(call, 409, NAMED_UNREADABLE);
	else if (r < 0)
		call_refuse_store(call->http, "written", r);
	else
		named_reply_saved(call, 202);
}

void
certificates_deploy(struct call *call)
{
	ask_targets(call, "no \"deploy\" is configured for it", renewals_deploy);
}

static const struct {
	int error;
	const char *sentence;
} refusals[] = {
	{ -ENODATA, "nothing has been issued yet" },
	{ -ENOENT, "there is no certificate before the one that is in use" },
	{ -EALREADY, "it has gone back to the certificate of before already" },
	{ -EKEYEXPIRED, "the certificate of before has expired, or is about to" },
	{ -EKEYREVOKED, "the certificate of before was revoked, or its key is known" },
	{ -EBADMSG, NAMED_UNREADABLE },
};

void
certificates_rollback(struct call *call)
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;
	int r;

	if (named_find(call, &c) < 0)
		return;
	r = renewals_rollback(call->service->means.renewals, c);
	for (size_t i = 0; i < ELEMENTS(refusals); i++)
		if (r == refusals[i].error) {
			named_refuse(call, 409, refusals[i].sentence);
			return;
		}
	if (r < 0)
		call_refuse_store(call->http, "written", r);
	else
		named_reply_saved(call, 202);
}

void
certificates_verify(struct call *call)
{
	ask_targets(
	    call, "none of its targets has \"verify\" configured", renewals_verify);
}
