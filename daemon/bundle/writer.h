/*
 * writer.h - writes bundles in a thread, many at once: waiting for the disk neither
 * stops the loop nor is done for each certificate alone.
 *
 * Used by renew/ for what a CA has issued. What readers see, the switch, happens on the
 * loop, at a time that the caller allows; so whoever asks there whether servers are
 * reading knows that nothing is switched meanwhile.
 */
#ifndef WRITER_H
#define WRITER_H

#include <stdbool.h>
#include <stddef.h>

struct bundle;
struct bundles;
struct event_base;
struct staple;
struct writer;
struct writing; /* one bundle on its way */

/* As bundle_write() answers. The writing is over and gone. */
typedef void writing_done_cb(int r, void *arg);

int writer_new(struct event_base *base, struct writer **ret);
/* Waits for what the thread is doing; no done_cb of writer_start() is called any more.
 * What wasn't switched in is never seen by anybody. */
struct writer *writer_free(struct writer *w);
/* may_switch_cb says whether bundles may be switched now; where not, they are when
 * writer_poke() is called and it says yes. */
void writer_on_switch(struct writer *w, bool (*may_switch_cb)(void *arg), void *arg);
void writer_poke(struct writer *w);
/* bundle_write(), later. The bundle is copied, the directories are kept open as long as
 * they are needed. done_cb is called once, from the loop, never from here. */
int writer_start(struct writer *w, struct bundles *bundles, const struct bundle *bundle,
    writing_done_cb *done_cb, void *arg, struct writing **ret);
/* done_cb isn't called; if it isn't switched in yet, it won't be. NULL is fine. */
struct writing *writing_forget(struct writing *writing);
/* staple_write(), later, in the same thread: after it only what was asked for later is
 * written, so that a response never comes beside files that are newer. All is copied.
 * done_cb is called once, from the loop; by writer_free() with -ECANCELED. */
int writer_staple(struct writer *w, struct bundles *bundles, const char *name,
    bool dual, const struct staple *staples, size_t count, writing_done_cb *done_cb,
    void *arg);
/* May another one be started? Each holds a key and a chain in memory. */
bool writer_has_room(const struct writer *w);
/* Waits until the thread touches no files of this certificate: for who removes them. */
void writer_wait(struct writer *w, const char *name);

#endif
