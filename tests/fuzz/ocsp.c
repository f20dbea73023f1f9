/*
 * ocsp.c - what a responder may answer, about the certificate of ocsp_chain.h. No
 * search finds a signature, so what reads as an answer is signed by the issuer and read
 * again: what a signed one says is bounded too.
 */
#include "renew/ocsp_response.h"

#include <errno.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>

#include "../unit/rfc_keys.h"
#include "fuzz.h"
#include "ocsp_chain.h"

#define NOW           INT64_C(1800000000) /* two months after the corpus was made */
#define CLOCKS_DIFFER 300

static EVP_PKEY *key;
static X509 *issuer;

static void
load(void)
{
	BIO *bio = BIO_new_mem_buf(ec_example, -1);

	key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	BIO_free(bio);
	bio = BIO_new_mem_buf(ocsp_chain, -1);
	X509_free(PEM_read_bio_X509(bio, NULL, NULL, NULL));
	issuer = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	MUST(key != NULL && issuer != NULL && X509_check_private_key(issuer, key) == 1);
}

static int
judge(const uint8_t *data, size_t size, struct ocsp_answer *ret)
{
	const char *why = NULL;
	int r = ocsp_read(ocsp_chain, data, size, NOW, ret, &why);

	MUST(r == 0 || (r == -EBADMSG && why != NULL));
	if (r < 0)
		return r;
	MUST(ret->status == OCSP_GOOD || ret->status == OCSP_REVOKED ||
	    ret->status == OCSP_UNKNOWN);
	MUST(ret->reason != NULL);
	MUST(ret->status == OCSP_REVOKED ||
	    (!ret->key_compromise && ret->reason[0] == '\0'));
	MUST(ret->this_update != 0 && ret->this_update <= NOW + CLOCKS_DIFFER);
	MUST(ret->next_update == 0 || ret->next_update > NOW);
	return 0;
}

/* OCSP_basic_sign() would name the signer anew: here that's the responder's to say. */
static bool
sign_basic(const OCSP_BASICRESP *basic)
{
	return ASN1_item_sign(ASN1_ITEM_rptr(OCSP_RESPDATA),
		   (X509_ALGOR *)OCSP_resp_get0_tbs_sigalg(basic), NULL,
		   (ASN1_OCTET_STRING *)OCSP_resp_get0_signature(basic),
		   OCSP_resp_get0_respdata(basic), key, EVP_sha256()) > 0;
}

/* The same answer with the issuer's signature; NULL where there is no answer in it. */
static uint8_t *
sign(const uint8_t *data, size_t size, size_t *ret_size)
{
	const unsigned char *pos = data;
	OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &pos, (long)size);
	OCSP_BASICRESP *basic =
	    response != NULL ? OCSP_response_get1_basic(response) : NULL;
	unsigned char *der = NULL;
	int len = -1;

	OCSP_RESPONSE_free(response);
	if (basic != NULL && sign_basic(basic)) {
		response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
		len = i2d_OCSP_RESPONSE(response, &der);
		OCSP_RESPONSE_free(response);
	}
	OCSP_BASICRESP_free(basic);
	*ret_size = len > 0 ? (size_t)len : 0;
	return der;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ocsp_answer answer, again;
	uint8_t *signed_data, *copy;
	size_t signed_size;
	int r;

	if (key == NULL)
		load();
	copy = (uint8_t *)fuzz_text(data, size);
	r = judge(copy, size, &answer);
	signed_data = sign(copy, size, &signed_size);
	if (r == 0)
		MUST(signed_data != NULL);
	if (signed_data != NULL && judge(signed_data, signed_size, &again) == 0 &&
	    r == 0)
		MUST(again.status == answer.status &&
		    again.this_update == answer.this_update &&
		    again.next_update == answer.next_update);
	OPENSSL_free(signed_data);
	free(copy);
	return 0;
}
