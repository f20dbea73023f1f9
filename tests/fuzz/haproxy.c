/*
 * haproxy.c - what HAProxy's runtime API may answer to who gives it certificates or
 * asks for those it has. The first byte is the case (its bits: may be reloaded,
 * bundle_path, two sockets, only asked; 64: for items of crt-stores alone); after it
 * answers follow, with a line of "====" between them.
 *
 * Whatever was answered, what HAProxy is asked next is one command: names out of its
 * answers never make it two. Only the socket is replaced here: haproxy_cli.c's
 * functions, which never interpret what is said.
 */
#include "deploy/haproxy_cli.h"

#include <errno.h>
#include <event2/event.h>
#include <ftw.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "../unit/rfc_keys.h"
#include "config/config.h"
#include "deploy/haproxy_hot.h"
#include "deploy/haproxy_loaded.h"
#include "deploy/run.h"
#include "fuzz.h"
#include "ocsp_chain.h"
#include "platform/log.h"

#define QUESTIONS_MAX 64 /* to two HAProxys about two certificates */
#define ITEM_MAX      64 /* more for each item of a crt-store, as each may be those */
#define WORDS_MAX     6  /* "@1 add ssl crt-list DIRECTORY NAME" */

/* Stands in answers as it is here: they name files. */
static const char pattern[] = "/tmp/fuzz-haproxy-XXXXXX";
static char folder[] = "/tmp/fuzz-haproxy-XXXXXX";
static struct event_base *base;

struct haproxy_cli {
	haproxy_cli_cb *answer_cb;
	void *arg;
};

static struct haproxy_cli *asked; /* the one question that has no answer yet */
static char *script;              /* what is left of it; NULL: nothing */
static size_t questions, lines;
static bool hung_up; /* instead of an answer */
static int ended;
static bool failed;

static void
check(const struct haproxy_question *q)
{
	size_t words = 1;

	for (const char *c = q->command; *c != '\0'; c++) {
		MUST((unsigned char)*c >= ' ' && *c != 0x7f);
		MUST(strchr(";\\", *c) == NULL);
		words += *c == ' ';
	}
	MUST(words <= WORDS_MAX && strstr(q->command, "<<") == NULL);
	MUST(q->payload == NULL || strstr(q->payload, "\n\n") == NULL);
}

int
haproxy_cli_open(struct event_base *where, const char *socket, struct haproxy_cli **ret)
{
	(void)where, (void)socket;
	*ret = calloc(1, sizeof(**ret));
	MUST(*ret != NULL);
	return 0;
}

int
haproxy_cli_go_on(struct haproxy_cli *c, const struct haproxy_question *q,
    int timeout_ms, haproxy_cli_cb *answer_cb, void *arg)
{
	(void)timeout_ms;
	check(q);
	MUST(asked == NULL && ended == 0);
	questions++;
	asked = c;
	*c = (struct haproxy_cli){ .answer_cb = answer_cb, .arg = arg };
	return 0;
}

/* Of reloads, which nobody asks for here. */
int
haproxy_cli_ask(struct event_base *where, const struct haproxy_question *q,
    int timeout_ms, haproxy_cli_cb *answer_cb, void *arg, struct haproxy_cli **ret)
{
	(void)where, (void)q, (void)timeout_ms, (void)answer_cb, (void)arg, (void)ret;
	abort();
}

struct haproxy_cli *
haproxy_cli_free(struct haproxy_cli *c)
{
	if (c == asked)
		asked = NULL;
	free(c);
	return NULL;
}

/* As haproxy_cli.c hears them: no NUL, and after the last one there is none. */
static void
answer(void)
{
	static const char separator[] = "====\n";
	struct haproxy_cli *c = asked;
	char *text = script, *end = text != NULL ? strstr(text, separator) : NULL;

	asked = NULL;
	script = end != NULL ? end + strlen(separator) : NULL;
	if (text == NULL) {
		hung_up = true;
		c->answer_cb(-ECONNRESET, NULL, c->arg);
		return;
	}
	text = fuzz_text(
	    (uint8_t *)text, end != NULL ? (size_t)(end - text) : strlen(text));
	hung_up = hung_up || *text == '\0';
	c->answer_cb(0, text, c->arg);
	free(text);
}

static void
run_script(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
	while (asked != NULL)
		answer();
	MUST(ended == 1);
}

static void
end_cb(const char *why, void *arg)
{
	(void)arg;
	MUST(why == NULL || *why != '\0');
	failed = why != NULL;
	ended++;
}

static void
give(uint8_t variant)
{
	char *sockets[] = { (char *)"/one", (char *)"/two" };
	char path[64], dirs[2][64];
	struct deploy_subject a = { .certificate = "a", .bundle_dir = dirs[0] };
	struct deploy_subject b = { .certificate = "b", .bundle_dir = dirs[1] };
	struct run_subject subjects[] = { { .it = &a }, { .it = &b } };
	struct target_config target = { .name = (char *)"edge",
		.type = TARGET_HAPROXY,
		.sockets = { sockets, (variant & 4) != 0 ? 2 : 1 },
		.bundle_path = (variant & 2) != 0 ? path : NULL };
	struct run run = { .base = base,
		.target = &target,
		.subjects = subjects,
		.subject_count = ELEMENTS(subjects) };
	struct haproxy_hot *hot;

	snprintf(path, sizeof(path), "%s/haproxy/{name}.pem", folder);
	snprintf(dirs[0], sizeof(dirs[0]), "%s/live/a", folder);
	snprintf(dirs[1], sizeof(dirs[1]), "%s/live/b", folder);
	MUST(haproxy_hot_start(&run, (variant & 1) != 0, end_cb, NULL, &hot) == 0);
	run_script();
	haproxy_hot_free(hot);
	MUST(questions <= QUESTIONS_MAX + ITEM_MAX * lines);
	for (size_t i = 0; i < ELEMENTS(subjects); i++)
		acme_result_free(subjects[i].failure);
}

static void
row_cb(const struct haproxy_row *row, void *arg)
{
	(void)arg;
	MUST(*row->file != '\0' && strpbrk(row->file, " \n") == NULL);
	MUST(strpbrk(row->crt, "\r\n") == NULL);
	MUST(strpbrk(row->serial, "\r\n") == NULL);
	MUST(strpbrk(row->not_after, "\r\n") == NULL);
	MUST(strpbrk(row->status, "\r\n") == NULL);
}

static void
looked_cb(int r, void *arg)
{
	end_cb(r < 0 ? haproxy_loaded_problem(r) : NULL, arg);
}

static void
look(enum haproxy_which which)
{
	struct haproxy_loaded *loaded;
	struct haproxy_cli *cli;

	MUST(haproxy_cli_open(base, "/one", &cli) == 0);
	MUST(haproxy_loaded_start(cli, which, row_cb, looked_cb, NULL, &loaded) == 0);
	run_script();
	MUST(!hung_up || failed);
	haproxy_loaded_free(loaded);
	haproxy_cli_free(cli);
}

static int
remove_cb(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void
remove_folder(void)
{
	nftw(folder, remove_cb, 8, FTW_DEPTH | FTW_PHYS);
}

static void
write_file(const char *name, const char *text, const char *more)
{
	char path[64];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	out = fopen(path, "w");
	MUST(out != NULL && fprintf(out, "%s%s", text, more) > 0 && fclose(out) == 0);
}

/* "a" has a response beside it. */
static void
prepare(void)
{
	static const char *const dirs[] = { "live", "live/a", "live/b" };
	char path[64];

	log_set_level(LOG_EMERG);
	MUST((base = event_base_new()) != NULL && mkdtemp(folder) != NULL);
	atexit(remove_folder);
	for (size_t i = 0; i < ELEMENTS(dirs); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, dirs[i]);
		MUST(mkdir(path, 0700) == 0);
	}
	write_file("live/a/haproxy.pem", ocsp_chain, ec_example);
	write_file("live/a/haproxy.pem.ocsp", "response", "");
	write_file("live/b/haproxy.pem", ocsp_chain, ec_example);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (base == NULL)
		prepare();
	if (size < 2)
		return 0;
	text = fuzz_text(data + 1, size - 1);
	for (char *at = text; (at = strstr(at, pattern)) != NULL;)
		memcpy(at, folder, strlen(folder));
	script = text;
	questions = lines = 0;
	for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
		lines++;
	hung_up = false;
	ended = 0;
	if ((data[0] & 8) != 0)
		look((data[0] & 64) != 0 ? HAPROXY_ITEMS : HAPROXY_ALL);
	else
		give(data[0]);
	free(text);
	return 0;
}
