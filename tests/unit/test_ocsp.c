/*
 * test_ocsp.c - which answers of OCSP responders are believed: made by OpenSSL, signed
 * by the issuer, by who it has named, and by others.
 */
#include "renew/ocsp_response.h"

#include <errno.h>
#include <openssl/ocsp.h>
#include <stdio.h>
#include <string.h>

#include "acme.h"
#include "make_cert.h"
#include "scope.h"
#include "suite.h"

#define NOW INT64_C(1800000000)
#define DAY INT64_C(86400)

struct ca {
	EVP_PKEY *key, *leaf_key, *other_key;
	X509 *issuer, *leaf;
	char *chain;
};

static int
add(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	int r = X509_add_ext(x, e, -1);

	X509_EXTENSION_free(e);
	return r;
}

static int
ca_cb(X509 *x)
{
	return add(x, NID_basic_constraints, "critical,CA:TRUE");
}

static int
responder_cb(X509 *x)
{
	return add(
	    x, NID_info_access, "OCSP;URI:ldap://x/,OCSP;URI:http://ocsp.test/a");
}

static int
signer_cb(X509 *x)
{
	return add(x, NID_ext_key_usage, "OCSPSigning");
}

static char *
pem_of(X509 *x)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *pem;
	long len;

	PEM_write_bio_X509(bio, x);
	len = BIO_get_mem_data(bio, &data);
	pem = strndup(data, (size_t)len);
	BIO_free(bio);
	return pem;
}

static struct ca
make_ca(void)
{
	struct ca c = { .key = EVP_EC_gen("P-256"),
		.leaf_key = EVP_EC_gen("P-256"),
		.other_key = EVP_EC_gen("P-256") };

	c.issuer = make_cert(&(struct recipe){ .subject = "CA",
	    .issuer = "root",
	    .key = c.key,
	    .issuer_key = c.other_key,
	    .not_before = NOW - DAY,
	    .not_after = NOW + 900 * DAY,
	    .change = ca_cb });
	c.leaf = make_cert(&(struct recipe){ .subject = "leaf",
	    .issuer = "CA",
	    .serial = "1234",
	    .key = c.leaf_key,
	    .issuer_key = c.key,
	    .not_before = NOW - DAY,
	    .not_after = NOW + 90 * DAY,
	    .change = responder_cb });
	c.chain = make_join(pem_of(c.leaf), pem_of(c.issuer));
	return c;
}

static void
free_ca(struct ca *c)
{
	EVP_PKEY_free(c->key);
	EVP_PKEY_free(c->leaf_key);
	EVP_PKEY_free(c->other_key);
	X509_free(c->issuer);
	X509_free(c->leaf);
	free(c->chain);
}

/* What is different from a good answer of the issuer's. */
struct said {
	int status; /* V_OCSP_CERTSTATUS_GOOD is 0 */
	int reason;
	X509 *about;         /* another certificate */
	EVP_PKEY *key;       /* that signs */
	X509 *signer;        /* whose it is */
	int64_t from, until; /* relative to NOW; both 0: a day */
	bool endless;
	const char *end; /* as it stands there; NULL: `until` */
};

/* Functions that make an answer refuse what isn't a time. */
static void
write_end(OCSP_BASICRESP *basic, const char *text)
{
	ASN1_GENERALIZEDTIME *end;

	OCSP_single_get0_status(OCSP_resp_get0(basic, 0), NULL, NULL, NULL, &end);
	ck_assert_int_eq(ASN1_STRING_set(end, text, -1), 1);
}

static size_t
respond(const struct ca *c, const struct said *s, unsigned char **ret)
{
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	OCSP_RESPONSE *response;
	OCSP_CERTID *id = OCSP_cert_to_id(
	    EVP_sha1(), s->about != NULL ? s->about : c->leaf, c->issuer);
	ASN1_TIME *from = ASN1_GENERALIZEDTIME_set(NULL, NOW + s->from);
	ASN1_TIME *until =
	    ASN1_GENERALIZEDTIME_set(NULL, NOW + (s->until != 0 ? s->until : DAY));
	int len;

	ck_assert_ptr_nonnull(OCSP_basic_add1_status(basic, id, s->status, s->reason,
	    s->status == V_OCSP_CERTSTATUS_REVOKED ? from : NULL, from,
	    s->endless ? NULL : until));
	if (s->end != NULL)
		write_end(basic, s->end);
	ck_assert_int_eq(
	    OCSP_basic_sign(basic, s->signer != NULL ? s->signer : c->issuer,
		s->key != NULL ? s->key : c->key, EVP_sha256(), NULL, 0),
	    1);
	response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
	*ret = NULL;
	len = i2d_OCSP_RESPONSE(response, ret);
	ck_assert_int_gt(len, 0);
	OCSP_RESPONSE_free(response);
	OCSP_BASICRESP_free(basic);
	OCSP_CERTID_free(id);
	ASN1_TIME_free(from);
	ASN1_TIME_free(until);
	return (size_t)len;
}

static int
judge(const struct ca *c, const struct said *s, struct ocsp_answer *ret,
    const char **ret_why)
{
	unsigned char *der;
	size_t len = respond(c, s, &der);
	int r;

	*ret_why = "";
	r = ocsp_read(c->chain, der, len, NOW, ret, ret_why);
	OPENSSL_free(der);
	return r;
}

START_TEST(test_url)
{
	struct ca c = make_ca();
	char *pem = pem_of(c.issuer);
	char *url = NULL;

	ck_assert_int_eq(ocsp_url(c.chain, &url), 0);
	ck_assert_int_eq(strncmp(url, "http://ocsp.test/a/M", 20), 0);
	ck_assert_ptr_null(strpbrk(url + 19, "+/="));
	free(url);
	/* without an issuer, a responder, or a certificate nobody can be asked */
	ck_assert_int_eq(ocsp_url(pem, &url), -ENOENT);
	ck_assert_int_eq(ocsp_url("", &url), -ENOENT);
	free(pem);
	pem = pem_of(c.leaf);
	ck_assert_int_eq(ocsp_url(pem, &url), -ENOENT);
	free(pem);
	free_ca(&c);
}
END_TEST

static const char *const no_responders[] = {
	"OCSP;URI:ldap://x/",
	"caIssuers;URI:http://ca.test/",
	"OCSP;DNS:ocsp.test",
	"OCSP;URI:http://ocsp.test/\nHost: other",
	"OCSP;URI:http://ocsp.test/a b",
};

static void
expect_no_responder(const char *access)
{
	struct ca c = make_ca();
	_cleanup_free_ char *pem = NULL;
	struct acme_chain *chain = NULL;

	X509_EXTENSION_free(
	    X509_delete_ext(c.leaf, X509_get_ext_by_NID(c.leaf, NID_info_access, -1)));
	ck_assert_int_eq(add(c.leaf, NID_info_access, access), 1);
	pem = pem_of(c.leaf);
	ck_assert_int_eq(acme_chain_parse(pem, strlen(pem), &chain, NULL), 0);
	ck_assert_ptr_null(acme_chain_leaf(chain)->responder);
	acme_chain_free(chain);
	free_ca(&c);
}

START_TEST(test_no_responder)
{
	for (size_t i = 0; i < ELEMENTS(no_responders); i++)
		expect_no_responder(no_responders[i]);
}
END_TEST

START_TEST(test_believed)
{
	struct ca c = make_ca();
	struct ocsp_answer a;
	const char *why;
	X509 *signer = make_cert(&(struct recipe){ .subject = "signer",
	    .issuer = "CA",
	    .serial = "77",
	    .key = c.other_key,
	    .issuer_key = c.key,
	    .not_before = NOW - DAY,
	    .not_after = NOW + DAY,
	    .change = signer_cb });

	ck_assert_int_eq(judge(&c, &(struct said){ 0 }, &a, &why), 0);
	ck_assert_int_eq(a.status, OCSP_GOOD);
	ck_assert_int_eq(a.this_update, NOW);
	ck_assert_int_eq(a.next_update, NOW + DAY);
	ck_assert_int_eq(judge(&c, &(struct said){ .endless = true }, &a, &why), 0);
	ck_assert_int_eq(a.next_update, 0);
	ck_assert_int_eq(judge(&c,
			     &(struct said){ .status = V_OCSP_CERTSTATUS_REVOKED,
				 .reason = OCSP_REVOKED_STATUS_KEYCOMPROMISE },
			     &a, &why),
	    0);
	ck_assert_int_eq(a.status, OCSP_REVOKED);
	ck_assert(a.key_compromise);
	ck_assert_str_eq(a.reason, "keyCompromise");
	ck_assert_int_eq(judge(&c,
			     &(struct said){ .status = V_OCSP_CERTSTATUS_REVOKED,
				 .reason = OCSP_REVOKED_STATUS_NOSTATUS },
			     &a, &why),
	    0);
	ck_assert(!a.key_compromise);
	ck_assert_str_eq(a.reason, "");
	ck_assert_int_eq(
	    judge(&c, &(struct said){ .status = V_OCSP_CERTSTATUS_UNKNOWN }, &a, &why),
	    0);
	ck_assert_int_eq(a.status, OCSP_UNKNOWN);
	ck_assert_int_eq(
	    judge(&c, &(struct said){ .key = c.other_key, .signer = signer }, &a, &why),
	    0);
	X509_free(signer);
	free_ca(&c);
}
END_TEST

START_TEST(test_refused)
{
	struct ca c = make_ca();
	X509 *other = make_cert(&(struct recipe){ .subject = "x",
	    .issuer = "CA",
	    .serial = "99",
	    .key = c.other_key,
	    .issuer_key = c.key,
	    .not_before = NOW - DAY });
	X509 *stranger = make_cert(&(struct recipe){ .subject = "CA",
	    .issuer = "CA",
	    .key = c.other_key,
	    .issuer_key = c.other_key,
	    .not_before = NOW - DAY,
	    .change = ca_cb });
	const struct {
		struct said said;
		const char *why;
	} cases[] = {
		{ { .about = other }, "about another certificate" },
		{ { .key = c.other_key, .signer = stranger }, "isn't signed" },
		/* of the same CA, but not for that */
		{ { .key = c.other_key, .signer = other }, "isn't signed" },
		{ { .from = -2 * DAY, .until = -1 }, "out of date" },
		{ { .from = 400 }, "from the future" },
		{ { .end = "2125" }, "has an end that can't be read" },
	};
	struct ocsp_answer a;
	const char *why;

	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		ck_assert_int_eq(judge(&c, &cases[i].said, &a, &why), -EBADMSG);
		ck_assert_msg(strstr(why, cases[i].why) != NULL, "%zu: %s", i, why);
	}
	X509_free(other);
	X509_free(stranger);
	free_ca(&c);
}
END_TEST

/* Each byte may be another, and each end may be missing. */
START_TEST(test_damaged)
{
	struct ca c = make_ca();
	struct said good = { 0 };
	struct ocsp_answer a;
	const char *why;
	unsigned char *der;
	size_t len = respond(&c, &good, &der);

	for (size_t i = 0; i < len; i++)
		ck_assert_int_eq(ocsp_read(c.chain, der, i, NOW, &a, &why), -EBADMSG);
	for (size_t i = 0; i < len; i += 3) {
		der[i] ^= 0x41;
		ck_assert_int_le(ocsp_read(c.chain, der, len, NOW, &a, &why), 0);
		der[i] ^= 0x41;
	}
	ck_assert_int_eq(ocsp_read(c.chain, der, len, NOW, &a, &why), 0);
	OPENSSL_free(der);
	der = OCSP_RESPONSE_MAX + 1 > len ? calloc(1, OCSP_RESPONSE_MAX + 1) : NULL;
	ck_assert_int_eq(
	    ocsp_read(c.chain, der, OCSP_RESPONSE_MAX + 1, NOW, &a, &why), -EBADMSG);
	ck_assert_str_eq(why, "its answer is too large");
	free(der);
	free_ca(&c);
}
END_TEST

SUITE("ocsp", test_url, test_no_responder, test_believed, test_refused, test_damaged)
