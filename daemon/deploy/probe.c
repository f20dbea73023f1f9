/*
 * probe.c - one TLS handshake, step by step as the socket allows.
 *
 * Called by verify.c. It must never block, nor judge what it sees: that the server has
 * the key is shown by the handshake itself, and who signed the certificate is for those
 * who know which one it has to be.
 */
#include "deploy/probe.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "deploy/staple.h"
#include "deploy/starttls.h"
#include "platform/clock.h"
#include "scope.h"

/* Also what a server with an odd key may sign with. */
#define ECDSA_SIGNATURES "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ECDSA+SHA1"
#define RSA_SIGNATURES                                                          \
  "rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:RSA+SHA256:RSA+" \
  "SHA384:RSA+SHA512:RSA+SHA1"

struct probe {
	int fd;
	SSL_CTX *context;
	SSL *ssl;
	struct starttls_talk talk; /* before it */
	char *server_name;
	bool staple;
	struct event *ready_event;
	struct event *deadline_event;
	struct event_base *base;
	probe_cb *done_cb;
	void *arg;
};

static void
stop_events(struct probe *p)
{
	if (p->ready_event != NULL)
		event_free(p->ready_event);
	if (p->deadline_event != NULL)
		event_free(p->deadline_event);
	p->ready_event = p->deadline_event = NULL;
}

struct probe *
probe_free(struct probe *p)
{
	if (p == NULL)
		return NULL;
	stop_events(p);
	SSL_free(p->ssl);
	SSL_CTX_free(p->context);
	closep(&p->fd);
	free(p->server_name);
	free(p);
	return NULL;
}

/* done_cb may free p. */
static void
fail(struct probe *p, const char *why)
{
	stop_events(p);
	p->done_cb(NULL, why, p->arg);
}

/* ---- what was shown ---- */

static int
read_leaf(X509 *leaf, struct probe_found *ret)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	const ASN1_INTEGER *serial = X509_get0_serialNumber(leaf);
	unsigned len;

	if (X509_digest(leaf, EVP_sha256(), digest, &len) != 1 ||
	    len * 2 + 1 != PROBE_FINGERPRINT_SIZE)
		return -EIO;
	for (unsigned i = 0; i < len; i++)
		snprintf(ret->fingerprint + (size_t)2 * i, 3, "%02x", digest[i]);
	for (int i = 0; i < serial->length && i < 39; i++)
		snprintf(
		    ret->serial + (size_t)2 * (size_t)i, 3, "%02x", serial->data[i]);
	return 0;
}

static bool
is_ordered(STACK_OF(X509) * chain)
{
	for (int i = 0; i + 1 < sk_X509_num(chain); i++)
		if (X509_check_issued(sk_X509_value(chain, i + 1),
			sk_X509_value(chain, i)) != X509_V_OK)
			return false;
	return true;
}

static bool
is_current(const X509 *certificate)
{
	time_t now = clock_now();

	return X509_cmp_time(X509_get0_notBefore(certificate), &now) < 0 &&
	    X509_cmp_time(X509_get0_notAfter(certificate), &now) > 0;
}

static bool
all_current(STACK_OF(X509) * chain)
{
	for (int i = 1; i < sk_X509_num(chain); i++)
		if (!is_current(sk_X509_value(chain, i)))
			return false;
	return true;
}

static void
read_chain(struct probe *p, X509 *leaf, struct probe_found *ret)
{
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(p->ssl);
	const unsigned char *staple = NULL;
	long len;

	ret->count = chain != NULL ? (size_t)sk_X509_num(chain) : 0;
	ret->ordered = is_ordered(chain);
	ret->current = is_current(leaf);
	ret->chain_current = all_current(chain);
	ret->fits = p->server_name == NULL ||
	    X509_check_host(leaf, p->server_name, 0, 0, NULL) == 1;
	len = SSL_get_tlsext_status_ocsp_resp(p->ssl, &staple);
	if (p->staple)
		ret->staple_lack = staple_lack(staple, len, chain);
}

static void
succeed(struct probe *p)
{
	struct probe_found found = { 0 };
	X509 *leaf = SSL_get0_peer_certificate(p->ssl);

	if (leaf == NULL || read_leaf(leaf, &found) < 0) {
		fail(p, "it shows no certificate");
		return;
	}
	read_chain(p, leaf, &found);
	ERR_clear_error();
	stop_events(p);
	p->done_cb(&found, NULL, p->arg);
}

/* ---- the handshake ---- */

static int
error_of_socket(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return errno;
	return error;
}

static void
fail_handshake(struct probe *p, int kind)
{
	char why[256];
	unsigned long error = ERR_peek_last_error();
	const char *reason = error != 0 ? ERR_reason_error_string(error) : NULL;

	if (kind == SSL_ERROR_SYSCALL && reason == NULL)
		reason = errno != 0 ? strerror(errno) : "it closes the connection";
	snprintf(why, sizeof(why), "no TLS handshake: %s",
	    reason != NULL ? reason : "it closes the connection");
	ERR_clear_error();
	fail(p, why);
}

static void ready_cb(evutil_socket_t fd, short what, void *arg);

static int
wait_for(struct probe *p, short what)
{
	if (p->ready_event != NULL)
		event_free(p->ready_event);
	p->ready_event = event_new(p->base, p->fd, what, ready_cb, p);
	return p->ready_event == NULL || event_add(p->ready_event, NULL) < 0 ? -ENOMEM
									     : 0;
}

static void
shake_hands(struct probe *p)
{
	int r, kind;

	ERR_clear_error();
	errno = 0;
	r = SSL_connect(p->ssl);
	if (r == 1) {
		succeed(p);
		return;
	}
	kind = SSL_get_error(p->ssl, r);
	if (kind != SSL_ERROR_WANT_READ && kind != SSL_ERROR_WANT_WRITE)
		fail_handshake(p, kind);
	else if (wait_for(p, kind == SSL_ERROR_WANT_READ ? EV_READ : EV_WRITE) < 0)
		fail(p, "out of memory");
}

static void
ready_cb(evutil_socket_t fd, short what, void *arg)
{
	struct probe *p = arg;
	int r = error_of_socket(fd);

	(void)what;
	if (r != 0) {
		fail(p, strerror(r));
		return;
	}
	r = starttls_talk(&p->talk, fd);
	if (r > 0)
		shake_hands(p);
	else if (r == -EPROTO)
		fail(p, p->talk.why);
	else if (r < 0)
		fail(p, r == -ECONNRESET ? "it closes the connection" : strerror(-r));
	else if (wait_for(p, EV_READ) < 0)
		fail(p, "out of memory");
}

static void
deadline_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	fail(arg, "it doesn't answer in time");
}

static int
connect_to(const char *address, int *ret)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_storage storage;
	struct sockaddr *to = (struct sockaddr *)&storage;
	int len = sizeof(storage);

	if (evutil_parse_sockaddr_port(address, to, &len) < 0)
		return -EINVAL;
	fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, to, (socklen_t)len) < 0 && errno != EINPROGRESS)
		return -errno;
	*ret = steal_fd(fd);
	return 0;
}

/* What is served counts here, not how well: old versions and weak keys are fine. */
static int
make_ssl(struct probe *p, const struct probe_wish *wish)
{
	p->context = SSL_CTX_new(TLS_client_method());
	if (p->context == NULL)
		return -ENOMEM;
	SSL_CTX_set_security_level(p->context, 0);
	SSL_CTX_set_verify(p->context, SSL_VERIFY_NONE, NULL);
	if (SSL_CTX_set1_sigalgs_list(
		p->context, wish->rsa ? RSA_SIGNATURES : ECDSA_SIGNATURES) != 1)
		return -EIO;
	p->ssl = SSL_new(p->context);
	if (p->ssl == NULL || SSL_set_fd(p->ssl, p->fd) != 1)
		return -ENOMEM;
	if (wish->server_name != NULL &&
	    SSL_set_tlsext_host_name(p->ssl, wish->server_name) != 1)
		return -EINVAL;
	p->staple = wish->staple;
	if (wish->staple &&
	    SSL_set_tlsext_status_type(p->ssl, TLSEXT_STATUSTYPE_ocsp) != 1)
		return -EIO;
	if (wish->server_name == NULL)
		return 0;
	p->server_name = strdup(wish->server_name);
	return p->server_name != NULL ? 0 : -ENOMEM;
}

int
probe_start(struct event_base *base, const struct probe_wish *wish, int timeout_ms,
    probe_cb *done_cb, void *arg, struct probe **ret)
{
	_cleanup_(probe_freep) struct probe *p = calloc(1, sizeof(*p));
	const struct timeval timeout = { .tv_sec = timeout_ms / 1000,
		.tv_usec = timeout_ms % 1000 * 1000 };
	int r;

	if (p == NULL)
		return -ENOMEM;
	p->fd = -1;
	p->base = base;
	p->done_cb = done_cb;
	p->arg = arg;
	r = connect_to(starttls_address(wish->address, &p->talk.kind), &p->fd);
	if (r == 0)
		r = make_ssl(p, wish);
	if (r == 0)
		r = wait_for(p, EV_WRITE);
	if (r < 0)
		return r;
	p->deadline_event = evtimer_new(base, deadline_cb, p);
	if (p->deadline_event == NULL || event_add(p->deadline_event, &timeout) < 0)
		return -ENOMEM;
	*ret = steal_ptr(p);
	return 0;
}
