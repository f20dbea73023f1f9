/*
 * compose.c - makes the PEM texts that web servers read out of keys and chains.
 *
 * Everything is written anew, so what is served is PKCS#8 and plain PEM whatever the
 * inventory or a user's own key file looked like, and a key never comes beside a
 * certificate of another.
 */
#include "bundle/compose.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "buffer.h"
#include "cert.h"
#include "key.h"
#include "scope.h"

/* One pair as PEM. */
struct parts {
	char *key; /* NULL: none */
	char *cert;
	char *chain; /* without the leaf; may be empty */
	char *fullchain;
};

static void
clear_parts(struct parts *p)
{
	acme_wipe_free(p->key, p->key == NULL ? 0 : strlen(p->key));
	free(p->cert);
	free(p->chain);
	free(p->fullchain);
}

static int
write_chain(const struct acme_chain *chain, struct parts *ret)
{
	int r = acme_chain_pem(chain, 0, &ret->cert);

	if (r == 0)
		r = acme_chain_pem_from(chain, 0, &ret->fullchain);
	if (r == 0 && acme_chain_count(chain) > 1)
		return acme_chain_pem_from(chain, 1, &ret->chain);
	if (r == 0)
		ret->chain = strdup("");
	return r == 0 && ret->chain == NULL ? -ENOMEM : r;
}

/* As most are: an ECDSA key that we have written, so that nothing but its public half
 * has to be read. */
static int
copy_key(const struct bundle_pair *pair, const struct acme_chain *chain, char **ret)
{
	unsigned char *der;
	size_t len;
	int r;

	r = key_der_of_pem(pair->key_pem, strlen(pair->key_pem), &der, &len);
	if (r < 0)
		return r;
	r = cert_is_for_pkcs8(chain, der, len) ? key_pem_of_der(der, len, ret)
					       : -EKEYREJECTED;
	OPENSSL_clear_free(der, len);
	return r;
}

static int
parse_key(const struct bundle_pair *pair, const struct acme_chain *chain, char **ret)
{
	_cleanup_(acme_key_freep) struct acme_key *key = NULL;
	bool rsa = acme_key_type_is_rsa(pair->key_type);
	int r;

	if ((!rsa || pair->stand_in) && copy_key(pair, chain, ret) == 0)
		return 0;
	r = acme_key_from_pem(pair->key_pem, strlen(pair->key_pem), &key);
	if (r < 0)
		return r;
	if (!cert_is_for(chain, key) ||
	    (!pair->stand_in && acme_key_type_is_rsa(acme_key_get_type(key)) != rsa))
		return -EKEYREJECTED;
	return acme_key_to_pem(key, ret);
}

static int
parse_pair(const struct bundle_pair *pair, struct parts *ret)
{
	_cleanup_(acme_chain_freep) struct acme_chain *chain = NULL;
	int r;

	r = acme_chain_parse(pair->chain_pem, strlen(pair->chain_pem), &chain, NULL);
	if (r == 0 && pair->key_pem != NULL)
		r = parse_key(pair, chain, &ret->key);
	return r < 0 ? r : write_chain(chain, ret);
}

/* From each BEGIN to its END: what is around them isn't written. */
static void
copy_blocks(const char *text, struct buffer *ret_first, struct buffer *ret_rest)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----\n";
	static const char end[] = "-----END CERTIFICATE-----\n";
	struct buffer *to = ret_first;
	const char *stop;

	while ((text = strstr(text, begin)) != NULL &&
	    (stop = strstr(text, end)) != NULL) {
		stop += sizeof(end) - 1;
		buffer_add(to, text, (size_t)(stop - text));
		text = stop;
		to = ret_rest;
	}
}

static int
copy_pair(const struct bundle_pair *pair, struct parts *ret)
{
	_cleanup_(buffer_free) struct buffer cert = { 0 }, chain = { 0 }, full = { 0 };
	int r;

	copy_blocks(pair->chain_pem, &cert, &chain);
	copy_blocks(pair->chain_pem, &full, &full);
	ret->key = pair->key_pem != NULL ? strdup(pair->key_pem) : NULL;
	r = (ret->key != NULL) == (pair->key_pem != NULL)
	    ? buffer_steal(&cert, &ret->cert, NULL)
	    : -ENOMEM;
	if (r == 0)
		r = buffer_steal(&chain, &ret->chain, NULL);
	return r < 0 ? r : buffer_steal(&full, &ret->fullchain, NULL);
}

static int
join(const struct parts *p, char **ret, size_t *ret_len)
{
	_cleanup_(buffer_free) struct buffer b = { 0 };

	buffer_puts(&b, p->fullchain);
	buffer_puts(&b, p->key);
	return buffer_steal(&b, ret, ret_len);
}

int
compose_haproxy(const struct bundle_pair *pair, char **ret, size_t *ret_len)
{
	_cleanup_(clear_parts) struct parts p = { 0 };
	int r = pair->key_pem != NULL ? parse_pair(pair, &p) : -ENOKEY;

	return r < 0 ? r : join(&p, ret, ret_len);
}

/* A name with its free place in the table; the caller fills in the content. */
static struct compose_file *
add(struct compose *c, const char *stem, const char *kind, const char *end)
{
	struct compose_file *f = &c->files[c->count++];

	snprintf(f->name, sizeof(f->name), "%s%s%s", stem, kind, end);
	return f;
}

static int
add_text(struct compose *c, const char *stem, const char *kind, const char *text)
{
	struct compose_file *f = add(c, stem, kind, ".pem");

	if (text == NULL)
		return 0; /* its name is all that is wanted */
	f->data = strdup(text);
	f->len = strlen(text);
	return f->data == NULL ? -ENOMEM : 0;
}

static int
add_parts(struct compose *c, const char *kind, const struct parts *p)
{
	int r = add_text(c, "cert", kind, p->cert);

	if (r == 0)
		r = add_text(c, "chain", kind, p->chain);
	if (r == 0)
		r = add_text(c, "fullchain", kind, p->fullchain);
	return r < 0 || p->key == NULL ? r : add_text(c, "privkey", kind, p->key);
}

/* The files of pair i; the place of the bundle that HAProxy reads is handed back,
 * unless there is no key for it. */
static int
add_files(struct compose *c, const struct bundle *bundle, size_t i,
    const struct parts *p, struct compose_file **ret)
{
	const char *kind =
	    acme_key_type_is_rsa(bundle->pairs[i].key_type) ? ".rsa" : ".ecdsa";
	int r = 0;

	if (i == 0)
		r = add_parts(c, "", p);
	if (r == 0 && bundle->dual)
		r = add_parts(c, kind, p);
	if (r < 0 || p->key == NULL)
		return r;
	/* HAProxy ignores the suffixed ones where there is one without. */
	*ret = add(c, "haproxy.pem", "", bundle->dual ? kind : "");
	return 0;
}

typedef int parts_fn(const struct bundle_pair *pair, struct parts *ret);

static int
add_pair(struct compose *c, const struct bundle *bundle, size_t i, parts_fn *read)
{
	_cleanup_(clear_parts) struct parts p = { 0 };
	struct compose_file *f = NULL;
	int r;

	r = read(&bundle->pairs[i], &p);
	if (r == 0)
		r = add_files(c, bundle, i, &p, &f);
	return r < 0 || f == NULL ? r : join(&p, &f->data, &f->len);
}

/* One pair, or one RSA and one ECDSA. */
static bool
pairs_fit(const struct bundle *bundle)
{
	if (bundle->pair_count == 1)
		return true;
	return bundle->pair_count == 2 && bundle->dual &&
	    acme_key_type_is_rsa(bundle->pairs[0].key_type) !=
	    acme_key_type_is_rsa(bundle->pairs[1].key_type);
}

static bool
is_stand_in(const struct bundle *bundle)
{
	for (size_t i = 0; i < bundle->pair_count; i++)
		if (!bundle->pairs[i].stand_in)
			return false;
	return true;
}

static int
compose(const struct bundle *bundle, parts_fn *read, struct compose *ret)
{
	int r = pairs_fit(bundle) ? 0 : -EINVAL;

	ret->stand_in = is_stand_in(bundle);
	for (size_t i = 0; i < bundle->pair_count && r == 0; i++)
		r = add_pair(ret, bundle, i, read);
	return r;
}

int
compose_files(const struct bundle *bundle, struct compose *ret)
{
	/* what we have just made ourselves needn't be read */
	return compose(bundle, is_stand_in(bundle) ? copy_pair : parse_pair, ret);
}

int
compose_plain(const struct bundle *bundle, struct compose *ret)
{
	return compose(bundle, copy_pair, ret);
}

int
compose_names(const struct bundle *bundle, struct compose *ret)
{
	struct compose_file *f;
	int r = pairs_fit(bundle) ? 0 : -EINVAL;

	ret->stand_in = is_stand_in(bundle);
	for (size_t i = 0; i < bundle->pair_count && r == 0; i++) {
		const struct parts names = {
			.key = (char *)bundle->pairs[i].key_pem /* looked at only */
		};

		r = add_files(ret, bundle, i, &names, &f);
	}
	return r;
}

const struct compose_file *
compose_find(const struct compose *c, const char *name)
{
	for (size_t i = 0; i < c->count; i++)
		if (strcmp(c->files[i].name, name) == 0)
			return &c->files[i];
	return NULL;
}

bool
compose_may_be_empty(const struct compose_file *f)
{
	return strncmp(f->name, "chain.", 6) == 0;
}

void
compose_clear(struct compose *c)
{
	for (size_t i = 0; i < c->count; i++)
		acme_wipe_free(c->files[i].data, c->files[i].len);
	c->count = 0;
}
