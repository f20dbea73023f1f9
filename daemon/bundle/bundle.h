/*
 * bundle.h - the files that web servers read: composed from the inventory, written as a
 * new generation, switched in by one rename.
 *
 * Called by renew/renewal.c after an issue, and at start to repair what is damaged. It
 * knows certificates and keys as PEM only; nothing here is the only copy of anything.
 *
 *   bundle_dir/NAME -> .generations/NAME/7       the switch: one rename of this link
 *   bundle_dir/.generations/NAME/{6,7}/          the one before is kept
 *   bundle_dir/../haproxy/NAME.pem -> ../live/NAME/haproxy.pem   for HAProxy's crt DIR/
 */
#ifndef BUNDLE_H
#define BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "acme.h"

/* One key type's certificate. */
struct bundle_pair {
	enum acme_key_type key_type; /* names the files */
	const char *key_pem;   /* NULL: it isn't here, and neither are its files */
	const char *chain_pem; /* leaf first */
	bool stand_in;         /* a placeholder, just made: its key may be of another
				  type; it isn't checked, and not fsynced, as it can be
				  made again */
};

struct bundle {
	const char *name;
	const struct bundle_pair *pairs; /* in the order of `keys`; at least one */
	size_t pair_count;
	bool dual;   /* two key types are configured, issued or not */
	mode_t mode; /* of key files and bundles; public parts too */
	gid_t group; /* (gid_t)-1: as it comes */
};

struct bundles; /* the directories */

/* Makes the directories (0755 for those that web servers pass through, but no file in
 * them is readable beyond its mode). -EINVAL for a directory that is "/" or whose last
 * part is "haproxy": the flat directory beside it would be the same. */
int bundles_open(const char *bundle_dir, struct bundles **ret);
/* Can something be written to its directories, and are so many bytes free? 0, or a
 * negative errno as from room.h. */
int bundles_look(const struct bundles *b, uint64_t room);
struct bundles *bundles_close(struct bundles *b);

/* Checks each pair (-EKEYREJECTED where key and certificate don't belong together),
 * writes the files: cert.pem chain.pem fullchain.pem privkey.pem, per key type where
 * dual, haproxy.pem or haproxy.pem.ecdsa/.rsa; fsyncs; switches; updates the flat
 * HAProxy directory; removes generations older than the one before. Where anything
 * fails, what is served stays as it was. Where the same is there already, nothing is
 * written. -EINVAL for a bad name, two pairs of a kind, or two pairs that aren't dual;
 * -EEXIST where somebody else's file or directory stands in the way. */
int bundle_write(struct bundles *b, const struct bundle *bundle);
/* Are all files there, whole and of the right mode, group and content? */
bool bundle_intact(struct bundles *b, const struct bundle *bundle);

enum bundle_look {
	BUNDLE_THERE, /* each is there and not empty; nothing is read */
	BUNDLE_WHOLE, /* and is PEM to its end: what a placeholder can be asked for */
	BUNDLE_SAME,  /* and as it has to be */
};
/* The same, as closely as is wanted; the pairs need their PEMs for BUNDLE_SAME only. */
bool bundle_looks(
    struct bundles *b, const struct bundle *bundle, enum bundle_look look);
/* Removes the certificate's entry, all generations, and its flat HAProxy names. */
int bundle_remove(struct bundles *b, const char *name);
/* bundle_dir/NAME, to be freed. */
char *bundle_path(const struct bundles *b, const char *name);

/* For staple.c, lent: the flat directory, and how its links name bundle_dir. */
int bundle_flat(const struct bundles *b);
const char *bundle_base(const struct bundles *b);

/* The one bundle for HAProxy: leaf, chain, key. Secret: free it with acme_wipe_free().
 */
int bundle_haproxy_pem(const struct bundle_pair *pair, char **ret, size_t *ret_len);

#endif
