/*
 * named.c - finds and shows the certificate that a request is about.
 *
 * Used by the handlers of single certificates. A name that was removed isn't there.
 */
#include "control/named.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/facts.h"
#include "control/problem.h"
#include "control/view.h"
#include "json.h"
#include "platform/clock.h"
#include "platform/log.h"

void
named_refuse(struct call *call, int status, const char *detail)
{
	problem_send(
	    call->http, &(struct problem){ .status = status, .detail = detail });
}

void
named_refuse_field(struct call *call, const char *field, const char *detail)
{
	problem_send(call->http,
	    &(struct problem){ .status = 422, .detail = detail, .field = field });
}

int
named_write(struct json_writer *w, const struct service *s, const struct certificate *c)
{
	struct facts facts;
	struct view view;
	int r;

	r = facts_load(&facts, s, c);
	if (r == 0) {
		view_judge(&facts, &view);
		view_write(w, &facts, &view);
	}
	facts_clear(&facts);
	return r;
}

int
named_find(struct call *call, struct certificate **ret)
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;
	int r;

	r = certificate_get(call->service->means.store, call->name, &c);
	if (r == 0 && c->removed_at != 0)
		r = -ENOENT;
	if (r == -ENOENT)
		named_refuse(call, 404, "there is no certificate of this name");
	else if (r < 0)
		call_refuse_store(call->http, "read", r);
	if (r < 0)
		return r;
	*ret = steal_ptr(c);
	return 0;
}

int
named_find_any(struct call *call, struct certificate **ret)
{
	int r = certificate_get(call->service->means.store, call->name, ret);

	if (r == -ENOENT) {
		*ret = NULL;
		return 0;
	}
	if (r < 0)
		call_refuse_store(call->http, "read", r);
	return r;
}

int
named_flag(struct call *call, const char *name, bool *ret)
{
	const char *text = call_parameter(call, name);

	if (text != NULL && strcmp(text, "0") != 0 && strcmp(text, "1") != 0) {
		named_refuse_field(call, name, "must be 0 or 1");
		return -EINVAL;
	}
	*ret = text != NULL && *text == '1';
	return 0;
}

void
named_reply_saved(struct call *call, int status)
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
	call_reply_saved(call, status, w);
}

void
named_note(struct call *call, const char *name, const char *kind)
{
	char who[64];

	snprintf(who, sizeof(who), "at the control socket, by user %u", call->uid);
	log_line(LOG_NOTICE, (&(struct log_fields){ .certificate = name }), "%s %s",
	    kind, who);
	(void)history_add(call->service->means.store,
	    &(struct history_event){
		.at = clock_now(), .kind = kind, .certificate = name, .detail = who });
}
