/*
 * daemon.h - the running renewd: all modules wired together, on one loop.
 *
 * Called by main.c only.
 */
#ifndef DAEMON_H
#define DAEMON_H

struct config;

/* Runs until SIGTERM or SIGINT, and takes over the configuration. 0, or negative when
 * it could not start or go on; why has been said then. */
int daemon_run(struct config *config);

#endif
