/*
 * need_pidfd.h - skips a whole test program where there are no pidfds.
 *
 * Linux has them since 5.3, but older versions of valgrind don't know them: run these
 * tests with the sanitizers instead.
 */
#ifndef NEED_PIDFD_H
#define NEED_PIDFD_H

#include <errno.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <unistd.h>

#define TEST_SKIPPED 77 /* as automake has it */

__attribute__((constructor)) static void
need_pidfd(void)
{
	int fd = pidfd_open(getpid(), 0);

	if (fd < 0 && errno == ENOSYS) {
		fprintf(stderr, "skipped: no pidfd_open() here (valgrind?)\n");
		_exit(TEST_SKIPPED);
	}
	close(fd);
}

#endif
