/*
 * test_cert.c - chains: what a CA may send, and what has to be refused.
 */
#include "acme.h"

#include <errno.h>
#include <string.h>

#include <openssl/err.h>

#include "buffer.h"
#include "key.h"
#include "make_cert.h"
#include "rfc_keys.h"
#include "suite.h"

DEFINE_CLEANUP(struct acme_chain, acme_chain_free)

#define JANUARY 1767225600 /* 2026-01-01 00:00:00 UTC */
#define NAMES   "DNS:example.org,DNS:www.example.org,IP:192.0.2.1,IP:2001:db8::1"

static struct acme_key *key;
static struct acme_key *ca;
static struct acme_key *root;
static struct acme_identifier ids[4];

/* Before check runs anything, so that forked tests share the keys: no ck_assert here.
 */
static void
prepare(void)
{
	static const char *const names[] = { "www.example.org", "2001:db8::1",
		"example.org", "192.0.2.1" };

	if (acme_key_generate(ACME_KEY_ECDSA_P256, &key) < 0 ||
	    acme_key_generate(ACME_KEY_ECDSA_P384, &ca) < 0 ||
	    acme_key_generate(ACME_KEY_ECDSA_P256, &root) < 0)
		abort();
	for (size_t i = 0; i < ELEMENTS(names); i++)
		if (acme_identifier_parse(names[i], &ids[i], NULL) < 0)
			abort();
}

static void
release(void)
{
	key = acme_key_free(key);
	ca = acme_key_free(ca);
	root = acme_key_free(root);
}

static struct recipe
leaf_recipe(void)
{
	return (struct recipe){
		.issuer = "Test CA",
		.san = NAMES,
		.serial = "00c0ffee01",
		.key = acme_key_evp(key),
		.issuer_key = acme_key_evp(ca),
		.not_before = JANUARY,
	};
}

static char *
ca_pem(const char *subject)
{
	return make_pem(&(struct recipe){
	    .subject = subject,
	    .issuer = "Test Root",
	    .key = acme_key_evp(ca),
	    .issuer_key = acme_key_evp(root),
	});
}

static char *
root_pem(void)
{
	return make_pem(&(struct recipe){
	    .subject = "Test Root",
	    .issuer = "Test Root",
	    .key = acme_key_evp(root),
	    .issuer_key = acme_key_evp(root),
	});
}

/* From a block of exactly this size, so that reading behind its end is found. */
static int
parse_exactly(
    const char *pem, size_t len, struct acme_chain **ret, const char **ret_why)
{
	_cleanup_free_ char *copy = malloc(len > 0 ? len : 1);
	int r;

	memcpy(copy, pem, len);
	r = acme_chain_parse(copy, len, ret, ret_why);
	ck_assert_uint_eq(ERR_peek_error(), 0);
	return r;
}

static struct acme_chain *
parsed(const char *pem)
{
	struct acme_chain *chain = NULL;
	const char *why = "";
	int r = parse_exactly(pem, strlen(pem), &chain, &why);

	ck_assert_msg(r == 0, "refused: %s", why);
	return chain;
}

static void
ck_unreadable(const char *pem, size_t len, const char *part)
{
	struct acme_chain *chain = NULL;
	const char *why = NULL;

	ck_assert_msg(
	    parse_exactly(pem, len, &chain, &why) == -EBADMSG, "accepted: %s", part);
	ck_assert_ptr_null(chain);
	ck_assert_msg(why != NULL && strstr(why, part) != NULL, "%s: %s", part, why);
	ck_assert_int_eq(acme_chain_parse(pem, len, &chain, NULL), -EBADMSG);
}

/* Takes the text over. why NULL: it is what was ordered. */
static void
ck_checked(char *pem, const char *part)
{
	_cleanup_free_ char *text = pem;
	_cleanup_(acme_chain_freep) struct acme_chain *chain = parsed(text);
	const char *why = "(nothing)";
	int r = acme_chain_check(chain, key, ids, ELEMENTS(ids), &why);

	ck_assert_uint_eq(ERR_peek_error(), 0);
	if (part == NULL) {
		ck_assert_msg(r == 0, "refused: %s", why);
		return;
	}
	ck_assert_msg(r == -EKEYREJECTED, "accepted: %s", part);
	ck_assert_msg(strstr(why, part) != NULL, "%s: %s", part, why);
	ck_assert_int_eq(
	    acme_chain_check(chain, key, ids, ELEMENTS(ids), NULL), -EKEYREJECTED);
}

START_TEST(test_leaf)
{
	struct recipe recipe = leaf_recipe();
	_cleanup_free_ char *pem = make_join(make_pem(&recipe), ca_pem("Test CA"));
	_cleanup_(acme_chain_freep) struct acme_chain *chain = parsed(pem);
	const struct acme_leaf *leaf = acme_chain_leaf(chain);

	ck_assert_uint_eq(acme_chain_count(chain), 2);
	ck_assert_str_eq(leaf->serial, "c0ffee01");
	ck_assert_str_eq(leaf->issuer, "CN=Test CA");
	ck_assert_str_eq(leaf->top, "Test Root");
	ck_assert_int_eq(leaf->not_before, JANUARY);
	ck_assert_int_eq(leaf->not_after, JANUARY + 86400);
	ck_assert_int_eq(leaf->key_type, ACME_KEY_ECDSA_P256);
	ck_assert_ptr_null(leaf->responder);
}
END_TEST

/* Against what OpenSSL says of the same certificate. */
START_TEST(test_fingerprint)
{
	struct recipe recipe = leaf_recipe();
	X509 *x = make_cert(&recipe);
	_cleanup_free_ char *pem = NULL;
	struct acme_chain *chain;
	unsigned char digest[32];
	char expected[65];
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	long len;

	PEM_write_bio_X509(bio, x);
	len = BIO_get_mem_data(bio, &data);
	pem = strndup(data, (size_t)len);
	X509_digest(x, EVP_sha256(), digest, NULL);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(expected + 2 * i, 3, "%02x", digest[i]);
	chain = parsed(pem);
	ck_assert_str_eq(acme_chain_leaf(chain)->fingerprint_sha256, expected);
	acme_chain_free(chain);
	BIO_free(bio);
	X509_free(x);
}
END_TEST

START_TEST(test_serials)
{
	static const struct {
		const char *given, *expected;
	} serials[] = {
		{ "1", "01" },
		{ "0", "00" },
		{ "7f", "7f" },
		{ "80", "80" },
		{ "0a0b", "0a0b" },
		{ "ff00ff", "ff00ff" },
		{ "0123456789abcdef0123456789abcdef01234567",
		    "0123456789abcdef0123456789abcdef01234567" },
		{ "f123456789abcdef0123456789abcdef01234567",
		    "f123456789abcdef0123456789abcdef01234567" },
	};

	for (size_t i = 0; i < ELEMENTS(serials); i++) {
		struct recipe recipe = leaf_recipe();
		_cleanup_free_ char *pem = NULL;
		_cleanup_(acme_chain_freep) struct acme_chain *chain = NULL;

		recipe.serial = serials[i].given;
		pem = make_pem(&recipe);
		chain = parsed(pem);
		ck_assert_str_eq(acme_chain_leaf(chain)->serial, serials[i].expected);
	}
}
END_TEST

/* 2050 is where RFC 5280 changes how times are written. */
START_TEST(test_times)
{
	static const int64_t times[] = { 0, 2524607999, 2524608000, 4102444800,
		253402300799 };

	for (size_t i = 0; i < ELEMENTS(times); i++) {
		struct recipe recipe = leaf_recipe();
		_cleanup_free_ char *pem = NULL;
		_cleanup_(acme_chain_freep) struct acme_chain *chain = NULL;

		recipe.not_after = times[i];
		recipe.not_before = times[i] / 2;
		if (times[i] == 0)
			recipe.not_after = 1;
		pem = make_pem(&recipe);
		chain = parsed(pem);
		ck_assert_int_eq(acme_chain_leaf(chain)->not_before, recipe.not_before);
		ck_assert_int_eq(acme_chain_leaf(chain)->not_after, recipe.not_after);
	}
}
END_TEST

static int
add_issuer(X509 *x, const char *field, const char *text, int len)
{
	return X509_NAME_add_entry_by_txt(X509_get_issuer_name(x), field, MBSTRING_UTF8,
	    (const unsigned char *)text, len, 0, 0);
}

static int
change_issuer_cb(X509 *x)
{
	return add_issuer(x, "O", "Let's Encrypt", -1) && add_issuer(x, "C", "US", -1);
}

static int
change_issuer_hostile_cb(X509 *x)
{
	return add_issuer(x, "O", "\x1b[31m\nM\xc3\xbcller, \"A\"+B\0C", 22);
}

START_TEST(test_issuer)
{
	struct recipe recipe = leaf_recipe();
	_cleanup_free_ char *plain = NULL;
	_cleanup_free_ char *hostile = NULL;
	_cleanup_(acme_chain_freep) struct acme_chain *a = NULL;
	_cleanup_(acme_chain_freep) struct acme_chain *b = NULL;
	const char *issuer;

	recipe.issuer = "YE1";
	recipe.change = change_issuer_cb;
	plain = make_pem(&recipe);
	a = parsed(plain);
	ck_assert_str_eq(acme_chain_leaf(a)->issuer, "CN=YE1,O=Let's Encrypt,C=US");
	ck_assert_str_eq(acme_chain_leaf(a)->top, "YE1");
	recipe.change = change_issuer_hostile_cb;
	hostile = make_pem(&recipe);
	b = parsed(hostile);
	issuer = acme_chain_leaf(b)->issuer;
	ck_assert_str_eq(
	    issuer, "CN=YE1,O=\\1B[31m\\0AM\xc3\xbcller\\, \\\"A\\\"\\+B\\00C");
}
END_TEST

/* A common name that would break a line isn't one to compare with. */
START_TEST(test_top)
{
	struct recipe recipe = leaf_recipe();
	_cleanup_free_ char *with = NULL;
	_cleanup_free_ char *without = NULL;
	_cleanup_(acme_chain_freep) struct acme_chain *a = NULL;
	_cleanup_(acme_chain_freep) struct acme_chain *b = NULL;

	recipe.issuer = "Evil\nCA";
	with = make_pem(&recipe);
	recipe.issuer = NULL;
	without = make_pem(&recipe);
	a = parsed(with);
	b = parsed(without);
	ck_assert_str_eq(acme_chain_leaf(a)->top, "");
	ck_assert_str_eq(acme_chain_leaf(b)->top, "");
	ck_assert_str_eq(acme_chain_leaf(b)->issuer, "");
}
END_TEST

START_TEST(test_key_types)
{
	struct recipe recipe = leaf_recipe();
	_cleanup_(acme_key_freep) struct acme_key *rsa = NULL;
	EVP_PKEY *other = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	EVP_PKEY *keys[3];
	static const enum acme_key_type types[] = { ACME_KEY_ECDSA_P384,
		ACME_KEY_RSA_2048, ACME_KEY_NONE };

	ck_assert_int_eq(acme_key_from_pem(rsa_example, strlen(rsa_example), &rsa), 0);
	keys[0] = acme_key_evp(ca);
	keys[1] = acme_key_evp(rsa);
	keys[2] = other;
	for (size_t i = 0; i < ELEMENTS(types); i++) {
		_cleanup_free_ char *pem = NULL;
		_cleanup_(acme_chain_freep) struct acme_chain *chain = NULL;

		recipe.key = keys[i];
		pem = make_pem(&recipe);
		chain = parsed(pem);
		ck_assert_int_eq(acme_chain_leaf(chain)->key_type, types[i]);
	}
	EVP_PKEY_free(other);
}
END_TEST

START_TEST(test_pem_out)
{
	struct recipe recipe = leaf_recipe();
	_cleanup_free_ char *leaf = make_pem(&recipe);
	_cleanup_free_ char *rest = make_join(ca_pem("Test CA"), root_pem());
	_cleanup_free_ char *all = make_join(strdup(leaf), strdup(rest));
	_cleanup_(acme_chain_freep) struct acme_chain *chain = parsed(all);
	const struct {
		size_t first;
		const char *text;
	} wanted[] = { { 0, all }, { 1, rest }, { 3, "" }, { 99, "" } };
	_cleanup_free_ char *one = NULL;
	char *none = NULL;

	for (size_t i = 0; i < ELEMENTS(wanted); i++) {
		_cleanup_free_ char *pem = NULL;

		ck_assert_int_eq(acme_chain_pem_from(chain, wanted[i].first, &pem), 0);
		ck_assert_str_eq(pem, wanted[i].text);
	}
	ck_assert_int_eq(acme_chain_pem(chain, 0, &one), 0);
	ck_assert_str_eq(one, leaf);
	ck_assert_int_eq(acme_chain_pem(chain, 3, &none), -EINVAL);
}
END_TEST

/* The text with every LF made CR LF, and blanks around: others write PEM so. */
START_TEST(test_blanks)
{
	struct recipe recipe = leaf_recipe();
	_cleanup_free_ char *pem = make_join(make_pem(&recipe), ca_pem("Test CA"));
	_cleanup_(buffer_free) struct buffer b = { 0 };
	struct acme_chain *chain;

	buffer_puts(&b, "\r\n \t\n");
	for (const char *c = pem; *c != '\0'; c++)
		buffer_printf(&b, "%s%c", *c == '\n' ? " \r" : "", *c);
	buffer_puts(&b, "\n\n");
	chain = parsed(b.data);
	ck_assert_uint_eq(acme_chain_count(chain), 2);
	acme_chain_free(chain);
	/* no newline at the end */
	pem[strlen(pem) - 1] = '\0';
	chain = parsed(pem);
	ck_assert_uint_eq(acme_chain_count(chain), 2);
	acme_chain_free(chain);
}
END_TEST

static void
ck_unreadable_joined(const char *a, const char *b, const char *part)
{
	_cleanup_free_ char *text = make_join(strdup(a), strdup(b));

	ck_unreadable(text, strlen(text), part);
}

START_TEST(test_strangers)
{
	struct recipe recipe = leaf_recipe();
	_cleanup_free_ char *pem = make_pem(&recipe);
	_cleanup_free_ char *dashes = strdup(pem);
	size_t len = strlen(pem);

	ck_unreadable("", 0, "no certificate");
	ck_unreadable(" \n", 2, "no certificate");
	ck_unreadable_joined(pem, ec_example, "isn't a certificate");
	ck_unreadable_joined(ec_example, pem, "isn't a certificate");
	ck_unreadable_joined(
	    pem, "-----BEGIN RSA PRIVATE KEY-----\n", "isn't a certificate");
	ck_unreadable_joined(
	    "-----BEGIN TRUSTED CERTIFICATE-----\n", pem, "isn't a certificate");
	ck_unreadable_joined(
	    "-----BEGIN X509 CERTIFICATE-----\n", pem, "isn't a certificate");
	ck_unreadable_joined("subject=CN = x\n", pem, "text outside");
	ck_unreadable_joined(pem, "garbage", "text outside");
	ck_unreadable_joined(pem, "-----END CERTIFICATE-----\n", "text outside");
	ck_unreadable(pem, len + 1, "text outside"); /* a NUL */
	ck_unreadable_joined("-----BEGIN CERTIFICATE-----\n", pem, "can't be read");
	pem[len - 1] = '\0';
	ck_unreadable_joined(pem, "-", "behind the end");
	ck_unreadable_joined(pem, "-----BEGIN PRIVATE KEY-----", "behind the end");
	dashes[strlen("-----BEGIN CERTIFICATE-----")] = 'M';
	ck_unreadable(dashes, len, "behind the beginning");
}
END_TEST

START_TEST(test_broken_inside)
{
	struct recipe recipe = leaf_recipe();
	_cleanup_free_ char *pem = make_pem(&recipe);
	static const char *const bodies[] = { "", "====", "AAAA", "AAA",
		"A===", "MIIB=AAA", "-AAA", "AAAAAAA-", "AAAA----", "MAA=", "MAAA",
		"MIIDAA==\n=", "MAA\xff", "Proc-Type: 4,ENCRYPTED\n\nAAAA", "\001AAA",
		"MIJ//w==", "MIT/////", "gICAgA==" };

	for (size_t i = 0; i < ELEMENTS(bodies); i++) {
		_cleanup_free_ char *text = NULL;

		ck_assert_int_gt(asprintf(&text,
				     "-----BEGIN CERTIFICATE-----\n%s\n-----END "
				     "CERTIFICATE-----\n",
				     bodies[i]),
		    0);
		ck_unreadable(text, strlen(text), "can't be read");
	}
	/* a NUL within */
	pem[200] = '\0';
	ck_unreadable(pem, 200 + 1 + strlen(pem + 201), "can't be read");
}
END_TEST

START_TEST(test_longer_inside)
{
	struct recipe recipe = leaf_recipe();
	X509 *x = make_cert(&recipe);
	unsigned char der[4096] = { 0 };
	unsigned char text[8192];
	unsigned char *end = der;
	int len = i2d_X509(x, &end);
	_cleanup_free_ char *pem = NULL;

	while (len % 3 != 2)
		der[len++] = 0;
	EVP_EncodeBlock(text, der, len + 1);
	ck_assert_int_gt(
	    asprintf(&pem,
		"-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n", text),
	    0);
	ck_unreadable(pem, strlen(pem), "can't be read");
	X509_free(x);
}
END_TEST

START_TEST(test_cut_at_every_byte)
{
	struct recipe recipe = leaf_recipe();
	_cleanup_free_ char *pem = make_pem(&recipe);
	size_t len = strlen(pem) - 1; /* without the last LF it is whole */

	for (size_t i = 0; i < len; i++) {
		struct acme_chain *chain = NULL;
		const char *why = NULL;

		ck_assert_int_eq(parse_exactly(pem, i, &chain, &why), -EBADMSG);
		ck_assert_ptr_nonnull(why);
	}
}
END_TEST

/* Each byte of the DER damaged: refused somewhere, or the same certificate's facts are
 * others; in any case no harm, no leak, no errors left behind, and never what was
 * ordered and signed. */
START_TEST(test_damaged_der)
{
	struct recipe recipe = leaf_recipe();
	_cleanup_free_ char *issuer = ca_pem("Test CA");
	X509 *x = make_cert(&recipe);
	unsigned char der[4096];
	unsigned char text[8192];
	unsigned char *end = der;
	int len = i2d_X509(x, &end);
	size_t accepted = 0;

	for (int i = 0; i < len; i++) {
		_cleanup_(acme_chain_freep) struct acme_chain *chain = NULL;
		_cleanup_free_ char *pem = NULL;

		der[i] ^= 0x21;
		EVP_EncodeBlock(text, der, len);
		der[i] ^= 0x21;
		ck_assert_int_gt(asprintf(&pem,
				     "-----BEGIN CERTIFICATE-----\n%s\n-----END "
				     "CERTIFICATE-----\n%s",
				     text, issuer),
		    0);
		if (parse_exactly(pem, strlen(pem), &chain, NULL) < 0)
			continue;
		accepted += acme_chain_check(chain, key, ids, ELEMENTS(ids), NULL) == 0;
		ck_assert_uint_eq(ERR_peek_error(), 0);
	}
	ck_assert_uint_eq(accepted, 0);
	X509_free(x);
}
END_TEST

START_TEST(test_limits)
{
	struct recipe recipe = leaf_recipe();
	_cleanup_free_ char *pem = make_pem(&recipe);
	_cleanup_(buffer_free) struct buffer b = { 0 };
	struct acme_chain *chain;
	char *big;
	size_t size = 1024 * 1024 + 1;

	for (int i = 0; i < 16; i++)
		buffer_puts(&b, pem);
	chain = parsed(b.data);
	ck_assert_uint_eq(acme_chain_count(chain), 16);
	acme_chain_free(chain);
	buffer_puts(&b, pem);
	ck_unreadable(b.data, b.len, "more than 16");

	big = malloc(size);
	memset(big, '\n', size);
	memcpy(big, pem, strlen(pem));
	ck_unreadable(big, size, "over 1 MiB");
	ck_assert_int_eq(acme_chain_parse(big, size - 1, &chain, NULL), 0);
	acme_chain_free(chain);
	/* a block that never ends, and one of a megabyte */
	memset(big, 'A', size);
	memcpy(big, "-----BEGIN CERTIFICATE-----\n", 28);
	ck_unreadable(big, size - 1, "breaks off");
	memcpy(big + size - 28, "\n-----END CERTIFICATE-----\n", 27);
	ck_unreadable(big, size - 1, "can't be read");
	for (size_t i = 0; i + 28 < size; i += 28)
		memcpy(big + i, "-----BEGIN CERTIFICATE-----\n", 28);
	ck_unreadable(big, size - 1, "breaks off");
	free(big);
}
END_TEST

START_TEST(test_as_ordered)
{
	struct recipe recipe = leaf_recipe();

	ck_checked(make_join(make_pem(&recipe), ca_pem("Test CA")), NULL);
	/* with the root, and alone */
	ck_checked(
	    make_join(make_join(make_pem(&recipe), ca_pem("Test CA")), root_pem()),
	    NULL);
	ck_checked(make_pem(&recipe), NULL);
	/* in either case, and some twice */
	recipe.san =
	    "DNS:EXAMPLE.org,DNS:www.example.ORG,DNS:example.org,IP:2001:db8::1,"
	    "IP:192.0.2.1,IP:192.0.2.1";
	ck_checked(make_pem(&recipe), NULL);
}
END_TEST

START_TEST(test_other_key)
{
	struct recipe recipe = leaf_recipe();

	recipe.key = acme_key_evp(root);
	ck_checked(make_join(make_pem(&recipe), ca_pem("Test CA")), "another key");
	recipe.key = acme_key_evp(ca);
	ck_checked(make_join(make_pem(&recipe), ca_pem("Test CA")), "another key");
}
END_TEST

START_TEST(test_other_names)
{
	static const struct {
		const char *san;
		const char *part;
	} cases[] = {
		{ NULL, "no subject alternative" },
		{ NAMES ",DNS:evil.example", "wasn't ordered" },
		{ NAMES ",IP:192.0.2.2", "wasn't ordered" },
		{ NAMES ",DNS:*.example.org", "wasn't ordered" },
		{ NAMES ",DNS:192.0.2.1", "wasn't ordered" },
		{ NAMES ",DNS:example.org.", "wasn't ordered" },
		{ "DNS:*.example.org,DNS:example.org,IP:192.0.2.1,IP:2001:db8::1",
		    "wasn't ordered" },
		{ "DNS:example.org,IP:192.0.2.1,IP:2001:db8::1", "lacks" },
		{ "DNS:example.org,DNS:www.example.org,IP:192.0.2.1", "lacks" },
		{ "DNS:example.org,DNS:www.example.org,DNS:example.org,DNS:www.example.org",
		    "lacks" },
		{ NAMES ",email:a@example.org", "isn't a DNS name or address" },
		{ NAMES ",URI:https://example.org/", "isn't a DNS name or address" },
		{ NAMES ",RID:1.2.3", "isn't a DNS name or address" },
	};

	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct recipe recipe = leaf_recipe();

		recipe.san = cases[i].san;
		recipe.subject = "example.org"; /* which counts for nothing */
		ck_checked(
		    make_join(make_pem(&recipe), ca_pem("Test CA")), cases[i].part);
	}
}
END_TEST

static int
add_san(X509 *x, const void *value, int len)
{
	ASN1_OCTET_STRING *data = ASN1_OCTET_STRING_new();
	X509_EXTENSION *e;
	int ok;

	ASN1_OCTET_STRING_set(data, value, len);
	e = X509_EXTENSION_create_by_NID(NULL, NID_subject_alt_name, 0, data);
	ok = X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	ASN1_OCTET_STRING_free(data);
	return ok;
}

static int
san_with_nul_cb(X509 *x)
{
	return add_san(x,
	    "\x30\x12\x82\x10"
	    "example.org\0evil",
	    20);
}

static int
san_of_odd_address_cb(X509 *x)
{
	return add_san(x, "\x30\x07\x87\x05\x01\x02\x03\x04\x05", 9);
}

static int
san_of_empty_name_cb(X509 *x)
{
	return add_san(x, "\x30\x02\x82\x00", 4);
}

static int
san_without_names_cb(X509 *x)
{
	return add_san(x, "\x30\x00", 2);
}

static int
san_garbage_cb(X509 *x)
{
	return add_san(x, "\xff\xff\xff", 3);
}

static int
san_twice_cb(X509 *x)
{
	return add_san(x,
		   "\x30\x0d\x82\x0b"
		   "example.org",
		   15) &&
	    add_san(x,
		"\x30\x0d\x82\x0b"
		"example.org",
		15);
}

static int
san_of_many_cb(X509 *x)
{
	size_t len = 1001 * 13;
	unsigned char *value = malloc(len + 4);
	int ok;

	memcpy(value, "\x30\x82", 2);
	value[2] = (unsigned char)(len >> 8);
	value[3] = (unsigned char)len;
	for (size_t i = 0; i < 1001; i++)
		memcpy(value + 4 + i * 13,
		    "\x82\x0b"
		    "example.org",
		    13);
	ok = add_san(x, value, (int)len + 4);
	free(value);
	return ok;
}

START_TEST(test_hostile_names)
{
	static const struct {
		int (*change)(X509 *x);
		const char *part;
	} cases[] = {
		{ san_with_nul_cb, "isn't a DNS name or address" },
		{ san_of_odd_address_cb, "isn't a DNS name or address" },
		{ san_of_empty_name_cb, "isn't a DNS name or address" },
		{ san_without_names_cb, "lacks" },
		{ san_garbage_cb, "can't be read" },
		{ san_twice_cb, "can't be read" },
		{ san_of_many_cb, "too many" },
	};

	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct recipe recipe = leaf_recipe();

		recipe.san = NULL;
		recipe.change = cases[i].change;
		ck_checked(make_pem(&recipe), cases[i].part);
	}
}
END_TEST

START_TEST(test_unlinked)
{
	struct recipe recipe = leaf_recipe();

	/* by name, by signature, in the wrong order, with a gap */
	ck_checked(make_join(make_pem(&recipe), ca_pem("Other CA")), "isn't issued by");
	recipe.issuer_key = acme_key_evp(root);
	ck_checked(make_join(make_pem(&recipe), ca_pem("Test CA")), "isn't signed by");
	recipe.issuer_key = acme_key_evp(ca);
	ck_checked(
	    make_join(make_join(make_pem(&recipe), root_pem()), ca_pem("Test CA")),
	    "isn't issued by");
	ck_checked(make_join(make_pem(&recipe), root_pem()), "isn't issued by");
	ck_checked(make_join(make_join(make_pem(&recipe), ca_pem("Test CA")),
		       ca_pem("Test CA")),
	    "isn't issued by");
}
END_TEST

START_TEST(test_ends_before_it_begins)
{
	struct recipe recipe = leaf_recipe();

	recipe.not_after = JANUARY - 1;
	ck_checked(make_pem(&recipe), "ends before");
}
END_TEST

START_TEST(test_free_nothing)
{
	ck_assert_ptr_null(acme_chain_free(NULL));
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = { test_leaf, test_fingerprint, test_serials,
		test_times, test_issuer, test_top, test_key_types, test_pem_out,
		test_blanks, test_strangers, test_broken_inside, test_longer_inside,
		test_cut_at_every_byte, test_damaged_der, test_limits, test_as_ordered,
		test_other_key, test_other_names, test_hostile_names, test_unlinked,
		test_ends_before_it_begins, test_free_nothing };
	int status;

	prepare();
	status = suite_run("cert", tests, ELEMENTS(tests));
	release();
	return status;
}
