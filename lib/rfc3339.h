/*
 * rfc3339.h - times as text (RFC 3339) to seconds since 1970.
 *
 * Used for what CAs send, and by platform/clock.c for all other times that are read.
 */
#ifndef RFC3339_H
#define RFC3339_H

#include <stdint.h>

/* Any offset, fractions of a second dropped. -EINVAL. */
int rfc3339_parse(const char *text, int64_t *ret);

#endif
