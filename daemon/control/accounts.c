/*
 * accounts.c - the ACME accounts that renewd has: one a CA, and those of before.
 *
 * Handler of /v1/accounts. Keys stay in the inventory: only their thumbprints are
 * shown.
 */
#include <string.h>
#include <strings.h>

#include "buffer.h"
#include "config/config.h"
#include "control/named.h"
#include "control/routes.h"
#include "control/view.h"
#include "json.h"

struct accounts {
	const struct config *config;
	struct json_writer *writer;
	char *own; /* the last CA whose own account was written */
};

/* The newest of a CA at the directory that is configured; they come by CA, the newest
 * first. */
static bool
is_own(struct accounts *all, const struct account *a)
{
	const struct ca_config *ca = config_ca(all->config, a->ca);

	if (ca == NULL || ca->directory == NULL ||
	    strcmp(ca->directory, a->directory) != 0 ||
	    (all->own != NULL && strcasecmp(all->own, a->ca) == 0))
		return false;
	free(all->own);
	all->own = strdup(a->ca);
	return true;
}

static void
write_words(struct json_writer *w, const char *name, const char *words)
{
	json_name(w, name);
	json_open_array(w);
	while (words != NULL && *words != '\0') {
		size_t len = strcspn(words, " ");
		_cleanup_free_ char *word = strndup(words, len);

		json_put_string(w, word);
		words += len + strspn(words + len, " ");
	}
	json_close_array(w);
}

static int
row_cb(const struct account *a, void *arg)
{
	_cleanup_(buffer_free) struct buffer id = { 0 };
	struct accounts *all = arg;
	struct json_writer *w = all->writer;

	if (is_own(all, a))
		buffer_puts(&id, a->ca);
	else
		buffer_printf(&id, "%s/%s", a->ca, a->thumbprint);
	json_open_object(w);
	json_member_string(w, "id", id.data);
	json_member_string(w, "ca", a->ca);
	json_member_string(w, "directory", a->directory);
	json_member_string(w, "thumbprint", a->thumbprint);
	json_member_string(w, "url", a->url);
	write_words(w, "contacts", a->contacts);
	json_member_string(w, "terms", a->terms);
	view_member_time(w, "created_at", a->created_at);
	json_close_object(w);
	return 0;
}

void
accounts_list(struct call *call)
{
	struct accounts all = { .config = call->service->config,
		.writer = json_writer_new() };
	int r;

	if (call_unknown_parameter(call, "")) {
		json_writer_free(all.writer);
		return;
	}
	json_open_object(all.writer);
	json_name(all.writer, "accounts");
	json_open_array(all.writer);
	r = account_walk(call->service->means.store, row_cb, &all);
	json_close_array(all.writer);
	json_close_object(all.writer);
	free(all.own);
	if (r == 0) {
		call_reply(call, 200, all.writer);
		return;
	}
	json_writer_free(all.writer);
	named_refuse(call, 500, "the inventory cannot be read");
}
