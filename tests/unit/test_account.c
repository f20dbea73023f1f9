/*
 * test_account.c - what is told to a CA of an account, and what it answers: payloads of
 * RFC 8555, a key change as a CA would check it, an account that is forgotten.
 */
#include "acme.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "key.h"
#include "rfc_keys.h"
#include "suite.h"
#include "verify.h"

#define DIRECTORY_URL "https://example.com/acme/directory"
#define ACCOUNT_URL   "https://example.com/acme/acct/evOfKhNU60wg"
#define ERROR(type) \
  "{\"type\":\"urn:ietf:params:acme:error:" type "\",\"detail\":\"no\"}"

static const char directory[] =
    "{\"newNonce\":\"https://example.com/acme/new-nonce\","
    "\"newAccount\":\"https://example.com/acme/new-account\","
    "\"newOrder\":\"https://example.com/acme/new-order\","
    "\"keyChange\":\"https://example.com/acme/key-change\"}";
static const char without_key_change[] =
    "{\"newNonce\":\"https://example.com/acme/new-nonce\","
    "\"newAccount\":\"https://example.com/acme/new-account\","
    "\"newOrder\":\"https://example.com/acme/new-order\"}";

static struct acme_key *
read_pem(const char *pem)
{
	struct acme_key *key;

	ck_assert_int_eq(acme_key_from_pem(pem, strlen(pem), &key), 0);
	return key;
}

static struct acme_reply
reply_of(int status, const char *location, const char *body)
{
	return (struct acme_reply){ .status = status,
		.location = location,
		.replay_nonce = "n",
		.body = body,
		.body_len = strlen(body) };
}

static struct acme_session *
open_session(const struct acme_key *key, const char *text, const char *url,
    const char *contacts, const char *eab_kid)
{
	const struct acme_account account = { .url = url,
		.contacts = contacts,
		.accept_terms = true,
		.eab_kid = eab_kid,
		.eab_key = "0123456789abcdef",
		.eab_key_len = 16 };
	struct acme_reply reply = reply_of(200, NULL, text);
	struct acme_request request;
	struct acme_session *s;

	ck_assert_int_eq(acme_session_new(DIRECTORY_URL, key, &account, &s), 0);
	ck_assert_int_eq(acme_session_next(s, &request), ACME_SEND);
	acme_session_reply(s, &reply);
	return s;
}

/* RFC 8555 sections 7.3.1, 7.3.2 and 7.3.6 */
START_TEST(payloads)
{
	char *text;

	ck_assert_int_eq(acme_account_contacts("mailto:certificates@example.org "
					       "mailto:admin@example.org",
			     &text),
	    0);
	ck_assert_str_eq(text,
	    "{\"contact\":[\"mailto:certificates@example.org\","
	    "\"mailto:admin@example.org\"]}");
	free(text);
	ck_assert_int_eq(acme_account_contacts(NULL, &text), 0);
	ck_assert_str_eq(text, "{\"contact\":[]}");
	free(text);
	ck_assert_int_eq(acme_account_contacts("", &text), 0);
	ck_assert_str_eq(text, "{\"contact\":[]}");
	free(text);
	ck_assert_int_eq(acme_account_lookup(&text), 0);
	ck_assert_str_eq(text, "{\"onlyReturnExisting\":true}");
	free(text);
	ck_assert_int_eq(acme_account_deactivate(&text), 0);
	ck_assert_str_eq(text, "{\"status\":\"deactivated\"}");
	free(text);
}
END_TEST

/* The inner JWS of RFC 8555 section 7.3.5, checked as a server has to. */
START_TEST(key_change)
{
	_cleanup_(acme_key_freep) struct acme_key *old = read_pem(rsa_example);
	_cleanup_(acme_key_freep) struct acme_key *key = read_pem(ec_example);
	struct acme_session *s = open_session(old, directory, ACCOUNT_URL, NULL, NULL);
	_cleanup_free_ char *text = NULL;
	struct bytes header_bytes, payload_bytes, signature;
	struct json *jws, *header, *payload;
	EVP_PKEY *sent, *named;
	char input[8192];

	ck_assert_int_eq(acme_key_change(s, key, &text), 0);
	ck_assert_int_eq(json_parse(text, strlen(text), &json_limits_acme, &jws), 0);
	header_bytes = verify_decode(json_string(json_get(jws, "protected")));
	payload_bytes = verify_decode(json_string(json_get(jws, "payload")));
	signature = verify_decode(json_string(json_get(jws, "signature")));
	ck_assert_int_eq(json_parse((char *)header_bytes.data, header_bytes.len,
			     &json_limits_acme, &header),
	    0);
	ck_assert_int_eq(json_parse((char *)payload_bytes.data, payload_bytes.len,
			     &json_limits_acme, &payload),
	    0);
	/* alg, jwk, url: no kid, no nonce */
	ck_assert_uint_eq(json_count(header), 3);
	ck_assert_str_eq(json_string(json_get(header, "alg")), "ES256");
	ck_assert_str_eq(json_string(json_get(header, "url")),
	    "https://example.com/acme/key-change");
	ck_assert_uint_eq(json_count(payload), 2);
	ck_assert_str_eq(json_string(json_get(payload, "account")), ACCOUNT_URL);
	sent = verify_key(json_get(header, "jwk"));
	ck_assert_int_eq(EVP_PKEY_eq(sent, acme_key_evp(key)), 1);
	named = verify_key(json_get(payload, "oldKey"));
	ck_assert_int_eq(EVP_PKEY_eq(named, acme_key_evp(old)), 1);
	snprintf(input, sizeof(input), "%s.%s", json_string(json_get(jws, "protected")),
	    json_string(json_get(jws, "payload")));
	ck_assert(verify_signature(
	    sent, "ES256", input, strlen(input), signature.data, signature.len));
	EVP_PKEY_free(sent);
	EVP_PKEY_free(named);
	json_free(jws);
	json_free(header);
	json_free(payload);
	acme_session_free(s);
}
END_TEST

START_TEST(key_change_that_cannot_be)
{
	_cleanup_(acme_key_freep) struct acme_key *old = read_pem(rsa_example);
	_cleanup_(acme_key_freep) struct acme_key *key = read_pem(ec_example);
	struct acme_session *s;
	char *text = NULL;

	s = open_session(old, without_key_change, ACCOUNT_URL, NULL, NULL);
	ck_assert_int_eq(acme_key_change(s, key, &text), -EOPNOTSUPP);
	acme_session_free(s);
	s = open_session(old, directory, NULL, NULL, NULL);
	ck_assert_int_eq(acme_key_change(s, key, &text), -EINVAL);
	ck_assert_ptr_null(text);
	acme_session_free(s);
}
END_TEST

static const struct {
	int status;
	const char *body;
	int r;
	enum acme_account_status is;
	const char *contacts;
} answers[] = {
	/* RFC 8555 section 7.1.2 */
	{ 200,
	    "{\"status\":\"valid\",\"contact\":[\"mailto:cert-admin@example.org\","
	    "\"mailto:admin@example.org\"],\"termsOfServiceAgreed\":true,"
	    "\"orders\":\"https://example.com/acme/orders/rzGoeA\"}",
	    0, ACME_ACCOUNT_VALID,
	    "mailto:cert-admin@example.org mailto:admin@example.org" },
	{ 200, "{\"status\":\"deactivated\"}", 0, ACME_ACCOUNT_DEACTIVATED, NULL },
	{ 200, "{\"status\":\"revoked\",\"contact\":[]}", 0, ACME_ACCOUNT_REVOKED, "" },
	{ 201, "{\"status\":\"new\",\"contact\":[7,null,\"a b\",\"\",\"c\"]}", 0,
	    ACME_ACCOUNT_UNKNOWN, "c" },
	{ 200, "{\"contact\":\"x\"}", 0, ACME_ACCOUNT_UNKNOWN, NULL },
	{ 200, "[]", -EBADMSG, ACME_ACCOUNT_UNKNOWN, NULL },
	{ 200, "", -EBADMSG, ACME_ACCOUNT_UNKNOWN, NULL },
	{ 404, "{\"status\":\"valid\"}", -EBADMSG, ACME_ACCOUNT_UNKNOWN, NULL },
};

START_TEST(reads_accounts)
{
	for (size_t i = 0; i < ELEMENTS(answers); i++) {
		struct acme_reply reply =
		    reply_of(answers[i].status, NULL, answers[i].body);
		struct acme_account_info info;

		ck_assert_int_eq(acme_account_read(&reply, &info), answers[i].r);
		ck_assert_int_eq(info.status, answers[i].is);
		if (answers[i].contacts == NULL)
			ck_assert_ptr_null(info.contacts);
		else
			ck_assert_str_eq(info.contacts, answers[i].contacts);
		acme_account_info_clear(&info);
	}
}
END_TEST

static void
expect_account_request(struct acme_session *s)
{
	struct acme_request request;

	ck_assert_int_eq(acme_session_next(s, &request), ACME_SEND);
	ck_assert_int_eq(request.action, ACME_ACTION_ACCOUNT);
}

/* 201: as sent. 200: as the CA has them, or unknown. */
START_TEST(contacts_of_the_ca)
{
	static const struct {
		int status;
		const char *body;
		const char *known;
	} cases[] = {
		{ 201, "{\"status\":\"valid\"}", "mailto:a@b.test" },
		{ 200, "{\"status\":\"valid\"}", NULL },
		{ 200, "{\"contact\":[\"mailto:x@b.test\"]}", "mailto:x@b.test" },
		{ 200, "{\"contact\":[]}", "" },
	};
	_cleanup_(acme_key_freep) struct acme_key *key = read_pem(ec_example);

	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct acme_session *s =
		    open_session(key, directory, NULL, "mailto:a@b.test", NULL);
		struct acme_reply reply =
		    reply_of(cases[i].status, ACCOUNT_URL, cases[i].body);

		expect_account_request(s);
		ck_assert_ptr_null(acme_session_contacts(s));
		acme_session_reply(s, &reply);
		ck_assert(acme_session_ready(s));
		if (cases[i].known == NULL)
			ck_assert_ptr_null(acme_session_contacts(s));
		else
			ck_assert_str_eq(acme_session_contacts(s), cases[i].known);
		acme_session_free(s);
	}
}
END_TEST

START_TEST(account_that_is_no_use)
{
	static const char *const bodies[] = { "{\"status\":\"deactivated\"}",
		"{\"status\":\"revoked\"}" };
	_cleanup_(acme_key_freep) struct acme_key *key = read_pem(ec_example);

	for (size_t i = 0; i < ELEMENTS(bodies); i++) {
		struct acme_session *s = open_session(key, directory, NULL, NULL, NULL);
		struct acme_reply reply = reply_of(200, ACCOUNT_URL, bodies[i]);

		expect_account_request(s);
		acme_session_reply(s, &reply);
		ck_assert(!acme_session_ready(s));
		ck_assert_int_eq(acme_session_result(s)->class, ACME_GIVE_UP);
		ck_assert_str_eq(acme_session_result(s)->stage, "account");
		acme_session_free(s);
	}
}
END_TEST

/* Whoever has configured the binding is told that it is the binding. */
START_TEST(binding_that_is_refused)
{
	static const char *const bodies[] = { ERROR("unauthorized"), ERROR("malformed"),
		ERROR("externalAccountRequired") };
	_cleanup_(acme_key_freep) struct acme_key *key = read_pem(ec_example);

	for (size_t i = 0; i < ELEMENTS(bodies); i++) {
		struct acme_session *s =
		    open_session(key, directory, NULL, NULL, "kid-1");
		struct acme_reply reply = reply_of(403, NULL, bodies[i]);
		const struct acme_result *result;

		expect_account_request(s);
		acme_session_reply(s, &reply);
		result = acme_session_result(s);
		ck_assert_int_eq(result->class, ACME_GIVE_UP);
		ck_assert_ptr_nonnull(strstr(result->detail, "eab_kid \"kid-1\": no"));
		acme_session_free(s);
	}
}
END_TEST

static const char *
kid_of(const struct acme_message *message, char buffer[256])
{
	struct json *jws;
	struct json *header;
	struct bytes decoded;

	ck_assert_int_eq(
	    json_parse(message->body, message->body_len, &json_limits_acme, &jws), 0);
	decoded = verify_decode(json_string(json_get(jws, "protected")));
	ck_assert_int_eq(
	    json_parse((char *)decoded.data, decoded.len, &json_limits_acme, &header),
	    0);
	buffer[0] = '\0';
	if (json_string(json_get(header, "kid")) != NULL)
		snprintf(buffer, 256, "%s", json_string(json_get(header, "kid")));
	json_free(header);
	json_free(jws);
	return buffer;
}

static void
give_nonce(struct acme_exchange *x)
{
	struct acme_reply reply = { .status = 200, .replay_nonce = "n" };
	struct acme_message message;

	ck_assert_int_eq(acme_exchange_next(x, &message), ACME_SEND);
	ck_assert_str_eq(message.method, "HEAD");
	acme_exchange_reply(x, &reply);
}

/* accountDoesNotExist, registered again, and the same request once more. */
START_TEST(forgotten_account)
{
	_cleanup_(acme_key_freep) struct acme_key *key = read_pem(ec_example);
	struct acme_session *s = open_session(key, directory, ACCOUNT_URL, NULL, NULL);
	const struct acme_request order = { .action = ACME_ACTION_NEW_ORDER,
		.payload = "{}" };
	const struct acme_request update = { .action = ACME_ACTION_UPDATE_ACCOUNT };
	const struct acme_account lost = { .accept_terms = true };
	struct acme_reply reply = reply_of(400, NULL, ERROR("accountDoesNotExist"));
	struct acme_exchange *x, *y;
	struct acme_message message;
	char kid[256];

	ck_assert(acme_session_ready(s));
	ck_assert_int_eq(acme_exchange_new(s, &order, &x), 0);
	ck_assert_int_eq(acme_exchange_new(s, &update, &y), 0);
	give_nonce(x);
	ck_assert_int_eq(acme_exchange_next(x, &message), ACME_SEND);
	ck_assert_str_eq(kid_of(&message, kid), ACCOUNT_URL);
	acme_exchange_reply(x, &reply);
	ck_assert_int_eq(acme_exchange_next(x, &message), ACME_FINISHED);

	ck_assert_int_eq(acme_session_set_account(s, NULL, &lost), 0);
	ck_assert(!acme_session_ready(s));
	/* nothing is sent in the account's name until it has one */
	acme_exchange_again(x);
	ck_assert_int_eq(acme_exchange_next(x, &message), ACME_FINISHED);
	ck_assert_int_eq(acme_exchange_answer(x)->status, 0);

	expect_account_request(s);
	reply = reply_of(201, "https://example.com/acme/acct/2", "{}");
	acme_session_reply(s, &reply);
	acme_exchange_again(x);
	while (acme_exchange_next(x, &message) == ACME_SEND &&
	    strcmp(message.method, "HEAD") == 0) {
		reply = reply_of(200, NULL, "");
		acme_exchange_reply(x, &reply);
	}
	ck_assert_str_eq(message.url, "https://example.com/acme/new-order");
	ck_assert_str_eq(kid_of(&message, kid), "https://example.com/acme/acct/2");
	/* the account's own URL is another now */
	acme_exchange_again(y);
	give_nonce(y);
	ck_assert_int_eq(acme_exchange_next(y, &message), ACME_SEND);
	ck_assert_str_eq(message.url, "https://example.com/acme/acct/2");
	acme_exchange_free(x);
	acme_exchange_free(y);
	acme_session_free(s);
}
END_TEST

SUITE("account", payloads, key_change, key_change_that_cannot_be, reads_accounts,
    contacts_of_the_ca, account_that_is_no_use, binding_that_is_refused,
    forgotten_account)
