/*
 * process.h - signals for the process that a pidfile names, and for no other.
 *
 * The process is held by a pidfd before its executable is compared, so a pid that was
 * given to somebody else in the meantime gets nothing.
 */
#ifndef PROCESS_H
#define PROCESS_H

#include <sys/types.h>

/* Sends signal to the process named by pidfile if its executable is `process`: a path,
 * or a bare name. Where /proc/PID/exe can't be read (another user's process), its
 * command name is compared. -ENOENT: no pidfile; -EBADMSG: no pid in it; -ESRCH: nobody
 * there; -EXDEV: another program has that pid; -EPERM: not allowed. */
int process_signal(
    const char *pidfile, const char *process, int signal, pid_t *ret_pid);

#endif
