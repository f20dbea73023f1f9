/*
 * deploy.h - makes servers take the bundles: one target for each [deploy] section.
 *
 * renew/renewal.c asks for a certificate to be deployed to a target and hears once how
 * it went. Types are rows of a table (types.c), one file each; those that reload a
 * whole server collect what comes within a few seconds into one reload. It never
 * touches certificates, and never orders anything.
 */
#ifndef DEPLOY_H
#define DEPLOY_H

#include <stdbool.h>

#include "acme.h"

struct config;
struct deploy;
struct event_base;
struct target_config;

/* What is to be taken; lent for the call. */
struct deploy_subject {
	const char *certificate; /* name */
	const char *domains;     /* separated by blanks */
	const char *bundle_dir;  /* the certificate's own: .../live/NAME */
	const char *serial;      /* of the first key type; hex */
	const char *not_after;   /* RFC 3339 */
	const char *json; /* all that users are told of it; "" where nobody wants it */
};

/* failure NULL: deployed. Otherwise why not, stage "deploy"; class ACME_GIVE_UP: the
 * server can't use what it was given. Lent for the call. */
typedef void deploy_done_cb(const struct acme_result *failure, void *arg);

struct deploy_request; /* one certificate on its way to one target */

int deploy_new(struct event_base *base, struct deploy **ret);
/* Kills what runs; done_cbs are not called any more. Not from a callback of deploy's.
 */
struct deploy *deploy_free(struct deploy *d);
/* Takes over the targets of a configuration; what runs goes on under the old one. Of a
 * target that is gone, what was asked for before is still done. */
int deploy_configure(struct deploy *d, const struct config *config);
/* done_cb is called once, from the loop, never from here. -ENOENT: no such target. */
int deploy_start(struct deploy *d, const char *target,
    const struct deploy_subject *subject, deploy_done_cb *done_cb, void *arg,
    struct deploy_request **ret);
/* done_cb is not called any more; the reload itself may still happen. NULL is fine, and
 * so is a request whose done_cb is being called; afterwards it is gone by itself. */
struct deploy_request *deploy_cancel(struct deploy_request *r);
/* What such a target has of a certificate on disk beside bundle_dir (bundle_path), as
 * it was deployed: written again where it is missing or damaged. 1: it was; 0: nothing
 * is the matter; or a negative errno. */
int deploy_repair(const struct target_config *target, const char *certificate,
    const char *bundle_dir);
/* Is a server reading bundles just now at our request? Then they aren't switched.
 * idle_cb is called from the loop each time when the last such reload has ended. */
bool deploy_reloading(const struct deploy *d);
void deploy_on_idle(struct deploy *d, void (*idle_cb)(void *arg), void *arg);

/* Is it told of OCSP responses without a reload? */
bool deploy_takes_staples(const struct target_config *t);
/* Does it read those beside such a certificate, but only when it is reloaded? */
bool deploy_reads_staples(const struct target_config *t, bool must_staple);
/* Is a subject's json made use of? */
bool deploy_wants_json(const struct target_config *t);
/* Has a target of this configuration files of its own that can be looked at? */
bool deploy_has_files(const struct target_config *t);
/* Are they as they have to be? 1: they are; 0: not, and `why` says what is wrong. It
 * takes a few milliseconds. */
int deploy_look(const struct target_config *t, const struct deploy_subject *s,
    char *why, size_t size);

/* For tests: a reload starts when no request came for quiet_ms, or most_ms after the
 * first. 5 and 30 seconds unless set. */
void deploy_set_windows(struct deploy *d, unsigned quiet_ms, unsigned most_ms);

#endif
