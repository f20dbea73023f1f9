/*
 * flow_issue.c - from an order that is ready to a certificate (RFC 8555 sections 7.4,
 * 7.4.2).
 *
 * The states FINALIZE (the request), DOWNLOAD (the CA's own chain) and ALTERNATE
 * (others, until one leads where it was wished for) of flow.c's table. What the CA
 * sends is checked before anybody sees it.
 */
#include "flow.h"

#include <errno.h>
#include <string.h>

#include "cert.h"
#include "csr.h"
#include "result.h"

#define NOT_READY_MAX  8 /* each wait twice as long as the one before, up to a limit */
#define NOT_READY_MS   FLOW_SECOND
#define ALTERNATES_MAX 8

/* ---- the request ---- */

static int
write_request(struct acme_flow *f)
{
	_cleanup_free_ unsigned char *csr = NULL;
	size_t len = 0;
	int r;

	if (f->csr != NULL)
		return wire_finalize_write(f->csr, f->csr_len, &f->payload);
	r = (f->common_name ? csr_new_named : acme_csr_new)(
	    f->key, f->identifiers, f->identifier_count, f->must_staple, &csr, &len);
	return r == 0 ? wire_finalize_write(csr, len, &f->payload) : r;
}

void
flow_issue_ask_finalize(struct acme_flow *f, struct acme_request *ret)
{
	if (write_request(f) < 0)
		return;
	ret->action = ACME_ACTION_FINALIZE;
	ret->url = f->finalize_url;
	ret->payload = f->payload;
}

/* A race at the CA, or finalized before a crash: the hub knows. Where it says "ready"
 * again and again, the CA contradicts itself. */
static enum flow_state
not_ready(struct acme_flow *f, const struct acme_reply *reply)
{
	if (++f->not_ready > NOT_READY_MAX)
		return flow_refused(f, reply, "finalize");
	flow_wait_for(
	    f, reply, NOT_READY_MS << (f->not_ready < 4 ? f->not_ready - 1 : 3));
	return FLOW_ORDERED;
}

enum flow_state
flow_issue_got_finalize(struct acme_flow *f, const struct acme_reply *reply)
{
	_cleanup_(acme_result_freep) struct acme_result *result = NULL;

	if (reply->status == 200)
		return flow_read_order(f, reply, "finalize");
	result = wire_problem_read(reply, "finalize");
	if (acme_result_is(result, "orderNotReady"))
		return not_ready(f, reply);
	return flow_refused(f, reply, "finalize");
}

/* ---- the certificate ---- */

void
flow_issue_ask(struct acme_flow *f, struct acme_request *ret)
{
	ret->action = ACME_ACTION_CERTIFICATE;
	ret->url = f->certificate_url;
}

static struct acme_chain *
read_chain(struct acme_flow *f, const struct acme_reply *reply, const char **ret_why)
{
	_cleanup_(acme_chain_freep) struct acme_chain *chain = NULL;
	int r;

	*ret_why = "no certificate";
	r = reply->body != NULL
	    ? acme_chain_parse(reply->body, reply->body_len, &chain, ret_why)
	    : -EBADMSG;
	if (r == 0)
		r = acme_chain_check(
		    chain, f->key, f->identifiers, f->identifier_count, ret_why);
	return r == 0 ? steal_ptr(chain) : NULL;
}

/* ---- other chains ---- */

/* The next one that can be asked for; without any more the CA's own stays. */
static enum flow_state
next_alternate(struct acme_flow *f)
{
	while ((f->alternate = strsep(&f->alternate_next, " ")) != NULL)
		if (wire_url_ok(f->alternate) && f->alternate_count++ < ALTERNATES_MAX)
			return FLOW_ALTERNATE;
	return FLOW_ISSUED;
}

static bool
is_preferred(const struct acme_flow *f, const struct acme_chain *chain)
{
	return f->preferred_chain == NULL ||
	    acme_chain_has_issuer(chain, f->preferred_chain);
}

enum flow_state
flow_issue_got(struct acme_flow *f, const struct acme_reply *reply)
{
	const char *why;

	if (reply->status != 200)
		return flow_refused(f, reply, "download");
	f->chain = read_chain(f, reply, &why);
	if (f->chain == NULL) {
		struct acme_result *refused = acme_result_new(ACME_RETRY, "download",
		    "what the CA sent as certificate was refused: %s", why);

		if (refused != NULL)
			refused->status = reply->status;
		return flow_fail_for_good(f, refused);
	}
	if (is_preferred(f, f->chain))
		return FLOW_ISSUED;
	if (flow_copy(reply->link_alternates, &f->alternates) < 0)
		return FLOW_ISSUED; /* which is a wish, no more */
	f->alternate_next = f->alternates;
	return next_alternate(f);
}

void
flow_issue_ask_alternate(struct acme_flow *f, struct acme_request *ret)
{
	ret->action = ACME_ACTION_CERTIFICATE;
	ret->url = f->alternate;
}

/* RFC 8555 section 7.4.2: another way from the same certificate. One that can't be had
 * or isn't that is passed over. */
enum flow_state
flow_issue_got_alternate(struct acme_flow *f, const struct acme_reply *reply)
{
	_cleanup_(acme_chain_freep) struct acme_chain *chain = NULL;
	const char *why;

	if (reply->status == 200)
		chain = read_chain(f, reply, &why);
	if (chain == NULL || !is_preferred(f, chain) ||
	    strcmp(acme_chain_leaf(chain)->fingerprint_sha256,
		acme_chain_leaf(f->chain)->fingerprint_sha256) != 0)
		return next_alternate(f);
	acme_chain_free(f->chain);
	f->chain = steal_ptr(chain);
	return FLOW_ISSUED;
}
