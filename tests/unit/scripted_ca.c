/*
 * scripted_ca.c - answers ACME requests from a few variables; see scripted_ca.h.
 */
#include "scripted_ca.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "base64url.h"
#include "buffer.h"
#include "json.h"
#include "key.h"

#define URL "https://ca.test"

static _Thread_local struct buffer body;
static _Thread_local struct acme_reply reply;

static const struct acme_reply *
answer(int status)
{
	reply.status = status;
	reply.body = body.data != NULL ? body.data : "";
	reply.body_len = body.len;
	reply.received_at = 1000;
	return &reply;
}

static const struct acme_reply *
problem(int status, const char *type, const char *detail)
{
	buffer_printf(&body,
	    "{\"type\":\"urn:ietf:params:acme:error:%s\",\"detail\":\"%s\",\"status\":%d}",
	    type, detail, status);
	return answer(status);
}

static const char *
order_status(struct scripted_ca *ca)
{
	for (size_t i = 0; i < ca->name_count; i++)
		if (ca->authz[i] == CA_INVALID)
			return "invalid";
	if (ca->finalized && ca->processing == 0)
		return "valid";
	if (ca->finalized)
		return "processing";
	for (size_t i = 0; i < ca->name_count; i++)
		if (ca->authz[i] != CA_VALID)
			return "pending";
	return "ready";
}

static const struct acme_reply *
order(struct scripted_ca *ca, int status)
{
	const char *text = order_status(ca);

	buffer_printf(&body,
	    "{\"status\":\"%s\",\"someday\":{\"a\":[1]},\"authorizations\":[", text);
	for (size_t i = ca->name_count; i-- > 0;) /* in another order than asked for */
		buffer_printf(&body, "\"" URL "/authz/%zu\"%s", i, i > 0 ? "," : "");
	buffer_printf(&body, "],\"finalize\":\"" URL "/finalize\"");
	if (strcmp(text, "valid") == 0)
		buffer_printf(&body, ",\"certificate\":\"" URL "/cert\"");
	buffer_printf(&body, "}");
	return answer(status);
}

static const struct acme_reply *
new_order(struct scripted_ca *ca, const char *payload)
{
	bool replaces = strstr(payload, "\"replaces\"") != NULL;

	if (replaces && ca->refuse_status != 0) {
		ca->refused++;
		return ca->refuse != NULL ? problem(ca->refuse_status, ca->refuse, "no")
					  : answer(ca->refuse_status);
	}
	ca->replacing += replaces;
	ca->orders++;
	ca->order_exists = true;
	ca->finalized = false;
	reply.location = URL "/order";
	return order(ca, 201);
}

static const struct acme_reply *
authz(struct scripted_ca *ca, size_t i)
{
	static const char *const names[] = { "pending", "pending", "valid", "invalid" };
	const char *value = ca->names[i].value;
	bool failed = ca->stay_pending && ca->authz[i] == CA_PROCESSING;

	if (ca->authz[i] == CA_PROCESSING && !failed &&
	    ca->polls[i]++ >= ca->authz_polls)
		ca->authz[i] = ca->fail_authz ? CA_INVALID : CA_VALID;
	buffer_printf(&body,
	    "{\"status\":\"%s\",\"identifier\":{\"type\":\"%s\",\"value\":\"%s\"},"
	    "\"expires\":\"2027-01-02T03:04:05Z\","
	    "\"challenges\":[{\"type\":\"future-99\",\"url\":\"" URL "/x\"},"
	    "{\"type\":\"http-01\",\"url\":\"" URL "/chall/%zu\",\"token\":\"",
	    names[ca->authz[i]], ca->names[i].type == ACME_IDENTIFIER_IP ? "ip" : "dns",
	    strncmp(value, "*.", 2) == 0 ? value + 2 : value, i);
	if (ca->token != NULL)
		buffer_puts(&body, ca->token);
	else
		buffer_printf(&body, "token-%zu_A", i);
	buffer_printf(&body, "\",\"status\":\"%s\"",
	    failed                              ? "invalid"
		: ca->authz[i] == CA_PROCESSING ? "processing"
						: names[ca->authz[i]]);
	if (failed || ca->authz[i] == CA_INVALID)
		buffer_puts(&body,
		    ",\"error\":{\"type\":\"urn:ietf:params:acme:error:unauthorized\","
		    "\"detail\":\"no token there\",\"status\":403}");
	buffer_puts(&body, "}]}");
	return answer(200);
}

static const struct acme_reply *
challenge(struct scripted_ca *ca, size_t i)
{
	if (ca->authz[i] == CA_PENDING) {
		ca->authz[i] = ca->sync && !ca->fail_authz ? CA_VALID : CA_PROCESSING;
		ca->polls[i] = 0;
	} else if (ca->authz[i] == CA_PROCESSING) {
		return problem(400, "malformed", "challenge is not pending");
	}
	buffer_printf(&body,
	    "{\"type\":\"http-01\",\"url\":\"" URL "/chall/%zu\",\"status\":\"%s\","
	    "\"token\":\"x\"}",
	    i, ca->authz[i] == CA_VALID ? "valid" : "processing");
	return answer(200);
}

static const struct acme_reply *
finalize(struct scripted_ca *ca, const char *payload)
{
	struct json *json = NULL;
	const char *csr;

	ca->finalizes++;
	if (ca->not_ready_once) {
		ca->not_ready_once = false;
		return problem(403, "orderNotReady", "a moment");
	}
	if (strcmp(order_status(ca), "ready") != 0)
		return problem(403, "orderNotReady", "not in that state");
	if (json_parse(payload, strlen(payload), &json_limits_acme, &json) < 0)
		return problem(400, "malformed", "no JSON");
	csr = json_string(json_get(json, "csr"));
	free(ca->csr);
	ca->csr = NULL;
	if (csr == NULL ||
	    base64url_decode(csr, strlen(csr), &ca->csr, &ca->csr_len) < 0) {
		json_free(json);
		return problem(400, "badCSR", "no CSR");
	}
	json_free(json);
	ca->finalized = true;
	ca->processing = ca->sync ? 0 : ca->order_polls;
	return order(ca, 200);
}

static void
add_names(struct scripted_ca *ca, X509 *cert)
{
	struct buffer names = { 0 };
	X509V3_CTX ctx;
	X509_EXTENSION *extension;

	for (size_t i = 0; i < ca->name_count; i++)
		buffer_printf(&names, "%s%s:%s", i > 0 ? "," : "",
		    ca->names[i].type == ACME_IDENTIFIER_IP ? "IP" : "DNS",
		    ca->names[i].value);
	if (ca->extra_name != NULL)
		buffer_printf(&names, ",DNS:%s", ca->extra_name);
	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_alt_name, names.data);
	X509_add_ext(cert, extension, -1);
	X509_EXTENSION_free(extension);
	buffer_free(&names);
}

static const struct acme_reply *
certificate(struct scripted_ca *ca)
{
	const unsigned char *der = ca->csr;
	X509_REQ *req = d2i_X509_REQ(NULL, &der, (long)ca->csr_len);
	EVP_PKEY *issuer = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	BIO *out = BIO_new(BIO_s_mem());
	char *pem;
	long len;

	ca->certificates++;
	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 4711);
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 7776000);
	X509_set_pubkey(cert,
	    ca->wrong_key != NULL ? acme_key_evp(ca->wrong_key)
				  : X509_REQ_get0_pubkey(req));
	add_names(ca, cert);
	X509_sign(cert, issuer, EVP_sha256());
	PEM_write_bio_X509(out, cert);
	len = BIO_get_mem_data(out, &pem);
	buffer_add(&body, pem, (size_t)len);
	if (ca->append != NULL)
		buffer_puts(&body, ca->append);
	BIO_free(out);
	X509_free(cert);
	EVP_PKEY_free(issuer);
	X509_REQ_free(req);
	return answer(200);
}

const struct acme_reply *
scripted_ca_answer(struct scripted_ca *ca, const struct acme_request *request)
{
	size_t i = 0;

	buffer_free(&body);
	body = (struct buffer){ 0 };
	reply = (struct acme_reply){ 0 };
	ca->requests++;
	if (request->action == ACME_ACTION_NEW_ORDER)
		return new_order(ca, request->payload);
	if (!ca->order_exists)
		return problem(404, "malformed", "no such thing");
	if (sscanf(request->url, URL "/authz/%zu", &i) == 1)
		return authz(ca, i);
	if (sscanf(request->url, URL "/chall/%zu", &i) == 1)
		return challenge(ca, i);
	if (strcmp(request->url, URL "/finalize") == 0)
		return finalize(ca, request->payload);
	if (strcmp(request->url, URL "/cert") == 0)
		return certificate(ca);
	if (ca->finalized && ca->processing > 0)
		ca->processing--;
	return order(ca, 200);
}

void
scripted_ca_reuse(struct scripted_ca *ca)
{
	for (size_t i = 0; i < ca->name_count; i++)
		ca->authz[i] = CA_VALID;
}

void
scripted_ca_clear(struct scripted_ca *ca)
{
	free(ca->csr);
	buffer_free(&body);
	body = (struct buffer){ 0 };
	*ca = (struct scripted_ca){ 0 };
}
