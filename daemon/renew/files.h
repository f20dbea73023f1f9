/*
 * files.h - a certificate's bundle as the inventory has it, handed to bundle/.
 *
 * Used by job.c after an issue, and by repair.c for all.
 */
#ifndef FILES_H
#define FILES_H

#include <stdbool.h>

#include "bundle/writer.h"
#include "config/config.h"
#include "inventory/inventory.h"

struct bundles;

/* Writes what is issued, or else a placeholder. rows must have their secrets. -ESRCH:
 * the bundle_group doesn't exist; else as bundle_write(). */
int files_write(struct bundles *bundles, const struct certificate_spec *spec,
    const struct issued *rows, size_t count);
/* The same in the thread, for what is issued. *ret is NULL where there is nothing to
 * write: then done_cb isn't called. */
int files_start(struct writer *writer, struct bundles *bundles,
    const struct certificate_spec *spec, const struct issued *rows, size_t count,
    writing_done_cb *done_cb, void *arg, struct writing **ret);
/* What a failure of files_write() is called, for people. */
#define FILES_EXPLAIN_SIZE 320
const char *files_explain(
    const struct certificate_spec *spec, int r, char *buffer, size_t size);
/* Are the files as they should be? Of a placeholder: whole, whatever is in it. */
bool files_intact(struct bundles *bundles, const struct certificate_spec *spec,
    const struct issued *rows, size_t count);
/* The same at a glance, without reading any: is one missing or empty? */
bool files_there(struct bundles *bundles, const struct certificate_spec *spec,
    const struct issued *rows, size_t count);

#endif
