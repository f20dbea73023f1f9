/*
 * ocsp.h - what responders say of current certificates, and when they are asked again.
 *
 * A row begins with its issued row, and ends with it or when that turns out to name no
 * responder. Written by renew/ocsp.c.
 */
#ifndef INVENTORY_OCSP_H
#define INVENTORY_OCSP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scope.h"

struct store;

struct ocsp_row {
	int64_t issued;      /* whose it is */
	int64_t ask_at;      /* 0: not any more */
	int64_t this_update; /* of the response; 0: none yet */
	int64_t next_update;
	int64_t written_at; /* beside the files; 0: of a version that kept no track */
	int64_t reload_at;  /* servers that have an older one read it then; 0: never */
	int status;         /* enum ocsp_status */
	unsigned failures;  /* in a row */
	char *problem;      /* why the last answer was of no use, or NULL */
	char *response;     /* DER, or NULL */
	size_t response_len;

	/* read only: of the certificate */
	int64_t certificate;
	char *name;
	bool unwanted; /* removed, revoked, or not the current one any more */
	bool rsa;
	int64_t not_after;
	char *chain; /* PEM */
};
/* Ids of issued rows, the longest due first; how many, or negative. */
int ocsp_due(struct store *s, int64_t now, int64_t *ret_ids, size_t max);
/* The same of those whose reload_at has come. */
int ocsp_to_reload(struct store *s, int64_t now, int64_t *ret_ids, size_t max);
/* The earliest ask_at or reload_at; -ENOENT where none. */
int ocsp_next(struct store *s, int64_t *ret_at);
int ocsp_get(struct store *s, int64_t issued, struct ocsp_row **ret);
/* Those of a certificate's current ones that have a response: at most 2. */
int ocsp_current(
    struct store *s, int64_t certificate, struct ocsp_row *ret[2], size_t *ret_count);
/* Saves everything from ask_at to the response. */
int ocsp_save(struct store *s, const struct ocsp_row *o);
/* There is no responder. */
int ocsp_delete(struct store *s, int64_t issued);
struct ocsp_row *ocsp_row_free(struct ocsp_row *o);

DEFINE_CLEANUP(struct ocsp_row, ocsp_row_free)

#endif
