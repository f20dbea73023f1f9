/*
 * notify.c - the conversation with systemd: sd_notify(3) and socket activation.
 *
 * Called by daemon.c. Everything here does nothing where renewd wasn't started by
 * systemd, and a failure is never an error: the service works without.
 */
#include "platform/notify.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "platform/clock.h"
#include "scope.h"

#define STATUS_MAX 256

void
notify_ready(void)
{
	sd_notify(false, "READY=1");
}

/* The time says which reload this is (sd_notify(3)). */
void
notify_reloading(void)
{
	sd_notifyf(false, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_monotonic_us());
}

bool
notify_wanted(void)
{
	return getenv("NOTIFY_SOCKET") != NULL;
}

uint64_t
notify_watchdog_interval(void)
{
	uint64_t usec;

	return sd_watchdog_enabled(false, &usec) > 0 ? usec : 0;
}

void
notify_watchdog(void)
{
	sd_notify(false, "WATCHDOG=1");
}

void
notify_stopping(void)
{
	sd_notify(false, "STOPPING=1");
}

void
notify_status(const char *format, ...)
{
	char text[STATUS_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	/* Another line would be another assignment. */
	for (char *s = text; *s != '\0'; s++)
		if (*s == '\n')
			*s = ' ';
	sd_notifyf(false, "STATUS=%s", text);
}

static char **
free_names(char **names)
{
	for (size_t i = 0; names != NULL && names[i] != NULL; i++)
		free(names[i]);
	free(names);
	return NULL;
}

size_t
notify_sockets(const char *name, int *ret_fds, size_t max)
{
	char **names = NULL;
	size_t found = 0;
	/* The environment is kept, so that a reload gets the same answer. */
	int n = sd_listen_fds_with_names(false, &names);

	for (int i = 0; i < n && found < max; i++) {
		int fd = SD_LISTEN_FDS_START + i, flags = fcntl(fd, F_GETFL);

		if (strcmp(names[i], name) != 0 || flags < 0 ||
		    fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
			continue;
		ret_fds[found++] = fd; /* close-on-exec by sd_listen_fds() */
	}
	free_names(names);
	return found;
}
