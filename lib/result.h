/*
 * result.h - inside libacme: how outcomes are made and classified.
 */
#ifndef RESULT_H
#define RESULT_H

#include "acme.h"
#include "scope.h"

DEFINE_CLEANUP(struct acme_result, acme_result_free)

/* What kind of failure an ACME error type (NULL: none) with this HTTP status is. */
enum acme_class result_class(const char *type, int status);
/* A copy of text that is one line, without control characters, at most 1,000 bytes: for
 * people's eyes. NULL only without memory. */
char *result_line(const char *text);

#endif
