/*
 * ca.h - one certificate authority as configured: its account, its directory, and the
 * requests on their way to it.
 *
 * Used by order.c. Accounts are found in the inventory, or made and registered when the
 * first order needs one; the key is on disk before the CA hears of it.
 */
#ifndef CA_H
#define CA_H

#include "acme.h"
#include "renew/renewal.h"
#include "scope.h"

struct ca;
struct ca_config;
struct ca_limits;
struct ca_request;

/* config is copied as far as needed. means is lent. */
int ca_new(
    const struct renewal_means *means, const struct ca_config *config, struct ca **ret);
/* The same, but it never has an account: for requests with a key of their own. */
int ca_new_without_account(
    const struct renewal_means *means, const struct ca_config *config, struct ca **ret);
/* The same CA with this account of the inventory only, which isn't the CA's own. */
int ca_new_for(const struct renewal_means *means, const struct ca_config *config,
    int64_t account, struct ca **ret);
/* A CA lives as long as somebody holds it: the configuration, or an order in flight. */
struct ca *ca_ref(struct ca *ca);
struct ca *ca_unref(struct ca *ca);
/* Goes on by this configuration. False: it means another account, or another CA. */
bool ca_take(struct ca *ca, const struct ca_config *config);
/* Is there something to tell the CA of its account, as after a change of the
 * configuration or a crash? It is done soon. */
void ca_look(struct ca *ca);

/* failure NULL: directory and account are there. Called once, from the loop or from
 * here. */
typedef void ca_ready_cb(const struct acme_result *failure, void *arg);
void ca_when_ready(struct ca *ca, ca_ready_cb *cb, void *arg);
/* The same for what isn't signed: no account is made for it where there is none, and it
 * may be asked for while the CA is stopped. */
void ca_when_directory(struct ca *ca, ca_ready_cb *cb, void *arg);
/* The callbacks with this arg are forgotten. */
void ca_forget(struct ca *ca, void *arg);

/* An order that is in flight, from when the CA was ready until it is over: the account
 * stays as it is meanwhile. */
void ca_enter(struct ca *ca);
void ca_leave(struct ca *ca);

/* Why nothing is asked of this CA until somebody has done something, or NULL: terms
 * that aren't agreed to, an account that is refused. */
const struct acme_result *ca_stopped(const struct ca *ca);
/* Somebody has, perhaps. */
void ca_go_on(struct ca *ca);
/* Has it stopped since this was asked last? Then certificates may be parked for it. */
bool ca_was_stopped(struct ca *ca);

/* What follows is for after it was ready. */
const char *ca_name(const struct ca *ca);
const char *ca_directory(const struct ca *ca);
int64_t ca_account(const struct ca *ca); /* id in the inventory; 0: not known yet */
bool ca_has_key_file(const struct ca *ca);
const struct acme_key *ca_account_key(const struct ca *ca);
const struct acme_session *ca_session(const struct ca *ca);
bool ca_has_profile(const struct ca *ca, const char *profile);
/* As acme_session_renewal_info_url(). */
int ca_renewal_info_url(const struct ca *ca, const char *renewal_id, char **ret);

/* Sends a request, signed. The reply is lent for the call; it may have status 0. */
typedef void ca_reply_cb(const struct acme_reply *reply, void *arg);
int ca_send(struct ca *ca, const struct acme_request *request, ca_reply_cb *cb,
    void *arg, struct ca_request **ret);
/* cb isn't called any more. NULL is fine. */
struct ca_request *ca_cancel(struct ca_request *q);

/* Is it written in the configuration, or has it been asked for something? The others
 * are only known by name. */
bool ca_in_use(const struct ca *ca);
/* What it allows and has forbidden; of its name and directory, whatever the account. */
struct ca_limits *ca_limits(const struct ca *ca);
/* Is what became due then, by the clock here, not due yet by the CA's? Only where they
 * differ by a day or more. */
bool ca_denies(const struct ca *ca, int64_t due_at);
/* Why it wasn't to be had last, or NULL. Lent. */
const struct acme_result *ca_last_failure(const struct ca *ca);
/* As it stands, for status. */
struct ca_status ca_status(const struct ca *ca);
/* The last thing that an order came to at this CA, for its status; NULL: it went well.
 */
void ca_note(struct ca *ca, const struct acme_result *failure);

DEFINE_CLEANUP(struct ca, ca_unref)

#endif
