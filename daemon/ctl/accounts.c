/*
 * accounts.c - the verbs about accounts at CAs: list, another key, the end.
 *
 * Called through the table of verbs. Changes wait for the CA, as long as it takes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "ctl/client.h"
#include "ctl/verbs.h"
#include "json.h"
#include "scope.h"

static void
show_account(const struct show *s, const struct json *account)
{
	static const char *const names[] = { "id", "directory", "url", "created_at" };
	const struct json *contacts = json_get(account, "contacts");
	_cleanup_(buffer_free) struct buffer b = { 0 };

	for (size_t i = 0; i < ELEMENTS(names); i++) {
		show_text(s, &b, json_string(json_get(account, names[i])));
		buffer_puts(&b, s->terminal ? "  " : "\t");
	}
	if (json_count(contacts) == 0)
		buffer_puts(&b, "-");
	for (size_t i = 0; i < json_count(contacts); i++) {
		buffer_puts(&b, i > 0 ? "," : "");
		show_text(s, &b, json_string(json_at(contacts, i)));
	}
	buffer_puts(&b, s->terminal ? "  " : "\t");
	show_text(s, &b, json_string(json_get(account, "state")));
	if (b.data != NULL)
		puts(b.data);
}

int
verb_accounts(const struct ctl *ctl)
{
	const struct json *accounts;
	struct client_reply reply;
	int status;

	if (!verbs_ask(ctl, NULL, "GET", "/v1/accounts", NULL, &reply, &status))
		return status;
	accounts = json_get(reply.json, "accounts");
	if (ctl->json)
		verbs_print_json(&reply);
	for (size_t i = 0; !ctl->json && i < json_count(accounts); i++)
		show_account(&ctl->show, json_at(accounts, i));
	client_reply_clear(&reply);
	return CTL_DONE;
}

/* On a terminal a sentence; elsewhere ID and THUMBPRINT. */
static void
say(const struct ctl *ctl, const struct json *account, const char *sentence)
{
	const char *id = json_string(json_get(account, "id"));
	const char *thumbprint = json_string(json_get(account, "thumbprint"));

	show_print(&ctl->show, stdout, id != NULL ? id : "-");
	fputs(ctl->show.terminal ? sentence : "\t", stdout);
	show_print(&ctl->show, stdout, thumbprint != NULL ? thumbprint : "-");
	putchar('\n');
}

static int
change(const struct ctl *ctl, const char *after, const char *sentence)
{
	_cleanup_free_ char *path = client_path("/v1/accounts/", ctl->args[0], after);
	struct client_reply reply;
	int status;

	if (path == NULL)
		return CTL_REFUSED;
	client_be_patient(ctl->client);
	if (!verbs_ask(ctl, ctl->args[0], "POST", path, NULL, &reply, &status))
		return status;
	if (ctl->json)
		verbs_print_json(&reply);
	else
		say(ctl, reply.json, sentence);
	client_reply_clear(&reply);
	return CTL_DONE;
}

int
verb_rollover(const struct ctl *ctl)
{
	return change(ctl, "/rollover", ": has a new key, with thumbprint ");
}

int
verb_deactivate(const struct ctl *ctl)
{
	return change(ctl, "/deactivate", ": deactivated; it had the key ");
}
