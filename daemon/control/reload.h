/*
 * reload.h - what reading the configuration again came to: which certificates are new,
 * other or gone, or why it was refused.
 *
 * Filled by daemon.c and sync.c; shown by the handler of /v1/reload in reload.c.
 */
#ifndef RELOAD_H
#define RELOAD_H

#include <stddef.h>

#include "config/config.h"

enum reload_change {
	RELOAD_ADDED,
	RELOAD_CHANGED,
	RELOAD_REMOVED,
	RELOAD_CHANGES,
};

struct reload {
	struct reload_names {
		char **v;
		size_t n;
		size_t size;
	} names[RELOAD_CHANGES];
	struct config_errors errors; /* none: it is in force */
};

const char *reload_change_name(enum reload_change change);
int reload_note(struct reload *r, enum reload_change change, const char *name);
void reload_clear(struct reload *r);

#endif
