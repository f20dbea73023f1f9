/*
 * test_verify.c - deploy/verify.c and deploy/probe.c against a TLS server of OpenSSL's
 * in a process of its own, and against those that are none.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "config/config.h"
#include "deploy/probe.h"
#include "deploy/verify.h"
#include "make_cert.h"
#include "platform/clock.h"
#include "scope.h"

#define NOW    INT64_C(1800000000)
#define LATE_S 30 /* a test that waits so long has failed */

static struct event_base *base;
static char dead[32]; /* address where nobody listens */

struct server {
	int fd;
	pid_t pid;
	char address[32];
	char fingerprint[PROBE_FINGERPRINT_SIZE];
};

struct seen {
	int done;
	bool served;
	bool broken;
	char why[512];
};

static int
listen_somewhere(char address[32])
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	ck_assert_int_eq(listen(fd, 16), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	snprintf(address, 32, "127.0.0.1:%u", (unsigned)ntohs(in.sin_port));
	return fd;
}

/* The child's: one connection after the other, until it is killed. */
static void
serve(int listener, X509 *leaf, X509 *above, EVP_PKEY *key)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	SSL_CTX_use_certificate(context, leaf);
	SSL_CTX_use_PrivateKey(context, key);
	if (above != NULL)
		SSL_CTX_add1_chain_cert(context, above);
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		SSL *ssl = SSL_new(context);

		SSL_set_fd(ssl, fd);
		SSL_accept(ssl);
		SSL_free(ssl);
		close(fd);
	}
}

/* above: what follows the leaf; it has issued it, or not. */
static void
start(struct server *s, bool rsa, bool with_issuer, bool with_stranger)
{
	EVP_PKEY *key = rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
	EVP_PKEY *ca = EVP_EC_gen("P-256");
	X509 *leaf = make_cert(&(struct recipe){ .subject = "www.example.test",
	    .issuer = "CA",
	    .san = "DNS:www.example.test",
	    .serial = "00A1B2",
	    .not_before = NOW - 3600,
	    .key = key,
	    .issuer_key = ca });
	X509 *above =
	    make_cert(&(struct recipe){ .subject = with_issuer ? "CA" : "Else",
		.issuer = "Root",
		.not_before = NOW - 3600,
		.key = ca,
		.issuer_key = ca });
	unsigned char digest[32];
	unsigned len;

	X509_digest(leaf, EVP_sha256(), digest, &len);
	for (unsigned i = 0; i < len; i++)
		snprintf(s->fingerprint + (size_t)2 * i, 3, "%02x", digest[i]);
	s->fd = listen_somewhere(s->address);
	s->pid = fork();
	if (s->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGPIPE, SIG_IGN);
		serve(s->fd, leaf, with_issuer || with_stranger ? above : NULL, key);
	}
	X509_free(leaf);
	X509_free(above);
	EVP_PKEY_free(key);
	EVP_PKEY_free(ca);
}

static void
stop(struct server *s)
{
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	close(s->fd);
}

static void
begin(void)
{
	int fd = listen_somewhere(dead);

	clock_freeze(NOW);
	close(fd);
	base = event_base_new();
}

static void
end(void)
{
	event_base_free(base);
	clock_thaw();
}

static void
done_cb(const char *why, bool broken, void *arg)
{
	struct seen *seen = arg;

	seen->broken = broken;

	seen->done++;
	seen->served = why == NULL;
	snprintf(seen->why, sizeof(seen->why), "%s", why != NULL ? why : "");
	event_base_loopbreak(base);
}

static struct seen
look(const struct verify_leaf *leaves, size_t count, const char *a, const char *b)
{
	const char *addresses[] = { a, b };
	const char *names[] = { "www.example.test" };
	struct target_config target = { .name = (char *)"edge",
		.verify = { .v = (char **)(void *)addresses, .n = b != NULL ? 2 : 1 } };
	struct seen seen = { 0 };
	struct timeval late = { .tv_sec = LATE_S };
	struct verify *v;

	ck_assert_int_eq(verify_start(base,
			     &(struct verify_subject){ .target = &target,
				 .names = names,
				 .name_count = 1,
				 .leaves = leaves,
				 .count = count },
			     false, done_cb, &seen, &v),
	    0);
	event_base_loopexit(base, &late);
	event_base_dispatch(base);
	ck_assert_int_eq(seen.done, 1);
	verify_free(v);
	return seen;
}

START_TEST(test_served)
{
	struct server ecdsa, rsa;
	struct verify_leaf leaf = { .rsa = false };
	struct seen seen;

	begin();
	start(&ecdsa, false, true, false);
	start(&rsa, true, false, false);
	leaf.fingerprint = ecdsa.fingerprint;
	seen = look(&leaf, 1, ecdsa.address, NULL);
	ck_assert_msg(seen.served, "%s", seen.why);
	leaf = (struct verify_leaf){ .rsa = true, .fingerprint = rsa.fingerprint };
	seen = look(&leaf, 1, rsa.address, NULL);
	ck_assert_msg(seen.served, "%s", seen.why);
	seen = look(&leaf, 1, rsa.address, rsa.address);
	ck_assert_msg(seen.served, "%s", seen.why);
	stop(&ecdsa);
	stop(&rsa);
	end();
}
END_TEST

static void
expect(const struct seen *seen, const char *address, const char *kind, const char *why)
{
	char text[512];

	snprintf(text, sizeof(text), "not served at %s (%s, www.example.test): %s",
	    address, kind, why);
	ck_assert_str_eq(seen->why, text);
}

START_TEST(test_not_served)
{
	struct server s, stranger;
	struct verify_leaf pair[2] = { { .rsa = false }, { .rsa = true } };
	struct verify_leaf other;
	struct seen seen;

	begin();
	start(&s, false, true, false);
	start(&stranger, false, false, true);
	pair[0].fingerprint = pair[1].fingerprint = s.fingerprint;
	other = (struct verify_leaf){ .fingerprint = stranger.fingerprint };
	seen = look(&other, 1, s.address, NULL);
	expect(&seen, s.address, "ECDSA",
	    "another certificate is there, with serial a1b2");
	/* right, but what follows it is somebody else's */
	seen = look(&other, 1, stranger.address, NULL);
	expect(&seen, stranger.address, "ECDSA", "its chain is not in order");
	/* the other kind isn't there at all */
	seen = look(pair, 2, s.address, NULL);
	ck_assert_msg(
	    strstr(seen.why, "(RSA, www.example.test): no TLS handshake: ") != NULL,
	    "%s", seen.why);
	/* the second address */
	seen = look(pair, 1, s.address, dead);
	expect(&seen, dead, "ECDSA", "Connection refused");
	stop(&s);
	stop(&stranger);
	end();
}
END_TEST

/* The same leaf, and still something isn't right. */
START_TEST(test_lacks)
{
	struct server s;
	struct verify_leaf leaf = { .chained = true };
	const char *names[] = { "www.example.test", "other.example.test" };
	struct target_config target = { .name = (char *)"edge" };
	struct timeval late = { .tv_sec = LATE_S };
	struct seen seen;
	char *address;
	struct verify *v;

	begin();
	start(&s, false, false, false);
	leaf.fingerprint = s.fingerprint;
	seen = look(&leaf, 1, s.address, NULL);
	expect(&seen, s.address, "ECDSA",
	    "its chain is missing: does the server read fullchain.pem?");
	ck_assert(!seen.broken);
	leaf.chained = false;
	clock_freeze(NOW + 86400);
	seen = look(&leaf, 1, s.address, NULL);
	expect(&seen, s.address, "ECDSA", "it is out of date");
	ck_assert(seen.broken);
	leaf.fingerprint = "00";
	seen = look(&leaf, 1, s.address, NULL);
	ck_assert_ptr_nonnull(strstr(seen.why, "serial a1b2, out of date"));
	ck_assert(seen.broken);
	clock_freeze(NOW);
	seen = look(&leaf, 1, s.address, NULL);
	ck_assert_ptr_nonnull(strstr(seen.why, "serial a1b2"));
	ck_assert(!seen.broken);
	seen = look(&leaf, 1, dead, NULL);
	ck_assert(seen.broken);
	/* the second name has another certificate, of the first */
	address = s.address;
	target.verify = (struct words){ &address, 1 };
	seen = (struct seen){ 0 };
	ck_assert_int_eq(verify_start(base,
			     &(struct verify_subject){ .target = &target,
				 .names = names + 1,
				 .name_count = 1,
				 .leaves = &leaf,
				 .count = 1 },
			     false, done_cb, &seen, &v),
	    0);
	event_base_loopexit(base, &late);
	event_base_dispatch(base);
	verify_free(v);
	ck_assert_ptr_nonnull(strstr(seen.why, ", other.example.test): another"));
	ck_assert_ptr_nonnull(strstr(seen.why, ", of another name"));
	ck_assert(seen.broken);
	/* must-staple, and nothing is stapled */
	leaf.fingerprint = s.fingerprint;
	seen = (struct seen){ 0 };
	ck_assert_int_eq(verify_start(base,
			     &(struct verify_subject){ .target = &target,
				 .names = names,
				 .name_count = 2,
				 .must_staple = true,
				 .leaves = &leaf,
				 .count = 1 },
			     false, done_cb, &seen, &v),
	    0);
	event_base_loopexit(base, &late);
	event_base_dispatch(base);
	verify_free(v);
	ck_assert_ptr_nonnull(strstr(seen.why, "must_staple"));
	stop(&s);
	end();
}
END_TEST

static void
probed_cb(const struct probe_found *found, const char *why, void *arg)
{
	struct seen *seen = arg;

	ck_assert_ptr_null(found);
	done_cb(why, true, seen);
}

/* It accepts, and says nothing, or something else than TLS. */
START_TEST(test_no_tls)
{
	struct probe_wish wish = { .server_name = "www.example.test" };
	struct timeval late = { .tv_sec = LATE_S };
	struct seen seen = { 0 };
	struct probe *p;
	char address[32];
	int fd, link;

	begin();
	fd = listen_somewhere(address);
	wish.address = address;
	ck_assert_int_eq(probe_start(base, &wish, 50, probed_cb, &seen, &p), 0);
	event_base_loopexit(base, &late);
	event_base_dispatch(base);
	ck_assert_str_eq(seen.why, "it doesn't answer in time");
	probe_free(p);
	close(accept(fd, NULL, NULL));
	ck_assert_int_eq(probe_start(base, &wish, 20000, probed_cb, &seen, &p), 0);
	link = accept(fd, NULL, NULL);
	ck_assert_int_eq(write(link, "SSH-2.0-x\r\n", 11), 11);
	event_base_dispatch(base);
	ck_assert_int_eq(seen.done, 2);
	ck_assert_msg(strncmp(seen.why, "no TLS handshake: ", 18) == 0, "%s", seen.why);
	probe_free(p);
	close(link);
	/* freed halfway */
	ck_assert_int_eq(probe_start(base, &wish, 20000, probed_cb, &seen, &p), 0);
	event_base_loop(base, EVLOOP_NONBLOCK);
	probe_free(p);
	ck_assert_int_eq(seen.done, 2);
	wish.address = "nonsense";
	ck_assert_int_eq(
	    probe_start(base, &wish, 20000, probed_cb, &seen, &p), -EINVAL);
	close(fd);
	end();
}
END_TEST

SUITE("verify", test_served, test_not_served, test_lacks, test_no_tls)
