/*
 * eab.h - inside renew/: the HMAC key of an external account binding, read from where
 * the configuration says.
 *
 * Used by ca.c when an account is to be registered, so that it is in memory no longer
 * than that.
 */
#ifndef EAB_H
#define EAB_H

#include <stddef.h>

struct acme_result;
struct ca_settings;

/* To be wiped with acme_wipe_free(). Negative: *ret_failure (to be freed; NULL: no
 * memory) says what is wrong with the file; never what is in it. */
int eab_read(const struct ca_settings *settings, unsigned char **ret, size_t *ret_len,
    struct acme_result **ret_failure);

#endif
