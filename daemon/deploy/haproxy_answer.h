/*
 * haproxy_answer.h - what HAProxy's runtime API says, found in its words.
 *
 * Used by haproxy_talk.c and others. Answers are a foreign program's text: anything may
 * come.
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
/* Can a command have it as a name? Not what ends a command, escapes in it, or begins a
 * payload: blanks, control characters, semicolons, backslashes, "<". */
bool haproxy_is_name(const char *text, size_t len);
/* Whose transaction was created or updated? False where none was, or one
 * that can't be named. */
bool haproxy_transaction(const char *answer, char *ret, size_t size);
/* Whose transaction is in the way of ours? False where none is. */
bool haproxy_ongoing(const char *answer, char *ret, size_t size);

#endif
