/*
 * issue.h - real certificates from real requests, signed by a key of this run.
 */
#ifndef ISSUE_H
#define ISSUE_H

#include <stddef.h>
#include <stdint.h>

/* How long those live that are issued, in seconds. */
void issue_set_life(int64_t seconds);
/* PEM, to be freed; NULL where the request (DER) is broken, not signed by its own key,
 * or not for just this DNS name. */
char *issue_certificate(
    const unsigned char *der, size_t len, const char *name, uint64_t serial);

#endif
