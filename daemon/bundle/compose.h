/*
 * compose.h - the names and contents of a bundle's files, in memory.
 *
 * Used by bundle.c and generation.c; no files are touched here.
 */
#ifndef COMPOSE_H
#define COMPOSE_H

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
};

/* As bundle_write(). *ret starts zeroed, and is to be cleared also after an error. */
int compose_files(const struct bundle *bundle, struct compose *ret);
int compose_haproxy(const struct bundle_pair *pair, char **ret, size_t *ret_len);
const struct compose_file *compose_find(const struct compose *c, const char *name);
/* Wipes and frees the contents. Use with _cleanup_(compose_clear). */
void compose_clear(struct compose *c);

#endif
