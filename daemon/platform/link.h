/*
 * link.h - the Link field of an HTTP answer (RFC 8288): targets by relation.
 *
 * Used by https.c. What comes in is anybody's text.
 */
#ifndef LINK_H
#define LINK_H

#include <stdbool.h>
#include <stddef.h>

/* The next target with this relation ("alternate"), lent, not NUL-terminated; *at is
 * moved behind its link. False at the end, or where the text is no list of links. */
bool link_next(const char **at, const char *end, const char *relation,
    const char **ret_target, size_t *ret_len);

#endif
