/*
 * test_session.c - directory, account, nonces, and the repetition that badNonce asks
 * for.
 */
#include "acme.h"

#include <stdio.h>
#include <string.h>

#include "base64url.h"
#include "buffer.h"
#include "json.h"
#include "suite.h"

#define DIRECTORY_URL "https://ca.test/directory"

static const char directory[] =
    "{\"newNonce\":\"https://ca.test/nonce\",\"newAccount\":\"https://ca.test/account\","
    "\"newOrder\":\"https://ca.test/order\",\"future\":7,\"meta\":{"
    "\"termsOfService\":\"https://ca.test/terms\",\"profiles\":{\"short\":\"6 days\"}}}";

static struct acme_key *key;

static struct acme_session *
open_session(const struct acme_account *account)
{
	struct acme_session *s;

	if (key == NULL)
		ck_assert_int_eq(acme_key_generate(ACME_KEY_ECDSA_P256, &key), 0);
	ck_assert_int_eq(acme_session_new(DIRECTORY_URL, key, account, &s), 0);
	return s;
}

static struct acme_session *
close_session(struct acme_session *s)
{
	key = acme_key_free(key);
	return acme_session_free(s);
}

static struct acme_exchange *
next_exchange(struct acme_session *s, enum acme_action action)
{
	struct acme_request request;
	struct acme_exchange *x;

	ck_assert_int_eq(acme_session_next(s, &request), ACME_SEND);
	ck_assert_int_eq(request.action, action);
	ck_assert_int_eq(acme_exchange_new(s, &request, &x), 0);
	return x;
}

static void
give(struct acme_exchange *x, const struct acme_reply *reply)
{
	acme_exchange_reply(x, reply);
}

static void
give_directory(struct acme_session *s, const char *text, int status)
{
	struct acme_exchange *x = next_exchange(s, ACME_ACTION_DIRECTORY);
	struct acme_message message;
	struct acme_reply reply = {
		.status = status, .body = text, .body_len = strlen(text)
	};

	ck_assert_int_eq(acme_exchange_next(x, &message), ACME_SEND);
	ck_assert_str_eq(message.method, "GET");
	ck_assert_str_eq(message.url, DIRECTORY_URL);
	ck_assert_ptr_null(message.body);
	give(x, &reply);
	ck_assert_int_eq(acme_exchange_next(x, &message), ACME_FINISHED);
	acme_session_reply(s, acme_exchange_answer(x));
	acme_exchange_free(x);
}

static void
expect_nonce_request(struct acme_exchange *x, const char *nonce)
{
	struct acme_message message;
	struct acme_reply reply = { .status = 200, .replay_nonce = nonce };

	ck_assert_int_eq(acme_exchange_next(x, &message), ACME_SEND);
	ck_assert_str_eq(message.method, "HEAD");
	ck_assert_str_eq(message.url, "https://ca.test/nonce");
	give(x, &reply);
}

/* One member of the protected header of what is sent. */
static char *
protected_member(const struct acme_message *message, const char *name)
{
	struct json *jws;
	struct json *header;
	const char *text;
	unsigned char *decoded;
	size_t len;
	char *value = NULL;

	ck_assert_int_eq(
	    json_parse(message->body, message->body_len, &json_limits_acme, &jws), 0);
	text = json_string(json_get(jws, "protected"));
	ck_assert_ptr_nonnull(text);
	ck_assert_int_eq(base64url_decode(text, strlen(text), &decoded, &len), 0);
	ck_assert_int_eq(
	    json_parse((char *)decoded, len, &json_limits_acme, &header), 0);
	if (json_string(json_get(header, name)) != NULL)
		value = strdup(json_string(json_get(header, name)));
	json_free(header);
	json_free(jws);
	free(decoded);
	return value;
}

static void
expect_post(struct acme_exchange *x, const char *nonce, const char *kid)
{
	struct acme_message message;
	char *text;

	ck_assert_int_eq(acme_exchange_next(x, &message), ACME_SEND);
	ck_assert_str_eq(message.method, "POST");
	ck_assert_str_eq(message.content_type, "application/jose+json");
	text = protected_member(&message, "nonce");
	ck_assert_str_eq(text, nonce);
	free(text);
	text = protected_member(&message, "url");
	ck_assert_str_eq(text, message.url);
	free(text);
	text = protected_member(&message, "kid");
	if (kid == NULL)
		ck_assert_ptr_null(text);
	else
		ck_assert_str_eq(text, kid);
	free(text);
}

static void
register_account(struct acme_session *s)
{
	struct acme_exchange *x = next_exchange(s, ACME_ACTION_ACCOUNT);
	const struct acme_reply created = { .status = 201,
		.location = "https://ca.test/account/1",
		.replay_nonce = "n2" };
	struct acme_message message;

	expect_nonce_request(x, "n1");
	expect_post(x, "n1", NULL);
	give(x, &created);
	ck_assert_int_eq(acme_exchange_next(x, &message), ACME_FINISHED);
	acme_session_reply(s, acme_exchange_answer(x));
	acme_exchange_free(x);
}

START_TEST(becomes_ready)
{
	const struct acme_account account = { .accept_terms = true,
		.contacts = "mailto:a@b.test mailto:c@b.test" };
	struct acme_session *s = open_session(&account);
	struct acme_request request;

	ck_assert(!acme_session_ready(s));
	give_directory(s, directory, 200);
	ck_assert(acme_session_has_profile(s, "short"));
	ck_assert(!acme_session_has_profile(s, "long"));
	ck_assert_int_eq(acme_session_next(s, &request), ACME_SEND);
	ck_assert_str_eq(request.payload,
	    "{\"termsOfServiceAgreed\":true,"
	    "\"contact\":[\"mailto:a@b.test\",\"mailto:c@b.test\"]}");
	register_account(s);
	ck_assert(acme_session_ready(s));
	ck_assert_str_eq(acme_session_account_url(s), "https://ca.test/account/1");
	ck_assert_str_eq(acme_session_terms_url(s), "https://ca.test/terms");
	ck_assert_int_eq(acme_session_next(s, &request), ACME_FINISHED);
	close_session(s);
}
END_TEST

START_TEST(known_account_is_not_asked_for)
{
	const struct acme_account account = { .url = "https://ca.test/account/9" };
	struct acme_session *s = open_session(&account);

	give_directory(s, directory, 200);
	ck_assert(acme_session_ready(s));
	close_session(s);
}
END_TEST

START_TEST(never_agrees_by_itself)
{
	const struct acme_account account = { 0 };
	struct acme_session *s = open_session(&account);
	struct acme_request request;

	give_directory(s, directory, 200);
	ck_assert_int_eq(acme_session_next(s, &request), ACME_FINISHED);
	ck_assert(!acme_session_ready(s));
	ck_assert_int_eq(acme_session_result(s)->class, ACME_GIVE_UP);
	ck_assert_ptr_nonnull(
	    strstr(acme_session_result(s)->detail, "https://ca.test/terms"));
	close_session(s);
}
END_TEST

START_TEST(bad_directories)
{
	static const char *const texts[] = { "", "{}", "[]", "null", "{\"newNonce\":7}",
		"{\"newNonce\":\"http://ca.test/n\",\"newAccount\":\"https://ca.test/a\","
		"\"newOrder\":\"https://ca.test/o\"}",
		"{\"newNonce\":\"https://ca.test/n\",\"newAccount\":\"https://ca.test/a\"}",
		"{\"newNonce\":\"https://ca.test/ n\",\"newAccount\":\"https://ca.test/a\","
		"\"newOrder\":\"https://ca.test/o\"}" };
	const struct acme_account account = { .accept_terms = true };

	for (size_t i = 0; i < ELEMENTS(texts); i++) {
		struct acme_session *s = open_session(&account);
		struct acme_request request;

		give_directory(s, texts[i], 200);
		ck_assert_int_eq(acme_session_next(s, &request), ACME_FINISHED);
		ck_assert_str_eq(acme_session_result(s)->stage, "directory");
		acme_session_again(s); /* and it may be better the next time */
		give_directory(s, directory, 200);
		ck_assert_ptr_null(acme_session_result(s));
		close_session(s);
	}
}
END_TEST

static const char bad_nonce_text[] =
    "{\"type\":\"urn:ietf:params:acme:error:badNonce\",\"detail\":\"no\"}";
static const struct acme_reply bad_nonce = { .status = 400,
	.body = bad_nonce_text,
	.body_len = sizeof(bad_nonce_text) - 1,
	.replay_nonce = "fresh" };

START_TEST(bad_nonce_is_answered_with_its_own)
{
	const struct acme_account account = { .url = "https://ca.test/account/9" };
	const struct acme_request request = { .action = ACME_ACTION_ORDER,
		.url = "https://ca.test/order/1" };
	const struct acme_reply good = { .status = 200, .body = "{}", .body_len = 2 };
	struct acme_session *s = open_session(&account);
	struct acme_message message;
	struct acme_exchange *x;

	give_directory(s, directory, 200);
	ck_assert_int_eq(acme_exchange_new(s, &request, &x), 0);
	expect_nonce_request(x, "n1");
	expect_post(x, "n1", "https://ca.test/account/9");
	give(x, &bad_nonce);
	expect_post(x, "fresh", "https://ca.test/account/9");
	give(x, &good);
	ck_assert_int_eq(acme_exchange_next(x, &message), ACME_FINISHED);
	ck_assert_ptr_eq(acme_exchange_answer(x), &good);
	ck_assert_uint_eq(acme_exchange_bad_nonces(x), 1);
	acme_exchange_free(x);
	close_session(s);
}
END_TEST

START_TEST(bad_nonces_end)
{
	const struct acme_account account = { .url = "https://ca.test/account/9" };
	const struct acme_request request = { .action = ACME_ACTION_ORDER,
		.url = "https://ca.test/order/1" };
	struct acme_session *s = open_session(&account);
	struct acme_message message;
	struct acme_exchange *x;
	unsigned posts = 0;

	give_directory(s, directory, 200);
	ck_assert_int_eq(acme_exchange_new(s, &request, &x), 0);
	expect_nonce_request(x, "n1");
	while (acme_exchange_next(x, &message) == ACME_SEND) {
		ck_assert_str_eq(message.method, "POST");
		posts++;
		give(x, &bad_nonce);
		ck_assert_uint_lt(posts, 50);
	}
	ck_assert_uint_eq(posts, 11);
	ck_assert_int_eq(acme_exchange_answer(x)->status, 400);
	acme_exchange_free(x);
	close_session(s);
}
END_TEST

/* Without a usable nonce anywhere the exchange ends, and says so. */
START_TEST(no_nonce_at_all)
{
	static const char *const nonces[] = { NULL, "", "not base64url!", "a b" };
	const struct acme_account account = { .url = "https://ca.test/account/9" };
	const struct acme_request request = { .action = ACME_ACTION_ORDER,
		.url = "https://ca.test/order/1" };

	for (size_t i = 0; i < ELEMENTS(nonces); i++) {
		const struct acme_reply reply = { .status = 204,
			.replay_nonce = nonces[i] };
		struct acme_session *s = open_session(&account);
		struct acme_message message;
		struct acme_exchange *x;
		unsigned asked = 0;

		give_directory(s, directory, 200);
		ck_assert_int_eq(acme_exchange_new(s, &request, &x), 0);
		while (acme_exchange_next(x, &message) == ACME_SEND) {
			ck_assert_str_eq(message.method, "HEAD");
			give(x, &reply);
			ck_assert_uint_lt(++asked, 10);
		}
		ck_assert_int_eq(acme_exchange_answer(x)->status, 0);
		ck_assert_ptr_nonnull(acme_exchange_answer(x)->error);
		acme_exchange_free(x);
		close_session(s);
	}
}
END_TEST

/* Many replies bring many nonces: the newest are used first, and no more than a few are
 * kept. Each is used once. */
START_TEST(nonces_are_pooled)
{
	const struct acme_account account = { .url = "https://ca.test/account/9" };
	const struct acme_request request = { .action = ACME_ACTION_ORDER,
		.url = "https://ca.test/order/1" };
	struct acme_session *s = open_session(&account);
	struct acme_message message;
	struct acme_exchange *x;
	char nonce[16];
	unsigned used = 0;

	give_directory(s, directory, 200);
	for (unsigned i = 0; i < 100; i++) {
		struct acme_reply reply = {
			.status = 200, .body = "{}", .body_len = 2
		};

		snprintf(nonce, sizeof(nonce), "n%u", i);
		reply.replay_nonce = nonce;
		ck_assert_int_eq(acme_exchange_new(s, &request, &x), 0);
		/* hold the pool still: only replies that add to it */
		acme_exchange_reply(x, &reply);
		acme_exchange_free(x);
	}
	for (;;) {
		ck_assert_int_eq(acme_exchange_new(s, &request, &x), 0);
		ck_assert_int_eq(acme_exchange_next(x, &message), ACME_SEND);
		if (strcmp(message.method, "HEAD") == 0)
			break;
		char *text = protected_member(&message, "nonce");

		snprintf(nonce, sizeof(nonce), "n%u", 99 - used++);
		ck_assert_str_eq(text, nonce);
		free(text);
		acme_exchange_free(x);
	}
	ck_assert_uint_eq(used, 32);
	acme_exchange_free(x);
	close_session(s);
}
END_TEST

START_TEST(binds_an_external_account)
{
	const struct acme_account account = { .accept_terms = true,
		.eab_kid = "kid-1",
		.eab_key = "0123456789abcdef",
		.eab_key_len = 16 };
	struct acme_session *s = open_session(&account);
	struct acme_request request;
	struct json *json;
	struct json *header;
	const char *text;
	unsigned char *decoded;
	size_t len;

	give_directory(s, directory, 200);
	ck_assert_int_eq(acme_session_next(s, &request), ACME_SEND);
	ck_assert_int_eq(json_parse(request.payload, strlen(request.payload),
			     &json_limits_acme, &json),
	    0);
	text = json_string(
	    json_get(json_get(json, "externalAccountBinding"), "protected"));
	ck_assert_int_eq(base64url_decode(text, strlen(text), &decoded, &len), 0);
	ck_assert_int_eq(
	    json_parse((char *)decoded, len, &json_limits_acme, &header), 0);
	ck_assert_str_eq(json_string(json_get(header, "alg")), "HS256");
	ck_assert_str_eq(json_string(json_get(header, "kid")), "kid-1");
	ck_assert_str_eq(
	    json_string(json_get(header, "url")), "https://ca.test/account");
	ck_assert_ptr_null(json_get(header, "nonce"));
	json_free(header);
	json_free(json);
	free(decoded);
	close_session(s);
}
END_TEST

START_TEST(eab_that_is_missing_is_said)
{
	const char *text = "{\"newNonce\":\"https://ca.test/n\","
			   "\"newAccount\":\"https://ca.test/a\","
			   "\"newOrder\":\"https://ca.test/o\","
			   "\"meta\":{\"externalAccountRequired\":true}}";
	const struct acme_account account = { .accept_terms = true };
	struct acme_session *s = open_session(&account);
	struct acme_request request;

	give_directory(s, text, 200);
	ck_assert_int_eq(acme_session_next(s, &request), ACME_FINISHED);
	ck_assert_ptr_nonnull(strstr(acme_session_result(s)->detail, "eab_kid"));
	close_session(s);
}
END_TEST

START_TEST(directory_must_be_https)
{
	const struct acme_account account = { 0 };
	struct acme_session *s;

	ck_assert_int_eq(acme_key_generate(ACME_KEY_ECDSA_P256, &key), 0);
	ck_assert_int_lt(acme_session_new("http://ca.test/d", key, &account, &s), 0);
	ck_assert_int_lt(acme_session_new("https://", key, &account, &s), 0);
	key = acme_key_free(key);
}
END_TEST

SUITE("session", becomes_ready, known_account_is_not_asked_for, never_agrees_by_itself,
    bad_directories, bad_nonce_is_answered_with_its_own, bad_nonces_end,
    no_nonce_at_all, nonces_are_pooled, binds_an_external_account,
    eab_that_is_missing_is_said, directory_must_be_https)
