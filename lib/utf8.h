/*
 * utf8.h - inside libacme: strict UTF-8.
 */
#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* How many bytes are sound UTF-8, from the start: len where all are. */
size_t utf8_span(const char *text, size_t len);

/* Do the escaped surrogates in JSON text come in pairs (RFC 8259 section 8.2)? yajl
 * takes others for "?", and in versions without the fix for CVE-2017-16516 reads past
 * the end of some. */
bool utf8_escapes_ok(const char *text, size_t len);

#endif
