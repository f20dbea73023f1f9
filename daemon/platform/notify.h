/*
 * notify.h - what systemd is told, and the sockets that it hands over.
 */
#ifndef NOTIFY_H
#define NOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As sd_notify(3); does nothing outside systemd. A reload begins with
 * notify_reloading() and ends, however it went, with notify_ready(). */
void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);
void notify_status(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Is there anybody to be told? */
bool notify_wanted(void);
/* Microseconds within which systemd wants to hear notify_watchdog(); 0: it doesn't. */
uint64_t notify_watchdog_interval(void);
void notify_watchdog(void);

/* The listening sockets passed under this FileDescriptorName; close-on-exec and
 * non-blocking. Returns how many (0: none); at most max. */
size_t notify_sockets(const char *name, int *ret_fds, size_t max);

#endif
