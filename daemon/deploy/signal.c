/*
 * signal.c - servers that read their bundles anew at a signal.
 *
 * The type "signal", and the last step of nginx and haproxy. Whether the server liked
 * what it read can't be known this way. It must never signal a process without knowing
 * its executable: platform/process.c does that.
 */
#include <errno.h>
#include <string.h>

#include "deploy/run.h"
#include "platform/process.h"

static const struct {
	int error;
	const char *sentence;
} sentences[] = {
	{ -ENOENT,
	    "there is no such file; is the server running, and is this its pidfile?" },
	{ -EACCES, "renewd can't read it; let its user into the directory" },
	{ -EBADMSG, "it holds no process id" },
	{ -ESRCH, "the process that it names is gone; is the server running?" },
	{ -EXDEV, "the process that it names is another program, which got nothing" },
	{ -EPERM,
	    "renewd's user may not see or signal that process; run renewd as the user of the "
	    "server's main process, or give it AmbientCapabilities=CAP_KILL" },
};

static const char *
explain(int error)
{
	for (size_t i = 0; i < ELEMENTS(sentences); i++)
		if (sentences[i].error == error)
			return sentences[i].sentence;
	return strerror(-error);
}

bool
signal_send(
    struct run *r, const char *first, const char *process, int signal, pid_t *ret_pid)
{
	const char *pidfile = r->target->pidfile;
	int error = process_signal(pidfile, process, signal, ret_pid);
	const char *name = sigabbrev_np(signal != 0 ? signal : r->type->signal);

	if (error < 0)
		run_failed(r, "%s%scan't send SIG%s to %s by pidfile %s: %s", first,
		    *first != '\0' ? "; " : "", name != NULL ? name : "?", process,
		    pidfile, explain(error));
	return error == 0;
}

void
signal_finish(struct run *r, const char *first, const char *process, int signal)
{
	pid_t pid;

	if (signal_send(r, first, process, signal, &pid))
		run_succeeded(r);
}

static int
start(struct run *r)
{
	const struct target_config *t = r->target;

	if (t->pidfile == NULL || t->process == NULL)
		return -EINVAL; /* the configuration was checked for this */
	signal_finish(r, "", t->process, t->signal);
	return 0;
}

static void
stop(struct run *r)
{
	(void)r;
}

const struct deploy_type signal_type = {
	.name = "signal",
	.whole = true,
	.start = start,
	.stop = stop,
};
