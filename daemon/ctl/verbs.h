/*
 * verbs.h - what renewctl can be told: one row for each verb.
 *
 * main.c reads the command line and finds the verb here; usage is printed from the same
 * rows.
 */
#ifndef VERBS_H
#define VERBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/show.h"

struct client;
struct client_reply;

enum ctl_exit {
	CTL_DONE = 0,
	CTL_REFUSED = 1, /* or failed */
	CTL_USAGE = 2,
	CTL_NO_DAEMON = 3,
};

/* Options that only some verbs take. */
enum ctl_option {
	CTL_FORCE = 1 << 0,
	CTL_WAIT = 1 << 1,
	CTL_TIMEOUT = 1 << 2,
	CTL_PURGE = 1 << 3,
	CTL_REVOKE = 1 << 4,
	CTL_FOLLOW = 1 << 5,
	CTL_KEYS = 1 << 6,
	CTL_CA = 1 << 7,
	CTL_PROFILE = 1 << 8,
	CTL_DEPLOY = 1 << 9,
	CTL_REASON = 1 << 10,
	CTL_KEY = 1 << 11,
	CTL_YES = 1 << 12,
	CTL_FORMAT = 1 << 13,
	CTL_SERVED = 1 << 14,
};

/* What `add` says about a certificate, beside its domains: keys of the configuration.
 */
enum ctl_setting {
	CTL_SET_KEYS,
	CTL_SET_CA,
	CTL_SET_PROFILE,
	CTL_SET_DEPLOY,
	CTL_SETTINGS,
};

/* One run of renewctl. */
struct ctl {
	struct client *client;
	struct show show;
	bool json;
	unsigned given; /* enum ctl_option */
	int64_t timeout_s;
	const char *reason; /* NULL: not given */
	const char *key;
	const char *format;
	const char *settings[CTL_SETTINGS]; /* NULL: not given */
	char *const *args;                  /* behind the verb */
	size_t count;
};

struct verb {
	const char *name;
	const char *arguments; /* as in the usage text */
	size_t min;            /* how many */
	size_t max;
	unsigned options; /* enum ctl_option */
	int usage_exit;   /* what wrong usage of it exits with */
	int (*run)(const struct ctl *ctl);
	const char *help;
};

extern const struct verb verbs[];
extern const size_t verb_count;

/* NULL where there is none. */
const struct verb *verbs_find(const char *name);

/* Asks; where no 2xx comes back it is said on stderr, about `subject` (may be NULL),
 * and *ret_exit is how to end. True: *ret is an answer, to be cleared. */
bool verbs_ask(const struct ctl *ctl, const char *subject, const char *method,
    const char *path, const char *body, struct client_reply *ret, int *ret_exit);
/* One line on stderr: "renewctl: SUBJECT: TEXT". */
void verbs_complain(const struct ctl *ctl, const char *subject, const char *text);
/* An error answer as one such line. */
void verbs_complain_problem(
    const struct ctl *ctl, const char *subject, const struct client_reply *reply);
/* The same for a request that got no answer; returns how to end. */
int verbs_complain_error(const struct ctl *ctl, const char *subject, int r);
/* The answer as it came, for --json. */
void verbs_print_json(const struct client_reply *reply);

/* In renew.c. */
int verb_renew(const struct ctl *ctl);
/* Has one renewed where it is due, and waits as `renew --wait` does. */
int renew_wait(const struct ctl *ctl, const char *name);
/* In edit.c. */
int verb_add(const struct ctl *ctl);
int verb_remove(const struct ctl *ctl);
int verb_pause(const struct ctl *ctl);
int verb_resume(const struct ctl *ctl);
int verb_deploy(const struct ctl *ctl);
int verb_rollback(const struct ctl *ctl);
int verb_verify(const struct ctl *ctl);
int verb_reload(const struct ctl *ctl);
/* In revoke.c. */
int verb_revoke(const struct ctl *ctl);
/* In streams.c. */
int verb_events(const struct ctl *ctl);
int verb_history(const struct ctl *ctl);
int verb_bundle(const struct ctl *ctl);
int verb_metrics(const struct ctl *ctl);
int verb_polkit(const struct ctl *ctl);
/* In accounts.c. */
int verb_accounts(const struct ctl *ctl);
int verb_rollover(const struct ctl *ctl);
int verb_deactivate(const struct ctl *ctl);

#endif
