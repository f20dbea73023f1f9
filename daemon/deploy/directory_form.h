/*
 * directory_form.h - one key type's certificate in the forms that programs want.
 *
 * Used by directory.c; no files are touched here.
 */
#ifndef DIRECTORY_FORM_H
#define DIRECTORY_FORM_H

#include <stdbool.h>
#include <stddef.h>

#include "acme.h"
#include "config/config.h"

#define DIRECTORY_TEXTS (COPY_KEY + 1)

/* What a bundle has of one key type. */
struct directory_pair {
	char *texts[DIRECTORY_TEXTS]; /* PEM, by enum copy_kind; no key: NULL */
	size_t lens[DIRECTORY_TEXTS];
	struct acme_chain *chain;
	bool rsa;
};

/* The kind of file that bundle_path names: certificate, chain and key, as PEM. */
#define COPY_BUNDLE COPY_KINDS

/* -ENOKEY where it has to have a key and there is none. password and name are for
 * PKCS#12. Wipe *ret with acme_wipe_free(). */
int directory_form(const struct directory_pair *pair, unsigned kind,
    const char *password, const char *name, char **ret, size_t *ret_len);
/* Is that what is there? PKCS#12 is another each time it is made, so it is read. */
bool directory_form_same(const struct directory_pair *pair, unsigned kind,
    const char *password, const char *is, size_t is_len);

#endif
