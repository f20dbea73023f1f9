/*
 * polkit.c - a rule for polkit that lets renewd's user have systemd do what the
 * configuration names, and nothing else.
 *
 * For polkit 0.106 and later, whose rules are JavaScript: ECMAScript 5.
 */
#include "control/routes.h"

#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "buffer.h"
#include "config/config.h"
#include "control/call.h"
#include "control/named.h"
#include "json.h"
#include "platform/unit_job.h"

static const char head[] =
    "// Printed by \"renewctl polkit\": what the [deploy] sections of renewd ask systemd\n"
    "// for, and nothing else. For a file such as /etc/polkit-1/rules.d/60-renewd.rules.\n"
    "polkit.addRule(function(action, subject) {\n"
    "    var allowed = [ // before and behind a certificate's name, or the whole name\n";

static const char tail[] =
    "    ];\n"
    "    var name = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/;\n"
    "    var i, row, unit, end;\n"
    "\n"
    "    if (action.id != \"org.freedesktop.systemd1.manage-units\" ||\n"
    "        subject.user != user) {\n"
    "        return polkit.Result.NOT_HANDLED;\n"
    "    }\n"
    "    unit = action.lookup(\"unit\");\n"
    "    for (i = 0; i < allowed.length; i++) {\n"
    "        row = allowed[i];\n"
    "        if (action.lookup(\"verb\") != row.verb) {\n"
    "            continue;\n"
    "        }\n"
    "        if (row.unit == unit) {\n"
    "            return polkit.Result.YES;\n"
    "        }\n"
    "        if (row.before === undefined) {\n"
    "            continue;\n"
    "        }\n"
    "        end = unit.length - row.behind.length;\n"
    "        if (end > row.before.length && unit.indexOf(row.before) == 0 &&\n"
    "            unit.substring(end) == row.behind &&\n"
    "            name.test(unit.substring(row.before.length, end))) {\n"
    "            return polkit.Result.YES;\n"
    "        }\n"
    "    }\n"
    "    return polkit.Result.NOT_HANDLED;\n"
    "});\n";

/* What JSON says of a text is JavaScript, too. */
static void
add_text(struct buffer *b, const char *text, size_t len)
{
	_cleanup_free_ char *part = strndup(text, len), *quoted = NULL;
	struct json_writer *w = json_writer_new();

	json_put_string(w, part != NULL ? part : "");
	if (json_writer_steal(w, &quoted, NULL) == 0)
		buffer_puts(b, quoted);
	json_writer_free(w);
}

static void
add_unit(struct buffer *b, const struct target_config *t)
{
	static const char mark[] = "{name}";
	const char *at = strstr(t->unit, mark);
	/* servers of types of their own are reloaded */
	enum unit_action action = t->type == TARGET_SYSTEMD ? t->action : UNIT_RELOAD;

	buffer_puts(b, "        { ");
	if (at == NULL) {
		buffer_puts(b, "unit: ");
		add_text(b, t->unit, strlen(t->unit));
	} else {
		buffer_puts(b, "before: ");
		add_text(b, t->unit, (size_t)(at - t->unit));
		buffer_puts(b, ", behind: ");
		add_text(b, at + strlen(mark), strlen(at + strlen(mark)));
	}
	buffer_printf(b, ", verb: \"%s\" },\n", unit_action_name(action));
}

static void
add_user(struct buffer *b)
{
	const struct passwd *user = getpwuid(geteuid());

	buffer_puts(b, "    var user = ");
	if (user != NULL)
		add_text(b, user->pw_name, strlen(user->pw_name));
	else
		buffer_printf(b, "\"%u\"", (unsigned)geteuid());
	buffer_puts(b, ";\n");
}

void
polkit_show(struct call *call)
{
	const struct config *c = call->service->config;
	_cleanup_(buffer_free) struct buffer b = { 0 };

	if (call_unknown_parameter(call, ""))
		return;
	buffer_puts(&b, head);
	for (size_t i = 0; i < c->target_count; i++)
		if (c->targets[i].unit != NULL)
			add_unit(&b, &c->targets[i]);
	/* the table is closed first, then comes whose rule it is */
	buffer_add(&b, tail, strcspn(tail, "\n") + 1);
	add_user(&b);
	buffer_puts(&b, tail + strcspn(tail, "\n") + 1);
	if (b.failed)
		named_refuse(call, 500, "no memory");
	else
		call_reply_text(call, 200, b.data);
}
