/*
 * haproxy_answer.h - what HAProxy's runtime API says, found in its words.
 *
 * Used by haproxy_hot.c. Answers are a foreign program's text: anything may come.
 */
#ifndef HAPROXY_ANSWER_H
#define HAPROXY_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

/* Is one of its lines exactly this one? */
bool haproxy_has_line(const char *answer, const char *line);
/* The rest of the first line that begins so, and all after it; or NULL. */
const char *haproxy_field(const char *answer, const char *field);
/* Is it `show ssl cert` of the certificate with this serial (hex)? */
bool haproxy_shows_serial(const char *answer, const char *serial);
/* Whose transaction was created or updated? False where none was. */
bool haproxy_transaction(const char *answer, char *ret, size_t size);

#endif
