/*
 * worker.h - one thread for what is too slow for the loop, as making RSA keys or
 * waiting for the disk.
 *
 * run_cb is called in that thread and may touch nothing but its argument; done_cb is
 * called later from the loop. Jobs run one after the other, in order.
 */
#ifndef WORKER_H
#define WORKER_H

struct event_base;
struct worker;

int worker_new(struct event_base *base, struct worker **ret);
/* Its thread only gets what CPU time is left over. */
int worker_new_idle(struct event_base *base, struct worker **ret);
/* Waits for the job that runs. done_cb is called from here for it and for the others,
 * which don't run: who had asked for them is gone by now. Not from a done_cb. */
struct worker *worker_free(struct worker *w);
/* Waits until no job runs or is to run; done_cb's come later, from the loop. */
void worker_wait(struct worker *w);
int worker_run(
    struct worker *w, void (*run_cb)(void *arg), void (*done_cb)(void *arg), void *arg);

#endif
