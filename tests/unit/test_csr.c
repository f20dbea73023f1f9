/*
 * test_csr.c - certificate requests and placeholders, read by OpenSSL.
 */
#include "acme.h"

#include <errno.h>
#include <string.h>

#include <arpa/inet.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "key.h"
#include "rfc_keys.h"
#include "suite.h"

DEFINE_CLEANUP(X509_REQ, X509_REQ_free)
DEFINE_CLEANUP(struct acme_chain, acme_chain_free)

static struct acme_identifier
id(const char *text)
{
	struct acme_identifier identifier;

	ck_assert_int_eq(acme_identifier_parse(text, &identifier, NULL), 0);
	return identifier;
}

static struct acme_key *
make(enum acme_key_type type)
{
	struct acme_key *key = NULL;

	ck_assert_int_eq(acme_key_generate(type, &key), 0);
	return key;
}

static X509_REQ *
request(const struct acme_key *key, const struct acme_identifier *ids, size_t count,
    bool must_staple)
{
	unsigned char *der = NULL;
	const unsigned char *end;
	size_t len = 0;
	X509_REQ *req;

	ck_assert_int_eq(acme_csr_new(key, ids, count, must_staple, &der, &len), 0);
	ck_assert_uint_eq(ERR_peek_error(), 0);
	end = der;
	req = d2i_X509_REQ(NULL, &end, (long)len);
	ck_assert_ptr_nonnull(req);
	ck_assert_ptr_eq(end, der + len);
	free(der);
	return req;
}

static void
check_request(const struct acme_key *key, int signature)
{
	const struct acme_identifier ids[] = { id("example.org"), id("*.example.org"),
		id("192.0.2.7"), id("2001:db8::1") };
	_cleanup_(X509_REQ_freep) X509_REQ *req =
	    request(key, ids, ELEMENTS(ids), false);
	STACK_OF(X509_EXTENSION) *list = X509_REQ_get_extensions(req);
	GENERAL_NAMES *names;

	ck_assert_int_eq(X509_REQ_verify(req, X509_REQ_get0_pubkey(req)), 1);
	ck_assert_int_eq(EVP_PKEY_eq(X509_REQ_get0_pubkey(req), acme_key_evp(key)), 1);
	ck_assert_int_eq(X509_REQ_get_signature_nid(req), signature);
	ck_assert_int_eq(X509_REQ_get_version(req), 0);
	ck_assert_int_eq(X509_NAME_entry_count(X509_REQ_get_subject_name(req)), 0);
	ck_assert_int_eq(sk_X509_EXTENSION_num(list), 1);
	names = X509V3_get_d2i(list, NID_subject_alt_name, NULL, NULL);
	ck_assert_int_eq(sk_GENERAL_NAME_num(names), ELEMENTS(ids));
	for (int i = 0; i < (int)ELEMENTS(ids); i++) {
		int type;
		ASN1_STRING *value =
		    GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
		const void *data = ASN1_STRING_get0_data(value);
		size_t len = (size_t)ASN1_STRING_length(value);
		unsigned char address[16];

		if (i < 2) {
			ck_assert_int_eq(type, GEN_DNS);
			ck_assert_uint_eq(len, strlen(ids[i].value));
			ck_assert_mem_eq(data, ids[i].value, len);
			continue;
		}
		ck_assert_int_eq(type, GEN_IPADD);
		ck_assert_uint_eq(len, i == 2 ? 4 : 16);
		inet_pton(i == 2 ? AF_INET : AF_INET6, ids[i].value, address);
		ck_assert_mem_eq(data, address, len);
	}
	GENERAL_NAMES_free(names);
	sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
}

START_TEST(test_requests)
{
	_cleanup_(acme_key_freep) struct acme_key *p256 = make(ACME_KEY_ECDSA_P256);
	_cleanup_(acme_key_freep) struct acme_key *p384 = make(ACME_KEY_ECDSA_P384);
	_cleanup_(acme_key_freep) struct acme_key *rsa = NULL;

	ck_assert_int_eq(acme_key_from_pem(rsa_example, strlen(rsa_example), &rsa), 0);
	check_request(p256, NID_ecdsa_with_SHA256);
	check_request(p384, NID_ecdsa_with_SHA384);
	check_request(rsa, NID_sha256WithRSAEncryption);
}
END_TEST

/* RFC 7633 section 4: the features are a sequence with the one number 5. */
START_TEST(test_must_staple)
{
	static const unsigned char feature[] = { 0x30, 3, 2, 1, 5 };
	_cleanup_(acme_key_freep) struct acme_key *key = make(ACME_KEY_ECDSA_P256);
	const struct acme_identifier ids[] = { id("example.org") };
	_cleanup_(X509_REQ_freep) X509_REQ *req = request(key, ids, 1, true);
	STACK_OF(X509_EXTENSION) *list = X509_REQ_get_extensions(req);
	int i = X509v3_get_ext_by_NID(list, NID_tlsfeature, -1);
	ASN1_OCTET_STRING *value;

	ck_assert_int_eq(sk_X509_EXTENSION_num(list), 2);
	ck_assert_int_ge(i, 0);
	ck_assert_int_eq(
	    X509_EXTENSION_get_critical(sk_X509_EXTENSION_value(list, i)), 0);
	value = X509_EXTENSION_get_data(sk_X509_EXTENSION_value(list, i));
	ck_assert_int_eq(ASN1_STRING_length(value), sizeof(feature));
	ck_assert_mem_eq(ASN1_STRING_get0_data(value), feature, sizeof(feature));
	sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
}
END_TEST

START_TEST(test_hundred_names)
{
	_cleanup_(acme_key_freep) struct acme_key *key = make(ACME_KEY_ECDSA_P256);
	struct acme_identifier ids[100];
	X509_REQ *req;

	for (size_t i = 0; i < ELEMENTS(ids); i++) {
		ids[i] = id("h00.example.org");
		ids[i].value[1] = (char)('0' + i / 10);
		ids[i].value[2] = (char)('0' + i % 10);
	}
	req = request(key, ids, ELEMENTS(ids), false);
	ck_assert_int_eq(X509_REQ_verify(req, acme_key_evp(key)), 1);
	X509_REQ_free(req);
}
END_TEST

START_TEST(test_nothing_to_ask_for)
{
	_cleanup_(acme_key_freep) struct acme_key *key = make(ACME_KEY_ECDSA_P256);
	struct acme_identifier broken = { ACME_IDENTIFIER_IP, "not an address" };
	struct acme_identifier name = id("a.org");
	unsigned char *der = NULL;
	char *pem = NULL;
	size_t len;

	ck_assert_int_eq(acme_csr_new(key, NULL, 0, false, &der, &len), -EINVAL);
	ck_assert_int_eq(acme_csr_new(key, &broken, 1, false, &der, &len), -EINVAL);
	ck_assert_int_eq(acme_placeholder_new(key, NULL, 0, 0, 1, &pem), -EINVAL);
	ck_assert_int_eq(acme_placeholder_new(key, &name, 1, 0, 0, &pem), -EINVAL);
	ck_assert_int_eq(acme_placeholder_new(key, &name, 1, 0, -1, &pem), -EINVAL);
	ck_assert_int_eq(
	    acme_placeholder_new(key, &name, 1, 10, INT64_MAX, &pem), -EINVAL);
	ck_assert_int_eq(
	    acme_placeholder_new(key, &name, 1, 0, INT64_MAX, &pem), -EINVAL);
	ck_assert_ptr_null(der);
	ck_assert_ptr_null(pem);
	ck_assert_uint_eq(ERR_peek_error(), 0);
}
END_TEST

START_TEST(test_placeholder)
{
	_cleanup_(acme_key_freep) struct acme_key *key = make(ACME_KEY_ECDSA_P384);
	const struct acme_identifier ids[] = { id("example.org"), id("::1") };
	_cleanup_(acme_chain_freep) struct acme_chain *chain = NULL;
	_cleanup_free_ char *pem = NULL;
	_cleanup_free_ char *other = NULL;
	const struct acme_leaf *leaf;
	BIO *bio;
	X509 *x;

	ck_assert_int_eq(acme_placeholder_new(key, ids, 2, 1767225600, 86400, &pem), 0);
	ck_assert_uint_eq(ERR_peek_error(), 0);
	ck_assert_int_eq(acme_chain_parse(pem, strlen(pem), &chain, NULL), 0);
	ck_assert_int_eq(acme_chain_check(chain, key, ids, 2, NULL), 0);
	ck_assert_uint_eq(acme_chain_count(chain), 1);
	leaf = acme_chain_leaf(chain);
	ck_assert_int_eq(leaf->not_before, 1767225600);
	ck_assert_int_eq(leaf->not_after, 1767225600 + 86400);
	ck_assert_int_eq(leaf->key_type, ACME_KEY_ECDSA_P384);
	ck_assert_ptr_nonnull(strstr(leaf->issuer, "placeholder"));
	ck_assert_uint_eq(strlen(leaf->serial), 32);

	bio = BIO_new_mem_buf(pem, -1);
	x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	ck_assert_int_eq(X509_verify(x, acme_key_evp(key)), 1);
	ck_assert_int_eq(X509_self_signed(x, 1), 1);
	ck_assert_int_eq(X509_check_host(x, "example.org", 0, 0, NULL), 1);
	ck_assert_int_eq(X509_check_ip_asc(x, "::1", 0), 1);
	ck_assert_int_eq(X509_check_ca(x), 0);
	X509_free(x);
	BIO_free(bio);

	/* never the same serial twice */
	ck_assert_int_eq(
	    acme_placeholder_new(key, ids, 2, 1767225600, 86400, &other), 0);
	ck_assert_str_ne(pem, other);
}
END_TEST

SUITE("csr", test_requests, test_must_staple, test_hundred_names,
    test_nothing_to_ask_for, test_placeholder)
