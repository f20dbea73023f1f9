/*
 * test_failmalloc.c - each allocation of a scenario fails once: an error comes back, no
 * crash, no leak (seen where built with AddressSanitizer), and nothing half made.
 *
 * The linker leads libacme's allocations here (--wrap). OpenSSL's fail in a run of
 * their own, by its own hook; yajl's, in its shared library, can't be reached.
 */
#include "acme.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base64url.h"
#include "json.h"
#include "jws.h"
#include "rfc_keys.h"
#include "suite.h"
#include "whole_order.h"
#include "wire.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_reallocarray(void *p, size_t count, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t len);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_reallocarray(void *p, size_t count, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t len);

enum allocator { NOBODY, LIBACME, OPENSSL };

/* One thread and one test at a time. */
static enum allocator armed;
static unsigned long until; /* allocations before the one that fails */
static bool failed;

static bool
fails(enum allocator who)
{
	if (armed != who)
		return false;
	if (until-- > 0)
		return false;
	armed = NOBODY;
	failed = true;
	errno = ENOMEM;
	return true;
}

void *
__wrap_malloc(size_t size)
{
	return fails(LIBACME) ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t count, size_t size)
{
	return fails(LIBACME) ? NULL : __real_calloc(count, size);
}

void *
__wrap_reallocarray(void *p, size_t count, size_t size)
{
	return fails(LIBACME) ? NULL : __real_reallocarray(p, count, size);
}

char *
__wrap_strdup(const char *text)
{
	return fails(LIBACME) ? NULL : __real_strdup(text);
}

char *
__wrap_strndup(const char *text, size_t len)
{
	return fails(LIBACME) ? NULL : __real_strndup(text, len);
}

static void *
openssl_malloc(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return fails(OPENSSL) ? NULL : __real_malloc(size);
}

static void *
openssl_realloc(void *p, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return fails(OPENSSL) ? NULL : realloc(p, size);
}

static void
openssl_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

/* ---- what is done ---- */

/* The result of a scenario that was to leave something just where it succeeded.
 * libcheck's own assertions would allocate. */
static int
settle(int r, const void *left)
{
	return (r == 0) == (left != NULL) ? r : 1;
}

static struct acme_key *key;
static struct acme_identifier names[2];
static unsigned char *csr_der;
static size_t csr_len;
static char *pem; /* of a certificate for key and names[0] */
static enum allocator paused;

static void
at_work(bool libacme)
{
	if (libacme) {
		armed = paused;
	} else {
		paused = armed;
		armed = NOBODY;
	}
}

static int
whole_order(void)
{
	struct scripted_ca ca = { .authz_polls = 1, .order_polls = 1 };
	int r;

	memcpy(ca.names, names, sizeof(names));
	ca.name_count = 2;
	r = whole_order_run(&(struct whole_order){
	    .ca = &ca, .account_key = key, .key = key, .at_work = at_work });
	at_work(false);
	scripted_ca_clear(&ca);
	return r;
}

static int
failed_order(void)
{
	struct scripted_ca ca = { .fail_authz = true };
	int r;

	memcpy(ca.names, names, sizeof(names));
	ca.name_count = 1;
	r = whole_order_run(&(struct whole_order){
	    .ca = &ca, .account_key = key, .key = key, .at_work = at_work });
	at_work(false);
	scripted_ca_clear(&ca);
	return r == -EIO ? 0 : -EPROTO;
}

static int
json(void)
{
	static const char text[] = "{\"a\":[1,\"x\\u00e9\",{\"b\":null}],\"c\":true}";
	struct json_writer *w = NULL;
	struct json *j = NULL;
	char *out = NULL;
	size_t len;
	int r;

	r = json_parse(text, strlen(text), &json_limits_acme, &j);
	if (r == 0)
		w = json_writer_new();
	json_open_object(w);
	json_member_string(w, "text", "broken \xff text");
	json_member_integer(w, "number", -7);
	json_close_object(w);
	if (r == 0)
		r = json_writer_steal(w, &out, &len);
	r = settle(r, out);
	free(out);
	json_writer_free(w);
	json_free(j);
	return r;
}

static int
keys(void)
{
	struct acme_key *copy = NULL;
	unsigned char *der = NULL;
	char *text = NULL, *jws = NULL, *eab = NULL;
	char fingerprint[ACME_FINGERPRINT_SIZE];
	size_t len = 0;
	int r;

	r = acme_key_from_pem(ec_example, strlen(ec_example), &copy);
	if (r == 0)
		r = acme_key_fingerprint(copy, fingerprint);
	if (r == 0)
		r = acme_key_to_der(copy, &der, &len);
	copy = acme_key_free(copy);
	if (r == 0)
		r = acme_key_from_der(der, len, &copy);
	if (r == 0)
		r = acme_key_to_pem(copy, &text);
	if (r == 0)
		r = jws_sign(copy, NULL, "nonce", "https://ca.test/", "{}", &jws);
	if (r == 0)
		r = jws_bind(
		    copy, "kid", ACME_HS256, "secret", 6, "https://ca.test/", &eab);
	acme_wipe_free(der, len);
	acme_wipe_free(text, text != NULL ? strlen(text) : 0);
	free(jws);
	free(eab);
	acme_key_free(copy);
	return r;
}

static int
rsa_key(void)
{
	char thumbprint[ACME_THUMBPRINT_SIZE];
	struct acme_key *copy = NULL;
	char *jws = NULL;
	int r;

	r = acme_key_from_pem(rsa_example, strlen(rsa_example), &copy);
	if (r == 0)
		r = acme_key_thumbprint(copy, thumbprint);
	if (r == 0)
		r = jws_sign(
		    copy, "https://ca.test/1", NULL, "https://ca.test/", NULL, &jws);
	free(jws);
	acme_key_free(copy);
	return r;
}

static int
new_key(void)
{
	struct acme_key *made = NULL;
	int r = acme_key_generate(ACME_KEY_ECDSA_P256, &made);

	r = settle(r, made);
	acme_key_free(made);
	return r;
}

static int
request(void)
{
	unsigned char *der = NULL;
	size_t len;
	int r = acme_csr_new(key, names, 2, true, &der, &len);

	r = settle(r, der);
	free(der);
	return r;
}

static int
read_request(void)
{
	struct acme_csr *csr = NULL;
	const char *why;
	int r = acme_csr_read(csr_der, csr_len, &csr, &why);

	r = settle(r, csr);
	acme_csr_free(csr);
	return r;
}

static int
chain(void)
{
	struct acme_chain *c = NULL;
	char *one = NULL, *all = NULL, *revocation = NULL;
	const char *why = NULL;
	int r;

	r = acme_chain_parse(pem, strlen(pem), &c, &why);
	if (r == 0)
		r = acme_chain_check(c, key, names, 1, &why);
	if (r == 0)
		r = acme_chain_pem(c, 0, &one);
	if (r == 0)
		r = acme_chain_pem_from(c, 0, &all);
	if (r == 0)
		r = acme_revocation_payload(c, ACME_REASON_SUPERSEDED, &revocation);
	free(revocation);
	free(one);
	free(all);
	acme_chain_free(c);
	return r;
}

static int
placeholder(void)
{
	char *made = NULL;
	int r = acme_placeholder_new(key, names, 2, 1800000000, 86400, &made);

	r = settle(r, made);
	free(made);
	return r;
}

static int
challenges(void)
{
	const struct acme_persist persist = { "ca.test", "https://ca.test/1", true, 7 };
	char *text[9] = { NULL };
	int r;

	r = acme_key_authorization(key, "token", &text[0]);
	if (r == 0)
		r = acme_http01_path("token", &text[1]);
	if (r == 0)
		r = acme_dns01_name("*.example.test", &text[2]);
	if (r == 0)
		r = acme_dns01_value(text[0], &text[3]);
	if (r == 0)
		r = acme_dns_account01_name("example.test", "https://a/", &text[4]);
	if (r == 0)
		r = acme_tls_alpn01_sni("2001:db8::1", &text[5]);
	if (r == 0)
		r = acme_tls_alpn01_certificate(
		    key, "example.test", text[0], 1800000000, 86400, &text[6]);
	if (r == 0)
		r = acme_dns_persist01_value(&persist, &text[7]);
	if (r == 0)
		r = acme_dns_persist01_account(
		    "https://a/", "example.test", key, "https://a/1", &text[8]);
	for (size_t i = 0; i < ELEMENTS(text); i++)
		free(text[i]);
	return r;
}

static int
persistent_challenge(void)
{
	static const char text[] =
	    "{\"status\":\"pending\",\"identifier\":{\"type\":\"dns\",\"value\":\"a.test\"},"
	    "\"challenges\":[{\"type\":\"dns-persist-01\",\"url\":\"https://ca.test/1\","
	    "\"issuerDomainNames\":[\"ca.test\",\"ca.example\"]}]}";
	struct wire_authz *a = NULL;
	int r = wire_authz_read(text, strlen(text), &a);

	r = settle(r, a);
	wire_authz_free(a);
	return r;
}

static int
renewal_info(void)
{
	static const char text[] =
	    "{\"suggestedWindow\":{\"start\":\"2026-01-02T04:00:00Z\","
	    "\"end\":\"2026-01-03T04:00:00Z\"},"
	    "\"explanationURL\":\"https://ca.test/why\"}";
	struct acme_renewal_info *info = NULL;
	int r = acme_renewal_info_parse(text, strlen(text), &info);

	r = settle(r, info);
	acme_renewal_info_free(info);
	return r;
}

static int
account(void)
{
	static const char text[] =
	    "{\"status\":\"valid\",\"contact\":[\"mailto:a@b.test\","
	    "\"mailto:c@d.test\"]}";
	const struct acme_reply reply = {
		.status = 200, .body = text, .body_len = strlen(text)
	};
	struct acme_account_info info = { 0 };
	char *payloads[3] = { NULL };
	int r = acme_account_read(&reply, &info);

	acme_account_info_clear(&info);
	if (r == 0)
		r = acme_account_contacts("mailto:a@b.test", &payloads[0]);
	if (r == 0)
		r = acme_account_deactivate(&payloads[1]);
	if (r == 0)
		r = acme_account_lookup(&payloads[2]);
	for (size_t i = 0; i < ELEMENTS(payloads); i++)
		free(payloads[i]);
	return r;
}

/* What doesn't fit into memory may be missing from it, never the document as such. */
static int
problem(void)
{
	static const char text[] =
	    "{\"type\":\"urn:ietf:params:acme:error:malformed\",\"detail\":\"no\","
	    "\"instance\":\"https://ca.test/why\",\"subproblems\":[{\"type\":\"x\","
	    "\"detail\":\"y\",\"identifier\":{\"type\":\"dns\",\"value\":\"a.test\"}}]}";
	const struct acme_reply reply = { .status = 400,
		.body = text,
		.body_len = strlen(text),
		.retry_after = "7" };
	struct acme_result *result = acme_reply_result(&reply, "order");
	struct acme_result *copy = acme_result_copy(result);
	int r = result != NULL && copy != NULL ? 0 : -ENOMEM;

	if (result != NULL && result->detail == NULL)
		r = 1;
	acme_result_free(copy);
	acme_result_free(result);
	return r;
}

static int (*const scenarios[])(void) = { whole_order, failed_order, json, keys,
	rsa_key, new_key, request, read_request, chain, placeholder, challenges,
	persistent_challenge, renewal_info, account, problem };

/* ---- and with how much of it failing ---- */

static void
set_up(void)
{
	ck_assert_int_eq(acme_key_from_pem(ec_example, strlen(ec_example), &key), 0);
	ck_assert_int_eq(acme_identifier_parse("a.example.test", &names[0], NULL), 0);
	ck_assert_int_eq(acme_identifier_parse("192.0.2.1", &names[1], NULL), 0);
	ck_assert_int_eq(acme_csr_new(key, names, 2, true, &csr_der, &csr_len), 0);
	ck_assert_int_eq(
	    acme_placeholder_new(key, names, 1, 1800000000, 86400, &pem), 0);
}

static void
tear_down(void)
{
	key = acme_key_free(key);
	free(csr_der);
	csr_der = NULL;
	free(pem);
	pem = NULL;
}

/* Runs it once with nothing failing, and says how much it allocates. */
static unsigned long
count(enum allocator who, int (*scenario)(void))
{
	int r;

	ck_assert_int_eq(scenario(), 0); /* what is made once is made now */
	until = ULONG_MAX;
	armed = who;
	r = scenario(); /* libcheck allocates, too: no assertions meanwhile */
	armed = NOBODY;
	ck_assert_int_eq(r, 0);
	return ULONG_MAX - until;
}

/* Errors are errors: where nothing could be made nobody says that all is well; what was
 * done all the same is fine. */
static unsigned long
fail_each(enum allocator who, int (*scenario)(void), unsigned long most)
{
	unsigned long total = count(who, scenario);

	for (unsigned long n = 0; n < total; n += 1 + total / most) {
		int r;

		failed = false;
		until = n;
		armed = who;
		r = scenario();
		armed = NOBODY;
		ck_assert_int_le(r, 0);
	}
	return total;
}

START_TEST(libacme)
{
	unsigned long n;

	set_up();
	n = fail_each(LIBACME, scenarios[_i], ULONG_MAX);
	ck_assert_uint_gt(n, 0);
	ck_assert(failed);
	printf("scenario %d: %lu allocations of libacme\n", _i, n);
	tear_down();
}
END_TEST

/* Thousands in some: some hundreds of them, or all where FAIL_ALL is set. */
START_TEST(openssl)
{
	unsigned long most = getenv("FAIL_ALL") != NULL ? ULONG_MAX : 300;

	set_up();
	printf("scenario %d: %lu allocations of OpenSSL\n", _i,
	    fail_each(OPENSSL, scenarios[_i], most));
	tear_down();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("failmalloc");
	TCase *tcase = tcase_create("failmalloc");
	SRunner *runner;
	int bad;

	if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) !=
	    1)
		return EXIT_FAILURE;
	tcase_set_timeout(tcase, getenv("FAIL_ALL") != NULL ? 3600 : 120);
	tcase_add_loop_test(tcase, libacme, 0, (int)ELEMENTS(scenarios));
	tcase_add_loop_test(tcase, openssl, 0, (int)ELEMENTS(scenarios));
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	bad = srunner_ntests_failed(runner);
	srunner_free(runner);
	return bad == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
