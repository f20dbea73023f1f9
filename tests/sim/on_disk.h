/*
 * on_disk.h - what a web server finds in the files that a life of the daemon has left.
 *
 * Each returns what is wrong, or NULL. Names are those of the simulated CA.
 */
#ifndef ON_DISK_H
#define ON_DISK_H

#include <stdbool.h>
#include <stddef.h>

/* Is there a bundle of this name, whatever it holds? */
bool on_disk_there(const char *dir, size_t name);
/* All of one set, key and certificates belong together, also in HAProxy's directory.
 * chain: it has to be this one, or NULL. */
const char *on_disk_whole(const char *dir, size_t name, const char *chain);
/* The copy that the command of [deploy copy] has made is what the bundle holds. */
const char *on_disk_copied(const char *dir, size_t name);
/* What it has copied is there still, or this newer chain. */
const char *on_disk_kept(const char *dir, size_t name, const char *newer);

#endif
