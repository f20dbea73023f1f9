/*
 * staple.c - reads an OCSP answer as a browser would that insists on one.
 *
 * Called by probe.c. The issuer that the server sent along is trusted here, and nothing
 * above it: whose certificate it is, is found out elsewhere.
 */
#include "deploy/staple.h"

#include <stdbool.h>

#include <openssl/err.h>
#include <openssl/ocsp.h>

#include "platform/clock.h"
#include "scope.h"

static void
free_basic(OCSP_BASICRESP **basic)
{
	OCSP_BASICRESP_free(*basic);
}

static OCSP_BASICRESP *
parse(const unsigned char *data, long len)
{
	OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &data, len);
	OCSP_BASICRESP *basic = NULL;

	if (response != NULL &&
	    OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL)
		basic = OCSP_response_get1_basic(response);
	OCSP_RESPONSE_free(response);
	return basic;
}

static bool
is_signed(OCSP_BASICRESP *basic, X509 *issuer, STACK_OF(X509) * chain)
{
	X509_STORE *store = X509_STORE_new();
	bool good = store != NULL && X509_STORE_add_cert(store, issuer) == 1 &&
	    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1;

	if (good) {
		X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store), clock_now());
		good = OCSP_basic_verify(basic, chain, store, 0) == 1;
	}

	X509_STORE_free(store);
	return good;
}

static const char *
judge(OCSP_BASICRESP *basic, X509 *leaf, X509 *issuer)
{
	OCSP_CERTID *id = OCSP_cert_to_id(NULL, leaf, issuer);
	ASN1_GENERALIZEDTIME *from = NULL, *until = NULL;
	time_t now = clock_now();
	int status = -1;
	int found = id != NULL
	    ? OCSP_resp_find_status(basic, id, &status, NULL, NULL, &from, &until)
	    : 0;

	OCSP_CERTID_free(id);
	if (found != 1)
		return "its OCSP answer is about another certificate";
	if (status != V_OCSP_CERTSTATUS_GOOD)
		return "its OCSP answer says that it was revoked, or isn't known";
	if (until != NULL && X509_cmp_time(until, &now) <= 0)
		return "its OCSP answer is out of date";
	return NULL;
}

const char *
staple_lack(const unsigned char *data, long len, STACK_OF(X509) * chain)
{
	_cleanup_(free_basic) OCSP_BASICRESP *basic = NULL;
	X509 *leaf = sk_X509_value(chain, 0), *issuer = sk_X509_value(chain, 1);
	const char *lack;

	if (data == NULL || len <= 0)
		return "there is no OCSP answer with it, which it must have (must_staple)";
	basic = parse(data, len);
	if (basic == NULL)
		return "the OCSP answer with it is none";
	if (leaf == NULL || issuer == NULL)
		return "its chain is missing";
	lack = judge(basic, leaf, issuer);
	if (lack == NULL && !is_signed(basic, issuer, chain))
		lack = "the OCSP answer with it isn't signed by its issuer";
	ERR_clear_error();
	return lack;
}
