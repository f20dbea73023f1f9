/*
 * verbs.c - the table of verbs, and those that ask one thing and print the answer.
 *
 * Called by main.c. Verbs say what went wrong in one line on stderr, and return how
 * renewctl exits; they never exit themselves.
 */
#include "ctl/verbs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "ctl/client.h"
#include "json.h"
#include "platform/clock.h"
#include "scope.h"

#define PAGE "500"

/* ---- answers ---- */

void
verbs_complain(const struct ctl *ctl, const char *subject, const char *text)
{
	fputs("renewctl: ", stderr);
	if (subject != NULL) {
		show_print(&ctl->show, stderr, subject);
		fputs(": ", stderr);
	}
	show_print(&ctl->show, stderr, text);
	fputc('\n', stderr);
}

/* "; FIELD: MESSAGE", or "; FILE:LINE: MESSAGE" where a file is to blame. */
static void
describe_error(const struct json *error, struct buffer *b)
{
	const char *file = json_string(json_get(error, "file"));
	const char *field = json_string(json_get(error, "field"));
	const char *text = json_string(json_get(error, "message"));
	int64_t line = 0;

	buffer_printf(b, "; %s", file != NULL ? file : field != NULL ? field : "-");
	if (file != NULL && json_integer(json_get(error, "line"), &line) == 0)
		buffer_printf(b, ":%" PRId64, line);
	buffer_printf(b, ": %s", text != NULL ? text : "-");
}

/* "detail; next attempt in 5 minutes", or what else there is of a problem. */
static void
describe(const struct ctl *ctl, const struct client_reply *reply, struct buffer *b)
{
	const struct json *j = reply->json;
	const char *detail = json_string(json_get(j, "detail"));
	const char *next = json_string(json_get(j, "next_attempt"));
	const struct json *errors = json_get(j, "errors");
	char when[64];
	int64_t at;

	if (detail == NULL)
		detail = json_string(json_get(j, "title"));
	if (detail != NULL)
		buffer_puts(b, detail);
	else
		buffer_printf(b, "renewd answered with status %ld", reply->status);
	for (size_t i = 0; i < json_count(errors); i++)
		describe_error(json_at(errors, i), b);
	if (next != NULL && clock_parse(next, &at) == 0)
		buffer_printf(b, "; next attempt %s (%s)",
		    show_when(ctl->show.now, at, when, sizeof(when)), next);
}

void
verbs_complain_problem(
    const struct ctl *ctl, const char *subject, const struct client_reply *reply)
{
	_cleanup_(buffer_free) struct buffer b = { 0 };

	describe(ctl, reply, &b);
	verbs_complain(ctl, subject, b.data);
}

int
verbs_complain_error(const struct ctl *ctl, const char *subject, int r)
{
	verbs_complain(ctl, subject, client_error(ctl->client));
	return r == -ECONNREFUSED ? CTL_NO_DAEMON : CTL_REFUSED;
}

void
verbs_print_json(const struct client_reply *reply)
{
	fwrite(reply->body, 1, reply->len, stdout);
	if (reply->len == 0 || reply->body[reply->len - 1] != '\n')
		fputc('\n', stdout);
}

static bool
is_good(const struct ctl *ctl, const char *subject, const struct client_reply *reply)
{
	if (reply->status < 200 || reply->status > 299) {
		verbs_complain_problem(ctl, subject, reply);
		if (ctl->json && reply->json != NULL)
			verbs_print_json(reply);
		return false;
	}
	if (reply->status != 204 && json_type(reply->json) != JSON_OBJECT) {
		verbs_complain(ctl, subject, "the answer is not what renewd says");
		return false;
	}
	return true;
}

bool
verbs_ask(const struct ctl *ctl, const char *subject, const char *method,
    const char *path, const char *body, struct client_reply *ret, int *ret_exit)
{
	struct client_reply reply;
	int r;

	r = client_ask(ctl->client, method, path, body, &reply);
	if (r < 0) {
		*ret_exit = verbs_complain_error(ctl, subject, r);
		return false;
	}
	if (!is_good(ctl, subject, &reply)) {
		client_reply_clear(&reply);
		*ret_exit = CTL_REFUSED;
		return false;
	}
	*ret = reply;
	return true;
}

/* ---- status, show ---- */

static int
ask_and_show(const struct ctl *ctl, const char *subject, const char *path,
    void (*show)(const struct show *s, const struct json *answer))
{
	struct client_reply reply;
	int status;

	if (!verbs_ask(ctl, subject, "GET", path, NULL, &reply, &status))
		return status;
	if (ctl->json)
		verbs_print_json(&reply);
	else
		show(&ctl->show, reply.json);
	client_reply_clear(&reply);
	return CTL_DONE;
}

static int
verb_status(const struct ctl *ctl)
{
	return ask_and_show(ctl, NULL, "/v1/status", show_status);
}

static int
verb_show(const struct ctl *ctl)
{
	_cleanup_free_ char *path = NULL;
	bool served = (ctl->given & CTL_SERVED) != 0;

	if (served == (ctl->count == 1)) {
		verbs_complain(ctl, NULL, "show needs a NAME, or --served");
		return CTL_USAGE;
	}
	if (served)
		return ask_and_show(ctl, NULL, "/v1/served", show_served);
	path = client_path("/v1/certificates/", ctl->args[0], "");
	if (path == NULL)
		return CTL_REFUSED;
	return ask_and_show(ctl, ctl->args[0], path, show_certificate);
}

/* ---- list ---- */

static int
copy_list(const struct ctl *ctl)
{
	struct client_reply reply;
	int r;

	r = client_copy(ctl->client, "/v1/certificates", stdout, &reply);
	if (r < 0)
		return verbs_complain_error(ctl, NULL, r);
	r = reply.status == 200 || is_good(ctl, NULL, &reply) ? CTL_DONE : CTL_REFUSED;
	client_reply_clear(&reply);
	return r;
}

/* Prints a page; *after becomes where the next one begins, or NULL. */
static int
list_page(const struct ctl *ctl, char **after)
{
	_cleanup_free_ char *path = NULL;
	struct client_reply reply;
	const char *next;
	int status;

	path = *after != NULL
	    ? client_path("/v1/certificates?limit=" PAGE "&after=", *after, "")
	    : strdup("/v1/certificates?limit=" PAGE);
	if (path == NULL)
		return CTL_REFUSED;
	if (!verbs_ask(ctl, NULL, "GET", path, NULL, &reply, &status))
		return status;
	show_list(&ctl->show, json_get(reply.json, "certificates"), *after == NULL);
	next = json_string(json_get(reply.json, "next"));
	free(*after);
	*after = next != NULL ? strdup(next) : NULL;
	client_reply_clear(&reply);
	return CTL_DONE;
}

/* Page by page, so that memory doesn't grow with the inventory. */
static int
verb_list(const struct ctl *ctl)
{
	char *after = NULL;
	int status = CTL_DONE;

	if (ctl->json)
		return copy_list(ctl);
	do
		status = list_page(ctl, &after);
	while (status == CTL_DONE && after != NULL && !ferror(stdout));
	free(after);
	return status;
}

/* ---- health, as Nagios wants it ---- */

static const struct {
	const char *health;
	const char *word;
	int status;
} levels[] = {
	/* the worst first */
	{ "critical", "CRITICAL", 2 },
	{ "warning", "WARNING", 1 },
	{ "ok", "OK", 0 },
};

#define HEALTH_UNKNOWN 3

static void
add_rollback(const struct ctl *ctl, struct buffer *b, const struct json *rollback)
{
	const char *target = json_string(json_get(rollback, "target"));

	if (json_type(rollback) != JSON_OBJECT)
		return;
	buffer_puts(b, ", rolled back");
	if (target == NULL)
		return;
	buffer_puts(b, ", as it broke ");
	show_text(&ctl->show, b, target);
	buffer_puts(b, ": ");
	show_text(&ctl->show, b, json_string(json_get(rollback, "detail")));
}

/* ", what is wrong", in the words that say most. */
static void
add_trouble(const struct ctl *ctl, struct buffer *b, const struct json *c)
{
	const char *detail = json_string(json_get(json_get(c, "last_error"), "detail"));
	const char *activity = json_string(json_get(c, "activity"));
	const struct json *rows = json_get(c, "deployments");

	if (activity != NULL &&
	    (strcmp(activity, "parked") == 0 || strcmp(activity, "paused") == 0))
		buffer_printf(b, ", %s", activity);
	if (detail != NULL) {
		buffer_puts(b, ", ");
		show_text(&ctl->show, b, detail);
	}
	add_rollback(ctl, b, json_get(c, "rolled_back"));
	for (size_t i = 0; i < json_count(rows); i++) {
		const struct json *row = json_at(rows, i);
		const char *state = json_string(json_get(row, "state"));

		if (state == NULL || strcmp(state, "failed") != 0)
			continue;
		buffer_puts(b, ", deployment to ");
		show_text(&ctl->show, b, json_string(json_get(row, "target")));
		buffer_puts(b, " failed: ");
		show_text(&ctl->show, b, json_string(json_get(row, "detail")));
	}
}

static int
health_of_one(const struct ctl *ctl, const struct json *c)
{
	const char *health = json_string(json_get(c, "health"));
	const char *end = json_string(json_get(c, "not_after"));

	for (size_t i = 0; health != NULL && i < ELEMENTS(levels); i++) {
		_cleanup_(buffer_free) struct buffer b = { 0 };

		if (strcmp(health, levels[i].health) != 0)
			continue;
		buffer_printf(&b, "%s: ", levels[i].word);
		show_text(&ctl->show, &b, json_string(json_get(c, "name")));
		buffer_puts(&b, ", ");
		show_text(&ctl->show, &b, json_string(json_get(c, "state")));
		if (end != NULL) {
			buffer_puts(&b, ", not after ");
			show_text(&ctl->show, &b, end);
		}
		add_trouble(ctl, &b, c);
		if (!ctl->json)
			puts(b.data != NULL ? b.data : levels[i].word);
		return levels[i].status;
	}
	return HEALTH_UNKNOWN;
}

static int
health_of_all(const struct ctl *ctl, const struct json *status)
{
	const struct json *counts = json_get(json_get(status, "counts"), "health");
	int64_t n[ELEMENTS(levels)] = { 0 };
	const char *held =
	    json_string(json_get(json_get(status, "self_test"), "detail"));
	_cleanup_(buffer_free) struct buffer b = { 0 };
	size_t worst = ELEMENTS(levels) - 1;

	if (json_type(counts) != JSON_OBJECT)
		return HEALTH_UNKNOWN;
	for (size_t i = ELEMENTS(levels); i-- > 0;) {
		json_integer(json_get(counts, levels[i].health), &n[i]);
		if (n[i] > 0)
			worst = i;
	}
	if (held != NULL && worst > 1)
		worst = 1; /* nothing is renewed meanwhile */
	buffer_printf(&b,
	    "%s: %" PRId64 " critical, %" PRId64 " warning, %" PRId64 " ok",
	    levels[worst].word, n[0], n[1], n[2]);
	if (held != NULL) {
		buffer_puts(&b, ", orders wait: ");
		show_text(&ctl->show, &b, held);
	}
	if (!ctl->json)
		puts(b.data != NULL ? b.data : levels[worst].word);
	return levels[worst].status;
}

static int
verb_health(const struct ctl *ctl)
{
	_cleanup_free_ char *path = NULL;
	const char *name = ctl->count > 0 ? ctl->args[0] : NULL;
	struct client_reply reply;
	int status;

	path = name != NULL ? client_path("/v1/certificates/", name, "")
			    : strdup("/v1/status");
	if (path == NULL || !verbs_ask(ctl, name, "GET", path, NULL, &reply, &status)) {
		puts("UNKNOWN: renewd did not say");
		return HEALTH_UNKNOWN;
	}
	if (ctl->json)
		verbs_print_json(&reply);
	status = name != NULL ? health_of_one(ctl, reply.json)
			      : health_of_all(ctl, reply.json);
	client_reply_clear(&reply);
	return status;
}

/* ---- the table ---- */

const struct verb verbs[] = {
	{ "status", "", 0, 0, 0, CTL_USAGE, verb_status,
	    "the daemon: counts, jobs, CAs, what comes next" },
	{ "list", "", 0, 0, 0, CTL_USAGE, verb_list, "all certificates" },
	{ "show", "NAME [--served]", 0, 1, CTL_SERVED, CTL_USAGE, verb_show,
	    "all that is known of a certificate" },
	{ "renew", "NAME... [--force] [--wait] [--timeout=10m]", 1, SIZE_MAX,
	    CTL_FORCE | CTL_WAIT | CTL_TIMEOUT, CTL_USAGE, verb_renew,
	    "renew what is due; --force: also what isn't" },
	{ "add",
	    "NAME [DOMAIN...] [--keys=] [--ca=] [--profile=] [--deploy=] [--wait]"
	    " [--timeout=10m]",
	    1, SIZE_MAX,
	    CTL_KEYS | CTL_CA | CTL_PROFILE | CTL_DEPLOY | CTL_WAIT | CTL_TIMEOUT,
	    CTL_USAGE, verb_add,
	    "have this certificate, too; one that was added so is changed" },
	{ "remove", "NAME [--purge] [--revoke]", 1, 1, CTL_PURGE | CTL_REVOKE,
	    CTL_USAGE, verb_remove,
	    "renew it no more; --purge: its files and keys go at once; --revoke: it is"
	    " revoked before" },
	{ "revoke", "NAME [--reason=] [--key=] [--yes]", 1, 1,
	    CTL_REASON | CTL_KEY | CTL_YES, CTL_USAGE, verb_revoke,
	    "have the CA revoke it; --reason: unspecified, keyCompromise, superseded,"
	    " cessationOfOperation" },
	{ "deploy", "NAME", 1, 1, 0, CTL_USAGE, verb_deploy,
	    "tell all its servers again" },
	{ "rollback", "NAME", 1, 1, 0, CTL_USAGE, verb_rollback,
	    "give its servers the certificate of before, until the next renewal or"
	    " deploy" },
	{ "verify", "NAME", 1, 1, 0, CTL_USAGE, verb_verify,
	    "look now at what its servers serve" },
	{ "pause", "NAME", 1, 1, 0, CTL_USAGE, verb_pause,
	    "order nothing for it until it is resumed" },
	{ "resume", "NAME", 1, 1, 0, CTL_USAGE, verb_resume, "end a pause" },
	{ "history", "NAME", 1, 1, 0, CTL_USAGE, verb_history,
	    "what happened to it, the oldest first" },
	{ "events", "[-f]", 0, 0, CTL_FOLLOW, CTL_USAGE, verb_events,
	    "what happened to all; -f: and what happens" },
	{ "accounts", "", 0, 0, 0, CTL_USAGE, verb_accounts,
	    "the accounts at the CAs" },
	{ "rollover", "ACCOUNT", 1, 1, 0, CTL_USAGE, verb_rollover,
	    "give an account another key; ACCOUNT as in the first column of accounts" },
	{ "deactivate", "ACCOUNT", 1, 1, 0, CTL_USAGE, verb_deactivate,
	    "end an account at its CA, for good" },
	{ "bundle", "NAME [--key=ecdsa|rsa] [--format=haproxy]", 1, 1,
	    CTL_KEY | CTL_FORMAT, CTL_USAGE, verb_bundle,
	    "certificate, chain and private key as PEM" },
	{ "reload", "", 0, 0, 0, CTL_USAGE, verb_reload,
	    "read the configuration again: all of it, or nothing where it is bad" },
	{ "health", "[NAME]", 0, 1, 0, HEALTH_UNKNOWN, verb_health,
	    "one line for monitoring; exits 0 ok, 1 warning, 2 critical, 3 unknown" },
	{ "metrics", "", 0, 0, 0, CTL_USAGE, verb_metrics,
	    "everything that is counted, as Prometheus reads it" },
	{ "polkit", "", 0, 0, 0, CTL_USAGE, verb_polkit,
	    "a rule for polkit that allows what the configuration asks systemd for" },
};

const size_t verb_count = ELEMENTS(verbs);

const struct verb *
verbs_find(const char *name)
{
	for (size_t i = 0; i < verb_count; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}
