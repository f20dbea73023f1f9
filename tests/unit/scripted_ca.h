/*
 * scripted_ca.h - a CA made of structs: it answers the requests of a flow by what they
 * ask for, and misbehaves as a test says.
 *
 * It signs real certificates, checks nothing that libacme should check itself, and
 * counts what it is asked.
 */
#ifndef SCRIPTED_CA_H
#define SCRIPTED_CA_H

#include <stdbool.h>
#include <stddef.h>

#include "acme.h"

#define CA_NAMES_MAX 8

enum ca_authz_state { CA_PENDING, CA_PROCESSING, CA_VALID, CA_INVALID };

struct scripted_ca {
	/* what a test sets */
	struct acme_identifier names[CA_NAMES_MAX];
	size_t name_count;
	bool sync;              /* validates and issues within the request */
	unsigned authz_polls;   /* until a challenge that was answered is valid */
	unsigned order_polls;   /* until a finalized order is valid */
	bool fail_authz;        /* validation fails */
	bool stay_pending;      /* ... as smallstep does: the challenge fails alone */
	bool not_ready_once;    /* the first finalize is too early */
	const char *extra_name; /* in the certificate */
	const struct acme_key *wrong_key; /* certified instead of the CSR's */
	const char *append;               /* after the chain */
	const char *token;                /* instead of good ones */
	const char *refuse;               /* newOrder that replaces: ACME error ... */
	int refuse_status;                /* ... and HTTP status; 0: it is fine */
	/* what it keeps */
	unsigned orders; /* made */
	unsigned refused;
	unsigned replacing; /* orders made that replace */
	unsigned requests;
	unsigned certificates;
	unsigned finalizes;
	bool order_exists;
	enum ca_authz_state authz[CA_NAMES_MAX];
	unsigned polls[CA_NAMES_MAX];
	bool finalized;
	unsigned processing;
	unsigned char *csr;
	size_t csr_len;
};

/* A reply that lives until the next call in this thread. */
const struct acme_reply *scripted_ca_answer(
    struct scripted_ca *ca, const struct acme_request *request);
void scripted_ca_clear(struct scripted_ca *ca);
/* All names valid, as at a CA that reuses authorizations. */
void scripted_ca_reuse(struct scripted_ca *ca);

#endif
