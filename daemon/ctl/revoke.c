/*
 * revoke.c - the verb `revoke`: asks the human, then the daemon, which asks the CA.
 *
 * Called through the table of verbs. A revocation can't be taken back, so on a terminal
 * it is asked for twice.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "acme.h"
#include "ctl/client.h"
#include "ctl/verbs.h"
#include "json.h"
#include "scope.h"

/* What will happen, beside that clients refuse it. */
static const struct {
	enum acme_reason reason;
	const char *what;
} consequences[] = {
	{ ACME_REASON_UNSPECIFIED,
	    "it is not renewed any more until you ask for that" },
	{ ACME_REASON_KEY_COMPROMISE,
	    "so are all with the same key, which is never used again; others are ordered" },
	{ ACME_REASON_SUPERSEDED, "another is ordered and deployed first" },
	{ ACME_REASON_CESSATION_OF_OPERATION,
	    "it is not renewed any more until you ask for that" },
};

static const char *
consequence(enum acme_reason reason)
{
	for (size_t i = 0; i < ELEMENTS(consequences); i++)
		if (consequences[i].reason == reason)
			return consequences[i].what;
	return "";
}

static bool
is_sure(const struct ctl *ctl, enum acme_reason reason)
{
	char line[64];

	if (ctl->given & CTL_YES || isatty(STDIN_FILENO) != 1)
		return true;
	show_print(&ctl->show, stderr, ctl->args[0]);
	fprintf(stderr,
	    " will be revoked (%s), which cannot be taken back: %s.\nGo on? [y/N] ",
	    acme_reason_name(reason), consequence(reason));
	fflush(stderr);
	return fgets(line, sizeof(line), stdin) != NULL &&
	    (strcasecmp(line, "y\n") == 0 || strcasecmp(line, "yes\n") == 0);
}

/* NULL: no memory. */
static char *
make_body(const struct ctl *ctl, enum acme_reason reason)
{
	struct json_writer *w = json_writer_new();
	char *text = NULL;

	json_open_object(w);
	json_member_string(w, "reason", acme_reason_name(reason));
	if (ctl->key != NULL)
		json_member_string(w, "key", ctl->key);
	json_close_object(w);
	if (w == NULL || json_writer_steal(w, &text, NULL) < 0)
		text = NULL;
	json_writer_free(w);
	return text;
}

static int
send_wish(const struct ctl *ctl, enum acme_reason reason)
{
	_cleanup_free_ char *path =
	    client_path("/v1/certificates/", ctl->args[0], "/revoke");
	_cleanup_free_ char *body = make_body(ctl, reason);
	struct client_reply reply;
	int status;

	if (path == NULL || body == NULL)
		return CTL_REFUSED;
	if (!verbs_ask(ctl, ctl->args[0], "POST", path, body, &reply, &status))
		return status;
	if (ctl->json) {
		verbs_print_json(&reply);
	} else {
		show_print(&ctl->show, stdout, ctl->args[0]);
		fputs(ctl->show.terminal ? ": revoked\n" : "\trevoked\n", stdout);
	}
	client_reply_clear(&reply);
	return CTL_DONE;
}

int
verb_revoke(const struct ctl *ctl)
{
	enum acme_reason reason = ACME_REASON_UNSPECIFIED;

	if (ctl->reason != NULL && acme_reason_parse(ctl->reason, &reason) < 0) {
		verbs_complain(ctl, NULL,
		    "--reason is one of unspecified, keyCompromise, superseded and"
		    " cessationOfOperation");
		return CTL_USAGE;
	}
	if (!is_sure(ctl, reason)) {
		verbs_complain(ctl, ctl->args[0], "not revoked");
		return CTL_REFUSED;
	}
	return send_wish(ctl, reason);
}
