/*
 * window.h - when may a server be told, by the hours that its administrator has set?
 *
 * Used by renew/job_deploy.c.
 */
#ifndef WINDOW_H
#define WINDOW_H

#include <stdint.h>

#include "config/config.h"

/* now, where a window is open or there is none; else when the next one opens, in the
 * time zone of the system, whatever its clocks do in between. */
int64_t window_next(const struct windows *windows, int64_t now);

#endif
