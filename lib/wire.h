/*
 * wire.h - inside libacme: the JSON objects of RFC 8555, read from and written to text.
 *
 * One file for each object (wire_*.c). Reading takes what it needs, checks it, and
 * passes over unknown fields, challenge and identifier types. A URL is accepted only
 * when it is https:// and of a sane length.
 */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acme.h"
#include "scope.h"

struct json;

#define WIRE_NAMES_MAX 100
#define WIRE_URL_MAX   2048

/* An https:// URL of printable ASCII, not longer than WIRE_URL_MAX. */
bool wire_url_ok(const char *url);
/* Have these two, both good, the same host? Ports may differ. */
bool wire_url_same_host(const char *a, const char *b);
/* *field becomes a copy of the member, NULL where it isn't there; -EBADMSG where it is
 * there and no such URL. */
int wire_url(const struct json *object, const char *name, char **field);

/* ---- directory (RFC 8555 section 7.1.1) ---- */

struct wire_directory {
	char *new_nonce;
	char *new_account;
	char *new_order;
	char *revoke_cert; /* this and the next two: NULL where the CA has none */
	char *key_change;
	char *renewal_info; /* RFC 9773 */
	char *terms;
	char *account_hash_prefix; /* draft-ietf-acme-dns-persist section 4.1 */
	bool eab_required;
	char **profiles; /* names */
	size_t profile_count;
};
int wire_directory_read(const char *text, size_t len, struct wire_directory **ret);
struct wire_directory *wire_directory_free(struct wire_directory *d);

/* ---- account (section 7.1.2, 7.3) ---- */

/* contacts: URLs separated by blanks, or NULL. eab: JWS text or NULL. */
int wire_account_write(
    const char *contacts, bool accept_terms, const char *eab, char **ret);
/* What is inside a keyChange (section 7.3.5). old_jwk: JSON. */
int wire_key_change_write(const char *account_url, const char *old_jwk, char **ret);

/* ---- order (section 7.1.3) ---- */

enum wire_status {
	WIRE_UNKNOWN, /* or none */
	WIRE_PENDING,
	WIRE_READY,
	WIRE_PROCESSING,
	WIRE_VALID,
	WIRE_INVALID,
	WIRE_DEACTIVATED,
	WIRE_EXPIRED,
	WIRE_REVOKED,
};
enum wire_status wire_status_read(const struct json *object);

struct wire_order {
	enum wire_status status;
	char **authorizations; /* URLs */
	size_t authorization_count;
	char *finalize;
	char *certificate; /* NULL until valid */
	struct acme_result *error;
	int64_t expires; /* seconds since 1970; 0: not said */
};
/* What newOrder is told; NULL or 0: nothing is said of it. */
struct wire_new_order {
	const struct acme_identifier *identifiers;
	size_t identifier_count;
	const char *profile;
	const char *replaces; /* RFC 9773 section 5 */
	int64_t not_before;   /* wishes, seconds since 1970 */
	int64_t not_after;
};
int wire_order_write(const struct wire_new_order *o, char **ret);
int wire_finalize_write(const void *csr, size_t csr_len, char **ret);
int wire_order_read(const char *text, size_t len, struct wire_order **ret);
struct wire_order *wire_order_free(struct wire_order *o);

/* ---- authorization and challenge (section 7.1.4, 7.1.5, 8) ---- */

struct wire_challenge {
	char *type;
	char *url;
	char *token;    /* NULL where there are issuers */
	char **issuers; /* names of the CA: dns-persist-01 */
	size_t issuer_count;
	enum wire_status status;
	struct acme_result *error;
};
struct wire_authz {
	enum wire_status status;
	struct acme_identifier identifier; /* type 0: of an unknown type */
	bool wildcard;
	char *expires; /* RFC 3339 by its looks; NULL: it didn't say */
	struct wire_challenge
	    *challenges; /* those with a type, a URL, and a good token or issuers */
	size_t challenge_count;
	bool bad_tokens; /* there were others, with tokens that aren't any */
};
int wire_authz_read(const char *text, size_t len, struct wire_authz **ret);
struct wire_authz *wire_authz_free(struct wire_authz *a);
/* The reply to a challenge request: its status and error only. */
int wire_challenge_read(const char *text, size_t len, enum wire_status *ret_status,
    struct acme_result **ret);

/* ---- problem document (RFC 9457, RFC 8555 section 6.7) ---- */

/* What a reply that isn't the wanted one means: its problem document, or its HTTP
 * status, or that there was none. NULL only without memory. */
struct acme_result *wire_problem_read(
    const struct acme_reply *reply, const char *stage);
/* An error object inside another object; NULL where there is none. */
struct acme_result *wire_problem_from(const struct json *object, const char *stage);

DEFINE_CLEANUP(struct wire_directory, wire_directory_free)
DEFINE_CLEANUP(struct wire_order, wire_order_free)
DEFINE_CLEANUP(struct wire_authz, wire_authz_free)

#endif
