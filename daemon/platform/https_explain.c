/*
 * https_explain.c - sentences for what goes wrong between here and a CA, with what
 * helps where that is known.
 *
 * Used by https.c. What CAs say themselves never comes here.
 */
#include "platform/https_explain.h"

#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>

/* "after 3 ms", "after 15001 milliseconds" */
static void
drop_times(char *text)
{
	static const char after[] = " after ";
	char *at = text;

	while ((at = strstr(at, after)) != NULL) {
		char *end = at + strlen(after);
		size_t digits = strspn(end, "0123456789");

		end += digits;
		if (digits > 0 && strncmp(end, " milliseconds", 13) == 0)
			end += 13;
		else if (digits > 0 && strncmp(end, " ms", 3) == 0)
			end += 3;
		else
			end = at;
		if (end == at)
			at += strlen(after);
		else
			memmove(at, end, strlen(end) + 1);
	}
}

static const struct {
	long error;
	const char *remedy;
} remedies[] = {
	{ X509_V_ERR_CERT_NOT_YET_VALID, "is this machine's clock right?" },
	{ X509_V_ERR_CERT_HAS_EXPIRED, "is this machine's clock right?" },
	{ X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, NULL },
	{ X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, NULL },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, NULL },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, NULL },
	{ X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, NULL },
};

static void
explain_distrust(const struct https_failure *f, const char *text, char *ret)
{
	size_t i = 0;

	while (i < sizeof(remedies) / sizeof(remedies[0]) &&
	    remedies[i].error != f->verify_error)
		i++;
	if (i == sizeof(remedies) / sizeof(remedies[0]))
		snprintf(ret, HTTPS_EXPLAIN_SIZE, "%s", text);
	else if (remedies[i].remedy != NULL)
		snprintf(ret, HTTPS_EXPLAIN_SIZE, "%s; %s", text, remedies[i].remedy);
	else if (f->trust_file != NULL)
		snprintf(ret, HTTPS_EXPLAIN_SIZE,
		    "%s; its root is not in trust_file %s", text, f->trust_file);
	else
		snprintf(ret, HTTPS_EXPLAIN_SIZE,
		    "%s; where this is a private CA, name the PEM file of its root as "
		    "trust_file in its [ca] section",
		    text);
}

static void
explain_trust_file(const struct https_failure *f, char *ret)
{
	if (f->trust_file != NULL)
		snprintf(ret, HTTPS_EXPLAIN_SIZE,
		    "trust_file %s cannot be read, or holds no certificate in PEM",
		    f->trust_file);
	else
		snprintf(ret, HTTPS_EXPLAIN_SIZE,
		    "the system's trusted roots cannot be read; is the package "
		    "ca-certificates installed?");
}

/* "Failed to connect to HOST port PORT: Couldn't connect to server" */
static void
explain_connect(const struct https_failure *f, const char *text, char *ret)
{
	const char *colon = strstr(text, ": ");

	if (f->system_error == 0 || colon == NULL)
		snprintf(ret, HTTPS_EXPLAIN_SIZE, "%s", text);
	else
		snprintf(ret, HTTPS_EXPLAIN_SIZE, "%.*s: %s", (int)(colon - text), text,
		    strerror((int)f->system_error));
}

/* "OpenSSL/3.0: error:0A00010B:SSL routines::wrong version number", "OpenSSL
 * SSL_connect: Connection reset by peer in connection to 192.0.2.1:443 " */
static void
explain_tls(char *text, char *ret)
{
	static const char call[] = "SSL_connect: ";
	char *where = strstr(text, " in connection to ");
	const char *reason = strstr(text, call);

	if (where != NULL && reason != NULL) {
		*where = '\0';
		reason += strlen(call);
	} else {
		reason = strrchr(text, ':');
		reason = reason != NULL ? reason + 1 : text;
	}
	if (strcmp(reason, "wrong version number") == 0)
		reason = "what answers there does not speak TLS";
	else if (strcmp(reason, "SSL_ERROR_SYSCALL") == 0)
		reason = "it was closed during the handshake";
	snprintf(ret, HTTPS_EXPLAIN_SIZE, "no TLS connection: %s", reason);
}

/* "OpenSSL SSL_read: Connection reset by peer, errno 104", "transfer closed with 17
 * bytes remaining to read" and more: what is told apart there is the same to everybody.
 */
static bool
has_broken(const struct https_failure *f)
{
	static const CURLcode codes[] = { CURLE_SEND_ERROR, CURLE_RECV_ERROR,
		CURLE_GOT_NOTHING, CURLE_PARTIAL_FILE, CURLE_ABORTED_BY_CALLBACK };

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (f->code == codes[i])
			return f->sent;
	return false;
}

void
https_explain(const struct https_failure *f, char ret[HTTPS_EXPLAIN_SIZE])
{
	char text[CURL_ERROR_SIZE];

	snprintf(text, sizeof(text), "%s",
	    f->text[0] != '\0' ? f->text : curl_easy_strerror(f->code));
	drop_times(text);
	if (f->too_large || f->code == CURLE_FILESIZE_EXCEEDED)
		snprintf(ret, HTTPS_EXPLAIN_SIZE, "the answer is too large");
	else if (f->copy)
		snprintf(ret, HTTPS_EXPLAIN_SIZE,
		    "what came was an answer of before once more");
	else if (f->code == CURLE_OPERATION_TIMEDOUT && f->sent)
		snprintf(ret, HTTPS_EXPLAIN_SIZE, "it did not answer in time");
	else if (has_broken(f))
		snprintf(ret, HTTPS_EXPLAIN_SIZE, "the connection was closed %s",
		    f->received ? "in the middle of the answer"
				: "before an answer came");
	else if (f->code == CURLE_COULDNT_CONNECT)
		explain_connect(f, text, ret);
	else if (f->code == CURLE_SSL_CONNECT_ERROR)
		explain_tls(text, ret);
	else if (f->code == CURLE_PEER_FAILED_VERIFICATION)
		explain_distrust(f, text, ret);
	else if (f->code == CURLE_SSL_CACERT_BADFILE)
		explain_trust_file(f, ret);
	else
		snprintf(ret, HTTPS_EXPLAIN_SIZE, "%s", text);
}
