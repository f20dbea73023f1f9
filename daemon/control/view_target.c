/*
 * view_target.c - what of a certificate is at a target, where that is, and how it is
 * known.
 *
 * Called by view.c. It must never read or write anything but its arguments.
 */
#include "control/view.h"

#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "control/facts.h"
#include "deploy/types.h"
#include "json.h"

/* By whose word is it there? The strongest that the target has. */
static const char *
check_name(const struct target_config *t)
{
	static const char *const own[] = {
		[TARGET_HAPROXY] = "reload",
		[TARGET_NGINX] = "reload",
		[TARGET_SIGNAL] = "signal",
		[TARGET_EXEC] = "exit-status",
		[TARGET_SYSTEMD] = "job",
		[TARGET_DIRECTORY] = "files",
	};

	if (t->verify.n > 0)
		return "handshake";
	return t->sockets.n > 0 ? "runtime-api" : own[t->type];
}

static void
add_words(struct buffer *b, const struct words *words)
{
	for (size_t i = 0; i < words->n; i++)
		buffer_printf(b, "%s%s", b->len > 0 ? " " : "", words->v[i]);
}

static void
add_text(struct buffer *b, const char *text)
{
	if (text != NULL)
		buffer_printf(b, "%s%s", b->len > 0 ? " " : "", text);
}

/* Where it is looked at, or else what is told. */
static void
write_where(struct json_writer *w, const struct target_config *t)
{
	_cleanup_(buffer_free) struct buffer b = { 0 };

	add_words(&b, &t->verify);
	if (b.len == 0)
		add_words(&b, &t->sockets);
	for (size_t i = 0; i < COPY_KINDS && t->verify.n == 0; i++)
		add_text(&b, t->copies[i]);
	if (b.len == 0)
		add_text(&b, t->unit);
	if (b.len == 0)
		add_text(&b, t->master_socket != NULL ? t->master_socket : t->pidfile);
	if (b.len == 0 && t->command.n > 0)
		add_text(&b, t->command.v[0]);
	json_member_string(w, "where", b.len > 0 ? b.data : NULL);
}

/* Ids of issued rows, by commas, begin what was bundled. */
static bool
holds(const char *bundled, int64_t id)
{
	while (bundled != NULL && *bundled >= '0' && *bundled <= '9') {
		char *end;

		if (strtoll(bundled, &end, 10) == id)
			return true;
		bundled = end + (*end == ',');
	}
	return false;
}

void
view_target_write(
    struct json_writer *w, const struct facts *f, const struct deployment *d)
{
	const struct target_config *t =
	    f->config != NULL ? config_target(f->config, d->target) : NULL;
	bool has = d->state == DEPLOYMENT_DEPLOYED || d->state == DEPLOYMENT_SERVED;

	json_name(w, "serials");
	json_open_array(w);
	for (size_t i = 0; i < f->issued_count && has; i++)
		if (holds(d->bundled, f->issued[i].id))
			json_put_string(w, f->issued[i].serial);
	json_close_array(w);
	json_member_string(w, "type", t != NULL ? types_get(t->type)->name : NULL);
	if (t != NULL)
		write_where(w, t);
	json_member_string(w, "check", t != NULL ? check_name(t) : NULL);
}
