/*
 * refusal.h - the answers that evhttp gives by itself, as problem details.
 *
 * Used by control.c for each connection.
 */
#ifndef REFUSAL_H
#define REFUSAL_H

struct bufferevent;

/* From now on no HTML leaves here. -ENOMEM. */
int refusal_watch(struct bufferevent *bev);

#endif
