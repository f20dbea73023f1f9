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
	char *server_name;
	struct {
		bool rsa;
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
	free(v->server_name);
	free(v);
	return NULL;
}

DEFINE_CLEANUP(struct verify, verify_free)

static const char *
address(const struct verify *v)
{
	return v->target->verify.v[v->next / v->count];
}

static const char *
kind(const struct verify *v)
{
	return v->leaves[v->next % v->count].rsa ? "RSA" : "ECDSA";
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
not_served(struct verify *v, const char *why)
{
	char text[512];

	if (v->tries > 0 && plan(v) == 0)
		return;
	snprintf(text, sizeof(text), "not served at %s (%s%s%s): %s", address(v),
	    kind(v), v->server_name != NULL ? ", " : "",
	    v->server_name != NULL ? v->server_name : "", why);
	v->done_cb(text, v->arg);
}

static void look(struct verify *v);

static void
probed_cb(const struct probe_found *found, const char *why, void *arg)
{
	struct verify *v = arg;
	char text[192];

	v->probe = probe_free(v->probe);
	if (found == NULL) {
		not_served(v, why);
		return;
	}
	if (strcmp(found->fingerprint, v->leaves[v->next % v->count].fingerprint) !=
	    0) {
		snprintf(text, sizeof(text),
		    "another certificate is there, with serial %.80s", found->serial);
		not_served(v, text);
	} else if (!found->ordered)
		not_served(v, "its chain is not in order");
	else {
		v->next++;
		look(v);
	}
}

static void
look(struct verify *v)
{
	int r;

	if (v->next == v->target->verify.n * v->count) {
		v->done_cb(NULL, v->arg);
		return;
	}
	r = probe_start(v->base,
	    &(struct probe_wish){ .address = address(v),
		.server_name = v->server_name,
		.rsa = v->leaves[v->next % v->count].rsa },
	    TIMEOUT_MS, probed_cb, v, &v->probe);
	if (r < 0)
		not_served(v, strerror(-r));
}

static void
look_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	look(arg);
}

static int
copy_subject(struct verify *v, const struct verify_subject *subject)
{
	v->target = target_copy(subject->target);
	if (v->target == NULL)
		return -ENOMEM;
	if (subject->server_name != NULL) {
		v->server_name = strdup(subject->server_name);
		if (v->server_name == NULL)
			return -ENOMEM;
	}
	v->count = subject->count < LEAVES ? subject->count : LEAVES;
	for (size_t i = 0; i < v->count; i++) {
		v->leaves[i].rsa = subject->leaves[i].rsa;
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
