/*
 * keyjob.c - one key on its way: made in the worker thread, handed over on the loop.
 *
 * A job outlives who asked for it, if that goes first, by the milliseconds that the
 * thread takes to notice: a stop doesn't wait for a key.
 */
#include "renew/keyjob.h"

#include <errno.h>
#include <stdatomic.h>

#include "key.h"
#include "platform/worker.h"

struct keyjob {
	enum acme_key_type type;
	struct acme_key *key;
	atomic_bool stop;        /* the one member that both threads use meanwhile */
	keyjob_done_cb *done_cb; /* NULL: forgotten */
	void *arg;
};

static void
make(void *arg)
{
	struct keyjob *job = arg;

	(void)key_generate(job->type, &job->stop, &job->key);
}

static void
made_cb(void *arg)
{
	struct keyjob *job = arg;

	if (job->done_cb != NULL)
		job->done_cb(steal_ptr(job->key), job->arg);
	acme_key_free(job->key);
	free(job);
}

int
keyjob_start(struct worker *worker, enum acme_key_type type, keyjob_done_cb *done_cb,
    void *arg, struct keyjob **ret)
{
	struct keyjob *job = calloc(1, sizeof(*job));
	int r;

	if (job == NULL)
		return -ENOMEM;
	job->type = type;
	job->done_cb = done_cb;
	job->arg = arg;
	r = worker_run(worker, make, made_cb, job);
	if (r < 0) {
		free(job);
		return r;
	}
	*ret = job;
	return 0;
}

struct keyjob *
keyjob_forget(struct keyjob *job)
{
	if (job != NULL) {
		job->done_cb = NULL;
		atomic_store(&job->stop, true);
	}
	return NULL;
}
