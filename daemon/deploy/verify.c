/*
 * verify.c - looks at a server from outside until it shows what it has to, or patience
 * is over.
 *
 * Called by renew/job_deploy.c. One handshake at a time: for each address, for each
 * kind of key. It must never change anything.
 */
#include "deploy/verify.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "deploy/probe.h"
#include "deploy/target.h"
#include "scope.h"

#define LEAVES     2
#define TIMEOUT_MS 10000

/* Between looks: so they are at 1, 2, 4, 8 and 15 seconds. */
static const unsigned pauses[] = { 1, 1, 2, 4, 7 };

struct verify {
	struct event_base *base;
	struct target_config *target; /* a copy */
	char **names;
	size_t name_count;
	bool must_staple;
	struct {
		bool rsa;
		bool chained;
		char fingerprint[PROBE_FINGERPRINT_SIZE];
	} leaves[LEAVES];
	size_t count;
	size_t tries; /* that are left after this one */
	size_t next;  /* handshake of this look */
	struct event *look_event;
	struct probe *probe;
	verify_cb *done_cb;
	void *arg;
};

struct verify *
verify_free(struct verify *v)
{
	if (v == NULL)
		return NULL;
	probe_free(v->probe);
	if (v->look_event != NULL)
		event_free(v->look_event);
	target_free(v->target);
	for (size_t i = 0; i < v->name_count; i++)
		free(v->names[i]);
	free(v->names);
	free(v);
	return NULL;
}

DEFINE_CLEANUP(struct verify, verify_free)

/* For each address each name, for each name each leaf. */
static size_t
names_of(const struct verify *v)
{
	return v->name_count > 0 ? v->name_count : 1;
}

static size_t
leaf(const struct verify *v)
{
	return v->next % v->count;
}

static const char *
name(const struct verify *v)
{
	return v->name_count > 0 ? v->names[v->next / v->count % v->name_count] : NULL;
}

static const char *
address(const struct verify *v)
{
	return v->target->verify.v[v->next / v->count / names_of(v)];
}

static int
plan(struct verify *v)
{
	struct timeval pause = { 0 };

	if (v->tries > 0)
		pause.tv_sec = pauses[ELEMENTS(pauses) - v->tries--];
	v->next = 0;
	return event_add(v->look_event, &pause);
}

/* done_cb may free v. */
static void
not_served(struct verify *v, bool broken, const char *why)
{
	char text[512];

	if (v->tries > 0 && plan(v) == 0)
		return;
	snprintf(text, sizeof(text), "not served at %s (%s%s%s): %s", address(v),
	    v->leaves[leaf(v)].rsa ? "RSA" : "ECDSA", name(v) != NULL ? ", " : "",
	    name(v) != NULL ? name(v) : "", why);
	v->done_cb(text, broken, v->arg);
}

/* What is wrong with the right leaf, or NULL. */
static const char *
find_lack(const struct verify *v, const struct probe_found *found)
{
	if (!found->current)
		return "it is out of date";
	if (!found->ordered)
		return "its chain is not in order";
	if (found->count < 2 && v->leaves[leaf(v)].chained)
		return "its chain is missing: does the server read fullchain.pem?";
	if (!found->chain_current)
		return "a certificate of its chain is out of date";
	return v->must_staple ? found->staple_lack : NULL;
}

static void look(struct verify *v);

static void
probed_cb(const struct probe_found *found, const char *why, void *arg)
{
	struct verify *v = arg;
	/* what it says is lent by it */
	_cleanup_(probe_freep) struct probe *probe = steal_ptr(v->probe);
	const char *lack;
	char text[192];

	(void)probe;
	if (found == NULL) {
		not_served(v, true, why);
		return;
	}
	if (strcmp(found->fingerprint, v->leaves[leaf(v)].fingerprint) != 0) {
		snprintf(text, sizeof(text),
		    "another certificate is there, with serial %.80s%s", found->serial,
		    !found->current    ? ", out of date"
			: !found->fits ? ", of another name"
				       : "");
		not_served(v, !found->current || !found->fits, text);
		return;
	}
	lack = find_lack(v, found);
	if (lack != NULL) {
		not_served(v, !found->current, lack);
		return;
	}
	v->next++;
	look(v);
}

static void
look(struct verify *v)
{
	int r;

	if (v->next == v->target->verify.n * names_of(v) * v->count) {
		v->done_cb(NULL, false, v->arg);
		return;
	}
	r = probe_start(v->base,
	    &(struct probe_wish){ .address = address(v),
		.server_name = name(v),
		.rsa = v->leaves[leaf(v)].rsa,
		.staple = v->must_staple },
	    TIMEOUT_MS, probed_cb, v, &v->probe);
	if (r < 0)
		not_served(v, true, strerror(-r));
}

static void
look_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	look(arg);
}

static int
copy_names(struct verify *v, const struct verify_subject *subject)
{
	v->names = calloc(subject->name_count + 1, sizeof(*v->names));
	if (v->names == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < subject->name_count; i++) {
		v->names[i] = strdup(subject->names[i]);
		if (v->names[i] == NULL)
			return -ENOMEM;
		v->name_count++;
	}
	return 0;
}

static int
copy_subject(struct verify *v, const struct verify_subject *subject)
{
	int r = copy_names(v, subject);

	if (r < 0)
		return r;
	v->target = target_copy(subject->target);
	if (v->target == NULL)
		return -ENOMEM;
	v->must_staple = subject->must_staple;
	v->count = subject->count < LEAVES ? subject->count : LEAVES;
	for (size_t i = 0; i < v->count; i++) {
		v->leaves[i].rsa = subject->leaves[i].rsa;
		v->leaves[i].chained = subject->leaves[i].chained;
		snprintf(v->leaves[i].fingerprint, sizeof(v->leaves[i].fingerprint),
		    "%s", subject->leaves[i].fingerprint);
	}
	return v->count > 0 && v->target->verify.n > 0 ? 0 : -EINVAL;
}

int
verify_start(struct event_base *base, const struct verify_subject *subject,
    bool patient, verify_cb *done_cb, void *arg, struct verify **ret)
{
	_cleanup_(verify_freep) struct verify *v = calloc(1, sizeof(*v));
	int r;

	if (v == NULL)
		return -ENOMEM;
	v->base = base;
	v->done_cb = done_cb;
	v->arg = arg;
	r = copy_subject(v, subject);
	if (r < 0)
		return r;
	v->look_event = evtimer_new(base, look_cb, v);
	v->tries = patient ? ELEMENTS(pauses) : 0;
	if (v->look_event == NULL || plan(v) < 0)
		return -ENOMEM;
	*ret = steal_ptr(v);
	return 0;
}
