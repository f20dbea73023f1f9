/*
 * control.c - the control socket: the bytes go to the real server, with the modules of
 * the daemon behind it, as one client would write them: methods, paths, queries and
 * bodies. Nothing is ever ordered, as the schedule isn't started.
 *
 * All that a client changed is put back after it, so that an input means the same
 * every time.
 */
#include "control/control.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "bundle/bundle.h"
#include "challenge/responder.h"
#include "config/config.h"
#include "control/reload.h"
#include "deploy/deploy.h"
#include "fuzz.h"
#include "inventory/inventory.h"
#include "inventory/store.h"
#include "platform/clock.h"
#include "platform/https.h"
#include "platform/log.h"
#include "platform/worker.h"
#include "renew/renewal.h"
#include "schedule/schedule.h"

#define INPUT_MAX 65536
#define QUIET_MAX 3 /* turns of the loop without a byte until a client leaves */
#define IDS_MAX   64

static char folder[] = "/tmp/fuzz-control-XXXXXX";
static struct sockaddr_un address = { .sun_family = AF_UNIX };
static struct event_base *base;
static struct store *store;
static struct renewals *renewals;
static struct certificate *kept; /* as it was in the beginning */

static int
reload_cb(struct reload *ret, void *arg)
{
	(void)arg;
	config_errors_add(&ret->errors, "renewd.conf", 7, "domains", "as \"ever\"");
	return -EBADMSG;
}

static int
remove_cb(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void
remove_folder(void)
{
	nftw(folder, remove_cb, 8, FTW_DEPTH | FTW_PHYS);
}

static struct config *
write_config(void)
{
	struct config_errors errors = { 0 };
	struct config *config;
	char path[64];
	FILE *out;

	MUST(mkdtemp(folder) != NULL);
	atexit(remove_folder);
	snprintf(path, sizeof(path), "%s/renewd.conf", folder);
	out = fopen(path, "w");
	MUST(out != NULL);
	fprintf(out,
	    "[renewd]\nstate_dir = %s/state\nbundle_dir = %s/live\n"
	    "[control]\nsocket = %s/socket\n[ca letsencrypt]\naccept_terms = yes\n"
	    "[defaults]\nplaceholder = no\n"
	    "[deploy edge]\ntype = exec\ncommand = /bin/true\n"
	    "[certificate kept]\ndomains = a.example.test\ndeploy = edge\n",
	    folder, folder, folder);
	fclose(out);
	MUST(config_load(path, &config, &errors) == 0);
	return config;
}

static void
open_modules(const struct config *config)
{
	struct renewal_means means = { 0 };
	struct control_means control_means = { 0 };
	struct control *control;
	struct bundles *bundles;
	char *why;

	MUST((base = event_base_new()) != NULL &&
	    event_base_priority_init(base, 3) == 0);
	MUST(mkdir(config->renewd.state_dir, 0700) == 0);
	MUST(store_open(base, config->renewd.state_dir, &store, &why) == 0);
	means.base = base;
	means.store = store;
	MUST(worker_new(base, &means.worker) == 0);
	MUST(https_new(base, &means.https) == 0);
	MUST(responder_new(base, &means.responder) == 0);
	MUST(deploy_new(base, &means.deploy) == 0);
	MUST(schedule_new(base, store, &means.schedule) == 0);
	MUST(renewals_new(&means, &renewals) == 0);
	control_means = (struct control_means){ .base = base,
		.store = store,
		.renewals = renewals,
		.schedule = means.schedule,
		.responder = means.responder,
		.reload = reload_cb };
	MUST(control_new(&control_means, &control) == 0);
	MUST(bundles_open(config->renewd.bundle_dir, &bundles) == 0);
	MUST(control_prepare(control, config) == 0);
	MUST(deploy_configure(means.deploy, config) == 0);
	MUST(renewals_configure(renewals, config, bundles) == 0);
	control_commit(control, config);
}

/* Lives until the process ends. */
static void
start(void)
{
	static struct config *config;

	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_EMERG);
	config = write_config();
	open_modules(config);
	MUST(certificate_insert(store, "kept", ORIGIN_CONFIG,
		 config->certificates[0].spec, clock_now(), NULL) == 0);
	MUST(store_flush(store) == 0);
	MUST(certificate_get(store, "kept", &kept) == 0);
	snprintf(
	    address.sun_path, sizeof(address.sun_path), "%s", config->control.socket);
}

/* True: it had something to say. */
static bool
listen_to(int fd, bool *first)
{
	char data[4096];
	ssize_t n = recv(fd, data, sizeof(data), MSG_DONTWAIT);

	if (n > 0 && *first) {
		MUST(n >= 5 && memcmp(data, "HTTP/", 5) == 0);
		*first = false;
	}
	return n > 0;
}

static void
turn(void)
{
	MUST(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
}

static void
converse(const uint8_t *data, size_t size)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	size_t sent = 0;
	bool first = true;

	MUST(fd >= 0);
	MUST(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	for (unsigned quiet = 0; quiet < QUIET_MAX; quiet++) {
		ssize_t n = send(fd, data + sent, size - sent, MSG_DONTWAIT);

		if (n > 0) {
			sent += (size_t)n;
			quiet = 0;
		}
		turn();
		if (listen_to(fd, &first))
			quiet = 0;
	}
	close(fd);
	turn();
	turn();
}

struct ids {
	int64_t v[IDS_MAX];
	size_t n;
};

static int
note_cb(int64_t id, const char *name, const char *spec, int64_t removed_at, void *arg)
{
	struct ids *ids = arg;

	(void)name;
	(void)spec;
	(void)removed_at;
	if (ids->n < IDS_MAX)
		ids->v[ids->n++] = id;
	return 0;
}

static void
put_back(void)
{
	struct ids ids = { 0 };

	MUST(certificate_walk_specs(store, ORIGIN_API, note_cb, &ids) == 0);
	for (size_t i = 0; i < ids.n; i++) {
		struct certificate *c;

		MUST(certificate_get_id(store, ids.v[i], &c) == 0);
		if (renewals_purge(renewals, c) < 0)
			MUST(certificate_delete(store, c->id) == 0);
		certificate_free(c);
	}
	MUST(certificate_save(store, kept) == 0);
	MUST(store_flush(store) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (base == NULL)
		start();
	if (size > INPUT_MAX)
		return 0;
	converse(data, size);
	put_back();
	return 0;
}
