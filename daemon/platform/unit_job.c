/*
 * unit_job.c - one job of systemd's, asked for and waited for over sd-bus(3).
 *
 * Called by deploy/unit.c and nginx.c. Each job has a connection of its own: a bus that
 * was started anew is nothing that must be noticed, and one that hangs harms nobody
 * else. It must never start a unit that isn't named in the configuration, nor say it
 * went well before JobRemoved does.
 */
#include "platform/unit_job.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "platform/clock.h"
#include "scope.h"

#define SERVICE   "org.freedesktop.systemd1"
#define PATH      "/org/freedesktop/systemd1"
#define INTERFACE "org.freedesktop.systemd1.Manager"
#define UNITS     PATH "/unit"
#define WHY_SIZE  512
#define NAME_SIZE 64
#define SECOND    UINT64_C(1000000)
#define TURNS_MAX 64 /* messages in one turn of the loop */

struct unit_job {
	sd_bus *bus;
	struct event_base *base;
	struct event *io; /* made anew for each wait, as what is waited for changes */
	struct event *deadline;
	char *unit;
	char *path; /* of the job; NULL: none yet */
	enum unit_action action;
	pid_t pid; /* where that was asked for */
	unit_job_cb *done_cb;
	void *arg;
	/* the end, told when no callback of sd-bus's is running any more */
	bool ended;
	enum unit_outcome outcome;
	char why[WHY_SIZE];
};

DEFINE_CLEANUP(struct unit_job, unit_job_free)

static const struct {
	const char *name;
	const char *method;
} actions[] = {
	[UNIT_RELOAD] = { "reload", "ReloadUnit" },
	[UNIT_RESTART] = { "restart", "RestartUnit" },
	[UNIT_RELOAD_OR_RESTART] = { "reload-or-restart", "ReloadOrRestartUnit" },
	[UNIT_START] = { "start", "StartUnit" },
};

const char *
unit_action_name(enum unit_action action)
{
	assert(action < ELEMENTS(actions) && actions[action].name != NULL);
	return actions[action].name;
}

static void wait_more(struct unit_job *j);

static void __attribute__((format(printf, 3, 4)))
end(struct unit_job *j, enum unit_outcome outcome, const char *format, ...)
{
	va_list ap;

	if (j->ended)
		return;
	j->ended = true;
	j->outcome = outcome;
	va_start(ap, format);
	vsnprintf(j->why, sizeof(j->why), format, ap);
	va_end(ap);
}

/* ---- what goes wrong, and what helps ---- */

static const char *
own_user(char ret[NAME_SIZE])
{
	const struct passwd *user = getpwuid(geteuid());

	if (user != NULL)
		snprintf(ret, NAME_SIZE, "%s", user->pw_name);
	else
		snprintf(ret, NAME_SIZE, "%u", (unsigned)geteuid());
	return ret;
}

static void
denied(struct unit_job *j)
{
	char user[NAME_SIZE];

	end(j, UNIT_NOT_ASKED,
	    "user %s may not %s %s: polkit must be installed, and a rule allow it; "
	    "renewd's own, 50-renewd.rules, names haproxy.service and nginx.service: "
	    "what \"renewctl polkit\" prints, in a file of /etc/polkit-1/rules.d, names "
	    "all that are configured",
	    own_user(user), unit_action_name(j->action), j->unit);
}

static void
no_bus(struct unit_job *j, int r)
{
	end(j, UNIT_NOT_ASKED,
	    "can't ask systemd to %s %s: %s; the system bus must run, and renewd's user "
	    "reach /run/dbus/system_bus_socket",
	    unit_action_name(j->action), j->unit, strerror(-r));
}

static void
no_such_unit(struct unit_job *j)
{
	end(j, UNIT_FAILED,
	    "systemd knows no unit %s: see \"systemctl list-units\" for its name",
	    j->unit);
}

static void
not_applicable(struct unit_job *j)
{
	end(j, UNIT_FAILED,
	    "%s isn't running or can't %s; for units that can't be reloaded there is type "
	    "systemd with action = restart",
	    j->unit, unit_action_name(j->action));
}

/* Names of errors, as the bus and systemd give them. */
static const struct {
	const char *name;
	void (*explain)(struct unit_job *j);
} refusals[] = {
	{ SD_BUS_ERROR_ACCESS_DENIED, denied },
	{ SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, denied },
	{ "org.freedesktop.systemd1.NoSuchUnit", no_such_unit },
	{ "org.freedesktop.systemd1.LoadFailed", no_such_unit },
	{ "org.freedesktop.systemd1.JobTypeNotApplicable", not_applicable },
};

static void
refused(struct unit_job *j, const sd_bus_error *error)
{
	int r = sd_bus_error_get_errno(error);

	for (size_t i = 0; i < ELEMENTS(refusals); i++)
		if (sd_bus_error_has_name(error, refusals[i].name)) {
			refusals[i].explain(j);
			return;
		}
	if (sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY) ||
	    sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
	    sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER) ||
	    sd_bus_error_has_name(error, SD_BUS_ERROR_DISCONNECTED))
		no_bus(j, r > 0 ? -r : -EIO);
	else
		end(j, UNIT_FAILED, "systemd won't %s %s: %s",
		    unit_action_name(j->action), j->unit,
		    error->message != NULL ? error->message : error->name);
}

/* What JobRemoved says, as `systemctl` would put it. */
static const struct {
	const char *result;
	const char *sentence;
} results[] = {
	{ "canceled", "another job of systemd's came in between" },
	{ "timeout", "systemd waited too long for it" },
	{ "failed", "it failed; \"systemctl status\" and \"journalctl -u\" say why" },
	{ "dependency", "something that it depends on failed" },
	{ "invalid", "it isn't running, or can't be reloaded" },
	{ "skipped", "it isn't running" },
};

static void
judge(struct unit_job *j, const char *result)
{
	const char *sentence = result;

	if (strcmp(result, "done") == 0) {
		end(j, UNIT_DONE, "%s", "");
		return;
	}
	for (size_t i = 0; i < ELEMENTS(results); i++)
		if (strcmp(result, results[i].result) == 0)
			sentence = results[i].sentence;
	end(j, UNIT_FAILED, "systemd was asked to %s %s: %s",
	    unit_action_name(j->action), j->unit, sentence);
}

/* ---- what the bus says; nothing may be freed here ---- */

static int
removed_cb(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	const char *path, *unit, *result;
	struct unit_job *j = arg;
	uint32_t id;

	(void)error;
	if (sd_bus_message_read(m, "uoss", &id, &path, &unit, &result) >= 0 &&
	    j->path != NULL && strcmp(path, j->path) == 0)
		judge(j, result);
	return 0;
}

static int
asked_cb(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	struct unit_job *j = arg;
	const char *path;
	int r;

	(void)error;
	if (sd_bus_message_is_method_error(m, NULL)) {
		refused(j, sd_bus_message_get_error(m));
		return 0;
	}
	r = sd_bus_message_read(m, "o", &path);
	if (r >= 0) {
		j->path = strdup(path);
		r = j->path != NULL ? 0 : -ENOMEM;
	}
	if (r < 0)
		end(j, UNIT_FAILED, "can't tell how it goes with %s: %s", j->unit,
		    strerror(-r));
	return 0;
}

/* ---- the loop ---- */

/* Called in the loop, outside of sd-bus. May free the job. */
static void
turn(struct unit_job *j)
{
	int r = 1;

	for (int i = 0; i < TURNS_MAX && r > 0 && !j->ended; i++)
		r = sd_bus_process(j->bus, NULL);
	if (r < 0 && j->path == NULL)
		no_bus(j, r);
	else if (r < 0)
		end(j, UNIT_FAILED, "lost the bus while systemd was busy with %s: %s",
		    j->unit, strerror(-r));
	if (!j->ended) {
		wait_more(j);
		return;
	}
	event_del(j->deadline);
	j->done_cb(j->outcome, j->why, j->arg);
}

static void
io_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	turn(arg);
}

static void
deadline_cb(evutil_socket_t fd, short what, void *arg)
{
	struct unit_job *j = arg;

	(void)fd, (void)what;
	end(j, j->path != NULL ? UNIT_FAILED : UNIT_NOT_ASKED,
	    "systemd was asked to %s %s, but didn't say in time how it went",
	    unit_action_name(j->action), j->unit);
	turn(j);
}

/* sd-bus's time is absolute, CLOCK_MONOTONIC; libevent's is relative. */
static struct timeval
time_left(uint64_t until)
{
	uint64_t now = clock_monotonic_us();
	uint64_t left = until > now ? until - now : 0;

	return (struct timeval){ .tv_sec = (time_t)(left / SECOND),
		.tv_usec = (suseconds_t)(left % SECOND) };
}

static void
wait_more(struct unit_job *j)
{
	int fd = sd_bus_get_fd(j->bus), events = sd_bus_get_events(j->bus);
	uint64_t until = UINT64_MAX;
	struct timeval left;
	short what = 0;

	(void)sd_bus_get_timeout(j->bus, &until);
	left = time_left(until);
	if (events > 0 && events & POLLIN)
		what |= EV_READ;
	if (events > 0 && events & POLLOUT)
		what |= EV_WRITE;
	if (event_pending(j->io, EV_READ | EV_WRITE | EV_TIMEOUT, NULL))
		event_del(j->io);
	if (event_assign(j->io, j->base, fd, what, io_cb, j) < 0 ||
	    event_add(j->io, until != UINT64_MAX ? &left : NULL) < 0) {
		end(j, UNIT_NOT_ASKED, "out of memory");
		event_active(j->deadline, EV_TIMEOUT, 0);
	}
}

static int
ask_action(struct unit_job *j)
{
	int r;

	r = sd_bus_open_system(&j->bus);
	if (r >= 0)
		/* before the call, or the answer could be missed */
		r = sd_bus_match_signal_async(j->bus, NULL, SERVICE, PATH, INTERFACE,
		    "JobRemoved", removed_cb, NULL, j);
	if (r >= 0)
		r = sd_bus_call_method_async(j->bus, NULL, SERVICE, PATH, INTERFACE,
		    actions[j->action].method, asked_cb, j, "ss", j->unit, "replace");
	return r < 0 ? r : 0;
}

static int
pid_cb(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	struct unit_job *j = arg;
	uint32_t pid = 0;

	(void)error;
	if (sd_bus_message_is_method_error(m, NULL))
		refused(j, sd_bus_message_get_error(m));
	else if (sd_bus_message_read(m, "v", "u", &pid) < 0)
		end(j, UNIT_FAILED, "systemd doesn't say which process %s has",
		    j->unit);
	else {
		j->pid = (pid_t)pid;
		end(j, UNIT_DONE, "%s", "");
	}
	return 0;
}

static int
ask_pid(struct unit_job *j)
{
	_cleanup_free_ char *path = NULL;
	int r;

	r = sd_bus_path_encode(UNITS, j->unit, &path);
	if (r >= 0)
		r = sd_bus_open_system(&j->bus);
	if (r >= 0)
		r = sd_bus_call_method_async(j->bus, NULL, SERVICE, path,
		    "org.freedesktop.DBus.Properties", "Get", pid_cb, j, "ss",
		    "org.freedesktop.systemd1.Service", "MainPID");
	return r < 0 ? r : 0;
}

struct wish {
	const char *unit;
	enum unit_action action; /* what is said to go wrong */
	int (*ask)(struct unit_job *j);
	unsigned timeout_seconds;
};

static int
begin(struct event_base *base, const struct wish *wish, unit_job_cb *done_cb, void *arg,
    struct unit_job **ret)
{
	_cleanup_(unit_job_freep) struct unit_job *j = calloc(1, sizeof(*j));
	const struct timeval most = { .tv_sec = wish->timeout_seconds };
	int r;

	if (j == NULL)
		return -ENOMEM;
	j->base = base;
	j->action = wish->action;
	j->done_cb = done_cb;
	j->arg = arg;
	j->unit = strdup(wish->unit);
	j->deadline = evtimer_new(base, deadline_cb, j);
	j->io = event_new(base, -1, 0, io_cb, j);
	if (j->unit == NULL || j->deadline == NULL || j->io == NULL ||
	    event_add(j->deadline, &most) < 0)
		return -ENOMEM;
	r = wish->ask(j);
	if (r < 0) {
		no_bus(j, r);
		event_active(j->deadline, EV_TIMEOUT, 0);
	} else
		event_active(j->io, EV_TIMEOUT, 0);
	*ret = steal_ptr(j);
	return 0;
}

int
unit_job_start(struct event_base *base, const char *unit, enum unit_action action,
    unsigned timeout_seconds, unit_job_cb *done_cb, void *arg, struct unit_job **ret)
{
	const struct wish wish = { .unit = unit,
		.action = action,
		.ask = ask_action,
		.timeout_seconds = timeout_seconds };

	return begin(base, &wish, done_cb, arg, ret);
}

int
unit_job_find_pid(struct event_base *base, const char *unit, unsigned timeout_seconds,
    unit_job_cb *done_cb, void *arg, struct unit_job **ret)
{
	const struct wish wish = { .unit = unit,
		.action = UNIT_RELOAD,
		.ask = ask_pid,
		.timeout_seconds = timeout_seconds };

	return begin(base, &wish, done_cb, arg, ret);
}

pid_t
unit_job_pid(const struct unit_job *j)
{
	return j->pid;
}

struct unit_job *
unit_job_free(struct unit_job *j)
{
	if (j == NULL)
		return NULL;
	if (j->io != NULL)
		event_free(j->io);
	if (j->deadline != NULL)
		event_free(j->deadline);
	/* closed without flushing: that would block */
	sd_bus_close(j->bus);
	sd_bus_unref(j->bus);
	free(j->unit);
	free(j->path);
	free(j);
	return NULL;
}
