/*
 * files.h - a certificate's bundle as the inventory has it, handed to bundle/.
 *
 * Used by job.c after an issue, and by renewal.c at start.
 */
#ifndef FILES_H
#define FILES_H

#include <stdbool.h>

#include "config/config.h"
#include "inventory/inventory.h"

struct bundles;

/* Writes what is issued, or else a placeholder. rows must have their secrets. -ESRCH:
 * the bundle_group doesn't exist; else as bundle_write(). */
int files_write(struct bundles *bundles, const struct certificate_spec *spec,
    const struct issued *rows, size_t count);
/* What a failure of files_write() is called, for people. */
#define FILES_EXPLAIN_SIZE 320
const char *files_explain(
    const struct certificate_spec *spec, int r, char *buffer, size_t size);
/* Are the files there as they should be? Of a placeholder: are they there? */
bool files_intact(struct bundles *bundles, const struct certificate_spec *spec,
    const struct issued *rows, size_t count);

#endif
