/*
 * test_staple.c - OCSP answers, good and not, as OpenSSL makes them.
 */
#include "deploy/staple.h"

#include <openssl/ocsp.h>

#include "make_cert.h"
#include "platform/clock.h"
#include "suite.h"

#define NOW INT64_C(1800000000)

static EVP_PKEY *ca_key, *other_key;
static X509 *issuer, *leaf, *stranger;

static X509 *
make(const char *subject, EVP_PKEY *key, EVP_PKEY *issuer_key, const char *serial)
{
	return make_cert(&(struct recipe){ .subject = subject,
	    .issuer = "CA",
	    .serial = serial,
	    .not_before = NOW - 3600,
	    .key = key,
	    .issuer_key = issuer_key });
}

struct answer {
	X509 *about;
	int status;
	int64_t until; /* from now */
	X509 *signer;
	EVP_PKEY *key;
	bool broken;
};

static unsigned char *
encode(const struct answer *a, int *ret_len)
{
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	OCSP_CERTID *id = OCSP_cert_to_id(NULL, a->about, issuer);
	ASN1_TIME *from = ASN1_GENERALIZEDTIME_set(NULL, NOW - 60);
	ASN1_TIME *until = ASN1_GENERALIZEDTIME_set(NULL, NOW + a->until);
	ASN1_TIME *revoked = a->status == V_OCSP_CERTSTATUS_REVOKED ? from : NULL;
	OCSP_RESPONSE *response;
	unsigned char *data = NULL;

	OCSP_basic_add1_status(basic, id, a->status, 0, revoked, from, until);
	OCSP_CERTID_free(id);
	ck_assert_int_eq(
	    OCSP_basic_sign(basic, a->signer, a->key, EVP_sha256(), NULL, 0), 1);
	response = OCSP_response_create(
	    a->broken ? OCSP_RESPONSE_STATUS_TRYLATER : OCSP_RESPONSE_STATUS_SUCCESSFUL,
	    a->broken ? NULL : basic);
	*ret_len = i2d_OCSP_RESPONSE(response, &data);
	OCSP_RESPONSE_free(response);
	OCSP_BASICRESP_free(basic);
	ASN1_TIME_free(from);
	ASN1_TIME_free(until);
	return data;
}

static const char *
lack(const struct answer *a)
{
	STACK_OF(X509) *chain = sk_X509_new_null();
	int len;
	unsigned char *data = encode(a, &len);
	const char *found;

	sk_X509_push(chain, leaf);
	sk_X509_push(chain, issuer);
	found = staple_lack(data, len, chain);
	OPENSSL_free(data);
	sk_X509_free(chain);
	return found;
}

START_TEST(test_answers)
{
	struct answer good, a;
	STACK_OF(X509) *chain = sk_X509_new_null();

	clock_freeze(NOW);
	ca_key = EVP_EC_gen("P-256");
	other_key = EVP_EC_gen("P-256");
	issuer = make("CA", ca_key, ca_key, "1");
	leaf = make("www.example.test", other_key, ca_key, "2");
	stranger = make("CA", other_key, other_key, "3");
	good = (struct answer){ leaf, V_OCSP_CERTSTATUS_GOOD, 3600, issuer, ca_key,
		false };
	ck_assert_ptr_null(lack(&good));
	a = good, a.status = V_OCSP_CERTSTATUS_REVOKED;
	ck_assert_ptr_nonnull(strstr(lack(&a), "revoked"));
	a = good, a.until = -1;
	ck_assert_ptr_nonnull(strstr(lack(&a), "out of date"));
	a = good, a.about = stranger;
	ck_assert_ptr_nonnull(strstr(lack(&a), "another certificate"));
	a = good, a.signer = stranger, a.key = other_key;
	ck_assert_ptr_nonnull(strstr(lack(&a), "isn't signed by its issuer"));
	a = good, a.broken = true;
	ck_assert_ptr_nonnull(strstr(lack(&a), "is none"));
	ck_assert_ptr_nonnull(strstr(staple_lack(NULL, -1, chain), "there is no OCSP"));
	ck_assert_ptr_nonnull(
	    strstr(staple_lack((const unsigned char *)"x", 1, chain), "is none"));
	sk_X509_free(chain);
	X509_free(issuer);
	X509_free(leaf);
	X509_free(stranger);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(other_key);
	clock_thaw();
}
END_TEST

SUITE("staple", test_answers)
