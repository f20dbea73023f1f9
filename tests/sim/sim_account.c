/*
 * sim_account.c - see sim_account.h. Signatures are really checked, as the one question
 * after a crash is which key the CA has.
 */
#include "sim_account.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "../load_ca/jws_check.h"
#include "acme.h"
#include "base64url.h"
#include "json.h"
#include "scope.h"

#define ACCOUNT "/acct/"

DEFINE_CLEANUP(EVP_PKEY, EVP_PKEY_free)
DEFINE_CLEANUP(struct json, json_free)
DEFINE_CLEANUP(X509, X509_free)

static struct sim_account *account;

/* ---- its key ---- */

static EVP_PKEY *
read_key(const struct sim_account *a)
{
	const unsigned char *at = a->key;

	return a->key_len > 0 ? d2i_PUBKEY(NULL, &at, (long)a->key_len) : NULL;
}

static EVP_PKEY *
find_key(uint64_t number)
{
	static EVP_PKEY *key; /* lent to the check */

	EVP_PKEY_free(key);
	key = number == 1 ? read_key(account) : NULL;
	return key;
}

static void
set_key(struct sim_account *a, const EVP_PKEY *key)
{
	unsigned char *at = a->key;

	a->key_len = (size_t)i2d_PUBKEY(key, &at);
}

static bool
is_key(const struct sim_account *a, const EVP_PKEY *key)
{
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *own = read_key(a);

	return own != NULL && key != NULL && EVP_PKEY_eq(own, key) == 1;
}

/* ---- what it asks ---- */

typedef void answer_fn(struct sim_account *a, const struct acme_message *message,
    const struct jws_checked *jws, const char *host, struct sim_said *ret);

static struct json *
parse(const struct jws_checked *jws)
{
	struct json *json = NULL;

	(void)json_parse(jws->payload, jws->payload_len, &json_limits_acme, &json);
	return json;
}

static void
new_account(struct sim_account *a, const struct acme_message *message,
    const struct jws_checked *jws, const char *host, struct sim_said *ret)
{
	_cleanup_(json_freep) struct json *payload = parse(jws);
	static char location[64];
	bool only = json_is_true(json_get(payload, "onlyReturnExisting"));

	(void)message;
	snprintf(location, sizeof(location), "%s" ACCOUNT "1", host);
	*ret = (struct sim_said){
		.status = 200, .location = location, .body = "{\"status\":\"valid\"}"
	};
	if (is_key(a, jws->key))
		return;
	if (only) {
		*ret = (struct sim_said){ 400, "accountDoesNotExist", NULL, NULL };
		return;
	}
	a->made++;
	set_key(a, jws->key);
	ret->status = 201;
}

/* RFC 8555 section 7.3.5 */
static void
change_key(struct sim_account *a, const struct acme_message *message,
    const struct jws_checked *jws, const char *host, struct sim_said *ret)
{
	const struct jws_context context = { message->url, "", find_key, NULL };
	struct jws_checked inner;
	const char *why = jws_check(jws->payload, jws->payload_len, &context, &inner);

	(void)host;
	*ret = (struct sim_said){ .status = 200, .body = "{\"status\":\"valid\"}" };
	if (why != NULL || inner.key == NULL) {
		*ret = (struct sim_said){ 400, why != NULL ? why : "malformed", NULL,
			NULL };
		return;
	}
	set_key(a, inner.key);
	a->changes++;
	EVP_PKEY_free(inner.key);
	free(inner.payload);
}

/* Signed by the account, or by the certificate's own key. */
static void
revoke_one(struct sim_account *a, const struct acme_message *message,
    const struct jws_checked *jws, const char *host, struct sim_said *ret)
{
	_cleanup_(json_freep) struct json *payload = parse(jws);
	const char *text = json_string(json_get(payload, "certificate"));
	_cleanup_free_ unsigned char *der = NULL;
	_cleanup_(X509_freep) X509 *cert = NULL;
	const unsigned char *at;
	uint64_t serial = 0;
	size_t len = 0;

	(void)message;
	(void)host;
	*ret = (struct sim_said){ .status = 400, .problem = "malformed" };
	if (text == NULL || base64url_decode(text, strlen(text), &der, &len) < 0)
		return;
	at = der;
	cert = d2i_X509(NULL, &at, (long)len);
	if (cert == NULL ||
	    ASN1_INTEGER_get_uint64(&serial, X509_get0_serialNumber(cert)) != 1)
		return;
	ret->problem = "unauthorized";
	if (jws->key != NULL && EVP_PKEY_eq(jws->key, X509_get0_pubkey(cert)) != 1)
		return;
	ret->problem = "alreadyRevoked";
	if (sim_account_revoked(a, serial >> 32, (uint32_t)serial))
		return;
	if (a->revoked_count < SIM_REVOKED_MAX)
		a->revoked[a->revoked_count++] = serial;
	*ret = (struct sim_said){ .status = 200, .body = "" };
}

bool
sim_account_revoked(const struct sim_account *a, size_t name, uint32_t order)
{
	for (size_t i = 0; i < a->revoked_count; i++)
		if (a->revoked[i] == ((uint64_t)name << 32 | order))
			return true;
	return false;
}

/* ---- a request ---- */

static bool
any_nonce(const char *nonce)
{
	(void)nonce;
	return true;
}

static answer_fn *
find_answer(const char *path)
{
	static const struct {
		const char *path;
		answer_fn *answer;
	} calls[] = {
		{ "/new-acct", new_account },
		{ "/key-change", change_key },
		{ "/revoke-cert", revoke_one },
	};

	for (size_t i = 0; i < ELEMENTS(calls); i++)
		if (strcmp(path, calls[i].path) == 0)
			return calls[i].answer;
	return NULL;
}

bool
sim_account_hear(struct sim_account *a, const struct acme_message *message,
    const char *host, struct sim_said *ret)
{
	char prefix[64];
	const struct jws_context context = { message->url, prefix, find_key,
		any_nonce };
	answer_fn *answer = find_answer(message->url + strlen(host));
	struct jws_checked jws;
	const char *why;

	account = a;
	snprintf(prefix, sizeof(prefix), "%s" ACCOUNT, host);
	why = jws_check(message->body, message->body_len, &context, &jws);
	if (why == NULL && answer == NULL && jws.account == 0)
		why = "malformed";
	if (why != NULL) {
		a->unsigned_by++;
		*ret = (struct sim_said){ 403, why, NULL, NULL };
		return true;
	}
	if (answer != NULL)
		answer(a, message, &jws, host, ret);
	EVP_PKEY_free(jws.key);
	free(jws.payload);
	return answer != NULL;
}
