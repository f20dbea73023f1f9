/*
 * notify.h - what systemd is told, and the sockets that it hands over.
 */
#ifndef NOTIFY_H
#define NOTIFY_H

#include <stddef.h>

/* As sd_notify(3); does nothing outside systemd. */
void notify_ready(void);
void notify_stopping(void);
void notify_status(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The listening sockets passed under this FileDescriptorName; close-on-exec and
 * non-blocking. Returns how many (0: none); at most max. */
size_t notify_sockets(const char *name, int *ret_fds, size_t max);

#endif
