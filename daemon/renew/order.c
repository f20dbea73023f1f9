/*
 * order.c - one order in flight. order_pump() is the page to read: save, then act on
 * what the flow says.
 *
 * The steps before the flow runs (an order of earlier, the CA's account, a key) are in
 * the order of this file. All of them are safe to repeat after a crash.
 */
#include "renew/order.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>

#include "buffer.h"
#include "challenge/responder.h"
#include "config/config.h"
#include "inventory/revocations.h"
#include "inventory/store.h"
#include "key.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "renew/ca.h"
#include "renew/deactivate.h"
#include "renew/keyjob.h"
#include "result.h"

struct order {
	const struct renewal_means *means;
	struct ca *ca;
	struct order_wish wish;
	order_done_cb *done_cb;
	void *arg;

	struct order_row *row; /* as stored */
	struct acme_key *key;
	char spki[ACME_FINGERPRINT_SIZE]; /* of the key */
	struct keyjob *keyjob;
	struct acme_flow *flow;
	struct ca_request *request;
	struct event *timer;
	char **published; /* tokens */
	size_t published_count;
	bool changed; /* row differs from what is stored */
	bool entered; /* the CA counts it among its users */
};

DEFINE_CLEANUP(struct order, order_free)

static void order_pump(struct order *o);
static ca_ready_cb account_ready_cb;

static struct log_fields
fields(const struct order *o)
{
	return (struct log_fields){ .certificate = o->wish.name,
		.ca = ca_name(o->ca),
		.order = o->row != NULL ? o->row->url : NULL };
}

/* ---- ends ---- */

/* The last thing that an order does; it may be freed by the callback. */
static void
succeed(struct order *o)
{
	ca_note(o->ca, NULL);
	o->done_cb(NULL, o->arg);
}

/* The same; NULL: there was no memory to say why. */
static void
fail(struct order *o, const struct acme_result *failure)
{
	static const struct acme_result no_memory = {
		.class = ACME_RETRY,
		.stage = "order",
		.detail = (char *)"out of memory",
	};

	if (failure == NULL)
		failure = &no_memory;
	if (ca_stopped(o->ca) != NULL && strcmp(failure->stage, "store") != 0)
		failure = ca_stopped(o->ca); /* whatever came of it: that is why */
	/* a name that can't be validated says nothing of the CA */
	if (strcmp(failure->stage, "authorize") != 0)
		ca_note(o->ca, failure);
	o->done_cb(failure, o->arg);
}

static void
fail_here(struct order *o, const char *stage, const char *what, int r)
{
	struct acme_result *failure =
	    acme_result_new(ACME_RETRY, stage, "%s: %s", what, strerror(-r));

	fail(o, failure);
	acme_result_free(failure);
}

/* ---- challenges ---- */

static void
fetched_cb(const char *token, void *arg)
{
	struct order *o = arg;

	if (o->flow == NULL)
		return;
	acme_flow_fetched(o->flow, clock_monotonic_ms(), token);
	if (o->request == NULL && !o->changed)
		order_pump(o);
}

static bool
still_wanted(const struct acme_challenge *challenges, size_t count, const char *token)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(challenges[i].token, token) == 0)
			return true;
	return false;
}

/* What is published is what the flow wants answered: no more, no less. */
static int
publish(struct order *o)
{
	const struct acme_challenge *challenges;
	size_t count = acme_flow_challenges(o->flow, &challenges);
	size_t kept = 0;
	char **grown;
	int r;

	for (size_t i = 0; i < o->published_count; i++) {
		if (still_wanted(challenges, count, o->published[i])) {
			o->published[kept++] = o->published[i];
			continue;
		}
		responder_withdraw(o->means->responder, o->published[i], o);
		free(o->published[i]);
	}
	o->published_count = kept;
	grown = reallocarray(o->published, kept + count + 1, sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	o->published = grown;
	for (size_t i = 0; i < count; i++) {
		bool known = false;

		for (size_t k = 0; k < kept && !known; k++)
			known = strcmp(o->published[k], challenges[i].token) == 0;
		if (known)
			continue;
		r = responder_publish(o->means->responder, challenges[i].token,
		    challenges[i].key_authorization, fetched_cb, o);
		if (r < 0)
			return r;
		o->published[o->published_count] = strdup(challenges[i].token);
		if (o->published[o->published_count] == NULL)
			return -ENOMEM;
		o->published_count++;
	}
	return 0;
}

static void
withdraw_all(struct order *o)
{
	for (size_t i = 0; i < o->published_count; i++) {
		responder_withdraw(o->means->responder, o->published[i], o);
		free(o->published[i]);
	}
	free(o->published);
	o->published = NULL;
	o->published_count = 0;
}

void
order_publish_stored(const struct renewal_means *means, const struct order_row *row)
{
	const char *line = row->challenges;

	while (line != NULL && *line != '\0') {
		size_t len = strcspn(line, "\n");
		_cleanup_free_ char *text = strndup(line, len);
		char *body = text != NULL ? strchr(text, ' ') : NULL;

		if (body != NULL) {
			*body++ = '\0';
			(void)responder_publish(
			    means->responder, text, body, NULL, NULL);
		}
		line += len + (line[len] == '\n');
	}
}

/* ---- facts ---- */

/* Takes a text over from the flow; true: it is another than was stored. */
static bool
take(char **field, const char *now)
{
	if (strcmp(*field != NULL ? *field : "", now != NULL ? now : "") == 0)
		return false;
	free(*field);
	*field = now != NULL ? strdup(now) : NULL;
	return true;
}

static int
note_facts(struct order *o)
{
	_cleanup_(buffer_free) struct buffer lines = { 0 };
	const struct acme_challenge *challenges;
	size_t count = acme_flow_challenges(o->flow, &challenges);
	bool url_changed;

	for (size_t i = 0; i < count; i++)
		buffer_printf(&lines, "%s %s\n", challenges[i].token,
		    challenges[i].key_authorization);
	if (lines.failed)
		return -ENOMEM;
	url_changed = take(&o->row->url, acme_flow_order_url(o->flow));
	/* challenges that are done need no commit of their own */
	if (url_changed || count > 0)
		o->changed |= take(&o->row->challenges, lines.data);
	o->changed |= url_changed;
	return 0;
}

/* 1: this key is never to be used again; 0: it may be. */
static int
is_compromised(struct order *o)
{
	int r = acme_key_fingerprint(o->key, o->spki);

	return r == 0 ? compromised_has(o->means->store, o->spki) : r;
}

/* Reported while it was at the CA. */
static int
revoke_if_compromised(struct order *o, int64_t issued)
{
	int r = compromised_has(o->means->store, o->spki);

	if (r <= 0)
		return r;
	return revocation_ask(o->means->store,
	    &(struct revocation){ .issued = issued,
		.reason = ACME_REASON_KEY_COMPROMISE,
		.asked_at = clock_now() });
}

/* Issued: the certificate, the end of the order and the event are one commit. */
static int
store_issued(struct order *o)
{
	const struct acme_chain *chain = acme_flow_chain(o->flow);
	const struct acme_leaf *leaf = acme_chain_leaf(chain);
	_cleanup_free_ char *pem = NULL;
	struct issued row = {
		.certificate = o->wish.certificate,
		.key_type = o->wish.key_type,
		.ca = o->row->ca,
		.account = o->row->account,
		.names = o->row->names,
		.profile = o->row->profile,
		.serial = (char *)leaf->serial,
		.fingerprint = (char *)leaf->fingerprint_sha256,
		.issuer = (char *)leaf->issuer,
		.top = (char *)leaf->top,
		.not_before = leaf->not_before,
		.not_after = leaf->not_after,
		.issued_at = clock_now(),
		.key = o->row->key,
	};
	int r;

	r = acme_chain_pem_from(chain, 0, &pem);
	if (r < 0)
		return r;
	row.chain = pem;
	row.spki = o->spki;
	r = deactivate_note_issue(o->means->store, &row, o->flow);
	if (r == 0)
		r = issued_insert(o->means->store, &row);
	if (r == 0)
		r = revoke_if_compromised(o, row.id);
	if (r == 0)
		r = order_delete(o->means->store, o->row->id);
	if (r == 0)
		r = history_add(o->means->store,
		    &(struct history_event){ .at = clock_now(),
			.kind = "issued",
			.certificate = o->wish.name,
			.ca = o->row->ca,
			.detail = acme_key_type_name(o->wish.key_type) });
	return r;
}

static void
issued_committed_cb(int r, void *arg)
{
	struct order *o = arg;
	struct log_fields f = fields(o);

	if (r < 0) {
		fail_here(o, "store", "cannot store the certificate", r);
		return;
	}
	f.event = LOG_EVENT_ISSUED;
	log_line(LOG_NOTICE, &f, "certificate issued (%s, %s)",
	    acme_key_type_name(o->wish.key_type), renew_reason_name(o->wish.reason));
	succeed(o);
}

/* ---- the pump ---- */

static void
reply_cb(const struct acme_reply *reply, void *arg)
{
	struct order *o = arg;

	o->request = NULL;
	acme_flow_reply(o->flow, clock_monotonic_ms(), reply);
	order_pump(o);
}

static void
timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct order *o = arg;

	(void)fd;
	(void)what;
	if (o->flow == NULL)
		ca_when_ready(o->ca, account_ready_cb, o);
	else
		order_pump(o);
}

static void
sleep_until(struct order *o, int64_t at)
{
	int64_t ms = at - clock_monotonic_ms();
	struct timeval delay = { 0 };

	if (ms > 0) {
		delay.tv_sec = ms / 1000;
		delay.tv_usec = (ms % 1000) * 1000;
	}
	event_add(o->timer, &delay);
}

static void
end(struct order *o)
{
	int r;

	withdraw_all(o);
	if (acme_flow_chain(o->flow) == NULL) {
		fail(o, acme_flow_result(o->flow));
		return;
	}
	r = store_issued(o);
	if (r == 0)
		r = store_after_commit(o->means->store, issued_committed_cb, o);
	if (r < 0)
		fail_here(o, "store", "cannot store the certificate", r);
}

/* What the flow wants done, now that what led to it is on disk. */
static void
act(struct order *o)
{
	struct acme_request request;
	int r;

	switch (acme_flow_next(o->flow, clock_monotonic_ms(), &request)) {
	case ACME_SEND:
		r = publish(o);
		if (r == 0)
			r = ca_send(o->ca, &request, reply_cb, o, &o->request);
		if (r < 0)
			fail_here(o, "order", "cannot send a request", r);
		break;
	case ACME_WAIT:
		sleep_until(o, acme_flow_wait_until(o->flow));
		break;
	case ACME_FINISHED:
		end(o);
		break;
	}
}

static void
saved_cb(int r, void *arg)
{
	struct order *o = arg;

	if (r < 0) {
		fail_here(o, "store", "cannot store the order", r);
		return;
	}
	o->changed = false;
	act(o);
}

static void
order_pump(struct order *o)
{
	int r;

	event_del(o->timer);
	r = note_facts(o);
	if (r == 0 && o->changed) {
		r = order_save(o->means->store, o->row);
		if (r == 0)
			r = store_after_commit(o->means->store, saved_cb, o);
		if (r == 0)
			return;
	}
	if (r < 0)
		fail_here(o, "store", "cannot store the order", r);
	else
		act(o);
}

/* ---- before the flow ---- */

static void
start_flow(struct order *o)
{
	_cleanup_free_ char *types = NULL;
	const char *profile = o->row->profile;
	struct buffer text = { 0 };
	struct acme_plan plan = {
		.identifiers = o->wish.spec->identifiers,
		.identifier_count = o->wish.spec->identifier_count,
		.account_key = ca_account_key(o->ca),
		.key = o->key,
		.profile =
		    profile != NULL && ca_has_profile(o->ca, profile) ? profile : NULL,
		.must_staple = o->wish.spec->must_staple,
		.order_url = o->row->url,
	};
	int r;

	for (size_t i = 0; i < o->wish.spec->challenges.n; i++)
		buffer_printf(&text, "%s ", o->wish.spec->challenges.v[i]);
	r = buffer_steal(&text, &types, NULL);
	plan.challenges = types;
	if (r == 0)
		r = acme_flow_new(&plan, &o->flow);
	if (r < 0)
		fail_here(o, "order", "cannot begin the order", r);
	else
		order_pump(o);
}

static void
row_committed_cb(int r, void *arg)
{
	struct order *o = arg;

	if (r < 0)
		fail_here(o, "store", "cannot store the key", r);
	else
		start_flow(o);
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
	if (profile != NULL)
		row->profile = strdup(profile);
	if (row->ca == NULL || row->names == NULL ||
	    (profile != NULL && row->profile == NULL))
		return -ENOMEM;
	r = acme_key_to_der(o->key, &row->key.data, &row->key.len);
	if (r == 0)
		r = order_insert(o->means->store, row);
	if (r < 0)
		return r;
	o->row = steal_ptr(row);
	return 0;
}

/* A key that was to be used again, or was brought along. */
static void
refuse_key(struct order *o)
{
	struct acme_result *failure = acme_result_new(ACME_GIVE_UP, "key",
	    "its key is compromised and never used again, and it is configured to keep it"
	    " (reuse_key): let it have another");

	fail(o, failure);
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
		fail_here(o, "store", "cannot store the key", r);
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
		fail_here(o, "key", "cannot make a key", -EIO);
}

static void
get_key(struct order *o)
{
	const struct secret *reuse = o->wish.reuse_key;
	int r;

	if (reuse != NULL) {
		r = acme_key_from_der(reuse->data, reuse->len, &o->key);
	} else if (acme_key_type_is_rsa(o->wish.key_type)) {
		r = keyjob_start(
		    o->means->worker, o->wish.key_type, key_made_cb, o, &o->keyjob);
		if (r == 0)
			return;
	} else {
		r = acme_key_generate(o->wish.key_type, &o->key);
	}
	if (r < 0)
		fail_here(o, "key", "cannot make a key", r);
	else
		have_key(o);
}

/* An order of earlier is gone on with only if it is for the same thing. */
static bool
same_order(const struct order *o, const struct order_row *row)
{
	_cleanup_free_ char *names = order_names(o->wish.spec);

	const char *profile = o->wish.spec->profile;

	return names != NULL && strcmp(names, row->names) == 0 &&
	    strcmp(profile != NULL ? profile : "",
		row->profile != NULL ? row->profile : "") == 0 &&
	    strcmp(row->ca, ca_name(o->ca)) == 0 && row->account == ca_account(o->ca);
}

/* That the row can be written is shown before the CA hears of it again: on a full disk
 * nothing of what it says could be kept. */
static void
resume(struct order *o)
{
	int r = order_save(o->means->store, o->row);

	if (r == 0)
		r = store_after_commit(o->means->store, row_committed_cb, o);
	if (r < 0)
		fail_here(o, "store", "cannot store the order", r);
}

/* The key of an order of earlier; none where it was reported since. */
static int
take_key(struct order *o, const struct order_row *row)
{
	int r;

	r = acme_key_from_der(row->key.data, row->key.len, &o->key);
	if (r == 0)
		r = is_compromised(o);
	if (r == 0)
		return 0;
	o->key = acme_key_free(o->key);
	return r > 0 ? order_delete(o->means->store, row->id) : r;
}

static void
find_earlier(struct order *o)
{
	_cleanup_(order_row_freep) struct order_row *row = NULL;
	int r;

	r = order_find(o->means->store, o->wish.certificate, o->wish.key_type, &row);
	if (r == 0 && same_order(o, row))
		r = take_key(o, row);
	else if (r == 0)
		r = order_delete(o->means->store, row->id);
	if (r < 0 && r != -ENOENT) {
		fail_here(o, "store", "cannot read the order", r);
	} else if (o->key != NULL) {
		o->row = steal_ptr(row);
		resume(o);
	} else {
		get_key(o);
	}
}

/* NAME! insists on a profile; NAME does without it where the CA doesn't have it. */
static void
account_ready_cb(const struct acme_result *failure, void *arg)
{
	struct order *o = arg;
	const struct certificate_spec *spec = o->wish.spec;

	if (failure == NULL && spec->profile_insists &&
	    !ca_has_profile(o->ca, spec->profile)) {
		struct acme_result *refused = acme_result_new(ACME_GIVE_UP, "order",
		    "the CA has no profile \"%s\"", spec->profile);

		fail(o, refused);
		acme_result_free(refused);
	} else if (failure != NULL) {
		fail(o, failure);
	} else {
		ca_enter(o->ca);
		o->entered = true;
		find_earlier(o);
	}
}

int
order_start(const struct renewal_means *means, struct ca *ca,
    const struct order_wish *wish, order_done_cb *done_cb, void *arg,
    struct order **ret)
{
	_cleanup_(order_freep) struct order *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return -ENOMEM;
	o->means = means;
	o->ca = ca_ref(ca);
	o->wish = *wish;
	o->done_cb = done_cb;
	o->arg = arg;
	o->timer = evtimer_new(means->base, timer_cb, o);
	if (o->timer == NULL)
		return -ENOMEM;
	event_active(o->timer, EV_TIMEOUT, 0); /* begins in timer_cb() */
	*ret = steal_ptr(o);
	return 0;
}

struct order *
order_free(struct order *o)
{
	if (o == NULL)
		return NULL;
	store_forget(o->means->store, o);
	ca_forget(o->ca, o);
	ca_cancel(o->request);
	if (o->entered)
		ca_leave(o->ca);
	withdraw_all(o);
	keyjob_forget(o->keyjob);
	if (o->timer != NULL)
		event_free(o->timer);
	acme_flow_free(o->flow);
	acme_key_free(o->key);
	order_row_free(o->row);
	ca_unref(o->ca);
	free(o);
	return NULL;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char *
order_names(const struct certificate_spec *spec)
{
	_cleanup_free_ const char **sorted =
	    calloc(spec->identifier_count + 1, sizeof(*sorted));
	struct buffer text = { 0 };
	char *names = NULL;

	if (sorted == NULL)
		return NULL;
	for (size_t i = 0; i < spec->identifier_count; i++)
		sorted[i] = spec->identifiers[i].value;
	qsort(sorted, spec->identifier_count, sizeof(*sorted), compare_names);
	for (size_t i = 0; i < spec->identifier_count; i++)
		buffer_printf(&text, "%s%s", i > 0 ? " " : "", sorted[i]);
	return buffer_steal(&text, &names, NULL) == 0 ? names : NULL;
}
