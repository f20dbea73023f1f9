/*
 * cert.c - chains of certificates: read what a CA sent, and is it what was ordered?
 *
 * Used by the flow for each new chain, and by renewd for those in the inventory. The
 * text is taken apart here and not by OpenSSL's PEM reader, which skips what it doesn't
 * know: a private key or anything else beside certificates has to be refused (RFC 8555
 * section 9.1). It never decides whom to trust: that is for those who connect.
 */
#include "cert.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "altname.h"
#include "buffer.h"
#include "certder.h"
#include "hex.h"

#define CHAIN_MAX 16
#define TEXT_MAX  (1024 * 1024)
#define NAMES_MAX 1000 /* in one certificate: CAs stop at 100 */
#define BEGIN     "-----BEGIN CERTIFICATE-----"
#define END       "-----END CERTIFICATE-----"

DEFINE_CLEANUP(BIO, BIO_free)

struct acme_chain {
	struct certder *certs[CHAIN_MAX];
	size_t count;
	struct acme_leaf leaf;
	char *serial; /* what leaf lends */
	char *fingerprint;
	char *issuer;
	char *top;
	char *responder;
};

/* ---- Reading a chain ---- */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
is_base64(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	    (c >= '0' && c <= '9') || c == '+' || c == '/' || c == '=';
}

/* The base64 between the lines, without blanks; NULL where there is anything else. */
static unsigned char *
squeeze(const char *body, size_t len, size_t *ret_len)
{
	_cleanup_free_ unsigned char *text = malloc(len + 1);
	size_t count = 0;
	size_t pads = 0;

	for (size_t i = 0; text != NULL && i < len; i++) {
		if (is_blank(body[i]))
			continue;
		if (!is_base64(body[i]))
			return NULL;
		pads += body[i] == '=';
		/* padding is for the end only */
		if (pads > 2 || (pads > 0 && body[i] != '='))
			return NULL;
		text[count++] = (unsigned char)body[i];
	}
	if (count == 0 || count % 4 != 0)
		return NULL;
	*ret_len = count;
	return steal_ptr(text);
}

static struct certder *
decode(const char *body, size_t len)
{
	_cleanup_free_ unsigned char *text = NULL;
	_cleanup_free_ unsigned char *der = NULL;
	struct certder *c = NULL;
	size_t text_len;
	int der_len;

	text = squeeze(body, len, &text_len);
	if (text == NULL)
		return NULL;
	der = malloc(text_len);
	if (der == NULL)
		return NULL;
	der_len = EVP_DecodeBlock(der, text, (int)text_len);
	if (der_len < 0)
		return NULL;
	der_len -= (text[text_len - 1] == '=') + (text[text_len - 2] == '=');
	return certder_read(der, (size_t)der_len, &c) == 0 ? c : NULL;
}

static bool
starts_with(const char *text, const char *end, const char *what)
{
	size_t len = strlen(what);

	return (size_t)(end - text) >= len && memcmp(text, what, len) == 0;
}

static const char *
skip_blanks(const char *text, const char *end)
{
	while (text < end && is_blank(*text))
		text++;
	return text;
}

/* One block, *text being at its first line; it is moved behind the last one. */
static const char *
read_block(struct acme_chain *chain, const char **text, const char *end)
{
	const char *body = *text + strlen(BEGIN);
	const char *last = memmem(body, (size_t)(end - body), END, strlen(END));

	if (last == NULL)
		return "a certificate breaks off";
	if (!is_blank(*body))
		return "there is something behind the beginning of a certificate";
	if (chain->count == CHAIN_MAX)
		return "it has more than 16 certificates";
	chain->certs[chain->count] = decode(body, (size_t)(last - body));
	if (chain->certs[chain->count] == NULL)
		return "a certificate can't be read";
	chain->count++;
	*text = last + strlen(END);
	if (*text < end && !is_blank(**text))
		return "there is something behind the end of a certificate";
	return NULL;
}

static const char *
read_blocks(struct acme_chain *chain, const char *text, size_t len)
{
	const char *end = text + len;
	const char *why = NULL;

	while (why == NULL && (text = skip_blanks(text, end)) < end) {
		if (starts_with(text, end, BEGIN))
			why = read_block(chain, &text, end);
		else if (starts_with(text, end, "-----BEGIN "))
			why = "it has a block that isn't a certificate";
		else
			why = "it has text outside of certificates";
	}
	if (why == NULL && chain->count == 0)
		return "it has no certificate";
	return why;
}

/* ---- What the leaf says ---- */

static char *
hex(const unsigned char *data, size_t len)
{
	char *text = calloc(len + 1, 2);

	if (text != NULL)
		hex_write(data, len, text);
	return text;
}

/* The bytes of the number as DER has them, but for a zero that only says "positive". */
static char *
read_serial(const struct certder *c)
{
	unsigned char *der = NULL;
	int len = i2d_ASN1_INTEGER(c->serial, &der);
	const unsigned char *at = der;
	char *text = NULL;
	int class;
	int tag;
	long size;

	if (len > 0 && (ASN1_get_object(&at, &size, &tag, &class, len) & 0x80) == 0) {
		if (size > 1 && at[0] == 0) {
			at++;
			size--;
		}
		text = hex(at, (size_t)size);
	}
	OPENSSL_free(der);
	return text;
}

static char *
read_fingerprint(const struct certder *c)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len;

	if (EVP_Digest(c->der, c->len, digest, &len, EVP_sha256(), NULL) != 1)
		return NULL;
	return hex(digest, len);
}

static char *
read_issuer(const struct certder *c)
{
	/* UTF-8 stays readable; control characters don't get into anybody's terminal */
	unsigned long flags = XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB;
	_cleanup_(BIO_freep) BIO *bio = BIO_new(BIO_s_mem());
	const char *data;
	long len;

	if (bio == NULL || X509_NAME_print_ex(bio, c->issuer, 0, flags) < 0)
		return NULL;
	len = BIO_get_mem_data(bio, &data);
	return len > 0 ? strndup(data, (size_t)len) : strdup("");
}

/* The common name nearest to the subject; "" for none, or one that isn't plain text. */
static char *
read_issuer_name(const struct certder *c)
{
	const X509_NAME *name = c->issuer;
	unsigned char *text = NULL;
	char *top;
	int last = -1;
	int len = -1;
	int i;

	while ((i = X509_NAME_get_index_by_NID(name, NID_commonName, last)) >= 0)
		last = i;
	if (last >= 0)
		len = ASN1_STRING_to_UTF8(
		    &text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, last)));
	for (i = 0; i < len; i++)
		if (text[i] < 0x20 || text[i] == 0x7f)
			len = -1;
	top = strndup(len > 0 ? (const char *)text : "", len > 0 ? (size_t)len : 0);
	OPENSSL_free(text);
	return top;
}

static bool
read_time(const ASN1_TIME *time, int64_t *ret)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(time, &tm) != 1)
		return false;
	*ret = timegm(&tm);
	return true;
}

static bool
read_leaf(struct acme_chain *chain)
{
	const struct certder *c = chain->certs[0];
	struct acme_leaf *leaf = &chain->leaf;

	chain->serial = read_serial(c);
	chain->fingerprint = read_fingerprint(c);
	chain->issuer = read_issuer(c);
	chain->top = read_issuer_name(chain->certs[chain->count - 1]);
	if (certder_responder(c, &chain->responder) < 0)
		return false;
	leaf->serial = chain->serial;
	leaf->fingerprint_sha256 = chain->fingerprint;
	leaf->issuer = chain->issuer;
	leaf->top = chain->top;
	leaf->responder = chain->responder;
	leaf->key_type = certder_key_type(c);
	return chain->serial != NULL && chain->fingerprint != NULL &&
	    chain->issuer != NULL && chain->top != NULL &&
	    read_time(c->not_before, &leaf->not_before) &&
	    read_time(c->not_after, &leaf->not_after);
}

int
acme_chain_parse(
    const char *pem, size_t len, struct acme_chain **ret, const char **ret_why)
{
	_cleanup_(acme_chain_freep) struct acme_chain *chain = NULL;
	const char *why;

	chain = calloc(1, sizeof(*chain));
	if (chain == NULL)
		return -ENOMEM;
	why = len > TEXT_MAX ? "it is over 1 MiB" : read_blocks(chain, pem, len);
	if (why == NULL && !read_leaf(chain))
		why = "the first certificate has a broken serial, name or time";
	ERR_clear_error();
	if (why != NULL) {
		if (ret_why != NULL)
			*ret_why = why;
		return -EBADMSG;
	}
	*ret = steal_ptr(chain);
	return 0;
}

/* ---- Is it what was ordered? ---- */

static bool
is_among(const struct acme_identifier *one, const struct acme_identifier *identifiers,
    size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (acme_identifier_equal(one, &identifiers[i]))
			return true;
	return false;
}

static const char *
compare_names(
    const GENERAL_NAMES *names, const struct acme_identifier *identifiers, size_t count)
{
	_cleanup_free_ struct acme_identifier *have = NULL;
	size_t have_count = (size_t)sk_GENERAL_NAME_num(names);

	if (have_count > NAMES_MAX)
		return "the certificate has too many names";
	have = calloc(have_count + 1, sizeof(*have));
	if (have == NULL)
		return "there is no memory to compare the names";
	for (size_t i = 0; i < have_count; i++)
		if (altname_read(sk_GENERAL_NAME_value(names, (int)i), &have[i]) < 0)
			return "the certificate has a name that isn't a DNS name or address";
	for (size_t i = 0; i < have_count; i++)
		if (!is_among(&have[i], identifiers, count))
			return "the certificate has a name that wasn't ordered";
	for (size_t i = 0; i < count; i++)
		if (!is_among(&identifiers[i], have, have_count))
			return "the certificate lacks a name that was ordered";
	return NULL;
}

static const char *
check_names(
    const struct certder *leaf, const struct acme_identifier *identifiers, size_t count)
{
	_cleanup_(GENERAL_NAMES_freep) GENERAL_NAMES *names = NULL;
	int critical;

	names = certder_extension(leaf, NID_subject_alt_name, &critical);
	if (names == NULL && critical == -1)
		return "the certificate has no subject alternative names";
	if (names == NULL)
		return "the certificate's subject alternative names can't be read";
	return compare_names(names, identifiers, count);
}

static const char *
check_links(const struct acme_chain *chain)
{
	for (size_t i = 0; i + 1 < chain->count; i++) {
		const struct certder *c = chain->certs[i];
		const struct certder *issuer = chain->certs[i + 1];

		if (X509_NAME_cmp(c->issuer, issuer->subject) != 0)
			return "a certificate in the chain isn't issued by the next one";
		if (!certder_signed_by(c, issuer))
			return "a certificate in the chain isn't signed by the next one";
	}
	return NULL;
}

const struct certder *
cert_leaf(const struct acme_chain *chain)
{
	return chain->certs[0];
}

bool
cert_is_for(const struct acme_chain *chain, const struct acme_key *key)
{
	return certder_has_key(chain->certs[0], key);
}

bool
cert_is_for_pkcs8(const struct acme_chain *chain, const unsigned char *der, size_t len)
{
	return certder_has_pkcs8(chain->certs[0], der, len);
}

int
acme_chain_check(const struct acme_chain *chain, const struct acme_key *key,
    const struct acme_identifier *identifiers, size_t count, const char **ret_why)
{
	const struct certder *leaf = chain->certs[0];
	const char *why = NULL;

	if (!cert_is_for(chain, key))
		why = "the certificate is for another key";
	if (why == NULL && chain->leaf.not_after < chain->leaf.not_before)
		why = "the certificate ends before it begins";
	if (why == NULL)
		why = check_names(leaf, identifiers, count);
	if (why == NULL)
		why = check_links(chain);
	ERR_clear_error();
	if (why != NULL && ret_why != NULL)
		*ret_why = why;
	return why == NULL ? 0 : -EKEYREJECTED;
}

/* ---- Giving out ---- */

const struct acme_leaf *
acme_chain_leaf(const struct acme_chain *chain)
{
	return &chain->leaf;
}

size_t
acme_chain_count(const struct acme_chain *chain)
{
	return chain->count;
}

bool
acme_chain_has_issuer(const struct acme_chain *chain, const char *common_name)
{
	for (size_t i = 0; i < chain->count; i++) {
		_cleanup_free_ char *name = read_issuer_name(chain->certs[i]);

		if (name != NULL && strcmp(name, common_name) == 0)
			return true;
	}
	return false;
}

const unsigned char *
cert_leaf_der(const struct acme_chain *chain, size_t *ret_len)
{
	*ret_len = chain->certs[0]->len;
	return chain->certs[0]->der;
}

static int
write_pem(struct certder *const *certs, size_t count, char **ret_pem)
{
	_cleanup_(BIO_freep) BIO *bio = BIO_new(BIO_s_mem());
	const char *data;
	bool ok = bio != NULL;
	char *pem;
	long len;

	for (size_t i = 0; ok && i < count; i++)
		ok = PEM_write_bio(bio, PEM_STRING_X509, "", certs[i]->der,
			 (long)certs[i]->len) > 0;
	ERR_clear_error();
	if (!ok)
		return -ENOMEM;
	len = BIO_get_mem_data(bio, &data);
	pem = len > 0 ? strndup(data, (size_t)len) : strdup("");
	if (pem == NULL)
		return -ENOMEM;
	*ret_pem = pem;
	return 0;
}

int
acme_chain_pem(const struct acme_chain *chain, size_t i, char **ret_pem)
{
	if (i >= chain->count)
		return -EINVAL;
	return write_pem(&chain->certs[i], 1, ret_pem);
}

int
acme_chain_pem_from(const struct acme_chain *chain, size_t first, char **ret_pem)
{
	size_t count = first < chain->count ? chain->count - first : 0;

	/* behind the last one there is nothing, which is a chain file, too */
	return write_pem(chain->certs + (chain->count - count), count, ret_pem);
}

struct acme_chain *
acme_chain_free(struct acme_chain *chain)
{
	if (chain == NULL)
		return NULL;
	for (size_t i = 0; i < chain->count; i++)
		certder_free(chain->certs[i]);
	free(chain->serial);
	free(chain->fingerprint);
	free(chain->issuer);
	free(chain->top);
	free(chain->responder);
	free(chain);
	return NULL;
}
