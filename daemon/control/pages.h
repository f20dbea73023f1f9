/*
 * pages.h - an answer that is made in pages, each when the client has taken the one
 * before.
 *
 * Used by the handlers whose answers grow with the inventory: memory doesn't, and no
 * turn of the loop makes more than a page. A page may be empty.
 */
#ifndef PAGES_H
#define PAGES_H

struct call;
struct evbuffer;

struct pages_source {
	const char *type; /* of the content */
	/* Adds the next page; 1: there are more, 0: that was the last, or negative. */
	int (*fill)(struct evbuffer *page, void *arg);
	/* Once, whatever becomes of the answer; never from pages_send(). */
	void (*free)(void *arg);
};

/* Begins to answer. Where the first page fails nothing was answered, and arg is still
 * the caller's. A later failure ends the answer early: what the client has is not whole
 * then, and that is all that can still be said. */
int pages_send(struct call *call, const struct pages_source *source, void *arg);

#endif
