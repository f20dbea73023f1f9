/*
 * names.h - domain names as people write them, and NAMEs of sections.
 *
 * Used inside daemon/config/. The only place where libidn2 is used.
 */
#ifndef NAMES_H
#define NAMES_H

#include <stdbool.h>

#include "acme.h"

/* [A-Za-z0-9_][A-Za-z0-9._-]{0,199} */
bool name_is_valid(const char *name);
/* For a message about another one; takes it. */
#define NAME_REFUSED \
  "\"%s\" is not a name: letters, digits, \".\", \"_\" and \"-\" only, 200 at most"
/* A name in A-labels as people read it. NULL: it is that already, or there is no
 * memory; the caller frees. */
char *name_to_unicode(const char *name);
/* A DNS name in UTF-8 or A-labels, a wildcard or an address. -EINVAL and *ret_why, a
 * constant sentence, where it is none; -ENOMEM. */
int name_to_identifier(
    const char *text, struct acme_identifier *ret, const char **ret_why);

#endif
