/*
 * process.h - signals for the process that a pidfile names, and for no other.
 *
 * The process is held by a pidfd before its executable is compared, so a pid that was
 * given to somebody else in the meantime gets nothing.
 */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

/* Sends signal to the process named by pidfile if its executable is `process`: a path,
 * or a bare name. Where /proc/PID/exe can't be read (another user's process), its
 * command name is compared. -ENOENT: no pidfile; -EBADMSG: no pid in it; -ESRCH: nobody
 * there; -EXDEV: another program has that pid; -EPERM: not allowed. */
int process_signal(
    const char *pidfile, const char *process, int signal, pid_t *ret_pid);

/* Is it this program? As process_signal() compares. */
bool process_is(pid_t pid, const char *process);
/* Its children, `max` at most; how many, or a negative errno where the kernel doesn't
 * say. */
ssize_t process_children(pid_t pid, pid_t *ret, size_t max);
/* Is this in its command line, as the process itself may have written it? */
bool process_is_titled(pid_t pid, const char *text);
/* What it has as standard error, opened for reading, where that is a file that we may
 * read; else a negative errno. To be closed. */
int process_open_stderr(pid_t pid);

#endif
