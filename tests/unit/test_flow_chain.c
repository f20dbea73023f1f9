/*
 * test_flow_chain.c - which of several chains is taken, and what comes to the CA in a
 * request: common name, foreign requests, times.
 */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base64url.h"
#include "buffer.h"
#include "flow_run.h"
#include "json.h"
#include "key.h"

#define CHAINS 12

/* A leaf for the request, an intermediate's key, and roots that certify it. */
static char *leaf_pem;
static EVP_PKEY *middle_key;
static const char *alternates;
static unsigned fetched[CHAINS];

static void
set_name(X509_NAME *name, const char *text)
{
	X509_NAME_add_entry_by_txt(
	    name, "CN", MBSTRING_UTF8, (const unsigned char *)text, -1, -1, 0);
}

static X509 *
begin_cert(const char *issuer, long serial)
{
	X509 *cert = X509_new();

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), serial);
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 7776000);
	set_name(X509_get_issuer_name(cert), issuer);
	return cert;
}

static char *
end_cert(X509 *cert, EVP_PKEY *key)
{
	BIO *out = BIO_new(BIO_s_mem());
	char *data;
	char *text;
	long len;

	ck_assert_int_gt(X509_sign(cert, key, EVP_sha256()), 0);
	PEM_write_bio_X509(out, cert);
	len = BIO_get_mem_data(out, &data);
	text = strndup(data, (size_t)len);
	BIO_free(out);
	X509_free(cert);
	return text;
}

static char *
make_leaf(const struct scripted_ca *ca, long serial)
{
	const unsigned char *der = ca->csr;
	X509_REQ *request = d2i_X509_REQ(NULL, &der, (long)ca->csr_len);
	X509 *cert = begin_cert("Middle", serial);
	X509_EXTENSION *names;
	char text[300];

	snprintf(text, sizeof(text), "DNS:%s", ca->names[0].value);
	names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, text);
	X509_add_ext(cert, names, -1);
	X509_EXTENSION_free(names);
	X509_set_pubkey(cert, X509_REQ_get0_pubkey(request));
	X509_REQ_free(request);
	return end_cert(cert, middle_key);
}

static char *
make_middle(const char *root)
{
	EVP_PKEY *root_key = EVP_EC_gen("P-256");
	X509 *cert = begin_cert(root, 2);
	char *text;

	set_name(X509_get_subject_name(cert), "Middle");
	X509_set_pubkey(cert, middle_key);
	text = end_cert(cert, root_key);
	EVP_PKEY_free(root_key);
	return text;
}

/* /cert is the CA's own, to Root 0; /cert/N leads to Root N; 10 is broken, 11 another
 * certificate for the same key. */
static const struct acme_reply *
chains_cb(struct scripted_ca *ca, const struct acme_request *request)
{
	static struct buffer body;
	static struct acme_reply reply;
	_cleanup_free_ char *middle = NULL;
	_cleanup_free_ char *other = NULL;
	char root[20];
	unsigned number = 0;

	if (request->action != ACME_ACTION_CERTIFICATE)
		return NULL;
	(void)sscanf(request->url, RUN_URL "/cert/%u", &number);
	ck_assert_uint_lt(number, CHAINS);
	fetched[number]++;
	if (leaf_pem == NULL)
		leaf_pem = make_leaf(ca, 1);
	snprintf(root, sizeof(root), "Root %u", number);
	middle = make_middle(root);
	other = make_leaf(ca, 7);
	buffer_free(&body);
	body = (struct buffer){ 0 };
	buffer_printf(&body, "%s%s", number == 11 ? other : leaf_pem, middle);
	reply =
	    *run_reply(number == 9 ? 500 : 200, number == 10 ? "nonsense" : body.data);
	reply.link_alternates = number == 0 ? alternates : NULL;
	return &reply;
}

static void
check(const char *links, const char *preferred, const char *top, unsigned requests)
{
	struct scripted_ca ca = { 0 };
	struct acme_plan plan;
	struct acme_flow *f;
	unsigned sum = 0;

	memset(fetched, 0, sizeof(fetched));
	leaf_pem = NULL;
	middle_key = EVP_EC_gen("P-256");
	alternates = links;
	run_setup(&ca, "a.example.test");
	plan = run_plan(&ca);
	plan.preferred_chain = preferred;
	f = run_flow(&plan, &ca, chains_cb);
	if (acme_flow_chain(f) == NULL)
		ck_abort_msg("%s", acme_flow_result(f)->detail);
	ck_assert_str_eq(acme_chain_leaf(acme_flow_chain(f))->top, top);
	for (size_t i = 0; i < CHAINS; i++)
		sum += fetched[i];
	ck_assert_uint_eq(sum, requests);
	if (preferred != NULL)
		ck_assert(acme_chain_has_issuer(acme_flow_chain(f), preferred) ==
		    (strcmp(top, preferred) == 0 || strcmp(preferred, "Middle") == 0));
	free(leaf_pem);
	EVP_PKEY_free(middle_key);
	run_end(f, &ca);
}

#define C(n) RUN_URL "/cert/" #n

START_TEST(the_chain_that_is_preferred)
{
	check(C(1), NULL, "Root 0", 1);
	check(C(1) " " C(2), "Root 0", "Root 0", 1);
	check(C(1) " " C(2), "Middle", "Root 0", 1); /* an issuer within */
	check(C(1) " " C(2), "Root 2", "Root 2", 3);
	check(C(1) " " C(2), "Root 1", "Root 1", 2); /* the first */
	check(C(1) " " C(2), "Root 3", "Root 0", 3); /* none: the CA's own */
	check(NULL, "Root 3", "Root 0", 1);
	check("", "Root 3", "Root 0", 1);
}
END_TEST

START_TEST(chains_that_cannot_be_taken)
{
	check(C(9) " " C(10) " " C(2), "Root 2", "Root 2", 4);
	check(C(10), "Root 10", "Root 0", 2);
	check(C(11), "Root 11", "Root 0", 2); /* another certificate */
	check("http://ca.test/cert/1 nonsense  " C(2), "Root 2", "Root 2", 2);
	/* no CA has so many */
	check(C(1) " " C(1) " " C(1) " " C(1) " " C(1) " " C(1) " " C(1) " " C(1) " " C(
		  2),
	    "Root 2", "Root 0", 9);
}
END_TEST

/* ---- what is asked for ---- */

static char payload[4000];

static const struct acme_reply *
note_cb(struct scripted_ca *ca, const struct acme_request *request)
{
	(void)ca;
	if (request->action == ACME_ACTION_NEW_ORDER)
		snprintf(payload, sizeof(payload), "%s", request->payload);
	return NULL;
}

static X509_REQ *
sent_request(const struct scripted_ca *ca)
{
	const unsigned char *der = ca->csr;

	return d2i_X509_REQ(NULL, &der, (long)ca->csr_len);
}

START_TEST(common_name_and_times)
{
	for (int named = 0; named < 2; named++) {
		struct scripted_ca ca = { 0 };
		struct acme_plan plan;
		struct acme_flow *f;
		X509_REQ *request;
		char name[100] = "";

		run_setup(&ca, "192.0.2.1 a.example.test b.example.test");
		plan = run_plan(&ca);
		plan.common_name = named;
		plan.not_after = 1000000000;
		f = run_flow(&plan, &ca, note_cb);
		ck_assert_ptr_nonnull(acme_flow_chain(f));
		ck_assert_ptr_nonnull(
		    strstr(payload, "\"notAfter\":\"2001-09-09T01:46:40Z\""));
		request = sent_request(&ca);
		X509_NAME_get_text_by_NID(X509_REQ_get_subject_name(request),
		    NID_commonName, name, sizeof(name));
		ck_assert_str_eq(name, named ? "a.example.test" : "");
		X509_REQ_free(request);
		run_end(f, &ca);
	}
}
END_TEST

START_TEST(a_request_made_elsewhere)
{
	struct acme_identifier name;
	_cleanup_free_ unsigned char *der = NULL;
	struct scripted_ca ca = { 0 };
	struct acme_key *stranger;
	struct acme_plan plan;
	struct acme_csr *csr;
	struct acme_flow *f;
	size_t len;

	ck_assert_int_eq(acme_key_generate(ACME_KEY_ECDSA_P384, &stranger), 0);
	ck_assert_int_eq(acme_identifier_parse("a.example.test", &name, NULL), 0);
	ck_assert_int_eq(acme_csr_new(stranger, &name, 1, true, &der, &len), 0);
	ck_assert_int_eq(acme_csr_read(der, len, &csr, NULL), 0);
	run_setup(&ca, "a.example.test");
	plan = run_plan(&ca);
	plan.csr = csr;
	plan.key = acme_csr_key(csr);
	f = run_flow(&plan, &ca, NULL);
	ck_assert_ptr_nonnull(acme_flow_chain(f));
	ck_assert_uint_eq(ca.csr_len, len);
	ck_assert_mem_eq(ca.csr, der, len);
	acme_csr_free(csr);
	acme_key_free(stranger);
	run_end(f, &ca);
}
END_TEST

SUITE("flow_chain", the_chain_that_is_preferred, chains_that_cannot_be_taken,
    common_name_and_times, a_request_made_elsewhere)
