/*
 * files.c - from rows of the inventory to the PEMs of a bundle.
 *
 * Keys pass through memory here and are wiped after.
 */
#include "renew/files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "buffer.h"
#include "bundle/bundle.h"
#include "key.h"
#include "platform/clock.h"
#include "platform/group.h"
#include "renew/due.h"

#define PLACEHOLDER_SECONDS (INT64_C(90) * 24 * 3600)

/* A bundle and what its pointers point to. */
struct contents {
	struct bundle bundle;
	struct bundle_pair pairs[2];
	char *keys[2];
	char *placeholder;
};

static void
clear(struct contents *c)
{
	for (size_t i = 0; i < ELEMENTS(c->keys); i++)
		if (c->keys[i] != NULL)
			acme_wipe_free(c->keys[i], strlen(c->keys[i]));
	free(c->placeholder);
}

static int
add_pair(struct contents *c, const struct issued *i)
{
	size_t n = c->bundle.pair_count;
	int r = 0;

	/* none for a request that was made elsewhere */
	if (i->key.len > 0)
		r = key_pem_of_der(i->key.data, i->key.len, &c->keys[n]);
	if (r < 0)
		return r;
	c->pairs[n] = (struct bundle_pair){
		.key_type = i->key_type, .key_pem = c->keys[n], .chain_pem = i->chain
	};
	c->bundle.pair_count++;
	return 0;
}

/* Self-signed, on a key of its own that nothing else ever uses. The same for all key
 * types, ECDSA whatever their names say: a server starts with it, nobody trusts it, and
 * an RSA key would take long to make. */
static int
add_placeholder(struct contents *c, const struct certificate_spec *spec)
{
	_cleanup_(acme_key_freep) struct acme_key *key = NULL;
	int r;

	r = acme_key_generate(ACME_KEY_ECDSA_P256, &key);
	if (r == 0)
		r = acme_key_to_pem(key, &c->keys[0]);
	if (r == 0)
		r = acme_placeholder_new(key, spec->identifiers, spec->identifier_count,
		    clock_now() - 3600, PLACEHOLDER_SECONDS, &c->placeholder);
	for (size_t k = 0; k < spec->key_count && r == 0; k++)
		c->pairs[c->bundle.pair_count++] =
		    (struct bundle_pair){ .key_type = spec->keys[k],
			    .stand_in = true,
			    .key_pem = c->keys[0],
			    .chain_pem = c->placeholder };
	return r;
}

static int
begin(struct contents *c, const struct certificate_spec *spec)
{
	int r = 0;

	c->bundle = (struct bundle){ .name = spec->name,
		.pairs = c->pairs,
		.dual = spec->key_count > 1,
		.mode = spec->bundle_mode };
	c->bundle.group = (gid_t)-1;
	if (spec->bundle_group != NULL)
		r = group_find(spec->bundle_group, &c->bundle.group);
	return r < 0 ? -ESRCH : 0;
}

static int
fill(struct contents *c, const struct certificate_spec *spec, const struct issued *rows,
    size_t count)
{
	int r = begin(c, spec);

	for (size_t k = 0; k < spec->key_count && r == 0; k++) {
		const struct issued *i = due_find(rows, count, spec->keys[k]);

		if (i != NULL)
			r = add_pair(c, i);
	}
	return r;
}

/* What is to be there, without certificates; a key only says that there is one. */
static int
outline(struct contents *c, const struct certificate_spec *spec,
    const struct issued *rows, size_t count)
{
	int r = begin(c, spec);

	for (size_t k = 0; k < spec->key_count && r == 0; k++) {
		const struct issued *i = due_find(rows, count, spec->keys[k]);

		if (count == 0 || i != NULL)
			c->pairs[c->bundle.pair_count++] =
			    (struct bundle_pair){ .key_type = i != NULL ? i->key_type
									: spec->keys[k],
				    .key_pem = i == NULL || i->key.len > 0 ? "" : NULL,
				    .stand_in = i == NULL };
	}
	return r;
}

const char *
files_explain(const struct certificate_spec *spec, int r, char *buffer, size_t size)
{
	if (r == -ENOSPC || r == -EDQUOT)
		return "there is no room left on the disk of bundle_dir";
	if (r == -EPERM && spec->bundle_group != NULL)
		snprintf(buffer, size,
		    "renewd's user is not in the group \"%s\" (bundle_group)",
		    spec->bundle_group);
	else if (r == -ESRCH)
		snprintf(buffer, size, "there is no group \"%s\" (bundle_group)",
		    spec->bundle_group);
	else
		snprintf(buffer, size, "bundle_dir: %s", strerror(-r));
	return buffer;
}

int
files_write(struct bundles *bundles, const struct certificate_spec *spec,
    const struct issued *rows, size_t count)
{
	_cleanup_(clear) struct contents c = { 0 };
	int r;

	r = fill(&c, spec, rows, count);
	if (r == 0 && c.bundle.pair_count == 0 && count > 0)
		return 0; /* of no kind that is wanted: what is served stays */
	if (r == 0 && c.bundle.pair_count == 0)
		r = add_placeholder(&c, spec);
	if (r == 0)
		r = bundle_write(bundles, &c.bundle);
	return r;
}

int
files_start(struct writer *writer, struct bundles *bundles,
    const struct certificate_spec *spec, const struct issued *rows, size_t count,
    writing_done_cb *done_cb, void *arg, struct writing **ret)
{
	_cleanup_(clear) struct contents c = { 0 };
	int r;

	*ret = NULL;
	r = fill(&c, spec, rows, count);
	if (r < 0 || c.bundle.pair_count == 0)
		return r; /* of no kind that is wanted: what is served stays */
	return writer_start(writer, bundles, &c.bundle, done_cb, arg, ret);
}

static bool
looks(struct bundles *bundles, const struct certificate_spec *spec,
    const struct issued *rows, size_t count, enum bundle_look look)
{
	_cleanup_(clear) struct contents c = { 0 };
	int r = look == BUNDLE_SAME ? fill(&c, spec, rows, count)
				    : outline(&c, spec, rows, count);

	if (r < 0)
		return false;
	/* of no kind that is wanted: what is served stays */
	return c.bundle.pair_count == 0 || bundle_looks(bundles, &c.bundle, look);
}

bool
files_intact(struct bundles *bundles, const struct certificate_spec *spec,
    const struct issued *rows, size_t count)
{
	return looks(
	    bundles, spec, rows, count, count > 0 ? BUNDLE_SAME : BUNDLE_WHOLE);
}

bool
files_there(struct bundles *bundles, const struct certificate_spec *spec,
    const struct issued *rows, size_t count)
{
	return looks(bundles, spec, rows, count, BUNDLE_THERE);
}
