/*
 * ocsp_response.c - asks and reads OCSP with OpenSSL; see ocsp_response.h.
 *
 * What comes from a responder is a stranger's until its signature was checked: plain
 * HTTP is how it travels.
 */
#include "renew/ocsp_response.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <time.h>

#include "acme.h"
#include "buffer.h"
#include "scope.h"

#define CLOCKS_DIFFER 300 /* seconds that the responder's may be ahead of ours */

DEFINE_CLEANUP(struct acme_chain, acme_chain_free)

/* The leaf and who has issued it, lent, and the certificates that they are of. */
struct pair {
	STACK_OF(X509) * certs;
	X509 *leaf;
	X509 *issuer;
};

static void
clear(struct pair *p)
{
	sk_X509_pop_free(p->certs, X509_free);
}

static void
free_id(OCSP_CERTID **id)
{
	OCSP_CERTID_free(*id);
}

static void
free_basic(OCSP_BASICRESP **basic)
{
	OCSP_BASICRESP_free(*basic);
}

static void
free_response(OCSP_RESPONSE **response)
{
	OCSP_RESPONSE_free(*response);
}

static void
free_request(OCSP_REQUEST **request)
{
	OCSP_REQUEST_free(*request);
}

static void
free_store(X509_STORE **store)
{
	X509_STORE_free(*store);
}

const char *
ocsp_status_name(enum ocsp_status status)
{
	switch (status) {
	case OCSP_NONE:
		return "none";
	case OCSP_GOOD:
		return "good";
	case OCSP_REVOKED:
		return "revoked";
	case OCSP_UNKNOWN:
		return "unknown";
	}
	return "none";
}

static int
load(const char *pem, struct pair *ret)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *cert;

	ret->certs = sk_X509_new_null();
	if (bio == NULL || ret->certs == NULL) {
		BIO_free(bio);
		return -ENOMEM;
	}
	while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		if (sk_X509_push(ret->certs, cert) <= 0)
			X509_free(cert);
	ERR_clear_error();
	BIO_free(bio);
	ret->leaf = sk_X509_value(ret->certs, 0);
	ret->issuer = sk_X509_value(ret->certs, 1);
	if (ret->leaf == NULL || ret->issuer == NULL ||
	    X509_check_issued(ret->issuer, ret->leaf) != X509_V_OK)
		return -ENOENT;
	return 0;
}

/* SHA-1 names the issuer here; it protects nothing, and responders know no other. */
static OCSP_CERTID *
make_id(const struct pair *p)
{
	return OCSP_cert_to_id(EVP_sha1(), p->leaf, p->issuer);
}

/* ---- the question ---- */

static int
encode_request(const struct pair *p, char **ret)
{
	_cleanup_(free_request) OCSP_REQUEST *request = OCSP_REQUEST_new();
	_cleanup_(free_id) OCSP_CERTID *id = make_id(p);
	unsigned char *der = NULL;
	char *text;
	int len;

	if (request == NULL || id == NULL || OCSP_request_add0_id(request, id) == NULL)
		return -ENOMEM;
	id = NULL; /* the request's */
	len = i2d_OCSP_REQUEST(request, &der);
	if (len < 0)
		return -ENOMEM;
	text = malloc((size_t)len / 3 * 4 + 8);
	if (text != NULL)
		EVP_EncodeBlock((unsigned char *)text, der, len);
	OPENSSL_free(der);
	*ret = text;
	return text != NULL ? 0 : -ENOMEM;
}

int
ocsp_url(const char *chain_pem, char **ret)
{
	_cleanup_(clear) struct pair p = { 0 };
	_cleanup_(buffer_free) struct buffer url = { 0 };
	_cleanup_(acme_chain_freep) struct acme_chain *chain = NULL;
	_cleanup_free_ char *request = NULL;
	const char *base;
	int r;

	/* costs little, and finds that there is none: most CAs have none any more */
	r = acme_chain_parse(chain_pem, strlen(chain_pem), &chain, NULL);
	if (r < 0)
		return r == -EBADMSG ? -ENOENT : r;
	base = acme_chain_leaf(chain)->responder;
	if (base == NULL)
		return -ENOENT;
	r = load(chain_pem, &p);
	if (r == 0)
		r = encode_request(&p, &request);
	if (r != 0)
		return r;
	buffer_printf(&url, "%s%s", base, base[strlen(base) - 1] == '/' ? "" : "/");
	for (const char *c = request; *c != '\0'; c++)
		if (strchr("+/=", *c) != NULL)
			buffer_printf(&url, "%%%02X", (unsigned)*c);
		else
			buffer_add(&url, c, 1);
	return buffer_steal(&url, ret, NULL);
}

/* ---- the answer ---- */

/* 0 for none, or one that can't be read. */
static int64_t
seconds(const ASN1_GENERALIZEDTIME *at)
{
	struct tm tm;

	return at != NULL && ASN1_TIME_to_tm(at, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

/* By the issuer itself, or by a responder's certificate that it has issued for that. */
static bool
is_signed(OCSP_BASICRESP *basic, const struct pair *p, int64_t now)
{
	_cleanup_(free_store) X509_STORE *store = X509_STORE_new();
	bool ok;

	if (store == NULL || X509_STORE_add_cert(store, p->issuer) != 1)
		return false;
	X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
	X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store), (time_t)now);
	ok = OCSP_basic_verify(basic, p->certs, store, 0) == 1;
	ERR_clear_error();
	return ok;
}

static int
wrong(const char **ret_why, const char *why)
{
	ERR_clear_error();
	*ret_why = why;
	return -EBADMSG;
}

static int
judge_time(const struct ocsp_answer *a, int64_t now, const char **ret_why)
{
	if (a->this_update == 0 || a->this_update > now + CLOCKS_DIFFER)
		return wrong(ret_why, "its answer is from the future");
	if (a->next_update != 0 && a->next_update <= now)
		return wrong(ret_why, "its answer is out of date");
	return 0;
}

static int
read_single(OCSP_BASICRESP *basic, const struct pair *p, int64_t now,
    struct ocsp_answer *ret, const char **ret_why)
{
	static const enum ocsp_status statuses[] = {
		[V_OCSP_CERTSTATUS_GOOD] = OCSP_GOOD,
		[V_OCSP_CERTSTATUS_REVOKED] = OCSP_REVOKED,
		[V_OCSP_CERTSTATUS_UNKNOWN] = OCSP_UNKNOWN,
	};
	_cleanup_(free_id) OCSP_CERTID *id = make_id(p);
	ASN1_GENERALIZEDTIME *revoked_at, *this_update, *next_update;
	int status, reason = -1;

	if (id == NULL)
		return -ENOMEM;
	if (OCSP_resp_find_status(basic, id, &status, &reason, &revoked_at,
		&this_update, &next_update) != 1)
		return wrong(ret_why, "its answer is about another certificate");
	*ret = (struct ocsp_answer){
		.status = statuses[status],
		.key_compromise = reason == OCSP_REVOKED_STATUS_KEYCOMPROMISE,
		.reason = reason >= 0 ? OCSP_crl_reason_str(reason) : "",
		.this_update = seconds(this_update),
		.next_update = seconds(next_update),
	};
	/* that would be one without an end */
	if (next_update != NULL && ret->next_update == 0)
		return wrong(ret_why, "its answer has an end that can't be read");
	return judge_time(ret, now, ret_why);
}

int
ocsp_read(const char *chain_pem, const void *body, size_t len, int64_t now,
    struct ocsp_answer *ret, const char **ret_why)
{
	_cleanup_(clear) struct pair p = { 0 };
	_cleanup_(free_response) OCSP_RESPONSE *response = NULL;
	_cleanup_(free_basic) OCSP_BASICRESP *basic = NULL;
	const unsigned char *data = body;
	int r = load(chain_pem, &p);

	if (r < 0)
		return r;
	if (len > OCSP_RESPONSE_MAX)
		return wrong(ret_why, "its answer is too large");
	response = d2i_OCSP_RESPONSE(NULL, &data, (long)len);
	if (response == NULL || data != (const unsigned char *)body + len)
		return wrong(ret_why, "its answer is no OCSP response");
	if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
		return wrong(
		    ret_why, OCSP_response_status_str(OCSP_response_status(response)));
	basic = OCSP_response_get1_basic(response);
	if (basic == NULL)
		return wrong(ret_why, "its answer is of an unknown kind");
	if (!is_signed(basic, &p, now))
		return wrong(
		    ret_why, "its answer isn't signed by the certificate's issuer");
	return read_single(basic, &p, now, ret, ret_why);
}
