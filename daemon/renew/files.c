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
	_cleanup_(acme_key_freep) struct acme_key *key = NULL;
	size_t n = c->bundle.pair_count;
	int r = 0;

	/* none for a request that was made elsewhere */
	if (i->key.len > 0)
		r = acme_key_from_der(i->key.data, i->key.len, &key);
	if (r == 0 && key != NULL)
		r = acme_key_to_pem(key, &c->keys[n]);
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
fill(struct contents *c, const struct certificate_spec *spec, const struct issued *rows,
    size_t count)
{
	int r = 0;

	c->bundle = (struct bundle){ .name = spec->name,
		.pairs = c->pairs,
		.dual = spec->key_count > 1,
		.mode = spec->bundle_mode };
	c->bundle.group = (gid_t)-1;
	if (spec->bundle_group != NULL)
		r = group_find(spec->bundle_group, &c->bundle.group);
	if (r < 0)
		return -ESRCH;
	for (size_t k = 0; k < spec->key_count && r == 0; k++) {
		const struct issued *i = due_find(rows, count, spec->keys[k]);

		if (i != NULL)
			r = add_pair(c, i);
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

static bool
placeholder_there(struct bundles *bundles, const char *name)
{
	_cleanup_free_ char *dir = bundle_path(bundles, name);
	_cleanup_(buffer_free) struct buffer path = { 0 };

	if (dir == NULL)
		return false;
	buffer_printf(&path, "%s/privkey.pem", dir);
	return !path.failed && access(path.data, F_OK) == 0;
}

bool
files_intact(struct bundles *bundles, const struct certificate_spec *spec,
    const struct issued *rows, size_t count)
{
	_cleanup_(clear) struct contents c = { 0 };

	if (fill(&c, spec, rows, count) < 0)
		return false;
	if (c.bundle.pair_count == 0)
		return count > 0 || placeholder_there(bundles, spec->name);
	return bundle_intact(bundles, &c.bundle);
}
