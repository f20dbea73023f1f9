/*
 * removal.c - files, keys and history of a certificate that was removed: kept while
 * servers may still use them, then forgotten.
 *
 * Called by renewal.c and request.c. It must never touch one that is wanted.
 */
#include "renew/removal.h"

#include <errno.h>
#include <string.h>

#include "bundle/bundle.h"
#include "bundle/writer.h"
#include "deploy/deploy.h"
#include "inventory/authorizations.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "renew/deactivate.h"
#include "renew/due.h"

#define AGAIN_SECONDS (INT64_C(60) * 60)

static int
forget_rows(struct store *store, const struct certificate *c)
{
	int r;

	r = history_forget(store, c->name);
	if (r == 0)
		r = authorization_release(store, c->id, clock_now());
	if (r == 0)
		r = certificate_delete(store, c->id);
	if (r == 0)
		r = history_add(store,
		    &(struct history_event){
			.at = clock_now(), .kind = "purged", .certificate = c->name });
	return r;
}

int
removal_purge(struct renewals *r, const struct certificate *c)
{
	int e;

	writer_wait(r->writer, c->name); /* for a job that was dropped */
	e = bundle_remove(r->bundles, c->name);
	if (e < 0 && e != -EEXIST) /* in its place is something that isn't ours */
		return e;
	e = forget_rows(r->means.store, c);
	deactivator_poke(r->deactivator);
	return e;
}

static int
find_end(struct renewals *r, const struct certificate *c, int64_t *ret)
{
	struct issued *rows = NULL;
	size_t count = 0;
	int e;

	e = issued_current(r->means.store, c->id, false, &rows, &count);
	if (e < 0)
		return e;
	*ret = due_forget(c, rows, count);
	issued_free_all(rows, count);
	return 0;
}

void
removal_look(struct renewals *r, struct certificate *c)
{
	const struct log_fields f = { .certificate = c->name };
	int64_t now = clock_now();
	int64_t end = 0;
	int e;

	e = find_end(r, c, &end);
	if (e == 0 && end <= now && !deploy_reloading(r->means.deploy)) {
		e = removal_purge(r, c);
		if (e == 0) {
			log_line(LOG_NOTICE, &f,
			    "removed and expired: its files and keys are gone");
			return;
		}
	}
	if (e < 0)
		log_line(LOG_ERR, &f, "cannot remove its files: %s; trying again",
		    strerror(-e));
	c->next_at = end > now ? end : now + AGAIN_SECONDS;
	(void)certificate_save(r->means.store, c);
}
