/*
 * due.h - what a certificate needs now, and when to look at it next: judged from facts
 * alone.
 *
 * Pure functions over rows of the inventory and the specification; used by job.c and
 * renewal.c.
 */
#ifndef DUE_H
#define DUE_H

#include "config/config.h"
#include "inventory/inventory.h"

/* The current certificate for this key (ECDSA or RSA, whatever its size); NULL: none.
 */
const struct issued *due_find(
    const struct issued *rows, size_t count, enum acme_key_type key_type);
/* What a specification asks for beside names, keys, CA and profile, as it is kept with
 * what was issued: where it differs, something else has to be ordered. The caller
 * frees; NULL: no memory. */
char *due_wish(const struct certificate_spec *spec);
/* Why this key type has to be ordered now; RENEW_NONE: it has not. names as by
 * order_names(). */
enum renew_reason due_reason(const struct certificate *c,
    const struct certificate_spec *spec, const char *names, const struct issued *rows,
    size_t count, enum acme_key_type key_type, int64_t now);
/* The same for the first of all key types that is due. */
enum renew_reason due_any(const struct certificate *c,
    const struct certificate_spec *spec, const char *names, const struct issued *rows,
    size_t count, int64_t now);
/* True: a point has to be picked for c, from *ret_from to *ret_to. False: that which
 * was picked earlier is within what is allowed and is kept, or there is nothing to
 * plan. */
bool due_span(const struct certificate *c, const struct certificate_spec *spec,
    const struct issued *rows, size_t count, int64_t *ret_from, int64_t *ret_to);
/* Sets c->renew_at and c->renew_reason. at: the point that was picked in due_span(). */
void due_plan(struct certificate *c, const struct certificate_spec *spec,
    const char *names, const struct issued *rows, size_t count, int64_t now,
    int64_t at);
/* The shortest life of the current certificates in seconds; 0: none. */
int64_t due_life(
    const struct certificate_spec *spec, const struct issued *rows, size_t count);
/* What the live bundle should hold, as kept in c->bundled. The caller frees; NULL: no
 * memory. Empty: nothing to write. */
char *due_bundle(
    const struct certificate_spec *spec, const struct issued *rows, size_t count);
/* Is this one of the specification's deploy targets? */
bool due_is_target(const struct certificate_spec *spec, const char *target);
/* When one that was removed may be forgotten: servers may be using its files until some
 * time after it has expired. */
int64_t due_forget(
    const struct certificate *c, const struct issued *rows, size_t count);
/* When the scheduler looks next, after an attempt; 0: never by itself. config has the
 * targets. */
int64_t due_next(const struct certificate *c, const struct certificate_spec *spec,
    const struct config *config, size_t issued_count,
    const struct deployment *deployments, size_t deployment_count, int64_t now);
/* Do the targets after this one wait for it, as it is required and hasn't taken what
 * the files hold? Where it is looked at, it counts only when it was seen. */
bool due_holds(const struct certificate *c, const struct target_config *target,
    const struct deployment *d);
/* Does the live bundle hold the generation before, or is it to? */
bool due_is_rolled_back(const struct rollback *rollback,
    const struct certificate_spec *spec, const struct issued *rows, size_t count);
/* Have two such texts as due_bundle() gives the same issued rows? */
bool due_same_rows(const char *bundled, const char *other);

/* Does the last error, as the API shows it, have this text in this member? */
bool due_error_is(const struct certificate *c, const char *member, const char *text);

/* What the row says of times that a wrong clock has set: those are over. */
void due_heed_clock(struct certificate *c, int64_t now);

/* Has the CA, not renewd, said when it may be asked again? Nobody gets past that. */
bool due_told_to_wait(const struct certificate *c, int64_t now);

/* NULL: this target hasn't been told of anything. */
const struct deployment *due_find_deployment(
    const struct deployment *rows, size_t count, const char *target);

#endif
