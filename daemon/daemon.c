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
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundle/bundle.h"
#include "challenge/responder.h"
#include "config/config.h"
#include "control/control.h"
#include "control/reload.h"
#include "deploy/deploy.h"
#include "inventory/store.h"
#include "platform/clock.h"
#include "platform/file.h"
#include "platform/https.h"
#include "platform/log.h"
#include "platform/metrics.h"
#include "platform/notify.h"
#include "platform/turn.h"
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
	struct metrics *metrics;
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

static int reload(struct reload *ret, void *arg);

/* Each says its own error: one line, with what it was about. */
static int
complain_why(const char *what, const char *subject, int r, const char *why)
{
	if (r == -EACCES || r == -EPERM)
		log_line(LOG_ERR, LOG_ABOUT(START_FAILED),
		    "%s %s: %s; renewd runs as user %u and group %u", what, subject,
		    why, (unsigned)geteuid(), (unsigned)getegid());
	else
		log_line(
		    LOG_ERR, LOG_ABOUT(START_FAILED), "%s %s: %s", what, subject, why);
	return r;
}

static int
complain(const char *what, const char *subject, int r)
{
	return complain_why(what, subject, r, strerror(-r));
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
		complain_why("cannot open", "the inventory", r,
		    why != NULL ? why : store_explain(r));
	return r;
}

static int
open_modules(struct daemon *d)
{
	int r;

	d->metrics = metrics_new();
	r = d->metrics != NULL ? worker_new(d->base, &d->worker) : -ENOMEM;
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
				     .schedule = d->schedule,
				     .metrics = d->metrics },
		    &d->renewals);
	if (r == 0)
		r = control_new(&(struct control_means){ .base = d->base,
				    .store = d->store,
				    .renewals = d->renewals,
				    .schedule = d->schedule,
				    .responder = d->responder,
				    .metrics = d->metrics,
				    .reload = reload,
				    .reload_arg = d },
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

/* ---- a configuration is taken over ---- */

/* All that can be refused, before anything changes for anybody. */
static int
prepare(struct daemon *d, const struct config *config, struct bundles **ret)
{
	const char *dir = config->renewd.bundle_dir;
	struct bundles *bundles = d->bundles;
	int r;

	if (bundles == NULL || strcmp(d->config->renewd.bundle_dir, dir) != 0) {
		r = bundles_open(dir, &bundles);
		if (r < 0)
			return complain("cannot use the bundle directory", dir, r);
	}
	r = control_prepare(d->control, config);
	if (r < 0) {
		if (bundles != d->bundles)
			bundles_close(bundles);
		return complain_why("cannot open the control socket",
		    config->control.socket, r, control_explain(r));
	}
	*ret = bundles;
	return 0;
}

static int
write_inventory(struct daemon *d, const struct config *config, struct reload *ret)
{
	int r;

	r = store_flush(d->store); /* others' writes are none of this */
	if (r == 0)
		r = sync_certificates(d->store, config, clock_now(), ret);
	if (r < 0)
		store_roll_back(d->store);
	else
		r = store_flush(d->store);
	if (r < 0)
		return complain_why("cannot write the inventory in",
		    config->renewd.state_dir, r, store_explain(r));
	return 0;
}

/* The configuration goes to everybody who works by it. What can still fail is memory.
 */
static int
configure(struct daemon *d, const struct config *config, struct bundles *bundles)
{
	int fds[SOCKETS_MAX];
	size_t count = notify_sockets("http-01", fds, SOCKETS_MAX);
	size_t failed = 0;
	int r;

	r = deploy_configure(d->deploy, config);
	if (r == 0)
		r = renewals_configure(d->renewals, config, bundles);
	if (r < 0)
		return complain("cannot take over", "the configuration", r);
	responder_set_redirect(
	    d->responder, config->http01.redirect == HTTP01_REDIRECT_HTTPS);
	r = responder_listen(d->responder, &config->http01.listen, fds, count, &failed);
	if (r < 0)
		return complain("cannot open the listeners of", "[http-01]", r);
	log_set_level(config->renewd.log_level);
	return 0;
}

/* The inventory has the certificates now, and what was needed to read them goes back
 * to the system: it may be more than all else. */
static void
forget_texts(struct config *config)
{
	config_forget_texts(config);
	(void)malloc_trim(0);
}

static int
repair(struct daemon *d)
{
	int r = renewals_repair(d->renewals);

	if (r < 0)
		return complain_why("cannot read the inventory in",
		    d->config->renewd.state_dir, r, store_explain(r));
	return 0;
}

static bool
due_cb(int64_t certificate, void *arg)
{
	return renewals_due(arg, certificate);
}

static void
jump_cb(int64_t by, void *arg)
{
	renewals_clock_set(arg, by);
}

static void
tick_cb(void *arg)
{
	renewals_look_ahead(arg);
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

static bool
same_text(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

static bool
same_windows(const struct windows *a, const struct windows *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (a->v[i].days != b->v[i].days || a->v[i].from != b->v[i].from ||
		    a->v[i].to != b->v[i].to)
			return false;
	return true;
}

/* Is what is verified the same, and what is waited for? Otherwise it is looked at anew.
 */
static bool
verifies_same(const struct config *a, const struct config *b)
{
	if (a->target_count != b->target_count)
		return false;
	for (size_t i = 0; i < a->target_count; i++) {
		const struct target_config *x = &a->targets[i], *y = &b->targets[i];

		if (strcasecmp(x->name, y->name) != 0 || x->verify.n != y->verify.n ||
		    x->verify_interval.seconds != y->verify_interval.seconds ||
		    x->require != y->require || !same_windows(&x->windows, &y->windows))
			return false;
		for (size_t k = 0; k < x->verify.n; k++)
			if (strcmp(x->verify.v[k], y->verify.v[k]) != 0)
				return false;
	}
	return true;
}

/* May what certificates inherit differ, so that all of them have to be looked at? */
static bool
inherits_same(const struct config *a, const struct config *b)
{
	if (a->ca_count != b->ca_count ||
	    a->renewd.bundle_mode != b->renewd.bundle_mode ||
	    !same_text(a->renewd.bundle_dir, b->renewd.bundle_dir) ||
	    !same_text(a->renewd.bundle_group, b->renewd.bundle_group) ||
	    !same_text(a->defaults, b->defaults) || !verifies_same(a, b))
		return false;
	for (size_t i = 0; i < a->ca_count; i++)
		if (a->cas[i].built_in != b->cas[i].built_in ||
		    a->cas[i].accept_terms != b->cas[i].accept_terms ||
		    !same_text(a->cas[i].name, b->cas[i].name))
			return false;
	return true;
}

/* What of it needs a restart is an error of the file, too. */
static int
load(struct daemon *d, struct config **ret, struct config_errors *errors)
{
	struct config *fresh;
	int r;

	r = config_load(d->config->path, &fresh, errors);
	if (r < 0)
		return r;
	if (strcmp(d->config->renewd.state_dir, fresh->renewd.state_dir) != 0) {
		config_errors_add(errors, fresh->path, 0, "state_dir",
		    "another \"state_dir\" needs a restart");
		config_free(fresh);
		return -EBADMSG;
	}
	*ret = fresh;
	return 0;
}

/* Takes fresh over where it works. */
static int
swap(struct daemon *d, struct config *fresh, struct reload *ret)
{
	bool same = inherits_same(d->config, fresh);
	struct bundles *bundles;
	int r;

	r = prepare(d, fresh, &bundles);
	if (r < 0)
		return r;
	r = write_inventory(d, fresh, ret);
	if (r == 0)
		r = configure(d, fresh, bundles);
	if (r < 0) {
		control_abandon(d->control);
		(void)configure(d, d->config, d->bundles);
		if (bundles != d->bundles)
			bundles_close(bundles);
		return r;
	}
	control_commit(d->control, fresh);
	if (bundles != d->bundles)
		bundles_close(d->bundles);
	config_free(d->config);
	d->bundles = bundles;
	d->config = fresh;
	forget_texts(fresh);
	if (renewals_wants_repair(d->renewals))
		same = false;
	if (!same)
		(void)repair(d);
	else
		(void)renewals_repair_own(d->renewals);
	for (size_t i = 0; same && i < RELOAD_REMOVED; i++)
		renewals_repair_some(d->renewals, ret->names[i].v, ret->names[i].n);
	schedule_poke(d->schedule);
	return 0;
}

static void
log_errors(const struct config_errors *errors)
{
	for (size_t i = 0; i < errors->n; i++) {
		const struct config_error *e = &errors->v[i];
		const char *file = e->file != NULL ? e->file : "?";
		const char *message = e->message != NULL ? e->message : "no memory";

		if (e->line > 0)
			log_line(LOG_ERR, LOG_ABOUT(RELOAD_REFUSED),
			    "reload refused: %s:%u: %s", file, e->line, message);
		else
			log_line(LOG_ERR, LOG_ABOUT(RELOAD_REFUSED),
			    "reload refused: %s: %s", file, message);
	}
}

/* A bad configuration is refused whole, and the old one stays. */
static int
load_and_swap(struct daemon *d, struct reload *ret)
{
	struct config *fresh;
	int r;

	r = load(d, &fresh, &ret->errors);
	if (r < 0) {
		log_errors(&ret->errors);
		return r;
	}
	r = swap(d, fresh, ret);
	if (r < 0) {
		config_free(fresh);
		log_line(LOG_ERR, LOG_ABOUT(RELOAD_REFUSED),
		    "reload failed, the configuration of before stays");
		return r;
	}
	log_line(LOG_NOTICE, LOG_ABOUT(RELOADED),
	    "configuration reloaded: %zu added, %zu changed, %zu removed",
	    ret->names[RELOAD_ADDED].n, ret->names[RELOAD_CHANGED].n,
	    ret->names[RELOAD_REMOVED].n);
	return 0;
}

/* By signal or by call: systemd hears of both. */
static int
reload(struct reload *ret, void *arg)
{
	int r;

	notify_reloading();
	r = load_and_swap(arg, ret);
	notify_ready();
	return r;
}

static void
reload_cb(evutil_socket_t signal, short what, void *arg)
{
	struct reload ret = { 0 };

	(void)signal;
	(void)what;
	(void)reload(&ret, arg);
	reload_clear(&ret);
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

/* Challenges and files first: whoever asks from now on gets the right answer. */
static int
take_over(struct daemon *d)
{
	struct reload first = { 0 };
	int r;

	r = prepare(d, d->config, &d->bundles);
	if (r == 0)
		r = write_inventory(d, d->config, &first);
	reload_clear(&first);
	if (r == 0)
		forget_texts(d->config);
	if (r == 0)
		r = renewals_configure(d->renewals, d->config, d->bundles);
	if (r == 0)
		r = repair(d);
	if (r == 0)
		r = configure(d, d->config, d->bundles);
	if (r == 0)
		control_commit(d->control, d->config);
	return r;
}

static int
start(struct daemon *d)
{
	int r;

	d->base = event_base_new();
	if (d->base == NULL || event_base_priority_init(d->base, PRIORITIES) < 0)
		return complain("cannot start", "renewd", -ENOMEM);
	r = open_store(d);
	if (r == 0)
		r = open_modules(d);
	if (r == 0)
		r = catch_signals(d);
	if (r == 0)
		r = take_over(d);
	if (r == 0) {
		schedule_on_jump(d->schedule, jump_cb, d->renewals);
		schedule_on_tick(d->schedule, tick_cb, d->renewals);
		schedule_start(d->schedule, due_cb, d->renewals);
	}
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
	metrics_free(d->metrics);
	store_close(d->store);
	for (size_t i = 0; i < ELEMENTS(d->signals); i++)
		if (d->signals[i] != NULL)
			event_free(d->signals[i]);
	if (d->base != NULL)
		event_base_free(d->base);
	libevent_global_shutdown();
	config_free(d->config);
}

static void
longest_cb(const struct turn_cost *cost, void *arg)
{
	const struct daemon *d = arg;

	metrics_set(d->metrics, METRIC_LOOP_TURN, (double)cost->us / 1e6,
	    (const char *const[METRIC_LABELS_MAX]){ NULL });
	log_line(LOG_DEBUG, NULL,
	    "the longest turn of the loop up to now took %.1f ms, %.1f ms of them CPU; "
	    "it slept %" PRIu64 " times, made room for others %" PRIu64
	    " times and read %" PRIu64 " pages from the disk",
	    (double)cost->us / 1e3, (double)cost->cpu_us / 1e3, cost->waits,
	    cost->preemptions, cost->reads);
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
		r = turn_loop(d.base, longest_cb, &d) < 0 ? -EIO : 0;
		if (r == 0)
			log_line(LOG_NOTICE, LOG_ABOUT(STOPPED), "renewd stops");
	}
	stop(&d);
	return r;
}
