/*
 * sync.h - brings the inventory's list of certificates in line with the configuration.
 *
 * Called by daemon.c at start and reload. Only rows that differ are written.
 */
#ifndef SYNC_H
#define SYNC_H

#include <stdint.h>

struct config;
struct reload;
struct store;

/* What was changed is noted in *ret, to be cleared also where it failed. */
int sync_certificates(
    struct store *store, const struct config *config, int64_t now, struct reload *ret);

#endif
