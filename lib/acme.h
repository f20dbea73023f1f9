/*
 * acme.h - libacme: the client's side of ACME (RFC 8555) without any I/O.
 *
 * The library says what to send to a certificate authority and what to publish for it,
 * and is fed what comes back. It opens no socket or file, reads no clock, and never
 * logs; sending, storing and waiting are the caller's. It has no global state: any
 * number of sessions may live in any threads, each object in one thread at a time; a
 * key never changes once it is made, and may be used by several at once.
 *
 * A certificate takes a session (one account at one CA), then a flow (one order) on it.
 * Both say what to ask next (a request), an exchange turns that into HTTP messages
 * (nonces, signatures, repetitions), and its answer goes back to who asked:
 *
 *	acme_session_next() -> acme_exchange_new(), acme_exchange_next(), send it,
 *	acme_exchange_reply() ... until finished -> acme_session_reply(), and so on
 *until ACME_FINISHED; then the same with acme_flow_next() and acme_flow_reply().
 *
 * Conventions:
 * - Functions return 0 or a negative errno: -ENOMEM, or what is said beside them.
 *   Outputs are named ret_x and set only on success, but ret_why, which is set where
 *   something was refused.
 * - What is returned through `char **` or `unsigned char **` is the caller's, to be
 *   freed with free(). `const` pointers are lent; how long is said beside them.
 *   x_free(NULL) does nothing, and x_free() returns NULL.
 * - Text is NUL-terminated UTF-8. Pointers aren't NULL unless it says so.
 * - Points in time are seconds since 1970, but the `now` of a flow: milliseconds of any
 *   clock that never goes back.
 * - What a CA sends is data: checked, bounded, and refused with a result, never
 *trusted. Wrong calls are bugs, and not all of them are caught.
 */
#ifndef ACME_H
#define ACME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Keys ---------------------------------------------------------------------- */

/* Of accounts and of certificates: RSA and ECDSA as RFC 7518 section 3.1 has them for
 * signatures. The values may be stored. */
enum acme_key_type {
	ACME_KEY_NONE = 0,
	ACME_KEY_ECDSA_P256 = 1,
	ACME_KEY_ECDSA_P384 = 2,
	ACME_KEY_RSA_2048 = 3,
	ACME_KEY_RSA_3072 = 4,
	ACME_KEY_RSA_4096 = 5,
};

/* "ecdsa-p256" and so on; "none" for ACME_KEY_NONE. Never NULL. */
const char *acme_key_type_name(enum acme_key_type type);
/* The other way; ACME_KEY_NONE where the name is unknown. */
enum acme_key_type acme_key_type_parse(const char *name);
/* False for ACME_KEY_NONE, too. */
bool acme_key_type_is_rsa(enum acme_key_type type);

struct acme_key; /* a private key with its public half */

/* A new key. RSA takes long (0.4 s for 2048 bits, 2 s and more for 4096): call it where
 * waiting hurts nobody. -ENOMEM, -EINVAL for ACME_KEY_NONE, -EIO where OpenSSL fails.
 */
int acme_key_generate(enum acme_key_type type, struct acme_key **ret);
/* A private key from PEM (PKCS#8 or the older forms, not encrypted) or PKCS#8 DER.
 * -EBADMSG where it can't be read, -EPROTONOSUPPORT for a kind or size other than those
 * of enum acme_key_type. */
int acme_key_from_pem(const char *pem, size_t len, struct acme_key **ret);
int acme_key_from_der(const void *der, size_t len, struct acme_key **ret);
/* PKCS#8 (RFC 5958). What is returned is secret: wipe it with acme_wipe_free() when
 * done. -EIO where OpenSSL fails. */
int acme_key_to_pem(const struct acme_key *key, char **ret_pem);
int acme_key_to_der(
    const struct acme_key *key, unsigned char **ret_der, size_t *ret_len);
/* RSA of another size from 2048 to 4096 bits counts as the next smaller type. */
enum acme_key_type acme_key_get_type(const struct acme_key *key);
/* RFC 7638 thumbprint with SHA-256, base64url: 43 characters and a NUL. -EIO. */
#define ACME_THUMBPRINT_SIZE 44
int acme_key_thumbprint(const struct acme_key *key, char ret[ACME_THUMBPRINT_SIZE]);
/* What makes this key unfit for a certificate: a public exponent that is even or 1, an
 * even modulus, primes as broken generators make them (ROCA, CVE-2017-15361). A
 * constant sentence, or NULL: nothing that is known. */
const char *acme_key_weakness(const struct acme_key *key);
/* Is it the same key? Public halves are compared. */
bool acme_key_equal(const struct acme_key *a, const struct acme_key *b);
/* SHA-256 of the public half as SubjectPublicKeyInfo (RFC 5280 section 4.1): the same
 * for all certificates of a key. 64 characters of lower-case hex and a NUL. */
#define ACME_FINGERPRINT_SIZE 65
int acme_key_fingerprint(const struct acme_key *key, char ret[ACME_FINGERPRINT_SIZE]);
/* Sessions and flows keep references of their own. */
struct acme_key *acme_key_free(struct acme_key *key);
/* Overwrites and frees what held a key; NULL is fine. */
void acme_wipe_free(void *secret, size_t len);

/* ---- Identifiers --------------------------------------------------------------- */

enum acme_identifier_type {
	ACME_IDENTIFIER_DNS = 1, /* RFC 8555 section 9.7.7 */
	ACME_IDENTIFIER_IP = 2,  /* RFC 8738 */
};

struct acme_identifier {
	enum acme_identifier_type type;
	char value[256]; /* lower-case A-labels without a last dot, "*." allowed; or the
			    canonical text of an IPv4 or IPv6 address (RFC 5952) */
};

/* Reads a name or address as a user writes it. -EINVAL where it is neither; *ret_why
 * (may be NULL as a pointer) is then a constant sentence saying what is wrong with it.
 */
int acme_identifier_parse(
    const char *text, struct acme_identifier *ret, const char **ret_why);
/* The same type, and the same value in either case (RFC 4343). */
bool acme_identifier_equal(
    const struct acme_identifier *a, const struct acme_identifier *b);

/* ---- Certificate requests and chains ------------------------------------------- */

/* A PKCS#10 request in DER, without a subject, with all identifiers as subject
 * alternative names (RFC 8555 section 7.4); must_staple asks for the TLS feature
 * extension (RFC 7633). -EINVAL for none or for an address that isn't one, -EIO. */
int acme_csr_new(const struct acme_key *key, const struct acme_identifier *identifiers,
    size_t count, bool must_staple, unsigned char **ret_der, size_t *ret_len);

struct acme_csr; /* somebody else's request: its key isn't here */

/* Reads a PKCS#10 request, PEM or DER, and checks its signature. -EBADMSG where it
 * can't be read or has names that no CA certifies; -EKEYREJECTED where its key is of an
 * unsupported kind or weak. *ret_why (may be NULL as a pointer) is a constant sentence.
 */
int acme_csr_read(
    const void *data, size_t len, struct acme_csr **ret, const char **ret_why);
/* Its public key alone: good for acme_plan and acme_chain_check(), signs nothing. */
const struct acme_key *acme_csr_key(const struct acme_csr *csr);
/* Its subject alternative names, and its common name where that is another one. */
const struct acme_identifier *acme_csr_identifiers(
    const struct acme_csr *csr, size_t *ret_count);
const unsigned char *acme_csr_der(const struct acme_csr *csr, size_t *ret_len);
struct acme_csr *acme_csr_free(struct acme_csr *csr);

struct acme_chain; /* a certificate and those that lead to its root */

/* What a leaf says of itself. Lives as long as its chain. */
struct acme_leaf {
	const char *serial;             /* lower-case hex */
	const char *fingerprint_sha256; /* lower-case hex, no colons */
	const char *issuer;             /* distinguished name, RFC 2253 style */
	const char *top;    /* common name of the last one's issuer, or "" */
	int64_t not_before; /* seconds since 1970 */
	int64_t not_after;
	enum acme_key_type key_type; /* ACME_KEY_NONE for a kind that isn't ours */
	const char *responder; /* URL of its OCSP responder (RFC 5280 section 4.2.2.1):
				  the first that is asked by HTTP; NULL: none */
};

/* Reads a PEM chain, leaf first. A CA's answer is not trusted: anything but CERTIFICATE
 * blocks and blanks between them (RFC 8555 section 9.1), more than 16 certificates or
 * over 1 MiB is -EBADMSG, and *ret_why a constant sentence. */
int acme_chain_parse(
    const char *pem, size_t len, struct acme_chain **ret, const char **ret_why);
/* Is it what was ordered: the leaf has this key, exactly these names, and each
 * certificate is signed by the next? -EKEYREJECTED and *ret_why where not. */
int acme_chain_check(const struct acme_chain *chain, const struct acme_key *key,
    const struct acme_identifier *identifiers, size_t count, const char **ret_why);
/* Never NULL; lives as long as the chain. */
const struct acme_leaf *acme_chain_leaf(const struct acme_chain *chain);
/* How many certificates, the leaf included. */
size_t acme_chain_count(const struct acme_chain *chain);
/* Is one of its certificates, the root that it leads to included, issued by somebody of
 * this common name? */
bool acme_chain_has_issuer(const struct acme_chain *chain, const char *common_name);
/* The i-th certificate, or all from the i-th on, as normal PEM (64 columns, LF; RFC
 * 7468). -EINVAL where there aren't as many. */
int acme_chain_pem(const struct acme_chain *chain, size_t i, char **ret_pem);
int acme_chain_pem_from(const struct acme_chain *chain, size_t first, char **ret_pem);
struct acme_chain *acme_chain_free(struct acme_chain *chain);

/* A self-signed certificate for these names, so that a server can start before the
 * first real one is there. Valid from not_before, seconds since 1970, for lifetime
 * seconds. -EINVAL for no names, or times that can't be, -EIO. */
int acme_placeholder_new(const struct acme_key *key,
    const struct acme_identifier *identifiers, size_t count, int64_t not_before,
    int64_t lifetime, char **ret_pem);

/* ---- Outcomes ------------------------------------------------------------------ */

enum acme_class {
	ACME_RETRY = 1,   /* may go away by itself: try again with growing delays */
	ACME_LATER = 2,   /* the CA said when: not before not_before */
	ACME_GIVE_UP = 3, /* won't change until somebody changes something */
};

/* "retry", "later", "give-up". */
const char *acme_class_name(enum acme_class kind);

struct acme_subproblem {
	char *type;
	char *detail;
	char *identifier; /* "" where the CA named none */
};

/* What a limit is about, as far as the CA's words tell. */
enum acme_scope {
	ACME_SCOPE_UNKNOWN = 0,    /* take it for the account's new orders */
	ACME_SCOPE_IDENTIFIER = 1, /* scope_name, and those of subproblems */
	ACME_SCOPE_DOMAIN = 2,     /* scope_name and all names under it */
	ACME_SCOPE_NAMES = 3,      /* exactly this set of identifiers */
};

/* Why something failed: a problem document (RFC 9457, RFC 8555 section 6.7), or what
 * the library has to say itself. One object from which log line, API, history and the
 * next attempt follow. */
struct acme_result {
#ifdef __cplusplus
	enum acme_class class_; /* "class" is a word of C++ */
#else
	enum acme_class class;
#endif
	const char *stage; /* constant: "directory" "account" "order" "authorize" ... */
	char *type;   /* urn:ietf:params:acme:error:..., or NULL: not the CA's words */
	char *detail; /* for people, one line; never NULL */
	char *instance;     /* URL for people where the CA gave one, or NULL */
	int64_t not_before; /* seconds since 1970, 0: the CA said nothing */
	int status;         /* HTTP status, 0 where there was no answer */
	struct acme_subproblem *subproblems;
	size_t subproblem_count;
	/* Of ACME_LATER: what the CA limits. not_before also has the time that stands
	 * in the detail ("retry after 2006-01-02 15:04:05 UTC"). */
	enum acme_scope scope;
	char *scope_name; /* of ACME_SCOPE_IDENTIFIER and ACME_SCOPE_DOMAIN */
};

/* For callers who have failures of their own to report. stage must be a constant; the
 * text becomes one line of at most 1000 bytes. NULL only without memory. */
struct acme_result *acme_result_new(enum acme_class kind, const char *stage,
    const char *format, ...) __attribute__((format(printf, 3, 4)));
/* NULL for NULL, and without memory. */
struct acme_result *acme_result_copy(const struct acme_result *result);
struct acme_result *acme_result_free(struct acme_result *result);
/* Is it this ACME error ("badNonce", without the urn; RFC 8555 section 6.7)? False for
 * NULL. */
bool acme_result_is(const struct acme_result *result, const char *error);

/* ---- Messages ------------------------------------------------------------------ */

/* One HTTP request to be sent as it is, with a User-Agent (RFC 8555 section 6.1), over
 * HTTPS with the CA's certificate verified; redirects aren't followed. Lives until the
 * next call on what gave it. */
struct acme_message {
	const char *method; /* GET, HEAD, POST */
	const char *url;
	const char *content_type; /* NULL without a body */
	const char *accept;       /* NULL: any */
	const char *body;         /* NULL without a body */
	size_t body_len;
};

/* What came back. The caller lends it for the length of a call. status 0: no answer
 * came (not connected, broken off, too late, too large), and error says why. Fields
 * that the answer didn't have are NULL. */
struct acme_reply {
	int status;
	const char *error;
	const char *content_type;
	const char *location; /* fields, as they came */
	const char *replay_nonce;
	const char *retry_after;
	const char *link_terms; /* target of the Link with rel="terms-of-service" */
	const char
	    *link_alternates; /* targets of those with rel="alternate", by blanks */
	const char *date;
	const char *body;
	size_t body_len;
	int64_t received_at; /* seconds since 1970, the caller's clock */
};

/* When the CA wants to be asked again, in seconds since 1970: Retry-After as seconds or
 * as an HTTP date (taken against the reply's own Date where it has one, so that a wrong
 * clock here doesn't matter). 0 where it didn't say, or nonsense. (RFC 9110, 10.2.3) */
int64_t acme_retry_at(const struct acme_reply *reply);

/* What the CA's clock says, in seconds since 1970; 0 where the reply has no Date. One
 * that comes from a cache may be hours old. */
int64_t acme_reply_date(const struct acme_reply *reply);

/* What a request is for; also the name under which it is counted. */
enum acme_action {
	ACME_ACTION_DIRECTORY = 1,
	ACME_ACTION_NONCE = 2,
	ACME_ACTION_ACCOUNT = 3,
	ACME_ACTION_NEW_ORDER = 4,
	ACME_ACTION_ORDER = 5,
	ACME_ACTION_AUTHORIZATION = 6,
	ACME_ACTION_CHALLENGE = 7,
	ACME_ACTION_FINALIZE = 8,
	ACME_ACTION_CERTIFICATE = 9,
	ACME_ACTION_UPDATE_ACCOUNT = 10, /* contacts, deactivation */
	ACME_ACTION_KEY_CHANGE = 11,
	ACME_ACTION_REVOKE = 12,
	ACME_ACTION_DEACTIVATE = 13,   /* of an authorization */
	ACME_ACTION_RENEWAL_INFO = 14, /* RFC 9773, unsigned */
};

/* "newOrder" and so on. */
const char *acme_action_name(enum acme_action action);

/* One thing to ask of the CA, before it is signed. Lives until the next call on what
 * gave it. */
struct acme_request {
	enum acme_action action;
	const char *url; /* NULL where the session knows it: from the directory, or the
			    account's own */
	const char *payload;        /* NULL for POST-as-GET (RFC 8555 section 6.3) */
	const struct acme_key *key; /* signs instead of the account's key, itself in the
				       header as "jwk" (RFC 8555 section 7.6) */
};

/* What an answer that isn't the wanted one means: its problem document, or its HTTP
 * status, or that none came. stage is a constant, as in struct acme_result. NULL only
 * without memory. */
struct acme_result *acme_reply_result(
    const struct acme_reply *reply, const char *stage);

/* ---- Revocation ----------------------------------------------------------------- */

/* Why a certificate is revoked, as its subscriber may say it (RFC 5280 section 5.3.1).
 * CAs accept no other reasons. */
enum acme_reason {
	ACME_REASON_UNSPECIFIED = 0,
	ACME_REASON_KEY_COMPROMISE = 1,
	ACME_REASON_SUPERSEDED = 4,
	ACME_REASON_CESSATION_OF_OPERATION = 5,
};

/* RFC 5280's names: "keyCompromise" and so on. Never NULL. */
const char *acme_reason_name(enum acme_reason reason);
/* The other way, without regard to case; -EINVAL where there is no such reason. */
int acme_reason_parse(const char *name, enum acme_reason *ret);

/* The payload of an ACME_ACTION_REVOKE for the chain's leaf (RFC 8555 section 7.6). The
 * account's key signs it; or with the certificate's own as the key of the request,
 * whoever has that one may revoke, account or not (see struct acme_account, none). To
 * be freed with free(). -ENOMEM, -EINVAL for a reason of another kind. */
int acme_revocation_payload(
    const struct acme_chain *chain, enum acme_reason reason, char **ret_payload);
/* Is it revoked now? Also where it had been before ("alreadyRevoked"). */
bool acme_reply_is_revoked(const struct acme_reply *reply);

/* The payload of an ACME_ACTION_DEACTIVATE, sent to the URL of an authorization (RFC
 * 8555 section 7.5.2). For valid ones only: some CAs count a pending one that is
 * deactivated as a failed validation. */
#define ACME_DEACTIVATION "{\"status\":\"deactivated\"}"

enum acme_next {
	ACME_SEND = 1,     /* send what was returned, then report the reply */
	ACME_WAIT = 2,     /* nothing to do before the time that the object tells */
	ACME_FINISHED = 3, /* done, well or not */
};

/* ---- Session: one account at one CA -------------------------------------------- */

/* Lives for as long as a program has to do with the CA, and pools its nonces. */
struct acme_session;

/* How an external account binding is signed (RFC 7518 section 3.2). */
enum acme_hmac {
	ACME_HS256 = 0,
	ACME_HS384 = 1,
	ACME_HS512 = 2,
};

/* Who orders (RFC 8555 section 7.1.2). An account that isn't known to the CA is made;
 * one that is, is found by its key (section 7.3.1). */
struct acme_account {
	const char *url;      /* where known from earlier, else NULL */
	const char *contacts; /* "mailto:..." URLs separated by blanks, or NULL */
	bool accept_terms;    /* the user has agreed to the CA's terms of service */
	const char *eab_kid;  /* external account binding (RFC 8555 7.3.4), or NULL */
	const void *eab_key;  /* the HMAC key, decoded */
	size_t eab_key_len;
	enum acme_hmac eab_alg;
	bool none; /* there is no account, nor will there be: the session knows the
		      directory, and serves for requests that are unsigned or have a key
		      of their own. Its key may be NULL, all of the above is unused. */
};

/* Everything is copied; of key a reference is kept. -EINVAL unless directory_url is an
 * https:// URL. */
int acme_session_new(const char *directory_url, const struct acme_key *key,
    const struct acme_account *account, struct acme_session **ret);
/* After all its exchanges. */
struct acme_session *acme_session_free(struct acme_session *s);

/* From now on the account is this one, with this key (NULL: the same as before): after
 * another key was given to it, or where the CA has forgotten it (url NULL: it is
 * registered again). What is under way is signed so the next time. Everything is
 * copied; -ENOMEM: nothing has changed. */
int acme_session_set_account(struct acme_session *s, const struct acme_key *key,
    const struct acme_account *account);

/* What the session needs before others can use it: the directory, then the account.
 * ACME_SEND with a request to be made through an exchange, whose last reply goes to
 * acme_session_reply(); or ACME_FINISHED: ready, or failed with acme_session_result().
 * (RFC 8555 sections 7.1.1 and 7.3) */
enum acme_next acme_session_next(struct acme_session *s, struct acme_request *ret);
void acme_session_reply(struct acme_session *s, const struct acme_reply *reply);
/* May flows be run on it? */
bool acme_session_ready(const struct acme_session *s);
/* Why it isn't ready, or NULL. acme_session_again() forgets the failure, and has the
 * directory fetched anew. */
const struct acme_result *acme_session_result(const struct acme_session *s);
void acme_session_again(struct acme_session *s);
/* NULL until known. Store it when it has become known. */
const char *acme_session_account_url(const struct acme_session *s);
/* The CA's terms of service as its directory has them (RFC 8555 section 7.1.1), or
 * NULL: none, or no directory yet. For people: it needn't be https://. */
const char *acme_session_terms_url(const struct acme_session *s);
/* The contacts that the CA has, as far as its answer to the registration told,
 * separated by blanks; NULL: it did not, or there was none. */
const char *acme_session_contacts(const struct acme_session *s);
/* What dns-persist-01 needs of the directory, or NULL: see
 * acme_dns_persist01_account(). */
const char *acme_session_account_hash_prefix(const struct acme_session *s);
/* Does the directory advertise this profile (draft-ietf-acme-profiles)? */
bool acme_session_has_profile(const struct acme_session *s, const char *profile);

/* ---- Account: what is told to the CA of it beside orders ------------------------- */

/* Payloads. To be freed; -ENOMEM, or as said.
 *
 * For ACME_ACTION_UPDATE_ACCOUNT: the contacts, separated by blanks (NULL or "": none
 * any more; RFC 8555 section 7.3.2), or the end of the account (7.3.6). An update
 * without a payload (NULL) reads the account. */
int acme_account_contacts(const char *contacts, char **ret_payload);
int acme_account_deactivate(char **ret_payload);
/* For ACME_ACTION_ACCOUNT: is there one of this key? The request's own key signs. An
 * account that isn't there is answered with accountDoesNotExist (7.3.1). */
int acme_account_lookup(char **ret_payload);
/* For ACME_ACTION_KEY_CHANGE (7.3.5): new_key instead of the session's; the account
 * must be registered. -EOPNOTSUPP: the directory, which must be known, has no
 * keyChange. */
int acme_key_change(
    const struct acme_session *s, const struct acme_key *new_key, char **ret_payload);

enum acme_account_status {
	ACME_ACCOUNT_UNKNOWN = 0, /* it didn't say, or something else */
	ACME_ACCOUNT_VALID = 1,
	ACME_ACCOUNT_DEACTIVATED = 2, /* by its owner */
	ACME_ACCOUNT_REVOKED = 3,     /* by the CA */
};

/* What an answer of 200 or 201 says of an account (7.1.2). */
struct acme_account_info {
	enum acme_account_status status;
	char *contacts; /* separated by blanks; NULL: it didn't say */
};
/* -EBADMSG: no account can be read from it. To be cleared also then. */
int acme_account_read(const struct acme_reply *reply, struct acme_account_info *ret);
void acme_account_info_clear(struct acme_account_info *info);

/* ---- Renewal information (ARI, RFC 9773) ----------------------------------------- */

/* By which name its CA knows the leaf in renewalInfo and as acme_plan.replaces: the key
 * identifier of its issuer and its serial (section 4.1). The caller frees. -ENOENT
 * where the leaf names no issuer's key. */
int acme_chain_renewal_id(const struct acme_chain *chain, char **ret);
/* Where to ask about the certificate with this id, as the url of a request with
 * ACME_ACTION_RENEWAL_INFO; it is sent unsigned, by GET. The caller frees. -ENOTSUP
 * where the CA has no renewal information, or its directory isn't known yet. */
int acme_session_renewal_info_url(
    const struct acme_session *s, const char *renewal_id, char **ret);

struct acme_renewal_info {
	int64_t start; /* of the window that the CA suggests, seconds since 1970 */
	int64_t end;   /* always after start */
	char *explanation_url; /* for people, http or https; NULL where there is none */
};

/* Reads the answer (section 4.2). -EBADMSG where it isn't a renewalInfo object, or its
 * window is none: ends as it begins or before, or began before 1970. When to ask again
 * is acme_retry_at() of the reply: here the time to come back, not only the earliest
 * (section 4.3). */
int acme_renewal_info_parse(
    const char *text, size_t len, struct acme_renewal_info **ret);
struct acme_renewal_info *acme_renewal_info_free(struct acme_renewal_info *info);

/* ---- Exchange: one signed request and its answer -------------------------------- */

/* Fetches a nonce where none is at hand, signs, and repeats with the nonce of the error
 * reply where the CA answers badNonce (RFC 8555 section 6.5), 10 times at most. */
struct acme_exchange;

/* The request is copied. The session must outlive the exchange. -EINVAL where neither
 * the request nor the directory has a URL for it. */
int acme_exchange_new(struct acme_session *s, const struct acme_request *request,
    struct acme_exchange **ret);
/* ACME_SEND, or ACME_FINISHED: acme_exchange_answer() is the answer. */
enum acme_next acme_exchange_next(struct acme_exchange *x, struct acme_message *ret);
/* What came back for the message given last. */
void acme_exchange_reply(struct acme_exchange *x, const struct acme_reply *reply);
/* The answer to the request, NULL before ACME_FINISHED. It is, or points into, the
 * reply given last, and is as long-lived. */
const struct acme_reply *acme_exchange_answer(const struct acme_exchange *x);
/* The same request once more, after ACME_FINISHED: signed anew, as the session's
 * account is now. */
void acme_exchange_again(struct acme_exchange *x);
/* How often the CA has answered badNonce. */
unsigned acme_exchange_bad_nonces(const struct acme_exchange *x);
/* At any time: a request that was broken off may be begun anew. */
struct acme_exchange *acme_exchange_free(struct acme_exchange *x);

/* ---- Flow: the life of one order ------------------------------------------------ */

/* What has to survive a crash is acme_flow_order_url() alone, and the keys. */
struct acme_flow;

/* What is to be ordered (RFC 8555 section 7.4). */
struct acme_plan {
	const struct acme_identifier *identifiers;
	size_t identifier_count;
	const struct acme_key *account_key; /* for key authorizations */
	const struct acme_key *key;         /* the certificate's */
	const char *challenges; /* types in order of preference, by blanks */
	const char *profile;    /* or NULL */
	const char *replaces;   /* acme_chain_renewal_id() of the certificate that this
				   one   is to replace (RFC 9773 section 5), or NULL. Only
				   for   a CA that has renewal information, and one of the
				   same account */
	int64_t not_before; /* wishes (RFC 8555 section 7.1.3), seconds since 1970; */
	int64_t not_after;  /* 0: none */
	bool must_staple;
	const char *order_url; /* an order begun earlier, or NULL */
	bool common_name; /* the first DNS name also as subject; 64 bytes at most */
	const char *preferred_chain; /* common name of an issuer in the chain, or NULL:
					the first such chain, or else the CA's own */
	const struct acme_csr *csr;  /* sent as it is, in place of one of the key: then
					key is acme_csr_key(), and what else would be
					in a request doesn't count. NULL: none */
	const struct acme_session *session; /* lent for the call: the new order has to
					       be on a host that its directory names.
					       NULL: on any */
};

/* A challenge that is to be answered. */
struct acme_challenge {
	const char *type;              /* "http-01" */
	const char *identifier;        /* without "*." */
	const char *token;             /* [A-Za-z0-9_-]+, checked */
	const char *key_authorization; /* RFC 8555 section 8.1 */
	/* dns-persist-01 has these instead of the two above: names of the CA, checked,
	 * of which one is to stand in the record. */
	const char *const *issuers;
	size_t issuer_count;
};

/* Everything is copied; of the keys references are kept. -EINVAL for no identifiers, or
 * more than 100. */
int acme_flow_new(const struct acme_plan *plan, struct acme_flow **ret);
/* At any time; a new flow with the order's URL goes on where this one was. */
struct acme_flow *acme_flow_free(struct acme_flow *f);

/* The next step. now is a monotonic time in milliseconds. Before a returned request is
 * sent, its caller stores acme_flow_order_url() and publishes all challenges.
 * ACME_FINISHED: acme_flow_chain() or acme_flow_result(). */
enum acme_next acme_flow_next(
    struct acme_flow *f, int64_t now, struct acme_request *ret);
/* The answer to the last request: acme_exchange_answer(). */
void acme_flow_reply(struct acme_flow *f, int64_t now, const struct acme_reply *reply);
/* After ACME_WAIT: the time at which to call acme_flow_next() again. */
int64_t acme_flow_wait_until(const struct acme_flow *f);
/* The CA was seen fetching this token: what it says of the name is worth asking for
 * soon (RFC 8555 section 7.5.1), so acme_flow_wait_until() may have come nearer. */
void acme_flow_fetched(struct acme_flow *f, int64_t now, const char *token);
/* The order as known to the CA; NULL before it is, and again when it is of no use any
 * more (invalid, gone). */
const char *acme_flow_order_url(const struct acme_flow *f);
/* All challenges that have to be published now; to stay until they are gone from here.
 * Valid until the next call with a reply. */
size_t acme_flow_challenges(
    const struct acme_flow *f, const struct acme_challenge **ret);
/* An authorization at the CA (RFC 8555 section 7.1.4). */
struct acme_authorization {
	const char *url;
	const char *identifier; /* with "*." where it is for a wildcard */
	const char *expires;    /* RFC 3339, as the CA wrote it; NULL: it didn't say */
};

/* After success: the authorizations that this flow has seen become, or be, valid. They
 * stay so at the CA until they expire, or are deactivated. An order that was ready when
 * the flow first saw it needed none, and then there may be fewer than identifiers. As
 * long-lived as the flow. 0 before. */
size_t acme_flow_authorizations(
    const struct acme_flow *f, const struct acme_authorization **ret);
/* After success: the chain, checked. NULL otherwise. */
const struct acme_chain *acme_flow_chain(const struct acme_flow *f);
/* Why the CA refused an order that replaces another certificate, so that it was asked
 * again without saying so: in the same attempt, once. NULL otherwise. */
const struct acme_result *acme_flow_not_replaced(const struct acme_flow *f);
/* After failure: why. NULL otherwise. With class ACME_RETRY and acme_flow_order_url()
 * still there the same order is worth another try. */
const struct acme_result *acme_flow_result(const struct acme_flow *f);

/* ---- Challenges: what to publish ------------------------------------------------ */

/* Each type's place and value. The flow chooses a challenge and has its token; these
 * functions say what that means where it is to be seen. They take names and addresses
 * as struct acme_challenge has them, or as a user writes them; -EINVAL for what can't
 * have this type of challenge (addresses in the DNS, wildcards with tls-alpn-01) and
 * for broken tokens, -ENOMEM, -EIO where OpenSSL fails. Texts are the caller's to
 * free(). */

/* TOKEN.THUMBPRINT (RFC 8555 section 8.1), for challenges that come another way than
 * through a flow. */
int acme_key_authorization(
    const struct acme_key *account_key, const char *token, char **ret);

/* http-01 (RFC 8555 section 8.3): the path to be served on port 80 of the name; the
 * body is the key authorization and nothing else, no newline. */
int acme_http01_path(const char *token, char **ret);

/* dns-01 (RFC 8555 section 8.4): the owner name of a TXT record, without a last dot,
 * and its value. */
int acme_dns01_name(const char *identifier, char **ret);
int acme_dns01_value(const char *key_authorization, char **ret);

/* dns-account-01 (draft-ietf-acme-dns-account-label): a name of this account's own; the
 * value is acme_dns01_value(). account_url is acme_session_account_url(). */
int acme_dns_account01_name(
    const char *identifier, const char *account_url, char **ret);

/* tls-alpn-01 (RFC 8737, RFC 8738 section 6): a handshake for this server name that
 * offers the protocol is answered with the certificate, self-signed by any key. */
#define ACME_TLS_ALPN01_PROTOCOL "acme-tls/1"
int acme_tls_alpn01_sni(const char *identifier, char **ret);
/* PEM; valid from not_before, seconds since 1970, for lifetime seconds. */
int acme_tls_alpn01_certificate(const struct acme_key *key, const char *identifier,
    const char *key_authorization, int64_t not_before, int64_t lifetime,
    char **ret_pem);

/* dns-persist-01 (draft-ietf-acme-dns-persist): a TXT record that stays, and is good
 * for every order. */
struct acme_persist {
	const char *issuer;      /* one of acme_challenge.issuers */
	const char *account_uri; /* the account's URL where the CA knows the draft up to
				    -01, acme_dns_persist01_account() from -02 on */
	bool wildcard;           /* also for all names below it */
	int64_t until;           /* seconds since 1970; 0: no end */
};
/* The owner name, without a last dot. */
int acme_dns_persist01_name(const char *identifier, char **ret);
/* The text; in a zone file it is split where it has more than 255 bytes. -EINVAL also
 * where the issuer isn't a lower-case name, or the URI can't be in a record. */
int acme_dns_persist01_value(const struct acme_persist *persist, char **ret);
/* The account as -02 of the draft has it in the record (section 4.1): prefix is
 * acme_session_account_hash_prefix(); identifier is the name that the record stands
 * under, or NULL for a record that may be copied to any name. */
int acme_dns_persist01_account(const char *prefix, const char *identifier,
    const struct acme_key *account_key, const char *account_url, char **ret);

#ifdef __cplusplus
}
#endif

#endif
