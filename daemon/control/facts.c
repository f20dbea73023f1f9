/*
 * facts.c - gathers what is known of certificates from inventory, configuration and the
 * jobs that run.
 *
 * Called by the handlers of control/ for each certificate that is shown or counted, so
 * it must stay cheap: no secrets, no chains, and one query of a table for a page.
 */
#include "control/facts.h"

#include <errno.h>
#include <string.h>

#include "control/call.h"
#include "control/control.h"
#include "inventory/revocations.h"
#include "platform/clock.h"
#include "renew/due.h"
#include "renew/order.h"

/* So many that a turn of the loop isn't felt, also where they have a hundred names. */
#define PAGE 100

/* ---- rows of the inventory ---- */

static void
rows_clear(struct facts_rows *rows)
{
	issued_free_all(rows->issued, rows->issued_count);
	deployment_free_all(rows->deployments, rows->deployment_count);
	revocation_free_all(rows->revocations, rows->revocation_count);
	rollback_free_all(rows->rollbacks, rows->rollback_count);
	*rows = (struct facts_rows){ 0 };
}

/* Of all certificates from this name to that. */
static int
rows_load(
    struct facts_rows *rows, struct store *store, const char *first, const char *last)
{
	int r;

	r = issued_between(store, first, last, &rows->issued, &rows->issued_count);
	if (r == 0)
		r = deployment_between(
		    store, first, last, &rows->deployments, &rows->deployment_count);
	if (r == 0)
		r = revocation_between(
		    store, first, last, &rows->revocations, &rows->revocation_count);
	if (r == 0)
		r = rollback_between(
		    store, first, last, &rows->rollbacks, &rows->rollback_count);
	return r;
}

/* Those of f's certificate begin what is left, or there are none: they are lent to f,
 * and no more left. Its rollback is lent whether it holds or not. */
static void
lend(struct facts *f, struct facts_rows *left)
{
	int64_t id = f->certificate->id;

	f->issued = left->issued;
	for (; left->issued_count > 0 && left->issued->certificate == id;
	     f->issued_count++, left->issued_count--)
		left->issued++;
	f->deployments = left->deployments;
	for (; left->deployment_count > 0 && left->deployments->certificate == id;
	     f->deployment_count++, left->deployment_count--)
		left->deployments++;
	f->revocations = left->revocations;
	for (; left->revocation_count > 0 && left->revocations->certificate == id;
	     f->revocation_count++, left->revocation_count--)
		left->revocations++;
	if (left->rollback_count > 0 && left->rollbacks->certificate == id) {
		f->rollback = left->rollbacks++;
		left->rollback_count--;
	}
}

/* ---- one certificate ---- */

/* The row says what was planned when it was last looked at; since then somebody may
 * have asked for it, changed or revoked it. */
static int
judge_due(struct facts *f)
{
	_cleanup_free_ char *names = NULL;

	if (f->spec == NULL)
		return 0;
	names = order_names(f->spec);
	if (names == NULL)
		return -ENOMEM;
	f->due =
	    due_any(f->certificate, f->spec, names, f->issued, f->issued_count, f->now);
	return 0;
}

/* One of another certificate than the present one means nothing. */
static bool
rollback_holds(const struct facts *f)
{
	return f->spec != NULL &&
	    due_is_rolled_back(f->rollback, f->spec, f->issued, f->issued_count);
}

/* What isn't in the inventory, or follows from it. */
static int
complete(struct facts *f, const struct service *s)
{
	const struct certificate *c = f->certificate;
	struct config_errors errors = { 0 };
	int r;

	/* Text that is broken by now is for the log of a reload, not for each look. */
	r = certificate_spec_parse(s->config, c->name, c->spec, &f->spec, &errors);
	config_errors_clear(&errors);
	if (r == -ENOMEM)
		return r;
	if (!rollback_holds(f))
		f->rollback = NULL;
	f->doing = renewals_activity(s->means.renewals, c->id);
	f->wait = renewals_waits(s->means.renewals, c);
	return judge_due(f);
}

static struct facts
begin(const struct service *s, const struct certificate *c)
{
	return (
	    struct facts){ .certificate = c, .config = s->config, .now = clock_now() };
}

int
facts_load(struct facts *f, const struct service *s, const struct certificate *c)
{
	struct facts_rows left;
	int r;

	*f = begin(s, c);
	r = rows_load(&f->own, s->means.store, c->name, c->name);
	if (r < 0)
		return r;
	left = f->own;
	lend(f, &left);
	return complete(f, s);
}

void
facts_clear(struct facts *f)
{
	certificate_spec_free(f->spec);
	rows_clear(&f->own);
	*f = (struct facts){ 0 };
}

/* ---- pages ---- */

struct page {
	struct certificate *certificates;
	size_t count;
	struct facts_rows rows;
};

static void
page_clear(struct page *page)
{
	certificate_free_all(page->certificates, page->count);
	rows_clear(&page->rows);
}

static int
page_load(struct page *page, struct store *store, const char *after, bool all)
{
	int r;

	r = certificate_page(store, after, PAGE, &page->certificates, &page->count);
	if (r < 0 || page->count == 0 || !all)
		return r;
	return rows_load(&page->rows, store, page->certificates[0].name,
	    page->certificates[page->count - 1].name);
}

static int
visit(const struct service *s, const struct certificate *c, bool all,
    struct facts_rows *left, facts_cb *cb, void *arg)
{
	struct facts f = begin(s, c);
	int r = 0;

	lend(&f, left);
	if (c->removed_at != 0)
		return 0;
	if (all)
		r = complete(&f, s);
	if (r == 0)
		r = cb(&f, arg);
	facts_clear(&f);
	return r;
}

int
facts_walk(const struct service *s, char **after, enum facts_need need, facts_cb *cb,
    void *arg)
{
	_cleanup_(page_clear) struct page page = { 0 };
	bool all = need == FACTS_ALL;
	struct facts_rows left;
	int r;

	r = page_load(&page, s->means.store, *after, all);
	left = page.rows;
	for (size_t i = 0; i < page.count && r == 0; i++)
		r = visit(s, &page.certificates[i], all, &left, cb, arg);
	if (r < 0 || page.count == 0)
		return r;
	free(*after);
	*after = steal_ptr(page.certificates[page.count - 1].name);
	return page.count == PAGE;
}
