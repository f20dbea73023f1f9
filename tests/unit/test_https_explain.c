/*
 * test_https_explain.c - what libcurl says of a request that got no answer, and what
 * becomes of it.
 */
#include "platform/https_explain.h"

#include <errno.h>
#include <openssl/x509_vfy.h>
#include <string.h>

#include "scope.h"
#include "suite.h"

#define REFUSED \
  "Failed to connect to ca.example port 443 after 3 ms: Couldn't connect to server"
#define DISTRUST "SSL certificate problem: self-signed certificate in certificate chain"

/* clang-format off */
static const struct {
	struct https_failure failure;
	const char *sentence;
} cases[] = {
	{ { CURLE_COULDNT_CONNECT, REFUSED, ECONNREFUSED, 0, false, false, NULL, false, false },
	  "Failed to connect to ca.example port 443: Connection refused" },
	{ { CURLE_COULDNT_CONNECT, REFUSED, 0, 0, false, false, NULL, false, false },
	  "Failed to connect to ca.example port 443: Couldn't connect to server" },
	{ { CURLE_OPERATION_TIMEDOUT, "Connection timed out after 15001 milliseconds", 0, 0, false, false, NULL, false, false },
	  "Connection timed out" },
	{ { CURLE_OPERATION_TIMEDOUT, "Operation timed out after 60001 milliseconds with 17 out of 90 bytes received", 0, 0, true, false, NULL, false, false },
	  "it did not answer in time" },
	{ { CURLE_COULDNT_RESOLVE_HOST, "Could not resolve host: after 5 words.example", 0, 0, false, false, NULL, false, false },
	  "Could not resolve host: after 5 words.example" },
	{ { CURLE_COULDNT_RESOLVE_HOST, "", 0, 0, false, false, NULL, false, false }, "Couldn't resolve host name" },
	{ { CURLE_WRITE_ERROR, "Failure writing output", 0, 0, true, true, NULL, false, false }, "the answer is too large" },
	{ { CURLE_FILESIZE_EXCEEDED, "Maximum file size exceeded", 0, 0, true, false, NULL, false, false }, "the answer is too large" },
	{ { CURLE_SSL_CONNECT_ERROR, "OpenSSL/3.0.19: error:0A00010B:SSL routines::wrong version number", 0, 0, false, false, NULL, false, false },
	  "no TLS connection: what answers there does not speak TLS" },
	{ { CURLE_SSL_CONNECT_ERROR, "OpenSSL/3.0.19: error:0A000410:SSL routines::sslv3 alert handshake failure", 0, 0, false, false, NULL, false, false },
	  "no TLS connection: sslv3 alert handshake failure" },
	{ { CURLE_SSL_CONNECT_ERROR, "OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to 127.0.0.1:33041 ", 0, 0, false, false, NULL, false, false },
	  "no TLS connection: it was closed during the handshake" },
	{ { CURLE_SSL_CONNECT_ERROR, "OpenSSL SSL_connect: Connection reset by peer in connection to ca.example:443 ", 0, 0, false, false, NULL, false, false },
	  "no TLS connection: Connection reset by peer" },
	{ { CURLE_WRITE_ERROR, "Failed writing header", 0, 0, true, false, NULL, true, true },
	  "what came was an answer of before once more" },
	{ { CURLE_PEER_FAILED_VERIFICATION, DISTRUST, 0, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, false, false, NULL, false, false },
	  DISTRUST "; where this is a private CA, name the PEM file of its root as trust_file in its [ca] section" },
	{ { CURLE_PEER_FAILED_VERIFICATION, DISTRUST, 0, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, false, false, "/r.pem", false, false },
	  DISTRUST "; its root is not in trust_file /r.pem" },
	{ { CURLE_PEER_FAILED_VERIFICATION, "SSL certificate problem: certificate has expired", 0, X509_V_ERR_CERT_HAS_EXPIRED, false, false, NULL, false, false },
	  "SSL certificate problem: certificate has expired; is this machine's clock right?" },
	{ { CURLE_PEER_FAILED_VERIFICATION, "SSL: no alternative certificate subject name matches target host name 'x'", 0, 0, false, false, NULL, false, false },
	  "SSL: no alternative certificate subject name matches target host name 'x'" },
	{ { CURLE_SSL_CACERT_BADFILE, "error setting certificate file: /r.pem", 0, 0, false, false, "/r.pem", false, false },
	  "trust_file /r.pem cannot be read, or holds no certificate in PEM" },
	{ { CURLE_SSL_CACERT_BADFILE, "error setting certificate file: /x", 0, 0, false, false, NULL, false, false },
	  "the system's trusted roots cannot be read; is the package ca-certificates installed?" },
	{ { CURLE_GOT_NOTHING, "Empty reply from server", 0, 0, true, false, NULL, false, false },
	  "the connection was closed before an answer came" },
	{ { CURLE_RECV_ERROR, "OpenSSL SSL_read: Connection reset by peer, errno 104", 0, 0, true, false, NULL, true, false },
	  "the connection was closed in the middle of the answer" },
	{ { CURLE_PARTIAL_FILE, "transfer closed with 17 bytes remaining to read", 0, 0, true, false, NULL, true, false },
	  "the connection was closed in the middle of the answer" },
	{ { CURLE_RECV_ERROR, "Proxy CONNECT aborted", 0, 0, false, false, NULL, false, false },
	  "Proxy CONNECT aborted" },
};
/* clang-format on */

START_TEST(sentences)
{
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		char got[HTTPS_EXPLAIN_SIZE];

		https_explain(&cases[i].failure, got);
		ck_assert_str_eq(got, cases[i].sentence);
	}
}
END_TEST

/* The longest that libcurl and a path can be. */
START_TEST(long_ones_are_cut)
{
	char text[2 * CURL_ERROR_SIZE], path[4096], got[HTTPS_EXPLAIN_SIZE];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	memset(path, '/', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	https_explain(&(struct https_failure){ .code = CURLE_PEER_FAILED_VERIFICATION,
			  .text = text,
			  .verify_error = X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
			  .trust_file = path },
	    got);
	ck_assert_uint_eq(strlen(got), HTTPS_EXPLAIN_SIZE - 1);
}
END_TEST

SUITE("https_explain", sentences, long_ones_are_cut)
