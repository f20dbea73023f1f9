/*
 * inventory.h - what renewd knows: accounts, certificates to manage, orders in flight,
 * issued certificates with their keys, deployments, history.
 *
 * Rows go in and out as structs; text members are owned by them. Facts only: that
 * something is "in progress" is never stored. Writes join the transaction of this turn
 * of the loop (store.h). Times are seconds since 1970, 0: never or not yet. Functions
 * answer -ENOENT where there is no such row, -EIO where SQLite
 * fails.
 */
#ifndef INVENTORY_H
#define INVENTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acme.h"
#include "scope.h"

struct store;

/* A private key in PKCS#8 DER; wiped when freed. */
struct secret {
	unsigned char *data;
	size_t len;
};
void secret_clear(struct secret *s);

/* ---- accounts ---- */

enum account_state { /* stored */
	ACCOUNT_VALID = 0,
	ACCOUNT_ENDING = 1, /* its end is asked for; the CA may not know it yet */
	ACCOUNT_DEACTIVATED = 2,
};
const char *account_state_name(enum account_state state);

struct account {
	int64_t id;
	char *ca;        /* name of the [ca] section */
	char *directory; /* URL */
	struct secret key;
	char *thumbprint;
	char *url; /* NULL until the CA has said it, or after it has forgotten it */
	char *contacts; /* as the CA has them; blanks between; NULL: not known */
	char *terms;    /* URL of the terms agreed to */
	int64_t created_at;
	enum account_state state;
	int64_t ended_at;
	/* Of a key change that is under way, or was when renewd ended: the CA knows
	 * this key or the one above. Empty, NULL: none. */
	struct secret next_key;
	char *next_thumbprint;
};
/* The newest account of this CA at this directory; with a thumbprint, the one of that
 * key, present or next. It may be deactivated. */
int account_find(struct store *s, const char *ca, const char *directory,
    const char *thumbprint, struct account **ret);
int account_get(struct store *s, int64_t id, struct account **ret);
/* One that has, had or is to have this key, whosever it is; -ENOENT. */
int account_of_key(struct store *s, const char *thumbprint, struct account **ret);
int account_insert(struct store *s, struct account *a); /* sets a->id */
int account_registered(struct store *s, int64_t id, const char *url,
    const char *contacts, const char *terms);
/* The CA doesn't know it any more. */
int account_forgotten(struct store *s, int64_t id);
int account_set_contacts(struct store *s, int64_t id, const char *contacts);
int account_set_state(
    struct store *s, int64_t id, enum account_state state, int64_t now);
/* The key that it is to get; NULL, NULL: it gets none. */
int account_set_next(
    struct store *s, int64_t id, const struct secret *key, const char *thumbprint);
/* The CA knows the next key: it is the key now, and the one of before is history. Key
 * authorizations of orders in flight are those of the new key. -ENOENT: there is none.
 */
int account_take_next(struct store *s, int64_t id, int64_t now);
/* All, by CA, the newest first. A negative return ends the walk and is returned. */
int account_walk(
    struct store *s, int (*cb)(const struct account *a, void *arg), void *arg);
struct account *account_free(struct account *a);

/* ---- certificates to manage ---- */

enum certificate_origin { /* stored */
	ORIGIN_CONFIG = 1,
	ORIGIN_API = 2,
	ORIGIN_ORDER = 3,
};
const char *certificate_origin_name(enum certificate_origin origin);

enum renew_reason { /* stored */
	RENEW_NONE = 0,
	RENEW_NEW = 1,
	RENEW_LIFETIME = 2,
	RENEW_ARI = 3,
	RENEW_FORCED = 4,
	RENEW_CHANGED = 5,
	RENEW_REVOKED = 6,
	RENEW_KEY_COMPROMISE = 7,
};
const char *renew_reason_name(enum renew_reason reason);

/* A CA limits new orders; renewals that it has asked for itself are apart. */
enum queue_kind { /* stored */
	QUEUE_NEW = 0,
	QUEUE_ARI = 1,
};
#define QUEUE_KINDS 2

struct certificate {
	int64_t id;
	char *name;
	enum certificate_origin origin;
	char *spec; /* text of the section, see struct certificate_text */
	int64_t created_at;
	int64_t removed_at; /* no longer configured */
	bool paused;        /* by renewctl */
	bool parked;        /* won't try by itself: last_error says why */
	int64_t forced;     /* issued rows up to this id are to be replaced; 0: none */
	int64_t next_at;    /* when the scheduler looks at it next; 0: never */
	int64_t renew_at;   /* planned renewal */
	enum renew_reason renew_reason;
	unsigned failures; /* attempts since the last success */
	int64_t next_attempt;
	char *last_error; /* JSON of the API, or NULL */
	int64_t last_success;
	char *bundled; /* what the live bundle holds: ids of issued rows, or NULL */
	int64_t placeholder_since;
	int64_t failing_since; /* the first of those failures */
	/* Waits for this CA's limits; NULL: doesn't. */
	char *queued_ca;
	enum queue_kind queued_kind;
	int64_t queued_at;
	int64_t queued_end;  /* of the certificate in use; */
	int64_t queued_life; /* 0: it has none yet */
	char *previous;      /* ids of issued rows in the generation before, or NULL */
};
int certificate_get(struct store *s, const char *name, struct certificate **ret);
int certificate_get_id(struct store *s, int64_t id, struct certificate **ret);
struct certificate *certificate_free(struct certificate *c);
/* A new one; next_at is now. -EEXIST. Sets *ret_id (may be NULL). */
int certificate_insert(struct store *s, const char *name,
    enum certificate_origin origin, const char *spec, int64_t now, int64_t *ret_id);
/* New text for one that is there; also takes back a removal; looked at now. */
int certificate_set_spec(struct store *s, int64_t id, enum certificate_origin origin,
    const char *spec, int64_t now);
/* Not wanted any more; looked at now, to find out how long it is kept. */
int certificate_set_removed(struct store *s, int64_t id, int64_t now);
/* With what was issued, ordered and deployed. */
int certificate_delete(struct store *s, int64_t id);
/* Saves everything from paused on. The one setter of these fields. */
int certificate_save(struct store *s, const struct certificate *c);
/* The text of all with this origin, by name (case-insensitive order), for comparing
 * with a configuration. A negative return of the callback ends the walk and is
 * returned. */
int certificate_walk_specs(struct store *s, enum certificate_origin origin,
    int (*cb)(
	int64_t id, const char *name, const char *spec, int64_t removed_at, void *arg),
    void *arg);
/* Ids of those with next_at <= now, most urgent first; returns how many, or negative.
 */
int certificate_due(struct store *s, int64_t now, int64_t *ret_ids, size_t max);
/* How many; removed ones that are looked at for the last time count, too. */
int certificate_count_due(struct store *s, int64_t now, int64_t *ret);
/* All that aren't removed; those whose last attempt failed, parked ones included. */
int certificate_count(struct store *s, int64_t *ret_all, int64_t *ret_failing);
/* The earliest next_at after `after` of one that isn't removed; -ENOENT where none.
 * ret_name (may be NULL) is to be freed. */
int certificate_next(struct store *s, int64_t after, int64_t *ret_at, char **ret_name,
    enum renew_reason *ret_reason);
/* All that aren't removed, by name. */
int certificate_walk(
    struct store *s, int (*cb)(const struct certificate *c, void *arg), void *arg);
/* At most `limit` by name, with those that are removed, beginning after the name
 * `after` (NULL: the first). What stands in other tables of all with names from that of
 * the first to that of the last of them X_between() reads: rows in the order of these
 * names, so that one pass brings all together. */
int certificate_page(struct store *s, const char *after, size_t limit,
    struct certificate **ret, size_t *ret_count);
void certificate_free_all(struct certificate *rows, size_t count);

/* The same by id, in batches that cost no more where there are many: ids above `after`;
 * return how many, or negative. */
struct certificate_pick {
	int64_t id;
	bool issued; /* there is one from a CA; of certificate_unbundled() only */
};
/* Those whose files were never written, or couldn't be. */
int certificate_unbundled(
    struct store *s, int64_t after, struct certificate_pick *ret, size_t max);
/* The others, without those that have had their first placeholder since `before`. */
int certificate_bundled(struct store *s, int64_t after, int64_t before,
    struct certificate_pick *ret, size_t max);

/* When each of those is to be renewed that are from `from` on, and before `to`. A
 * negative result of cb ends the walk, and is returned. */
int certificate_walk_planned(struct store *s, int64_t from, int64_t to,
    int (*cb)(int64_t renew_at, void *arg), void *arg);

/* ---- who waits for the limits of a CA (queue.c) ---- */

struct queue_place {
	int64_t id;
	bool calm; /* more than calm_share of its life is left */
};
/* The most urgent first: by the share of the life that is left, where one that was
 * never issued counts as having a fifth. How many, or negative. */
int queue_read(struct store *s, const char *ca, enum queue_kind kind, int64_t now,
    double calm_share, struct queue_place *ret, size_t max);
int queue_count(struct store *s, const char *ca, int64_t *ret);
int queue_count_kind(
    struct store *s, const char *ca, enum queue_kind kind, int64_t *ret);
/* Of all CAs. */
int queue_count_all(struct store *s, int64_t *ret);
int queue_leave(struct store *s, int64_t certificate);
/* All that wait for this CA are looked at again: there may be another way. */
int queue_dissolve(struct store *s, const char *ca, int64_t now);
/* The CAs that are waited for. A negative return ends the walk and is returned. */
int queue_walk_cas(struct store *s, int (*cb)(const char *ca, void *arg), void *arg);

/* ---- what a CA has said, and what was taken of what it allows (limits.c) ---- */

/* Of one CA, by what it is about. Times are ms since 1970. */
int limit_put(struct store *s, const char *ca, const char *directory, const char *what,
    int64_t until, int64_t said_at);
int limit_get(struct store *s, const char *ca, const char *directory, const char *what,
    int64_t *ret_until, int64_t *ret_said_at);
/* Of those that begin with prefix and aren't over: how many, and when does the first
 * end? */
int limit_count(struct store *s, const char *ca, const char *directory,
    const char *prefix, int64_t now, int64_t *ret_count, int64_t *ret_first);
/* Forgets what is over. */
int limit_prune(struct store *s, int64_t now);

/* ---- issued certificates ---- */

/* When the n-th newest certificate for these names was issued by this CA, for whichever
 * of the managed certificates and whether it is in use or not; those that were issued
 * after `now`, by a clock that was wrong, don't count. 0: there aren't so many. */
int issued_nth(struct store *s, const char *ca, const char *names, int64_t now,
    unsigned n, int64_t *ret);

struct issued {
	int64_t id;
	int64_t certificate;
	enum acme_key_type key_type;
	char *ca; /* section that issued it */
	int64_t account;
	char *names;   /* identifiers wished for, in canonical order, by blanks */
	char *profile; /* as wished for, even if the CA hadn't it; or NULL */
	char *serial;
	char *fingerprint; /* SHA-256, hex */
	char *issuer;
	char *top; /* common name that the chain ends at */
	int64_t not_before;
	int64_t not_after;
	int64_t issued_at;
	int64_t revoked_at;
	int64_t suggested_at; /* point in its CA's window: struct renewal_info */
	char *spki;       /* acme_key_fingerprint() of its key; NULL in rows of old */
	bool compromised; /* read only: its key is never to be used again */
	bool superseded;  /* read only: to be revoked when it is replaced */
	int ocsp_status;  /* read only: enum ocsp_status of struct ocsp_row */
	int64_t ocsp_next_update;
	struct secret key; /* empty where nobody asked for it, or it isn't here */
	char *chain;       /* PEM; NULL likewise */
	char *wish;        /* what else was asked for, due_wish(); NULL: not known */
	char *missing;     /* names that it lacks, as the API shows them; NULL: none */
	bool responder;    /* for issued_insert(): its leaf names one of OCSP */
	bool stale;        /* not stored: one's own file holds another key by now */
};
/* Becomes the current one of its certificate and key type. Sets i->id. */
int issued_insert(struct store *s, struct issued *i);
/* The current ones of a certificate, in no special order: at most 2 rows. */
int issued_current(struct store *s, int64_t certificate, bool with_secrets,
    struct issued **ret, size_t *ret_count);
/* The same without secrets, of many (see certificate_page()). */
int issued_between(struct store *s, const char *first, const char *last,
    struct issued **ret, size_t *ret_count);
/* One, with its secrets. */
int issued_get(struct store *s, int64_t id, struct issued **ret);
/* Of the current ones of this CA, the sums of 1/life in 1/s: of those that live less
 * than `short_life` seconds, and of the others. */
int issued_load(struct store *s, const char *ca, int64_t short_life, double *ret_short,
    double *ret_long);
/* Whose this serial (lower-case hex) is, and is it in use? -ENOENT. */
int issued_find_serial(
    struct store *s, const char *serial, char **ret_name, bool *ret_current);
int issued_set_revoked(struct store *s, int64_t id, int64_t now);
void issued_free_all(struct issued *rows, size_t count);

/* ---- what CAs suggest about current certificates (RFC 9773) ---- */

/* Begins with its issued row, asked about at once, and ends when that isn't the current
 * one any more. */
struct renewal_info {
	int64_t issued;    /* whose it is */
	int64_t start;     /* of the window; 0: none is known */
	int64_t end;       /* of the window */
	int64_t at;        /* picked in it */
	char *explanation; /* URL for people, or NULL */
	int64_t ask_at;    /* 0: not any more */
	int64_t asked_at;
	unsigned failures; /* temporary ones in a row */
	char *problem;     /* why the last answer was of no use, or NULL */

	/* read only: of the certificate */
	int64_t certificate;
	char *name;
	bool unwanted;   /* removed, or this one is revoked */
	char *ca;        /* section that issued it */
	char *directory; /* of the account that it was issued to, or NULL */
	int64_t issued_at;
	int64_t issued_before; /* when the one before it was; 0: there was none */
	int64_t not_before;
	int64_t not_after;
	char *chain; /* PEM */
};
/* Ids of issued rows that are to be asked about, the longest due first; how many, or
 * negative. */
int renewal_info_due(struct store *s, int64_t now, int64_t *ret_ids, size_t max);
/* The earliest ask_at; -ENOENT where none. */
int renewal_info_next(struct store *s, int64_t *ret_at);
int renewal_info_get(struct store *s, int64_t issued, struct renewal_info **ret);
/* Saves everything from start to problem. */
int renewal_info_save(struct store *s, const struct renewal_info *i);
struct renewal_info *renewal_info_free(struct renewal_info *i);

/* ---- orders in flight ---- */

struct order_row {
	int64_t id;
	int64_t certificate;
	enum acme_key_type key_type;
	char *ca;
	int64_t account;
	char *names; /* as in struct issued */
	char *profile;
	char *url;         /* NULL until the CA has said it */
	struct secret key; /* made before the CA hears of the order; empty: elsewhere */
	char *challenges;  /* lines "TOKEN KEY-AUTHORIZATION" that may be asked for */
	enum renew_reason reason;
	int64_t created_at;
	char *wish;    /* as in struct issued */
	char *missing; /* names that this order is without */
};
int order_find(struct store *s, int64_t certificate, enum acme_key_type key_type,
    struct order_row **ret);
int order_insert(struct store *s, struct order_row *o); /* sets o->id */
/* url, challenges, missing */
int order_save(struct store *s, const struct order_row *o);
int order_delete(struct store *s, int64_t id);
int order_walk(
    struct store *s, int (*cb)(const struct order_row *o, void *arg), void *arg);
struct order_row *order_row_free(struct order_row *o);

/* ---- keys made ahead (spare_keys.c) ---- */

/* For the next order of a certificate, whose RSA key it is to be: at most one. It goes
 * when the certificate is wanted differently or no more, and when its key is reported
 * (compromised_add()). */
struct spare_key {
	int64_t certificate;
	enum acme_key_type key_type;
	struct secret key;
	const char *spki; /* not read */
	int64_t made_at;
};
/* -EEXIST: there is one. */
int spare_key_insert(struct store *s, const struct spare_key *k);
/* Whoever uses it drops it in the same turn: no key is used twice. The caller clears
 * ret->key. */
int spare_key_find(struct store *s, int64_t certificate, struct spare_key *ret);
int spare_key_drop(struct store *s, int64_t certificate);
int spare_key_count(struct store *s, int64_t *ret);

/* Those whose renewal is planned after the place (at, id) and until then, in that
 * order. How many, or negative. */
struct renewal_place {
	int64_t at;
	int64_t id;
	bool bare; /* has an RSA certificate, and no spare key */
};
int spare_key_places(struct store *s, const struct renewal_place *after, int64_t until,
    struct renewal_place *ret, size_t max);

/* ---- deployments ---- */

enum deployment_state { /* stored */
	DEPLOYMENT_PENDING = 1,
	DEPLOYMENT_DEPLOYED = 2,
	DEPLOYMENT_SERVED = 3,
	DEPLOYMENT_FAILED = 4,
};
const char *deployment_state_name(enum deployment_state state);

struct deployment {
	int64_t certificate;
	char *target;
	enum deployment_state state;
	int64_t at;    /* of the state */
	char *detail;  /* for people, "" where nothing is to say */
	char *bundled; /* what was deployed, as in struct certificate */
	unsigned failures;
	int64_t next_attempt; /* or when to look at it again */
	int64_t deployed_at;  /* the target has taken the last one; 0: never */
	int64_t verified_at;  /* it was seen served last; 0: never */
	int64_t hurry_at;     /* from then on its hours don't count */
};
int deployment_save(
    struct store *s, const struct deployment *d); /* insert or replace */
int deployment_list(
    struct store *s, int64_t certificate, struct deployment **ret, size_t *ret_count);
/* Has this target taken anything, of any certificate, from then until now? */
bool deployment_any_since(
    struct store *s, const char *target, int64_t since, int64_t now);
int deployment_between(struct store *s, const char *first, const char *last,
    struct deployment **ret, size_t *ret_count);
int deployment_delete(struct store *s, int64_t certificate, const char *target);
void deployment_free_all(struct deployment *rows, size_t count);

/* ---- certificates that went back to the generation before ---- */

/* Holds as long as the current rows are those that it went back from. */
struct rollback {
	int64_t certificate;
	char *to;   /* ids of issued rows that the files hold; "": that didn't help */
	char *from; /* ids that they would hold */
	int64_t at;
	char *target; /* what the new ones broke; NULL: somebody asked for it */
	char *detail;
	int64_t seen_at; /* that target was seen to serve them since; 0: not yet */
};
int rollback_get(struct store *s, int64_t certificate, struct rollback **ret);
int rollback_between(struct store *s, const char *first, const char *last,
    struct rollback **ret, size_t *ret_count);
int rollback_save(struct store *s, const struct rollback *r); /* insert or replace */
int rollback_delete(struct store *s, int64_t certificate);
struct rollback *rollback_free(struct rollback *r);
void rollback_free_all(struct rollback *rows, size_t count);

/* ---- clocks that were wrong ---- */

/* What was written by a clock that was ahead, and says "later", means now: who has to
 * be looked at, asked about, told. */
int inventory_heed_clock(struct store *s, int64_t now);

/* ---- history ---- */

struct history_event {
	int64_t id;
	int64_t at;
	const char *kind;        /* "issued" "failed" "deployed" ... */
	const char *certificate; /* name, or NULL */
	const char *ca;
	const char *target;
	const char *detail;
	const char *problem; /* ACME error type */
};
int history_add(struct store *s, const struct history_event *e);
/* Events after id `after`, oldest first; certificate NULL: of all. */
int history_walk(struct store *s, const char *certificate, int64_t after, size_t limit,
    int (*cb)(const struct history_event *e, void *arg), void *arg);
/* The id of the newest event; 0: none. */
int history_last(struct store *s, int64_t *ret);
/* All about this certificate goes. */
int history_forget(struct store *s, const char *certificate);

DEFINE_CLEANUP(struct account, account_free)
DEFINE_CLEANUP(struct certificate, certificate_free)
DEFINE_CLEANUP(struct order_row, order_row_free)
DEFINE_CLEANUP(struct renewal_info, renewal_info_free)
DEFINE_CLEANUP(struct rollback, rollback_free)

#endif
