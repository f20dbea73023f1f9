/*
 * haproxy_talk.c - what is said to HAProxy so that it takes a certificate, step by
 * step: looked for, set, committed, and looked at again; or added before, to a
 * directory.
 *
 * Called by haproxy_hot.c. HAProxy has one transaction for all: what it says is
 * compared with what was asked, and whatever goes wrong is aborted. A conversation that
 * was cut off anywhere is brought to its end by the next one. It must never log a key.
 */
#include "deploy/haproxy_talk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "deploy/haproxy_answer.h"
#include "deploy/haproxy_cli.h"
#include "deploy/haproxy_name.h"
#include "deploy/run.h"
#include "scope.h"

#define ANSWER_MS 10000
#define NAME_SIZE HAPROXY_NAME_SIZE

enum step { LOOK, SET, COMMIT, CHECK, ABORT, LISTS, NEW, ADD, DELETE, END };

struct haproxy_talk {
	struct haproxy_talk_wish wish;
	struct haproxy_talk_end end;
	enum step step;
	bool unused; /* HAProxy has it, but nothing uses it */
	bool right;  /* what is there is what is wanted */
	bool adding; /* it isn't in the directory until now */
	bool again;  /* it is set again, once what is in the way is aborted */
	bool was_again;
	char to_abort[NAME_SIZE];
	haproxy_talk_cb *done_cb;
	void *arg;
};

DEFINE_CLEANUP(struct haproxy_talk, haproxy_talk_free)

/* ---- what HAProxy says ---- */

/* Its words are passed on whole, as they are all that says what is wrong. */
static enum step
refused(struct haproxy_talk *t, const char *what, const char *answer)
{
	/* somebody's transaction that is in the way isn't the bundle's fault */
	bool ours = (t->step == SET || t->step == COMMIT) &&
	    strcasestr(answer, "transaction") == NULL;

	run_say_all(t->wish.run, answer);
	(ours ? run_subject_refused : run_subject_failed)(t->wish.run, t->wish.subject,
	    "HAProxy on %s answers \"%s %s\" with: %s", t->wish.socket, what,
	    t->wish.name, answer);
	t->end.known = true; /* it is, or was to be: no reason to reload */
	return END;
}

static enum step
abort_refused(struct haproxy_talk *t, const char *what, const char *answer)
{
	refused(t, what, answer);
	snprintf(t->to_abort, sizeof(t->to_abort), "%s", t->wish.name);
	return ABORT;
}

static enum step
got_all(struct haproxy_talk *t)
{
	t->end.has = true;
	return END;
}

static enum step
got_look(struct haproxy_talk *t, const char *answer)
{
	if (haproxy_field(answer, "Unknown command") != NULL && !t->end.master) {
		t->end.master = true;
		return LOOK;
	}
	if (haproxy_field(answer, "Can't display the certificate: Not found") != NULL)
		return END;
	if (haproxy_field(answer, "Filename: ") == NULL)
		return refused(t, "show ssl cert", answer);
	t->end.known = true;
	t->right = haproxy_shows_serial(answer, t->wish.serial);
	t->unused = haproxy_field(answer, "Status: Unused") != NULL ||
	    haproxy_field(answer, "Status: Empty") != NULL;
	if (t->unused && t->wish.list != NULL)
		return LISTS; /* whoever began to add it didn't come to the end */
	return t->right ? got_all(t) : SET;
}

/* Somebody's pending transaction is in the way. That of 2.6 takes what is meant for
 * another certificate: it is spoilt then, and must not be committed; that of 3.2 stays
 * with whoever has begun it. That of another bundle of ours was left by a renewd that
 * was killed in it. */
static enum step
got_set(struct haproxy_talk *t, const char *answer)
{
	char name[NAME_SIZE];
	bool taken = haproxy_transaction(answer, name, sizeof(name));

	if (taken && strcmp(name, t->wish.name) == 0)
		return COMMIT;
	if (!taken && !haproxy_ongoing(answer, name, sizeof(name)))
		return abort_refused(t, "set ssl cert", answer);
	t->again = !t->was_again && haproxy_name_is_ours(&t->wish.file, name);
	t->was_again = true;
	if (!t->again)
		refused(t, "set ssl cert", answer);
	snprintf(t->to_abort, sizeof(t->to_abort), "%s",
	    taken || t->again ? name : t->wish.name);
	return ABORT;
}

static enum step
got_commit(struct haproxy_talk *t, const char *answer)
{
	if (!haproxy_has_line(answer, "Success!"))
		return abort_refused(t, "commit ssl cert", answer);
	return t->adding ? ADD : CHECK;
}

static enum step
got_check(struct haproxy_talk *t, const char *answer)
{
	return haproxy_shows_serial(answer, t->wish.serial)
	    ? got_all(t)
	    : refused(t, "show ssl cert", answer);
}

/* What failed was said; that there is nothing to abort is no news. */
static enum step
got_abort(struct haproxy_talk *t, const char *answer)
{
	bool again = t->again;

	(void)answer;
	t->again = false;
	if (again)
		return SET;
	return t->adding ? DELETE : END;
}

static enum step
got_lists(struct haproxy_talk *t, const char *answer)
{
	bool takes = haproxy_has_line(answer, t->wish.list);

	if (!t->unused)
		return takes ? NEW : END;
	t->adding = takes;
	if (!t->right)
		return SET;
	return takes ? ADD : got_all(t);
}

static enum step
got_new(struct haproxy_talk *t, const char *answer)
{
	if (haproxy_field(answer, "New empty certificate store") == NULL)
		return refused(t, "new ssl cert", answer);
	t->adding = true;
	return SET;
}

static enum step
got_add(struct haproxy_talk *t, const char *answer)
{
	if (haproxy_has_line(answer, "Success!")) {
		t->end.known = true;
		return CHECK;
	}
	refused(t, "add ssl crt-list", answer);
	return DELETE;
}

static enum step
got_delete(struct haproxy_talk *t, const char *answer)
{
	(void)t, (void)answer;
	return END;
}

/* ---- what it is asked ---- */

static const struct {
	const char *command;
	bool payload;
	enum step (*got)(struct haproxy_talk *t, const char *answer);
} steps[] = {
	[LOOK] = { "show ssl cert", false, got_look },
	[SET] = { "set ssl cert", true, got_set },
	[COMMIT] = { "commit ssl cert", false, got_commit },
	[CHECK] = { "show ssl cert", false, got_check },
	[ABORT] = { "abort ssl cert", false, got_abort },
	[LISTS] = { "show ssl crt-list", false, got_lists },
	[NEW] = { "new ssl cert", false, got_new },
	[ADD] = { "add ssl crt-list", false, got_add },
	[DELETE] = { "del ssl cert", false, got_delete },
};

static void
compose(const struct haproxy_talk *t, char *ret, size_t size)
{
	const char *command = steps[t->step].command;
	const char *name = t->step == ABORT ? t->to_abort
	    : t->step == LISTS              ? ""
					    : t->wish.name;

	snprintf(ret, size, "%s%s%s%s%s%s", t->end.master ? "@1 " : "", command,
	    t->step == ADD ? " " : "", t->step == ADD ? t->wish.list : "",
	    *name != '\0' ? " " : "", name);
}

static void answer_cb(int r, const char *answer, void *arg);

static int
ask(struct haproxy_talk *t, enum step step)
{
	char command[NAME_SIZE * 2 + 64];
	const struct haproxy_question q = {
		.command = command,
		.payload = steps[step].payload ? t->wish.pem : NULL,
	};

	t->step = step;
	compose(t, command, sizeof(command));
	return haproxy_cli_go_on(t->wish.cli, &q, ANSWER_MS, answer_cb, t);
}

static void
answer_cb(int r, const char *answer, void *arg)
{
	struct haproxy_talk *t = arg;
	enum step next = END;

	if (r == 0 && *answer == '\0')
		r = -ECONNRESET; /* whatever it is asked, it says something */
	if (r == 0)
		next = steps[t->step].got(t, answer);
	if (r == 0 && next != END)
		r = ask(t, next);
	if (r < 0 || next == END)
		t->done_cb(r, &t->end, t->arg);
}

int
haproxy_talk_start(const struct haproxy_talk_wish *wish, haproxy_talk_cb *done_cb,
    void *arg, struct haproxy_talk **ret)
{
	_cleanup_(haproxy_talk_freep) struct haproxy_talk *t = calloc(1, sizeof(*t));
	int r;

	if (t == NULL)
		return -ENOMEM;
	t->wish = *wish;
	t->end.master = wish->master;
	t->done_cb = done_cb;
	t->arg = arg;
	r = ask(t, wish->add ? LISTS : LOOK);
	if (r < 0)
		return r;
	*ret = steal_ptr(t);
	return 0;
}

struct haproxy_talk *
haproxy_talk_free(struct haproxy_talk *t)
{
	free(t);
	return NULL;
}
