/*
 * edit.c - the verbs that change something: add, remove, pause, resume, deploy, reload.
 *
 * Called through the table of verbs. Each is one request; what came of it is said in a
 * line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "ctl/client.h"
#include "ctl/verbs.h"
#include "json.h"
#include "scope.h"

/* On a terminal a sentence, elsewhere NAME and a word. */
static void
say(const struct ctl *ctl, const char *name, const char *word)
{
	show_print(&ctl->show, stdout, name);
	printf(ctl->show.terminal ? ": %s\n" : "\t%s\n", word);
}

/* ---- add ---- */

static const char *const setting_keys[CTL_SETTINGS] = {
	[CTL_SET_KEYS] = "keys",
	[CTL_SET_CA] = "ca",
	[CTL_SET_PROFILE] = "profile",
	[CTL_SET_DEPLOY] = "deploy",
};

/* NULL: no memory. */
static char *
make_body(const struct ctl *ctl)
{
	struct json_writer *w = json_writer_new();
	char *text = NULL;

	json_open_object(w);
	if (ctl->count > 1) {
		json_name(w, "domains");
		json_open_array(w);
		for (size_t i = 1; i < ctl->count; i++)
			json_put_string(w, ctl->args[i]);
		json_close_array(w);
	}
	for (size_t i = 0; i < CTL_SETTINGS; i++)
		if (ctl->settings[i] != NULL)
			json_member_string(w, setting_keys[i], ctl->settings[i]);
	json_close_object(w);
	if (w == NULL || json_writer_steal(w, &text, NULL) < 0)
		text = NULL;
	json_writer_free(w);
	return text;
}

int
verb_add(const struct ctl *ctl)
{
	_cleanup_free_ char *path = client_path("/v1/certificates/", ctl->args[0], "");
	_cleanup_free_ char *body = make_body(ctl);
	struct client_reply reply;
	int status;

	if (path == NULL || body == NULL)
		return CTL_REFUSED;
	if (!verbs_ask(ctl, ctl->args[0], "PUT", path, body, &reply, &status))
		return status;
	if (ctl->given & CTL_WAIT)
		status = renew_wait(ctl, ctl->args[0]);
	else if (ctl->json)
		verbs_print_json(&reply);
	else
		say(ctl, ctl->args[0], reply.status == 201 ? "added" : "changed");
	status = ctl->given & CTL_WAIT ? status : CTL_DONE;
	client_reply_clear(&reply);
	return status;
}

/* ---- the others about one ---- */

static int
change_one(
    const struct ctl *ctl, const char *method, const char *after, const char *word)
{
	_cleanup_free_ char *path =
	    client_path("/v1/certificates/", ctl->args[0], after);
	struct client_reply reply;
	int status;

	if (path == NULL)
		return CTL_REFUSED;
	if (!verbs_ask(ctl, ctl->args[0], method, path, NULL, &reply, &status))
		return status;
	if (!ctl->json)
		say(ctl, ctl->args[0], word);
	else if (reply.len > 0)
		verbs_print_json(&reply);
	client_reply_clear(&reply);
	return CTL_DONE;
}

int
verb_remove(const struct ctl *ctl)
{
	static const char *const queries[] = { "", "?purge=1", "?revoke=1",
		"?purge=1&revoke=1" };
	size_t i = (ctl->given & CTL_PURGE ? 1 : 0) + (ctl->given & CTL_REVOKE ? 2 : 0);

	return change_one(ctl, "DELETE", queries[i], "removed");
}

int
verb_pause(const struct ctl *ctl)
{
	return change_one(ctl, "POST", "/pause", "paused");
}

int
verb_resume(const struct ctl *ctl)
{
	return change_one(ctl, "POST", "/resume", "resumed");
}

int
verb_deploy(const struct ctl *ctl)
{
	return change_one(ctl, "POST", "/deploy", "started");
}

int
verb_rollback(const struct ctl *ctl)
{
	return change_one(ctl, "POST", "/rollback", "started");
}

int
verb_verify(const struct ctl *ctl)
{
	return change_one(ctl, "POST", "/verify", "started");
}

/* ---- reload ---- */

static void
show_changes(const struct ctl *ctl, const struct json *answer)
{
	for (size_t i = 0; i < json_count(answer); i++) {
		const struct json *names = json_at(answer, i);

		for (size_t k = 0; k < json_count(names); k++) {
			printf("%s%s", json_name_at(answer, i),
			    ctl->show.terminal ? " " : "\t");
			show_print(&ctl->show, stdout, json_string(json_at(names, k)));
			putchar('\n');
		}
	}
}

int
verb_reload(const struct ctl *ctl)
{
	struct client_reply reply;
	int status;

	if (!verbs_ask(ctl, NULL, "POST", "/v1/reload", NULL, &reply, &status))
		return status;
	if (ctl->json)
		verbs_print_json(&reply);
	else
		show_changes(ctl, reply.json);
	client_reply_clear(&reply);
	return CTL_DONE;
}
