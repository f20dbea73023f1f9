/*
 * sync.h - brings the inventory's list of certificates in line with the configuration.
 *
 * Called by daemon.c at start and reload. Only rows that differ are written.
 */
#ifndef SYNC_H
#define SYNC_H

#include <stddef.h>
#include <stdint.h>

struct config;
struct store;

struct sync_counts {
	size_t added;
	size_t changed;
	size_t removed;
};

int sync_certificates(struct store *store, const struct config *config, int64_t now,
    struct sync_counts *ret);

#endif
