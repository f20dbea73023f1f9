/*
 * compose.h - the names and contents of a bundle's files, in memory.
 *
 * Used by bundle.c, change.c and generation.c; no files are touched here.
 */
#ifndef COMPOSE_H
#define COMPOSE_H

#include <stdbool.h>
#include <stddef.h>

#include "bundle/bundle.h"

struct compose_file {
	char name[24];
	char *data;
	size_t len;
};

struct compose {
	struct compose_file files[14]; /* 4 plain, 4 a key type, a bundle a key type */
	size_t count;
	bool stand_in; /* nothing but placeholders: can be made again */
};

/* As bundle_write(). *ret starts zeroed, and is to be cleared also after an error. */
int compose_files(const struct bundle *bundle, struct compose *ret);
/* The same from texts as they stand, without reading keys and certificates. Where the
 * result is what is there, nothing is wrong with that; where not, it may be that texts
 * are written differently. */
int compose_plain(const struct bundle *bundle, struct compose *ret);
/* The same files without their content. The pairs need no PEMs. */
int compose_names(const struct bundle *bundle, struct compose *ret);
int compose_haproxy(const struct bundle_pair *pair, char **ret, size_t *ret_len);
const struct compose_file *compose_find(const struct compose *c, const char *name);
/* Only a chain may be: of a certificate that its root has signed itself. */
bool compose_may_be_empty(const struct compose_file *f);
/* Wipes and frees the contents. Use with _cleanup_(compose_clear). */
void compose_clear(struct compose *c);

#endif
