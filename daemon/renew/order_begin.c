/*
 * order_begin.c - what an order needs before its flow can run: an order of earlier that
 * is gone on with, or a key.
 *
 * Called by order.c when the CA's account is there. In the order of the calls from the
 * bottom up; all of it is safe to repeat after a crash.
 */
#include "renew/order_parts.h"

#include <errno.h>
#include <string.h>

#include "buffer.h"
#include "config/config.h"
#include "inventory/revocations.h"
#include "inventory/store.h"
#include "key.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "renew/ca.h"
#include "renew/due.h"
#include "renew/key_check.h"
#include "renew/keyjob.h"
#include "renew/own_key.h"
#include "result.h"

static void
row_committed_cb(int r, void *arg)
{
	struct order *o = arg;

	if (r < 0)
		order_fail_here(o, "store", "cannot store the order", r);
	else
		order_begin_flow(o);
}

static int
insert_row(struct order *o)
{
	_cleanup_(order_row_freep) struct order_row *row = calloc(1, sizeof(*row));
	const char *profile = o->wish.spec->profile;
	int r;

	if (row == NULL)
		return -ENOMEM;
	row->certificate = o->wish.certificate;
	row->key_type = o->wish.key_type;
	row->account = ca_account(o->ca);
	row->reason = o->wish.reason;
	row->created_at = clock_now();
	row->ca = strdup(ca_name(o->ca));
	row->names = order_names(o->wish.spec);
	row->wish = due_wish(o->wish.spec);
	if (profile != NULL)
		row->profile = strdup(profile);
	if (row->ca == NULL || row->names == NULL || row->wish == NULL ||
	    (profile != NULL && row->profile == NULL))
		return -ENOMEM;
	r = o->csr == NULL ? acme_key_to_der(o->key, &row->key.data, &row->key.len) : 0;
	if (r == 0)
		r = order_insert(o->means->store, row);
	/* one made ahead is this order's now, or of no use any more */
	if (r == 0 && acme_key_type_is_rsa(row->key_type))
		r = spare_key_drop(o->means->store, row->certificate);
	if (r < 0)
		return r;
	o->row = steal_ptr(row);
	return 0;
}

/* 1: this key is never to be used again; 0: it may be. */
static int
is_compromised(struct order *o)
{
	int r = acme_key_fingerprint(o->key, o->spki);

	return r == 0 ? compromised_has(o->means->store, o->spki) : r;
}

/* A key that was to be used again, or was brought along. */
static void
refuse_key(struct order *o)
{
	struct acme_result *failure = acme_result_new(ACME_GIVE_UP, "key",
	    "its key is compromised and never used again, and it is configured to keep it"
	    " (%s): let it have another",
	    own_key_wanted(o->wish.spec) ? "key_file or csr_file" : "reuse_key");

	order_fail(o, failure);
	acme_result_free(failure);
}

/* The key is on disk before the CA hears of the order. */
static void
have_key(struct order *o)
{
	int r;

	r = is_compromised(o);
	if (r > 0) {
		refuse_key(o);
		return;
	}
	if (r == 0)
		r = insert_row(o);
	if (r == 0)
		r = store_after_commit(o->means->store, row_committed_cb, o);
	if (r < 0)
		order_fail_here(o, "store", "cannot store the key", r);
}

static void
key_made_cb(struct acme_key *key, void *arg)
{
	struct order *o = arg;

	o->keyjob = NULL;
	o->key = key;
	if (key != NULL)
		have_key(o);
	else
		order_fail_here(o, "key", "cannot make a key", -EIO);
}

/* The key of the current certificate stays, unless it has become known as bad. */
static int
reuse_key(struct order *o)
{
	const struct secret *reuse = o->wish.reuse_key;
	_cleanup_(acme_key_freep) struct acme_key *key = NULL;
	const char *why;
	int r;

	if (reuse == NULL || reuse->len == 0)
		return -ENOENT;
	r = acme_key_from_der(reuse->data, reuse->len, &key);
	if (r < 0)
		return r;
	why = key_check(o->means->store, key);
	if (why == NULL) {
		o->key = steal_ptr(key);
		return 0;
	}
	log_line(LOG_WARNING, &(struct log_fields){ .certificate = o->wish.name },
	    "its key is not used again, a new one is made: %s", why);
	return -ENOENT;
}

/* The key that was made ahead; insert_row() makes it this order's. It isn't used where
 * it lay beside one that others have got hold of. */
static int
take_spare(struct order *o)
{
	struct spare_key spare = { 0 };
	_cleanup_(acme_key_freep) struct acme_key *key = NULL;
	int r;

	if (o->wish.reason == RENEW_KEY_COMPROMISE ||
	    !acme_key_type_is_rsa(o->wish.key_type))
		return -ENOENT;
	if (spare_key_find(o->means->store, o->wish.certificate, &spare) < 0)
		return -ENOENT;
	r = acme_key_from_der(spare.key.data, spare.key.len, &key);
	secret_clear(&spare.key);
	if (r < 0 || spare.key_type != o->wish.key_type ||
	    key_check(o->means->store, key) != NULL)
		return -ENOENT;
	log_line(LOG_DEBUG, &(struct log_fields){ .certificate = o->wish.name },
	    "ordered with a key that was made ahead");
	o->key = steal_ptr(key);
	return 0;
}

static void
get_key(struct order *o)
{
	int r = reuse_key(o);

	if (r == -ENOENT)
		r = take_spare(o);
	if (r != -ENOENT) {
		/* there is one, or that failed */
	} else if (acme_key_type_is_rsa(o->wish.key_type)) {
		r = keyjob_start(
		    o->means->worker, o->wish.key_type, key_made_cb, o, &o->keyjob);
		if (r == 0)
			return;
	} else {
		r = acme_key_generate(o->wish.key_type, &o->key);
	}
	if (r < 0)
		order_fail_here(o, "key", "cannot make a key", r);
	else
		have_key(o);
}

static void
refuse_own_key(struct order *o, const char *why)
{
	struct acme_result *failure = acme_result_new(ACME_RETRY, "key", "%s", why);

	order_fail(o, failure);
	acme_result_free(failure);
}

/* One's own key, or the request that was made with it. False: said why not. */
static bool
get_own_key(struct order *o)
{
	_cleanup_(buffer_free) struct buffer text = { 0 };
	const char *why;
	int r;

	r = own_key_read(o->wish.spec, o->wish.key_type, &o->key, &o->csr, &text);
	if (r < 0) {
		refuse_own_key(o, text.data != NULL ? text.data : strerror(-r));
		return false;
	}
	why = key_check(o->means->store, o->key);
	if (why != NULL) {
		buffer_printf(&text, "the key of %s must not be in a certificate: %s",
		    o->csr != NULL ? "csr_file" : "key_file", why);
		refuse_own_key(o, text.data != NULL ? text.data : why);
		return false;
	}
	own_key_warn(o->wish.spec, o->wish.key_type);
	return true;
}

/* The key that an order of earlier was made with; -ENOENT where it is of no use now:
 * one's own is another, or it was reported since. */
static int
take_earlier_key(struct order *o, const struct order_row *row)
{
	_cleanup_(acme_key_freep) struct acme_key *key = NULL;
	bool own = o->key != NULL;
	int r = 0;

	if (row->key.len > 0)
		r = acme_key_from_der(row->key.data, row->key.len, &key);
	if (r < 0)
		return r;
	if (own && o->csr == NULL && (key == NULL || !acme_key_equal(o->key, key)))
		return -ENOENT;
	if (!own && (key == NULL || key_check(o->means->store, key) != NULL))
		return -ENOENT;
	if (!own)
		o->key = steal_ptr(key);
	r = is_compromised(o);
	if (r != 0 && !own)
		o->key = acme_key_free(o->key);
	return r > 0 ? -ENOENT : r;
}

/* An order of earlier is gone on with only if it is for the same thing. */
static bool
same_order(const struct order *o, const struct order_row *row)
{
	_cleanup_free_ char *names = order_names(o->wish.spec);
	_cleanup_free_ char *wish = due_wish(o->wish.spec);
	const char *profile = o->wish.spec->profile;

	return names != NULL && wish != NULL && strcmp(names, row->names) == 0 &&
	    strcmp(wish, row->wish != NULL ? row->wish : "") == 0 &&
	    strcmp(profile != NULL ? profile : "",
		row->profile != NULL ? row->profile : "") == 0 &&
	    strcmp(row->ca, ca_name(o->ca)) == 0 && row->account == ca_account(o->ca);
}

void
order_store_and_begin(struct order *o)
{
	int r = order_save(o->means->store, o->row);

	if (r == 0)
		r = store_after_commit(o->means->store, row_committed_cb, o);
	if (r < 0)
		order_fail_here(o, "store", "cannot store the order", r);
}

/* That the row can be written is shown before the CA hears of it again: on a full disk
 * nothing of what it says could be kept. Where its order is no more, all names are
 * tried again. */
static void
resume(struct order *o)
{
	if (o->row->url == NULL) {
		free(o->row->missing);
		o->row->missing = NULL;
	}
	order_store_and_begin(o);
}

static void
find_earlier(struct order *o)
{
	_cleanup_(order_row_freep) struct order_row *row = NULL;
	int r;

	r = order_find(o->means->store, o->wish.certificate, o->wish.key_type, &row);
	if (r == 0) {
		r = same_order(o, row) ? take_earlier_key(o, row) : -ENOENT;
		if (r == 0)
			o->row = steal_ptr(row);
		else if (r == -ENOENT)
			r = order_delete(o->means->store, row->id);
	}
	if (r < 0 && r != -ENOENT)
		order_fail_here(o, "store", "cannot read the order", r);
	else if (o->row != NULL)
		resume(o);
	else if (o->key != NULL)
		have_key(o);
	else
		get_key(o);
}

/* NAME! insists on a profile; NAME does without it where the CA doesn't have it. */
void
order_begin(struct order *o)
{
	const struct certificate_spec *spec = o->wish.spec;

	if (spec->profile_insists && !ca_has_profile(o->ca, spec->profile)) {
		struct acme_result *refused = acme_result_new(ACME_GIVE_UP, "order",
		    "the CA has no profile \"%s\"", spec->profile);

		order_fail(o, refused);
		acme_result_free(refused);
	} else if (!own_key_wanted(spec) || get_own_key(o)) {
		find_earlier(o);
	}
}
