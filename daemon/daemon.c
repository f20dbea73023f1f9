/*
 * daemon.c - owns the modules: opens them in the order of the path of a certificate,
 * wires their callbacks, handles signals, closes them in the reverse order.
 *
 * Nothing is decided here but what a start, a reload and a stop consist of.
 */
#include "daemon.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "bundle/bundle.h"
#include "challenge/responder.h"
#include "config/config.h"
#include "control/control.h"
#include "deploy/deploy.h"
#include "inventory/store.h"
#include "platform/clock.h"
#include "platform/file.h"
#include "platform/https.h"
#include "platform/log.h"
#include "platform/notify.h"
#include "platform/worker.h"
#include "renew/renewal.h"
#include "schedule/schedule.h"
#include "sync.h"
#include "watch.h"

#define PRIORITIES  3 /* normal events get the middle one, commits the lowest */
#define SOCKETS_MAX 16

struct daemon {
	struct config *config;
	struct event_base *base;
	struct event *signals[3];
	struct store *store;
	struct worker *worker;
	struct https *https;
	struct responder *responder;
	struct bundles *bundles;
	struct deploy *deploy;
	struct schedule *schedule;
	struct renewals *renewals;
	struct control *control;
	struct watch *watch;
};

/* ---- what it means to start ---- */

/* Each says its own error: one line, with what it was about. */
static int
complain(const char *what, const char *subject, int r)
{
	log_line(
	    LOG_ERR, LOG_ABOUT(START_FAILED), "%s %s: %s", what, subject, strerror(-r));
	return r;
}

static int
open_store(struct daemon *d)
{
	_cleanup_free_ char *why = NULL;
	const char *dir = d->config->renewd.state_dir;
	int r;

	r = file_make_dirs(dir, 0755);
	if (r < 0)
		return complain("cannot make the state directory", dir, r);
	r = store_open(d->base, dir, &d->store, &why);
	if (r < 0)
		log_line(LOG_ERR, LOG_ABOUT(START_FAILED), "%s",
		    why != NULL ? why : strerror(-r));
	return r;
}

static int
open_bundles(struct daemon *d)
{
	const char *dir = d->config->renewd.bundle_dir;
	int r;

	r = bundles_open(dir, &d->bundles);
	if (r < 0)
		return complain("cannot use the bundle directory", dir, r);
	return 0;
}

static int
open_modules(struct daemon *d)
{
	int r;

	r = worker_new(d->base, &d->worker);
	if (r == 0)
		r = https_new(d->base, &d->https);
	if (r == 0)
		r = responder_new(d->base, &d->responder);
	if (r == 0)
		r = deploy_new(d->base, &d->deploy);
	if (r == 0)
		r = schedule_new(d->base, d->store, &d->schedule);
	if (r == 0)
		r = renewals_new(&(struct renewal_means){ .base = d->base,
				     .store = d->store,
				     .https = d->https,
				     .responder = d->responder,
				     .deploy = d->deploy,
				     .worker = d->worker,
				     .schedule = d->schedule },
		    &d->renewals);
	if (r == 0)
		r = control_new(&(struct control_means){ .base = d->base,
				    .store = d->store,
				    .renewals = d->renewals,
				    .schedule = d->schedule,
				    .responder = d->responder },
		    &d->control);
	if (r == 0)
		r = watch_new(&(struct watch_means){ .base = d->base,
				  .store = d->store,
				  .renewals = d->renewals,
				  .schedule = d->schedule },
		    &d->watch);
	if (r < 0)
		return complain("cannot start", "renewd", r);
	return 0;
}

/* The configuration goes to everybody who works by it. */
static int
configure(struct daemon *d)
{
	struct sync_counts counts;
	int r;

	log_set_level(d->config->renewd.log_level);
	r = sync_certificates(d->store, d->config, clock_now(), &counts);
	if (r == 0)
		r = store_flush(d->store);
	if (r < 0)
		return complain(
		    "cannot write the inventory in", d->config->renewd.state_dir, r);
	r = deploy_configure(d->deploy, d->config);
	if (r == 0)
		r = renewals_configure(d->renewals, d->config, d->bundles);
	if (r < 0)
		return complain("cannot take over", "the configuration", r);
	return 0;
}

/* Challenges and files first: whoever asks from now on gets the right answer. */
static int
open_listeners(struct daemon *d)
{
	int fds[SOCKETS_MAX];
	size_t count = notify_sockets("http-01", fds, SOCKETS_MAX);
	size_t failed = 0;
	int r;

	r = renewals_repair(d->renewals);
	if (r < 0)
		return complain(
		    "cannot read the inventory in", d->config->renewd.state_dir, r);
	responder_set_redirect(
	    d->responder, d->config->http01.redirect == HTTP01_REDIRECT_HTTPS);
	r = responder_listen(
	    d->responder, &d->config->http01.listen, fds, count, &failed);
	if (r < 0)
		return complain("cannot open the listeners of", "[http-01]", r);
	r = control_configure(d->control, d->config);
	if (r < 0)
		return complain(
		    "cannot open the control socket", d->config->control.socket, r);
	return 0;
}

static bool
due_cb(int64_t certificate, void *arg)
{
	return renewals_due(arg, certificate);
}

/* ---- signals ---- */

static void
stop_cb(evutil_socket_t signal, short what, void *arg)
{
	struct daemon *d = arg;

	(void)signal;
	(void)what;
	notify_stopping();
	event_base_loopbreak(d->base);
}

/* A bad configuration is refused whole, and the old one stays. */
static void
reload(struct daemon *d)
{
	struct config_errors errors = { 0 };
	struct config *fresh;
	struct config *old = d->config;

	if (config_load(d->config->path, &fresh, &errors) < 0) {
		for (size_t i = 0; i < errors.n; i++)
			log_line(LOG_ERR, LOG_ABOUT(RELOAD_REFUSED),
			    "reload refused: %s:%u: %s", errors.v[i].file,
			    errors.v[i].line, errors.v[i].message);
		config_errors_clear(&errors);
		return;
	}
	config_errors_clear(&errors);
	if (strcmp(old->renewd.state_dir, fresh->renewd.state_dir) != 0 ||
	    strcmp(old->renewd.bundle_dir, fresh->renewd.bundle_dir) != 0) {
		log_line(LOG_ERR, LOG_ABOUT(RELOAD_REFUSED),
		    "reload refused: another state_dir or bundle_dir needs a restart");
		config_free(fresh);
		return;
	}
	d->config = fresh;
	if (configure(d) < 0 || open_listeners(d) < 0) {
		log_line(LOG_ERR, LOG_ABOUT(RELOAD_REFUSED),
		    "reload failed, the configuration of before stays");
		d->config = old;
		if (configure(d) == 0)
			(void)open_listeners(d);
		config_free(fresh);
		return;
	}
	config_free(old);
	schedule_poke(d->schedule);
	log_line(LOG_NOTICE, LOG_ABOUT(RELOADED), "configuration reloaded");
}

static void
reload_cb(evutil_socket_t signal, short what, void *arg)
{
	(void)signal;
	(void)what;
	notify_reloading();
	reload(arg);
	notify_ready();
}

static int
catch_signals(struct daemon *d)
{
	const struct {
		int number;
		event_callback_fn cb;
	} signals[] = {
		{ SIGTERM, stop_cb },
		{ SIGINT, stop_cb },
		{ SIGHUP, reload_cb },
	};

	static_assert(ELEMENTS(signals) == ELEMENTS(d->signals), "one event each");
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < ELEMENTS(signals); i++) {
		d->signals[i] =
		    evsignal_new(d->base, signals[i].number, signals[i].cb, d);
		if (d->signals[i] == NULL || event_add(d->signals[i], NULL) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* ---- run ---- */

static int
start(struct daemon *d)
{
	int r;

	d->base = event_base_new();
	if (d->base == NULL || event_base_priority_init(d->base, PRIORITIES) < 0)
		return complain("cannot start", "renewd", -ENOMEM);
	r = open_store(d);
	if (r == 0)
		r = open_bundles(d);
	if (r == 0)
		r = open_modules(d);
	if (r == 0)
		r = catch_signals(d);
	if (r == 0)
		r = configure(d);
	if (r == 0)
		r = open_listeners(d);
	if (r == 0)
		schedule_start(d->schedule, due_cb, d->renewals);
	return r;
}

static void
stop(struct daemon *d)
{
	/* those that call others go before those that are called */
	watch_free(d->watch);
	control_free(d->control);
	renewals_free(d->renewals);
	schedule_free(d->schedule);
	deploy_free(d->deploy);
	bundles_close(d->bundles);
	responder_free(d->responder);
	https_free(d->https);
	worker_free(d->worker);
	store_close(d->store);
	for (size_t i = 0; i < ELEMENTS(d->signals); i++)
		if (d->signals[i] != NULL)
			event_free(d->signals[i]);
	if (d->base != NULL)
		event_base_free(d->base);
	libevent_global_shutdown();
	config_free(d->config);
}

int
daemon_run(struct config *config)
{
	struct daemon d = { .config = config };
	int r;

	log_set_level(config->renewd.log_level);
	umask(077);
	r = start(&d);
	if (r == 0) {
		log_line(LOG_NOTICE, LOG_ABOUT(READY),
		    "renewd is ready, %zu certificates configured",
		    config->certificate_count);
		notify_ready();
		watch_start(d.watch);
		r = event_base_dispatch(d.base) < 0 ? -EIO : 0;
		if (r == 0)
			log_line(LOG_NOTICE, LOG_ABOUT(STOPPED), "renewd stops");
	}
	stop(&d);
	return r;
}
