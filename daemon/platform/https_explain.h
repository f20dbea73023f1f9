/*
 * https_explain.h - inside platform/: why a request got no answer, for people.
 */
#ifndef HTTPS_EXPLAIN_H
#define HTTPS_EXPLAIN_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

#define HTTPS_EXPLAIN_SIZE 768

struct https_failure {
	CURLcode code;
	const char *text;       /* libcurl's; "": none */
	long system_error;      /* errno of connect(2), or 0 */
	long verify_error;      /* X509_V_ERR_... or 0 */
	bool sent;              /* it was connected, and the request was on its way */
	bool too_large;         /* the answer */
	const char *trust_file; /* NULL: the system's */
	bool received;          /* a part of the answer */
	bool copy;              /* of an earlier one */
};

/* One sentence that is the same each time: libcurl's have the time it took in them, so
 * that a problem that stays would look like a new one at each attempt. */
void https_explain(const struct https_failure *f, char ret[HTTPS_EXPLAIN_SIZE]);

#endif
