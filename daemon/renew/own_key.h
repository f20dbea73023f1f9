/*
 * own_key.h - keys and requests that the administrator has made: key_file and csr_file.
 *
 * Used by an order for the key that it is for, and by jobs to see whether it is another
 * by now. The files are read each time: nothing of them is kept but what was ordered.
 */
#ifndef OWN_KEY_H
#define OWN_KEY_H

#include "acme.h"
#include "config/config.h"
#include "inventory/inventory.h"

struct buffer;

/* Is this specification's key made elsewhere? */
bool own_key_wanted(const struct certificate_spec *spec);
/* The key for one of spec->keys, and the request where csr_file has one (else NULL):
 * then the key is its public half. Negative, and a sentence with the file's name in
 * *why. */
int own_key_read(const struct certificate_spec *spec, enum acme_key_type type,
    struct acme_key **ret_key, struct acme_csr **ret_csr, struct buffer *why);
/* Says so where others than the owner and the group can get at it. */
void own_key_warn(const struct certificate_spec *spec, enum acme_key_type type);
/* Marks the rows whose key isn't what the file holds now. A file that can't be read
 * says nothing: the order that is due some day will tell. */
void own_key_compare(
    const struct certificate_spec *spec, struct issued *rows, size_t count);

#endif
