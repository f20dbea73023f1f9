/*
 * parse.h - sections to structs.
 *
 * config.c collects the keys of a section and hands it over here; certificate texts,
 * from files or from the inventory, come the same way. Nothing here opens a file.
 */
#ifndef PARSE_H
#define PARSE_H

#include "config/config.h"
#include "config/section.h"
#include "config/values.h"

/* A parse of this section, so that its errors are said in the right place. */
struct parse parse_begin(
    const struct config *c, const struct section *s, struct config_errors *errors);

/* One row: what the section says, else [defaults] (may be NULL), else the row's
 * default. -ENOMEM only; what is wrong is said, and kept in p->failed. */
int parse_row(struct parse *p, const struct section *s, const struct section *defaults,
    size_t i, void *object);
/* A section without a name, or the defaults of one that is not written. */
int parse_config(
    struct config *c, const struct section *s, struct config_errors *errors);
/* *ret must be zeroed; it is filled as far as possible, also on -EBADMSG. */
int parse_ca(const struct config *c, const struct section *s, struct ca_config *ret,
    struct config_errors *errors);
int parse_target(const struct config *c, const struct section *s,
    struct target_config *ret, struct config_errors *errors);
/* defaults: [defaults]; NULL: none. With s being [defaults] itself, what is only needed
 * in a certificate is left out. */
int parse_certificate(const struct config *c, const struct section *s,
    const struct section *defaults, struct certificate_spec **ret,
    struct config_errors *errors);
/* The names of a certificate's CAs as they are written, whatever else is wrong with it:
 * what is missing in their sections is said along with that. */
int parse_cas(const struct config *c, const struct section *s,
    const struct section *defaults, struct words *ret);
/* What these CAs lack. Beginning with *i = 0, each call gives the next one, or NULL;
 * which of the CA's needs it is, and what to say of it. */
#define PARSE_NEEDS 2
const struct ca_config *parse_ca_lacks(const struct config *c, const struct words *cas,
    size_t *i, size_t *ret_need, const char **ret_what);
#define CA_LACKS "[ca %s] needs %s"

/* Adds the well-known CAs that are not written, and sorts what is looked up by name. */
int parse_built_in(struct config *c);
/* Frees what the rows of a section put into a struct. */
void parse_clear(enum section_kind kind, void *object);

#endif
