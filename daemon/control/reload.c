/*
 * reload.c - POST /v1/reload: has the configuration read again, and says what that came
 * to.
 *
 * The work is daemon.c's, which SIGHUP calls as well.
 */
#include "control/reload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/call.h"
#include "control/problem.h"
#include "control/routes.h"
#include "json.h"

static const char *const change_names[RELOAD_CHANGES] = {
	[RELOAD_ADDED] = "added",
	[RELOAD_CHANGED] = "changed",
	[RELOAD_REMOVED] = "removed",
};

const char *
reload_change_name(enum reload_change change)
{
	return change_names[change];
}

int
reload_note(struct reload *r, enum reload_change change, const char *name)
{
	struct reload_names *names = &r->names[change];

	if (names->n == names->size) {
		size_t size = names->size * 2 + 16;
		char **grown = reallocarray(names->v, size, sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		names->v = grown;
		names->size = size;
	}
	names->v[names->n] = strdup(name);
	if (names->v[names->n] == NULL)
		return -ENOMEM;
	names->n++;
	return 0;
}

void
reload_clear(struct reload *r)
{
	for (size_t i = 0; i < RELOAD_CHANGES; i++) {
		for (size_t k = 0; k < r->names[i].n; k++)
			free(r->names[i].v[k]);
		free(r->names[i].v);
	}
	config_errors_clear(&r->errors);
	*r = (struct reload){ 0 };
}

static void
reply_changes(struct call *call, const struct reload *r)
{
	struct json_writer *w = json_writer_new();

	json_open_object(w);
	for (size_t i = 0; i < RELOAD_CHANGES; i++) {
		json_name(w, change_names[i]);
		json_open_array(w);
		for (size_t k = 0; k < r->names[i].n; k++)
			json_put_string(w, r->names[i].v[k]);
		json_close_array(w);
	}
	json_close_object(w);
	call_reply(call, 200, w);
}

void
reload_run(struct call *call)
{
	const struct control_means *means = &call->service->means;
	struct reload reload = { 0 };

	if (means->reload(&reload, means->reload_arg) == 0)
		reply_changes(call, &reload);
	else if (reload.errors.n > 0)
		problem_send(call->http,
		    &(struct problem){ .status = 422,
			.detail = "the configuration of before stays in force",
			.errors = &reload.errors });
	else
		problem_send(call->http,
		    &(struct problem){ .status = 500,
			.detail = "it could not be taken over, and the configuration "
				  "of before stays in force: the log says why" });
	reload_clear(&reload);
}
